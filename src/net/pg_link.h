// SPDX-License-Identifier: MIT
// pg_link: one connection of the pool, private to it.
//
//   DOWN --backoff--> RESOLVING --> CONNECTING --> PREPARING --> READY
//     ^                   |              |             |           |
//     +---- link lost: its queries fail, last error kept ----------+
//
// In pipeline mode a statement's result arrives before its transaction has been committed (that
// happens at the Sync that follows), so a result is kept until its Sync was answered.
#pragma once
#include <libpq-fe.h>
#include <uv.h>

#include "instant.h"
#include "pg_pool.h"

typedef struct PgQuery {
    struct PgQuery *next;
    unsigned statement;
    PgDone *done;
    void *context;
    Mono deadline;
    PGresult *result;     // kept until the Sync
    const char *params[]; // and their texts behind
} PgQuery;

typedef enum PgLinkState {
    PG_LINK_STATE_DOWN,
    PG_LINK_STATE_RESOLVING,
    PG_LINK_STATE_CONNECTING,
    PG_LINK_STATE_PREPARING,
    PG_LINK_STATE_READY,
} PgLinkState;

typedef struct PgLink {
    PgPool *pool;
    PgLinkState state;
    PGconn *conn;
    uv_poll_t *poll;  // NULL: none; freed by its close callback
    uv_timer_t timer; // backoff, or the limit on connecting
    uv_getaddrinfo_t resolve;
    char address[64];      // of a host given by name
    PgQuery *first, *last; // sent, unanswered
    unsigned n_queries;
    int64_t backoff_ns;
} PgLink;

#define PG_LINK_DEPTH 8 // queries on one connection; more would wait behind each other

void pg_link_init(PgLink *link, PgPool *pool);
void pg_link_start(PgLink *link);
// Takes the query over. On failure the link is lost and the query has failed with it.
void pg_link_send(PgLink *link, PgQuery *query);
// Reads what has arrived.
void pg_link_read(PgLink *link);
void pg_link_lose(PgLink *link, const char *why);
void pg_link_close(PgLink *link);

// What the pool offers to its links.
const PgPoolOptions *pg_pool_options(const PgPool *pool);
const PQconninfoOption *pg_pool_conninfo(const PgPool *pool);
uv_loop_t *pg_pool_loop(const PgPool *pool);
void pg_pool_ready(PgPool *pool); // a link became ready or less busy
void pg_pool_failed(PgPool *pool, const char *why);
void pg_pool_hold(PgPool *pool); // a handle or request of the loop was opened
void pg_pool_release(PgPool *pool);
bool pg_pool_closing(const PgPool *pool);
void pg_query_end(PgQuery *query, const PGresult *result, const char *error); // calls done, frees
