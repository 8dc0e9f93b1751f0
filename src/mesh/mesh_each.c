// SPDX-License-Identifier: MIT
// mesh_each: statements, on one node or on all at once, under one deadline. Connections are
// non-blocking. One that does not answer in time is closed: what became of its statement is not
// known, and nothing else may be sent behind it. The server's own statement_timeout comes first
// where the server lives.
#include "mesh_inside.h"

#include <poll.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"

static int code_of(const char *state)
{
    static const struct {
        const char *prefix;
        int code;
    } CODES[] = {
        {"08", ERROR_UNAVAILABLE},    // connection
        {"57P0", ERROR_UNAVAILABLE},  // shutdown, terminated
        {"57014", ERROR_TIMEOUT},     // statement_timeout
        {"42P01", ERROR_NOT_FOUND},   // table
        {"42704", ERROR_NOT_FOUND},   // object
        {"42883", ERROR_NOT_FOUND},   // function
        {"3F000", ERROR_NOT_FOUND},   // schema
        {"3D000", ERROR_NOT_FOUND},   // database
        {"53", ERROR_LIMIT},          // resources, disk full
        {"54", ERROR_LIMIT},          // program limits
        {"55W01", ERROR_UNAVAILABLE}, // writes are refused: the clock
    };
    for (size_t i = 0; i < ARRAY_SIZE(CODES); i++)
        if (strncmp(state, CODES[i].prefix, strlen(CODES[i].prefix)) == 0)
            return CODES[i].code;
    return ERROR_CONFLICT;
}

static void keep_state(MeshNode *node, const PGresult *result)
{
    const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    (void)strncpy(node->sqlstate, state != NULL ? state : "", sizeof node->sqlstate - 1);
}

