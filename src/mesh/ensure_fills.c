// SPDX-License-Identifier: MIT
// ensure_fills: each subscription is filled once from its publisher: with what the publisher wrote,
// with what nobody active wrote, and with what this node itself wrote before its database was lost.
#include "ensure_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "fill.h"

static MeshNode *by_origin(Mesh *mesh, const char *text)
{
    unsigned long origin = strtoul(text, NULL, 10);
    for (uint32_t i = 0; i < mesh->n; i++)
        if (mesh->nodes[i].origin == origin)
            return &mesh->nodes[i];
    return NULL;
}

static int note(Ensure *ensure, const char *origin, const char *rows, const char *error,
                Error *reterr)
{
    const char *params[] = {origin, rows, error};
    return mesh_query(ensure->mesh, ensure->node,
                      "UPDATE wildcam.link SET fill_rows = coalesce($2::bigint, fill_rows), "
                      "state = CASE WHEN $2 IS NULL THEN state ELSE 'filled' END, "
                      "since = CASE WHEN $2 IS NULL THEN since ELSE now() END, error = $3 "
                      "WHERE origin = $1::smallint",
                      3, params, NULL, reterr);
}

static int fill(Ensure *ensure, const char *origin, Error *reterr)
{
    MeshNode *giver = by_origin(ensure->mesh, origin);
    if (giver == NULL || giver->conn == NULL) {
        ensure->done.missing++;
        return 0;
    }
    const uint8_t origins[] = {(uint8_t)giver->origin, (uint8_t)ensure->node->origin};
    const FillWanted wanted = {
        .n_origins = ARRAY_SIZE(origins), .origins = origins, .and_inactive = true};
    FillProgress progress = {0};
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = mesh_fill(ensure->mesh, giver, ensure->node, &wanted, NULL, NULL, &progress, &err);
    if (ensure->node->conn == NULL)
        return error_set(reterr, ERROR_UNAVAILABLE, "%s: %s", ensure->node->region,
                         error_text(r < 0 ? &err : &ensure->node->why));
    char rows[32];
    (void)snprintf(rows, sizeof rows, "%llu", (unsigned long long)progress.rows);
    ensure->done.fills += r == 0 ? 1 : 0;
    ensure->done.missing += r < 0 ? 1 : 0;
    return note(ensure, origin, r == 0 ? rows : NULL, r == 0 ? NULL : error_text(&err), reterr);
}

int ensure_fills(Ensure *ensure, Error *reterr)
{
    PGresult *result = NULL;
    int r = mesh_query(ensure->mesh, ensure->node,
                       "SELECT origin FROM wildcam.link WHERE state = 'subscribed' ORDER BY origin",
                       0, NULL, &result, reterr);
    for (int i = 0; r == 0 && i < PQntuples(result); i++)
        r = fill(ensure, PQgetvalue(result, i, 0), reterr);
    PQclear(result);
    return r;
}
