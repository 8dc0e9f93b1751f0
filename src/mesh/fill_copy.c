// SPDX-License-Identifier: MIT
// fill_copy: statements and COPY on the fill's two connections. Nothing waits for ever: a side that
// is silent for SILENCE_NS is given up (a dead machine is noticed sooner, by TCP's keepalives).
#include "fill_inside.h"

#include <poll.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"

#define SILENCE_NS (300 * NS_PER_S) // sorting ten million rows, waiting for a lock
#define KEYWORDS_MAX 80

static void no_notice(void *context, const PGresult *result)
{
}

static int broken(const FillSide *side, Error *reterr)
{
    const char *why = PQerrorMessage(side->conn);
    return error_set(reterr, ERROR_UNAVAILABLE, "%s: %.*s", side->node->region,
                     (int)strcspn(why, "\n"), why[0] != '\0' ? why : "connection lost");
}

// Waits until the server says something (and sends what is left to send).
static int await_input(const FillSide *side, Error *reterr)
{
    int left = PQflush(side->conn);
    if (left < 0)
        return broken(side, reterr);
    struct pollfd fd = {.fd = PQsocket(side->conn),
                        .events = (short)(left > 0 ? POLLIN | POLLOUT : POLLIN)};
    int ready = poll(&fd, 1, (int)(SILENCE_NS / NS_PER_MS));
    if (ready == 0)
        return error_set(reterr, ERROR_TIMEOUT, "%s: silent for %lld s", side->node->region,
                         (long long)(SILENCE_NS / NS_PER_S));
    if (ready > 0 && (fd.revents & (POLLIN | POLLERR | POLLHUP)) != 0 &&
        PQconsumeInput(side->conn) == 0)
        return broken(side, reterr);
    return 0; // EINTR: the caller looks and comes again
}

