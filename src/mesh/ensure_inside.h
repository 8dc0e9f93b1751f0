// SPDX-License-Identifier: MIT
// ensure_inside: what the steps of ensure share.
#pragma once
#include "ensure.h"
#include "mesh_sql.h"

#define ENSURE_TABLES_MAX 512

typedef struct Ensure {
    Mesh *mesh;
    MeshNode *node;
    const EnsureOptions *options;
    Arena *arena;
    MeshSqlNode sql_node;
    bool based; // schema wildcam is there, or was made now
    uint32_t n_tables;
    MeshSqlTable tables[ENSURE_TABLES_MAX];
    EnsureDone done;
} Ensure;

// One change: run, or written down when planning. `what` stands above it in a plan.
int ensure_change(Ensure *ensure, const char *what, const char *sql, Error *reterr) MUST_CHECK;
// The single text that a query gives, in the arena; NULL for no row or NULL.
int ensure_text(Ensure *ensure, MeshNode *node, const char *sql, int n_params,
                const char *const *params, const char **ret_text, Error *reterr) MUST_CHECK;

// registry.c: who is in the mesh and which tables are federated, as far as anybody reachable knows.
int ensure_nodes(Ensure *ensure, Error *reterr) MUST_CHECK;
int ensure_tables(Ensure *ensure, Error *reterr) MUST_CHECK;
int ensure_publication(Ensure *ensure, Error *reterr) MUST_CHECK;
int ensure_subscriptions(Ensure *ensure, Error *reterr) MUST_CHECK;
int ensure_fills(Ensure *ensure, Error *reterr) MUST_CHECK;
