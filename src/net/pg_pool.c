// SPDX-License-Identifier: MIT
// pg_pool: see pg_pool.h. Queries go to the least busy ready link, or wait in one queue. All
// queries have the same limit, so the queue and each link's list are in the order of their
// deadlines and one timer looks at their heads. A query that got no answer in time costs its
// connection: what was sent behind it cannot be answered either.
#include "pg_pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "pg_link.h"

#define LINKS_MAX 64

struct PgPool {
    PgPoolOptions options;
    PQconninfoOption *conninfo;
    uv_loop_t *loop;
    uv_timer_t timer;
    unsigned handles, n_waiting;
    bool closing;
    PgQuery *first, *last; // waiting
    char error[256];
    PgLink links[];
};

const PgPoolOptions *pg_pool_options(const PgPool *pool)
{
    return &pool->options;
}

const PQconninfoOption *pg_pool_conninfo(const PgPool *pool)
{
    return pool->conninfo;
}

uv_loop_t *pg_pool_loop(const PgPool *pool)
{
    return pool->loop;
}

bool pg_pool_closing(const PgPool *pool)
{
    return pool->closing;
}

void pg_pool_failed(PgPool *pool, const char *why)
{
    (void)snprintf(pool->error, sizeof pool->error, "%s", why);
}

const char *pg_pool_error(const PgPool *pool)
{
    return pool->error;
}

void pg_pool_hold(PgPool *pool)
{
    pool->handles++;
}

void pg_pool_release(PgPool *pool)
{
    if (--pool->handles > 0)
        return;
    PQconninfoFree(pool->conninfo);
    free(pool);
}

void pg_query_end(PgQuery *query, const PGresult *result, const char *error)
{
    PGresult *kept = query->result;
    query->done(query->context, error == NULL ? result : NULL, error);
    PQclear(kept);
    free(query);
}

static PgLink *free_link(PgPool *pool)
{
    PgLink *best = NULL;
    for (unsigned i = 0; i < pool->options.connections; i++) {
        PgLink *link = &pool->links[i];
        if (link->state == PG_LINK_STATE_READY && link->n_queries < PG_LINK_DEPTH &&
            (best == NULL || link->n_queries < best->n_queries))
            best = link;
    }
    return best;
}

static PgQuery *take_waiting(PgPool *pool)
{
    PgQuery *query = pool->first;
    pool->first = query->next;
    if (pool->first == NULL)
        pool->last = NULL;
    pool->n_waiting--;
    return query;
}

void pg_pool_ready(PgPool *pool)
{
    PgLink *link;
    while (pool->first != NULL && (link = free_link(pool)) != NULL)
        pg_link_send(link, take_waiting(pool));
}

static void on_timer(uv_timer_t *timer);

static void arm(PgPool *pool)
{
    Mono next = pool->first != NULL ? pool->first->deadline : MONO_NEVER;
    for (unsigned i = 0; i < pool->options.connections; i++) {
        if (pool->links[i].first != NULL)
            next = mono_min(next, pool->links[i].first->deadline);
    }
    if (next.ns == MONO_NEVER.ns) {
        (void)uv_timer_stop(&pool->timer);
        return;
    }
    int64_t left_ns = mono_since(next, clock_mono());
    uv_update_time(pool->loop);
    (void)uv_timer_start(&pool->timer, on_timer,
                         left_ns <= 0 ? 0 : (uint64_t)(left_ns / NS_PER_MS) + 1, 0);
}

static void on_timer(uv_timer_t *timer)
{
    PgPool *pool = timer->data;
    char text[80];
    (void)snprintf(text, sizeof text, "no answer within %lld ms",
                   (long long)(pool->options.timeout_ns / NS_PER_MS));
    for (unsigned i = 0; i < pool->options.connections; i++) {
        PgLink *link = &pool->links[i];
        if (link->first == NULL)
            continue;
        pg_link_read(link); // timers run before sockets: the answer may be there
        if (link->first != NULL && mono_since(link->first->deadline, clock_mono()) <= 0)
            pg_link_lose(link, text);
    }
    Mono now = clock_mono();
    while (pool->first != NULL && mono_since(pool->first->deadline, now) <= 0)
        pg_query_end(take_waiting(pool), NULL, text);
    pg_pool_ready(pool);
    arm(pool);
}

