// SPDX-License-Identifier: MIT
// pg_link: see pg_link.h. The descriptor belongs to libpq, which may replace it while connecting:
// the poll handle is made anew around every PQconnectPoll and closed before PQfinish.
#include "pg_link.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "ip.h"

#define CONNECT_MS 2000
#define BACKOFF_MIN_NS (20 * NS_PER_MS)
#define BACKOFF_MAX_NS (500 * NS_PER_MS)
#define CONNINFO_MAX 64 // keywords of libpq: about 40

static void on_poll_closed(uv_handle_t *handle)
{
    PgLink *link = handle->data;
    free(handle);
    pg_pool_release(link->pool);
}

static void poll_close(PgLink *link)
{
    if (link->poll == NULL)
        return;
    (void)uv_poll_stop(link->poll);
    uv_close((uv_handle_t *)link->poll, on_poll_closed);
    link->poll = NULL;
}

static int poll_open(PgLink *link)
{
    uv_poll_t *poll = alloc_zeroed(1, sizeof *poll);
    if (poll == NULL || uv_poll_init(pg_pool_loop(link->pool), poll, PQsocket(link->conn)) < 0) {
        free(poll);
        return -1;
    }
    poll->data = link;
    link->poll = poll;
    pg_pool_hold(link->pool);
    return 0;
}

// The first line of libpq's text.
static void lose_with_message(PgLink *link)
{
    char text[256];
    const char *message = PQerrorMessage(link->conn);
    (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(message, "\n"), message);
    pg_link_lose(link, text[0] != '\0' ? text : "connection lost");
}

static void on_backoff(uv_timer_t *timer)
{
    pg_link_start(timer->data);
}

void pg_link_lose(PgLink *link, const char *why)
{
    PgQuery *query = link->first;
    link->state = PG_LINK_STATE_DOWN;
    link->first = link->last = NULL;
    link->n_queries = 0;
    poll_close(link);
    char text[256]; // `why` may belong to the connection
    (void)snprintf(text, sizeof text, "%s", why);
    PQfinish(link->conn);
    link->conn = NULL;
    pg_pool_failed(link->pool, text);
    if (!pg_pool_closing(link->pool)) {
        // Jitter, so that the replicas of a region do not come back in step.
        uint64_t ms = (uint64_t)(link->backoff_ns / NS_PER_MS);
        (void)uv_timer_start(&link->timer, on_backoff, ms - ms / 4 + random_u64() % (ms / 2 + 1),
                             0);
        link->backoff_ns = 2 * link->backoff_ns;
        if (link->backoff_ns > BACKOFF_MAX_NS)
            link->backoff_ns = BACKOFF_MAX_NS;
    }
    while (query != NULL) {
        PgQuery *next = query->next;
        pg_query_end(query, NULL, text);
        query = next;
    }
}

static void on_ready(uv_poll_t *poll, int status, int events);

// Sends what libpq holds back; false when the connection is lost.
static bool flush(PgLink *link)
{
    int left = PQflush(link->conn);
    if (left < 0) {
        lose_with_message(link);
        return false;
    }
    (void)uv_poll_start(link->poll, left > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE, on_ready);
    return true;
}

static void prepare(PgLink *link)
{
    const PgPoolOptions *options = pg_pool_options(link->pool);
    link->state = PG_LINK_STATE_PREPARING;
    // The server gives up a little earlier than we do: its word is better than our silence.
    char ms[32];
    (void)snprintf(ms, sizeof ms, "%lld",
                   (long long)(options->timeout_ns / NS_PER_MS * 9 / 10 + 1));
    const char *params[] = {ms};
    bool ok = PQsetnonblocking(link->conn, 1) == 0 && PQenterPipelineMode(link->conn) == 1 &&
              PQsendQueryParams(link->conn, "SELECT set_config('statement_timeout', $1, false)", 1,
                                NULL, params, NULL, NULL, 0) == 1;
    for (const char *const *s = options->setup; ok && s != NULL && *s != NULL; s++)
        ok = PQsendQueryParams(link->conn, *s, 0, NULL, NULL, NULL, NULL, 0) == 1;
    for (size_t i = 0; ok && i < options->n_statements; i++)
        ok = PQsendPrepare(link->conn, options->statements[i].name, options->statements[i].sql,
                           options->statements[i].n_params, NULL) == 1;
    ok = ok && PQpipelineSync(link->conn) == 1;
    if (ok)
        (void)flush(link);
    else
        lose_with_message(link);
}