static int of_result(MeshNode *node, const PGresult *result, Error *reterr)
{
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    const char *where = PQresultErrorField(result, PG_DIAG_CONTEXT);
    keep_state(node, result);
    if (message == NULL) { // libpq's own: the connection broke
        message = PQresultErrorMessage(result);
        return error_set(reterr, ERROR_UNAVAILABLE, "%s: %.*s", node->region,
                         (int)strcspn(message, "\n"), message);
    }
    Buf text CLEANUP(buf_done) = BUF_INIT(65536);
    buf_printf(&text, "%s: %s (%s)", node->region, message, node->sqlstate);
    if (detail != NULL)
        buf_printf(&text, ": %s", detail);
    if (where != NULL)
        buf_printf(&text, " [%.*s]", (int)strcspn(where, "\n"), where);
    int code = code_of(node->sqlstate);
    code = error_set(reterr, code, "%s", buf_text(&text));
    return hint != NULL ? error_hint(reterr, code, "%s", hint) : code;
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

// Closes a connection and says why.
static int lose(MeshNode *node, int code, const char *why, Error *reterr)
{
    keep_state(node, NULL);
    (void)mesh_lose(node, code, why);
    (void)error_set(reterr, code, "%s: %s", node->region, error_text(&node->why));
    return code;
}

// What one node still has to say.
typedef struct Asked {
    MeshNode *node;
    MeshAnswer *answer;
    bool waiting;
} Asked;

static void fail(Asked *asked, int code, const char *why)
{
    PQclear(asked->answer->result);
    asked->answer->result = NULL;
    asked->answer->code = lose(asked->node, code, why, &asked->answer->err);
    asked->waiting = false;
}

// The first error counts, else the last result.
static void take(Asked *asked, PGresult *result)
{
    MeshAnswer *answer = asked->answer;
    if (answer->code < 0) {
        PQclear(result);
    } else if (is_good(result)) {
        PQclear(answer->result);
        answer->result = result;
    } else {
        PQclear(answer->result);
        answer->result = NULL;
        answer->code =
            PQresultStatus(result) == PGRES_COPY_IN || PQresultStatus(result) == PGRES_COPY_OUT
                ? error_set(&answer->err, ERROR_USAGE, "%s: COPY is not for mesh_query",
                            asked->node->region)
                : of_result(asked->node, result, &answer->err);
        PQclear(result);
    }
}

// Reads what has arrived; the end of the statement ends the waiting.
static void read_on(Asked *asked)
{
    PGconn *conn = asked->node->conn;
    if (PQconsumeInput(conn) == 0) {
        fail(asked, ERROR_UNAVAILABLE, PQerrorMessage(conn));
        return;
    }
    while (PQisBusy(conn) == 0) {
        PGresult *result = PQgetResult(conn);
        if (result == NULL) {
            asked->waiting = false;
            // its own last words ("terminating connection") were the answer
            if (PQstatus(conn) == CONNECTION_BAD)
                (void)mesh_lose(asked->node, ERROR_UNAVAILABLE, PQerrorMessage(conn));
            return;
        }
        take(asked, result);
    }
}

static void wait_for_all(Asked *asked, uint32_t n, Mono end)
{
    for (;;) {
        MeshPoll polls[64];
        bool any = false;
        for (uint32_t i = 0; i < n; i++) {
            polls[i] = (MeshPoll){.fd = -1};
            if (!asked[i].waiting)
                continue;
            int left = PQflush(asked[i].node->conn);
            if (left < 0) {
                read_on(&asked[i]); // the server's last words first
                if (asked[i].waiting)
                    fail(&asked[i], ERROR_UNAVAILABLE, PQerrorMessage(asked[i].node->conn));
                continue;
            }
            any = true;
            polls[i].fd = PQsocket(asked[i].node->conn);
            polls[i].events = left > 0 ? POLLIN | POLLOUT : POLLIN;
        }
        if (!any)
            return;
        if (!mesh_wait(polls, n, end))
            break;
        for (uint32_t i = 0; i < n; i++)
            if (asked[i].waiting && polls[i].ready)
                read_on(&asked[i]);
    }
    for (uint32_t i = 0; i < n; i++)
        if (asked[i].waiting)
            fail(&asked[i], ERROR_TIMEOUT, "no answer in time");
}

// NULL for `params` with n_params < 0: the simple protocol, which takes several statements.
static void begin(Asked *asked, const char *sql, int n_params, const char *const *params)
{
    PGconn *conn = asked->node->conn;
    *asked->answer = (MeshAnswer){0};
    asked->node->sqlstate[0] = '\0';
    if (conn == NULL) {
        asked->answer->code = mesh_reason(asked->node, &asked->answer->err);
        return;
    }
    int sent = n_params < 0 ? PQsendQuery(conn, sql)
                            : PQsendQueryParams(conn, sql, n_params, NULL, params, NULL, NULL, 0);
    asked->waiting = true;
    if (sent != 1)
        fail(asked, ERROR_UNAVAILABLE, PQerrorMessage(conn));
}

static int run(Mesh *mesh, MeshNode *node, const char *sql, int n_params, const char *const *params,
               PGresult **ret_result, Error *reterr)
{
    MeshAnswer answer = {0};
    Asked asked = {.node = node, .answer = &answer};
    begin(&asked, sql, n_params, params);
    wait_for_all(&asked, 1, mono_add(clock_mono(), mesh->timeout_ns));
    if (answer.code < 0) {
        error_done(reterr);
        if (reterr != NULL)
            *reterr = answer.err;
        else
            error_done(&answer.err);
        return answer.code;
    }
    if (ret_result != NULL)
        *ret_result = answer.result;
    else
        PQclear(answer.result);
    return 0;
}

int mesh_query(Mesh *mesh, MeshNode *node, const char *sql, int n_params, const char *const *params,
               PGresult **ret_result, Error *reterr)
{
    return run(mesh, node, sql, n_params, params, ret_result, reterr);
}

int mesh_script(Mesh *mesh, MeshNode *node, const char *sql, Error *reterr)
{
    return run(mesh, node, sql, -1, NULL, NULL, reterr);
}

int mesh_each(Mesh *mesh, const char *sql, int n_params, const char *const *params,
              MeshAnswer *answers)
{
    Asked asked[64];
    for (uint32_t i = 0; i < mesh->n; i++) {
        asked[i] = (Asked){.node = &mesh->nodes[i], .answer = &answers[i]};
        begin(&asked[i], sql, n_params, params);
    }
    wait_for_all(asked, mesh->n, mono_add(clock_mono(), mesh->timeout_ns));
    int failed = 0;
    for (uint32_t i = 0; i < mesh->n; i++)
        failed += answers[i].code < 0 ? 1 : 0;
    return failed;
}

void mesh_answers_done(MeshAnswer *answers, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        PQclear(answers[i].result);
        answers[i].result = NULL;
        error_done(&answers[i].err);
    }
}
