// SPDX-License-Identifier: MIT
// rows_check_ask: one statement on all compared nodes at once, that Ctrl-C ends at once. A node
// that does not answer in time, or whose connection breaks, is taken out of the comparison and
// named; the others go on. What a statement itself does wrong is an error.
#include "rows_check.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define ANSWER_NS (120 * NS_PER_S) // a slice is a second of work; a hung region says nothing
#define STOP_MS 100                // a signal between a look at `stop` and poll() is seen so late

bool check_suspended(const Check *check)
{
    return check->stop != NULL && *check->stop != 0;
}

int64_t check_int(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) == 1
               ? 0
               : strtoll(PQgetvalue(result, row, column), NULL, 10);
}

void check_results_done(const Check *check, PGresult **results)
{
    for (uint32_t i = 0; i < check->mesh->n; i++) {
        PQclear(results[i]);
        results[i] = NULL;
    }
}

int check_lose(Check *check, uint32_t node, const char *why, Error *reterr)
{
    MeshNode *lost = &check->mesh->nodes[node];
    check->nodes &= ~(UINT64_C(1) << node);
    int len = (int)strcspn(why, "\n");
    check->why_not[node] = arena_printf(check->arena, "%.*s", len, why);
    (void)error_set(&lost->why, ERROR_UNAVAILABLE, "%.*s", len, why);
    PQfinish(lost->conn);
    lost->conn = NULL;
    if (__builtin_popcountll(check->nodes) >= 2)
        return 0;
    int r = error_set(reterr, ERROR_UNAVAILABLE, "fewer than two regions are left; %s: %s",
                      lost->region, error_text(&lost->why));
    return error_hint(reterr, r, "'wildcam rows status' shows which regions answer.");
}

static void cancel(PGconn *conn)
{
    char text[256];
    PGcancel *wish = PQgetCancel(conn);
    if (wish != NULL)
        (void)PQcancel(wish, text, sizeof text);
    PQfreeCancel(wish);
}

typedef struct Waiting {
    uint64_t nodes;
    PGresult **results;
    bool stopped;
} Waiting;

// Reads what has arrived from one node.
static int read_on(Check *check, Waiting *waiting, uint32_t i, Error *reterr)
{
    MeshNode *node = &check->mesh->nodes[i];
    if (PQconsumeInput(node->conn) == 0) {
        waiting->nodes &= ~(UINT64_C(1) << i);
        return check_lose(check, i, PQerrorMessage(node->conn), reterr);
    }
    int r = 0;
    while (PQisBusy(node->conn) == 0) {
        PGresult *result = PQgetResult(node->conn);
        if (result == NULL) {
            waiting->nodes &= ~(UINT64_C(1) << i);
            break;
        }
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
            PQclear(waiting->results[i]);
            waiting->results[i] = result;
            continue;
        }
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        if (r == 0 && !waiting->stopped) {
            const char *message = PQresultErrorMessage(result);
            bool gone =
                state == NULL || strncmp(state, "57P", 3) == 0 || strncmp(state, "08", 2) == 0;
            if (gone) {
                r = check_lose(check, i, message, reterr);
                waiting->nodes &= ~(UINT64_C(1) << i);
                PQclear(result);
                return r;
            }
            r = error_set(reterr, ERROR_CONFLICT, "%s: %.*s", node->region,
                          (int)strcspn(message, "\n"), message);
        }
        PQclear(result);
    }
    return r;
}

// One turn of waiting: flushes, polls, reads. `reterr` keeps the first failure.
static int turn(Check *check, Waiting *waiting, Error *reterr)
{
    struct pollfd fds[CHECK_NODES_MAX];
    for (uint32_t i = 0; i < check->mesh->n; i++) {
        fds[i] = (struct pollfd){.fd = -1};
        if ((waiting->nodes >> i & 1) == 0)
            continue;
        PGconn *conn = check->mesh->nodes[i].conn;
        fds[i] = (struct pollfd){.fd = PQsocket(conn), .events = POLLIN};
        if (PQflush(conn) > 0)
            fds[i].events = POLLIN | POLLOUT;
    }
    int r = 0, ready = poll(fds, check->mesh->n, STOP_MS);
    for (uint32_t i = 0; ready > 0 && i < check->mesh->n; i++) {
        if (fds[i].fd < 0 || fds[i].revents == 0)
            continue;
        int one = read_on(check, waiting, i, r == 0 ? reterr : NULL);
        r = r < 0 ? r : one;
    }
    return r;
}

static void stop_all(Check *check, Waiting *waiting)
{
    waiting->stopped = true;
    for (uint32_t i = 0; i < check->mesh->n; i++)
        if (waiting->nodes >> i & 1)
            cancel(check->mesh->nodes[i].conn);
}

int check_ask_some(Check *check, uint64_t mask, const char *sql, int n_params,
                   const char *const *params, PGresult **results, Error *reterr)
{
    Waiting waiting = {.nodes = mask & check->nodes, .results = results};
    int r = 0;
    memset(results, 0, check->mesh->n * sizeof(PGresult *));
    if (check_suspended(check))
        return error_set(reterr, -ECANCELED, "stopped");
    for (uint32_t i = 0; i < check->mesh->n; i++) {
        PGconn *conn = check->mesh->nodes[i].conn;
        if ((waiting.nodes >> i & 1) == 0)
            continue;
        if (PQsendQueryParams(conn, sql, n_params, NULL, params, NULL, NULL, 0) != 1) {
            waiting.nodes &= ~(UINT64_C(1) << i);
            int lost = check_lose(check, i, PQerrorMessage(conn), reterr);
            r = r < 0 ? r : lost;
        }
    }
    Mono end = mono_add(clock_mono(), ANSWER_NS);
    while (waiting.nodes != 0) {
        int one = turn(check, &waiting, r == 0 ? reterr : NULL);
        r = r < 0 ? r : one;
        if (check->told != NULL)
            check->told(check);
        if (check_suspended(check) && !waiting.stopped) {
            stop_all(check, &waiting);
            end = mono_add(clock_mono(), 2 * NS_PER_S);
            r = r < 0 ? r : error_set(reterr, -ECANCELED, "stopped");
        }
        for (uint32_t i = 0; clock_mono().ns > end.ns && i < check->mesh->n; i++) {
            if ((waiting.nodes >> i & 1) == 0)
                continue;
            waiting.nodes &= ~(UINT64_C(1) << i);
            int lost = check_lose(check, i, "does not answer", r == 0 ? reterr : NULL);
            r = r < 0 ? r : lost;
        }
    }
    if (r < 0)
        check_results_done(check, results);
    return r;
}

int check_ask(Check *check, const char *sql, int n_params, const char *const *params,
              PGresult **results, Error *reterr)
{
    return check_ask_some(check, check->nodes, sql, n_params, params, results, reterr);
}

int check_pause(const Check *check, int64_t ns)
{
    Mono end = mono_add(clock_mono(), ns);
    for (;;) {
        if (check_suspended(check))
            return -ECANCELED;
        int64_t left = mono_since(end, clock_mono()) / NS_PER_MS;
        if (left <= 0)
            return 0;
        (void)poll(NULL, 0, left < STOP_MS ? (int)left : STOP_MS);
    }
}