static void on_connecting(uv_poll_t *poll, int status, int events);

static void connect_step(PgLink *link, PostgresPollingStatusType step)
{
    if (step == PGRES_POLLING_FAILED || (step != PGRES_POLLING_OK && PQsocket(link->conn) < 0)) {
        lose_with_message(link);
    } else if (poll_open(link) < 0) {
        pg_link_lose(link, "no memory for a connection");
    } else if (step == PGRES_POLLING_OK) {
        prepare(link);
    } else {
        int events = step == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE;
        (void)uv_poll_start(link->poll, events, on_connecting);
    }
}

static void on_connecting(uv_poll_t *poll, int status, int events)
{
    PgLink *link = poll->data;
    poll_close(link);
    connect_step(link, PQconnectPoll(link->conn));
}

static void on_connect_timeout(uv_timer_t *timer)
{
    PgLink *link = timer->data;
    if (link->state == PG_LINK_STATE_RESOLVING)
        (void)uv_cancel((uv_req_t *)&link->resolve); // its callback comes in any case
    else
        pg_link_lose(link, "no connection within 2 s");
}

static void begin_connect(PgLink *link)
{
    const char *keywords[CONNINFO_MAX], *values[CONNINFO_MAX];
    unsigned n = 0;
    for (const PQconninfoOption *o = pg_pool_conninfo(link->pool); o->keyword != NULL; o++) {
        if (o->val == NULL || n == CONNINFO_MAX - 2)
            continue;
        keywords[n] = o->keyword;
        values[n++] = o->val;
    }
    if (link->address[0] != '\0') {
        keywords[n] = "hostaddr";
        values[n++] = link->address;
    }
    keywords[n] = values[n] = NULL;
    link->state = PG_LINK_STATE_CONNECTING;
    (void)uv_timer_start(&link->timer, on_connect_timeout, CONNECT_MS, 0);
    link->conn = PQconnectStartParams(keywords, values, 0);
    if (link->conn == NULL)
        pg_link_lose(link, "no memory for a connection");
    else if (PQstatus(link->conn) == CONNECTION_BAD)
        lose_with_message(link);
    else
        connect_step(link, PGRES_POLLING_WRITING);
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *found)
{
    PgLink *link = resolve->data;
    char text[160];
    int r = status;
    if (r == 0)
        r = getnameinfo(found->ai_addr, found->ai_addrlen, link->address, sizeof link->address,
                        NULL, 0, NI_NUMERICHOST);
    (void)snprintf(text, sizeof text, "resolve the host's name: %s",
                   status < 0 ? uv_strerror(status) : "no address");
    uv_freeaddrinfo(found);
    if (pg_pool_closing(link->pool))
        link->state = PG_LINK_STATE_DOWN;
    else if (r != 0)
        pg_link_lose(link, text);
    else
        begin_connect(link);
    pg_pool_release(link->pool);
}

// libpq itself would resolve a name by blocking; NULL: there is none to resolve.
static const char *name_to_resolve(const PgLink *link)
{
    const char *host = NULL;
    Ip ip;
    for (const PQconninfoOption *o = pg_pool_conninfo(link->pool); o->keyword != NULL; o++) {
        if (strcmp(o->keyword, "hostaddr") == 0 && o->val != NULL)
            return NULL;
        if (strcmp(o->keyword, "host") == 0)
            host = o->val;
    }
    return host == NULL || host[0] == '/' || host[0] == '@' || strchr(host, ',') != NULL ||
                   ip_parse(host, &ip) == 0
               ? NULL
               : host;
}