static PgQuery *query_new(const PgPool *pool, unsigned statement, const char *const *params)
{
    size_t n = (size_t)pool->options.statements[statement].n_params;
    size_t size = sizeof(PgQuery) + n * sizeof(char *), texts = size;
    for (size_t i = 0; i < n; i++)
        size += params[i] != NULL ? strlen(params[i]) + 1 : 0;
    PgQuery *query = alloc_zeroed(1, size);
    if (query == NULL)
        return NULL;
    char *at = (char *)query + texts;
    for (size_t i = 0; i < n; i++) {
        if (params[i] == NULL)
            continue;
        size_t len = strlen(params[i]) + 1;
        memcpy(at, params[i], len);
        query->params[i] = at;
        at += len;
    }
    query->statement = statement;
    return query;
}

void pg_pool_query(PgPool *pool, unsigned statement, const char *const *params, PgDone *done,
                   void *context)
{
    ASSERT(statement < pool->options.n_statements);
    if (pool->closing || !pg_pool_connected(pool)) {
        char text[300];
        (void)snprintf(text, sizeof text, "not connected%s%s", pool->error[0] != '\0' ? ": " : "",
                       pool->error);
        done(context, NULL, text);
        return;
    }
    PgLink *link = pool->first == NULL ? free_link(pool) : NULL;
    if (link == NULL && pool->n_waiting >= pool->options.max_waiting) {
        done(context, NULL, "too many queries wait for a connection");
        return;
    }
    PgQuery *query = query_new(pool, statement, params);
    if (query == NULL) {
        done(context, NULL, "no memory for a query");
        return;
    }
    query->done = done;
    query->context = context;
    query->deadline = mono_add(clock_mono(), pool->options.timeout_ns);
    if (link != NULL) {
        pg_link_send(link, query);
    } else {
        if (pool->last != NULL)
            pool->last->next = query;
        else
            pool->first = query;
        pool->last = query;
        pool->n_waiting++;
    }
    if (!uv_is_active((uv_handle_t *)&pool->timer))
        arm(pool);
}

bool pg_pool_connected(const PgPool *pool)
{
    for (unsigned i = 0; i < pool->options.connections; i++) {
        if (pool->links[i].state == PG_LINK_STATE_READY)
            return true;
    }
    return false;
}

static int set_options(PgPool *pool, const PgPoolOptions *options, unsigned links, Error *reterr)
{
    char *message = NULL;
    pool->options = *options;
    pool->options.connections = links;
    if (options->timeout_ns == 0)
        pool->options.timeout_ns = NS_PER_S;
    if (options->max_waiting == 0)
        pool->options.max_waiting = 64;
    pool->conninfo = PQconninfoParse(options->conninfo, &message);
    if (pool->conninfo == NULL) {
        int r = error_set(reterr, ERROR_FORMAT, "database connection: %.*s",
                          message != NULL ? (int)strcspn(message, "\n") : 0, message);
        PQfreemem(message);
        return r;
    }
    return 0;
}

int pg_pool_new(uv_loop_t *loop, const PgPoolOptions *options, PgPool **ret_pool, Error *reterr)
{
    unsigned links = options->connections > 0 ? options->connections : 2;
    if (links > LINKS_MAX)
        return error_set(reterr, ERROR_RANGE, "%u database connections; allowed: up to %d", links,
                         LINKS_MAX);
    PgPool *pool = alloc_zeroed(1, sizeof *pool + links * sizeof *pool->links);
    if (pool == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for a database pool");
    pool->loop = loop;
    pool->handles = 1;
    int r = set_options(pool, options, links, reterr);
    if (r < 0) {
        pg_pool_release(pool);
        return r;
    }
    (void)uv_timer_init(loop, &pool->timer);
    pool->timer.data = pool;
    for (unsigned i = 0; i < links; i++) {
        pg_link_init(&pool->links[i], pool);
        pg_link_start(&pool->links[i]);
    }
    *ret_pool = pool;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    pg_pool_release(handle->data);
}

PgPool *pg_pool_free(PgPool *pool)
{
    if (pool == NULL)
        return NULL;
    pool->closing = true;
    while (pool->first != NULL)
        pg_query_end(take_waiting(pool), NULL, "the pool is closed");
    for (unsigned i = 0; i < pool->options.connections; i++)
        pg_link_close(&pool->links[i]);
    uv_close((uv_handle_t *)&pool->timer, on_timer_closed);
    return NULL;
}