static int connect_like(const MeshNode *node, const char *application, PGconn **ret_conn,
                        Error *reterr)
{
    const char *names[KEYWORDS_MAX + 1], *values[KEYWORDS_MAX + 1];
    size_t n = 0;
    if (node->conn == NULL)
        return error_set(reterr, ERROR_UNAVAILABLE, "%s: %s", node->region,
                         node->why.text != NULL ? error_text(&node->why) : "not connected");
    PQconninfoOption *options = PQconninfo(node->conn);
    if (options == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for a connection");
    for (const PQconninfoOption *at = options; at->keyword != NULL && n < KEYWORDS_MAX - 2; at++) {
        if (at->val == NULL || strcmp(at->keyword, "application_name") == 0 ||
            strcmp(at->keyword, "connect_timeout") == 0)
            continue;
        names[n] = at->keyword;
        values[n++] = at->val;
    }
    names[n] = "application_name";
    values[n++] = application;
    names[n] = "connect_timeout";
    values[n++] = "5";
    names[n] = NULL;
    values[n] = NULL;
    PGconn *conn = PQconnectdbParams(names, values, 0);
    PQconninfoFree(options);
    if (conn == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for a connection");
    *ret_conn = conn;
    return 0;
}

int fill_connect(const MeshNode *node, const char *application, FillSide *ret_side, Error *reterr)
{
    *ret_side = (FillSide){.node = node};
    int r = connect_like(node, application, &ret_side->conn, reterr);
    if (r < 0)
        return r;
    if (PQstatus(ret_side->conn) != CONNECTION_OK)
        return broken(ret_side, reterr);
    (void)PQsetnonblocking(ret_side->conn, 1);
    (void)PQsetNoticeReceiver(ret_side->conn, no_notice, NULL);
    return fill_run(ret_side,
                    "SET statement_timeout = 0; SET lock_timeout = 0; SET client_encoding = 'UTF8';"
                    "SET idle_in_transaction_session_timeout = 0; SET DateStyle = 'ISO, YMD';"
                    "SET IntervalStyle = 'postgres'; SET extra_float_digits = 3;"
                    "SET bytea_output = 'hex'; SET TimeZone = 'UTC'",
                    -1, NULL, NULL, NULL, reterr);
}

static int server_says(const FillSide *side, const PGresult *result, char state[6], Error *reterr)
{
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *where = PQresultErrorField(result, PG_DIAG_CONTEXT);
    if (code == NULL || message == NULL)
        return broken(side, reterr);
    if (state != NULL)
        memcpy(state, code, strnlen(code, 5) + 1);
    Buf text CLEANUP(buf_done) = BUF_INIT(65536);
    buf_printf(&text, "%s: %s (%s)", side->node->region, message, code);
    if (detail != NULL)
        buf_printf(&text, ": %s", detail);
    if (where != NULL)
        buf_printf(&text, " [%.*s]", (int)strcspn(where, "\n"), where);
    return error_set(reterr, strncmp(code, "57P0", 4) == 0 ? ERROR_UNAVAILABLE : ERROR_CONFLICT,
                     "%s", buf_text(&text));
}

static bool is_copy(const PGresult *result)
{
    return PQresultStatus(result) == PGRES_COPY_IN || PQresultStatus(result) == PGRES_COPY_OUT;
}

// Reads results up to the end of what was sent, or up to the begin of a COPY.
static int finish(const FillSide *side, PGresult **ret_result, char state[6], Error *reterr)
{
    PGresult *last = NULL;
    int r = 0;
    if (state != NULL)
        state[0] = '\0';
    for (;;) {
        while (PQisBusy(side->conn) != 0) {
            int waited = await_input(side, r < 0 ? NULL : reterr);
            if (waited < 0) {
                PQclear(last);
                return r < 0 ? r : waited;
            }
        }
        PGresult *result = PQgetResult(side->conn);
        if (result == NULL)
            break;
        ExecStatusType status = PQresultStatus(result);
        bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
                    status == PGRES_EMPTY_QUERY || is_copy(result);
        if (!good && r == 0)
            r = server_says(side, result, state, reterr);
        PQclear(last);
        last = result;
        if (is_copy(result))
            break;
    }
    if (r == 0 && last == NULL)
        r = broken(side, reterr);
    if (r == 0 && ret_result != NULL)
        *ret_result = last;
    else
        PQclear(last);
    return r;
}

static int send_statement(const FillSide *side, const char *sql, int n_params,
                          const char *const *params, Error *reterr)
{
    int sent = n_params < 0
                   ? PQsendQuery(side->conn, sql)
                   : PQsendQueryParams(side->conn, sql, n_params, NULL, params, NULL, NULL, 0);
    return sent == 1 ? 0 : broken(side, reterr);
}

int fill_run(const FillSide *side, const char *sql, int n_params, const char *const *params,
             PGresult **ret_result, char state[6], Error *reterr)
{
    int r = send_statement(side, sql, n_params, params, reterr);
    if (r < 0 && state != NULL)
        state[0] = '\0';
    return r < 0 ? r : finish(side, ret_result, state, reterr);
}

int fill_run_both(const FillSide *a, const FillSide *b, const char *sql, PGresult *ret_results[2],
                  Error *reterr)
{
    ret_results[0] = ret_results[1] = NULL;
    int r = send_statement(a, sql, 0, NULL, reterr);
    if (r == 0)
        r = send_statement(b, sql, 0, NULL, reterr);
    if (r == 0)
        r = finish(a, &ret_results[0], NULL, reterr);
    if (r == 0)
        r = finish(b, &ret_results[1], NULL, reterr);
    if (r < 0) {
        PQclear(ret_results[0]);
        ret_results[0] = NULL;
    }
    return r;
}

int fill_copy_out(const FillSide *side, const char *sql, Error *reterr)
{
    return fill_run(side, sql, -1, NULL, NULL, NULL, reterr);
}

int fill_copy_row(const FillSide *side, char **ret_row, size_t *ret_len, Error *reterr)
{
    for (;;) {
        char *row = NULL;
        int len = PQgetCopyData(side->conn, &row, 1);
        if (len > 0) {
            *ret_row = row;
            *ret_len = (size_t)len;
            return 1;
        }
        if (len == -1)
            return finish(side, NULL, NULL, reterr);
        int r = len == 0 ? await_input(side, reterr) : broken(side, reterr);
        if (r < 0)
            return r;
    }
}

// 1: taken; 0: libpq's buffer is full and was sent on, once more.
static int put(const FillSide *side, const char *bytes, int len, Error *reterr)
{
    int sent = PQputCopyData(side->conn, bytes, len);
    if (sent == 0) {
        int r = await_input(side, reterr);
        return r < 0 ? r : 0;
    }
    return sent == 1 ? 1 : broken(side, reterr);
}

int fill_copy_in(const FillSide *side, const char *sql, const Buf *rows, char state[6],
                 Error *reterr)
{
    int r = fill_run(side, sql, -1, NULL, NULL, state, reterr);
    for (size_t at = 0; r == 0 && at < rows->len;) {
        size_t piece = rows->len - at < 65536 ? rows->len - at : 65536;
        r = put(side, rows->data + at, (int)piece, reterr);
        if (r == 1) {
            at += piece;
            r = 0;
        }
    }
    if (r < 0)
        return r;
    if (PQputCopyEnd(side->conn, NULL) < 0)
        return broken(side, reterr);
    return finish(side, NULL, state, reterr);
}
