// SPDX-License-Identifier: MIT
// pg_pool: the one PostgreSQL client of all shells: a few libpq connections on the caller's uv
// loop, in pipeline mode. Statements are prepared once per connection; parameters and results are
// text. Every query is a transaction of its own, and its result is handed out only when it has been
// committed. A lost connection fails what was sent on it (whether it was executed is then unknown:
// callers use idempotent statements) and is made again with backoff. While no connection is there,
// queries fail at once; nothing ever waits longer than timeout_ns.
#pragma once
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "error.h"

typedef struct PgPool PgPool;

typedef struct PgStatement {
    const char *name, *sql;
    int n_params;
} PgStatement;

typedef struct PgPoolOptions {
    const char *conninfo;          // keywords; the password comes from passfile, never from here
    unsigned connections;          // 0: 2
    const PgStatement *statements; // must outlive the pool
    size_t n_statements;
    const char *const
        *setup;           // commands run on each new connection, NULL-terminated; must outlive it
    int64_t timeout_ns;   // per query, from submit to result; 0: 1 s
    unsigned max_waiting; // queries queued while no connection is free; more fail at once; 0: 64
} PgPoolOptions;

// result is NULL and error is set when it failed without an answer of the server; otherwise look at
// PQresultStatus. Called exactly once, perhaps before pg_pool_query returns. It must not free the
// pool.
typedef void PgDone(void *context, const PGresult *result, const char *error);

int pg_pool_new(uv_loop_t *loop, const PgPoolOptions *options, PgPool **ret_pool,
                Error *reterr) MUST_CHECK;
// statement: index into options.statements; params are copied; NULL is SQL NULL.
void pg_pool_query(PgPool *pool, unsigned statement, const char *const *params, PgDone *done,
                   void *context);
bool pg_pool_connected(const PgPool *pool);
// Why the last connection was lost or could not be made; "" before anything failed.
const char *pg_pool_error(const PgPool *pool);
// Fails what is under way. Memory goes when the loop has run once more. Returns NULL.
PgPool *pg_pool_free(PgPool *pool);