void pg_link_start(PgLink *link)
{
    const char *host = name_to_resolve(link);
    (void)uv_timer_start(&link->timer, on_connect_timeout, CONNECT_MS, 0);
    if (host == NULL) {
        begin_connect(link);
        return;
    }
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    link->resolve.data = link;
    link->state = PG_LINK_STATE_RESOLVING;
    if (uv_getaddrinfo(pg_pool_loop(link->pool), &link->resolve, on_resolved, host, NULL, &hints) <
        0)
        pg_link_lose(link, "no memory to resolve the host's name");
    else
        pg_pool_hold(link->pool);
}

void pg_link_send(PgLink *link, PgQuery *query)
{
    const PgStatement *statement = &pg_pool_options(link->pool)->statements[query->statement];
    query->next = NULL;
    if (link->last != NULL)
        link->last->next = query;
    else
        link->first = query;
    link->last = query;
    link->n_queries++;
    if (PQsendQueryPrepared(link->conn, statement->name, statement->n_params, query->params, NULL,
                            NULL, 0) == 1 &&
        PQpipelineSync(link->conn) == 1)
        (void)flush(link);
    else
        lose_with_message(link);
}

// A result while preparing; false when the link was lost.
static bool take_prepared(PgLink *link, const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_PIPELINE_SYNC) {
        link->state = PG_LINK_STATE_READY;
        (void)uv_timer_stop(&link->timer);
        pg_pool_ready(link->pool);
    } else if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        char text[256];
        const char *message = PQresultErrorMessage(result);
        (void)snprintf(text, sizeof text, "prepare: %.*s", (int)strcspn(message, "\n"), message);
        pg_link_lose(link, text);
        return false;
    }
    return true;
}

static void take_result(PgLink *link, PGresult *result)
{
    PgQuery *query = link->first;
    if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
        // An error of the commit comes after the statement's own result, and counts.
        PQclear(query->result);
        query->result = result;
        return;
    }
    PQclear(result);
    link->first = query->next;
    if (link->first == NULL)
        link->last = NULL;
    link->n_queries--;
    link->backoff_ns = BACKOFF_MIN_NS;
    pg_query_end(query, query->result, query->result == NULL ? "no result" : NULL);
}

void pg_link_read(PgLink *link)
{
    PGconn *conn = link->conn;
    if (link->state < PG_LINK_STATE_PREPARING)
        return;
    if (PQconsumeInput(conn) == 0) {
        lose_with_message(link);
        return;
    }
    unsigned nothing = 0;
    // libpq gives NULL once behind each statement; twice: there is no more. The connection may be
    // lost, and another made, by what a callback does.
    while (link->conn == conn && nothing < 2 && PQisBusy(conn) == 0) {
        PGresult *result = PQgetResult(conn);
        nothing = result == NULL ? nothing + 1 : 0;
        if (result == NULL)
            continue;
        if (link->state == PG_LINK_STATE_READY && link->first != NULL) {
            take_result(link, result);
            continue;
        }
        bool kept = link->state == PG_LINK_STATE_PREPARING && take_prepared(link, result);
        PQclear(result);
        if (!kept && link->conn == conn) {
            pg_link_lose(link, "an unexpected result");
            return;
        }
    }
    if (link->conn == conn && PQstatus(conn) == CONNECTION_BAD)
        lose_with_message(link);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    PgLink *link = poll->data;
    PGconn *conn = link->conn;
    if ((events & UV_WRITABLE) && !flush(link))
        return;
    pg_link_read(link);
    if (link->conn == conn && link->state == PG_LINK_STATE_READY)
        pg_pool_ready(link->pool);
}

static void on_timer_closed(uv_handle_t *handle)
{
    pg_pool_release(((PgLink *)handle->data)->pool);
}

void pg_link_init(PgLink *link, PgPool *pool)
{
    link->pool = pool;
    link->backoff_ns = BACKOFF_MIN_NS;
    (void)uv_timer_init(pg_pool_loop(pool), &link->timer);
    link->timer.data = link;
    pg_pool_hold(pool);
}

void pg_link_close(PgLink *link)
{
    if (link->state == PG_LINK_STATE_RESOLVING)
        (void)uv_cancel((uv_req_t *)&link->resolve);
    else
        pg_link_lose(link, "the pool is closed");
    uv_close((uv_handle_t *)&link->timer, on_timer_closed);
}
