// SPDX-License-Identifier: MIT
// rows_federate_count: the rows that are there already, and the keys whose content differs between
// regions: of those one region's row will replace the others'. One cursor a region in the order of
// the keys, merged: memory does not grow with the table. Other writers go on; the figures are of
// one moment in each region.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows_federate.h"

#define FETCH "2000"

typedef struct Side {
    MeshNode *node;
    PGresult *batch;
    int at;
    bool over;
} Side;

static int fetch(const FederateMesh *fm, Side *side, Error *reterr)
{
    if (side->over || (side->batch != NULL && side->at < PQntuples(side->batch)))
        return 0;
    PQclear(side->batch);
    side->batch = NULL;
    side->at = 0;
    int r = mesh_query(fm->mesh, side->node, "FETCH " FETCH " FROM wildcam_count", 0, NULL,
                       &side->batch, reterr);
    if (r == 0)
        side->over = PQntuples(side->batch) == 0;
    return r;
}

static const char *field(const Side *side, int column)
{
    return PQgetvalue(side->batch, side->at, column);
}

static void add_name(const char *name, Buf *sql)
{
    buf_add_char(sql, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"')
            buf_add_char(sql, '"');
        buf_add_char(sql, *name);
    }
    buf_add_char(sql, '"');
}

// Key and content as texts that mean the same everywhere; without the federation's own columns.
static void query_of(const TableShape *shape, const char *table, Buf *sql)
{
    buf_add_text(sql,
                 "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; DECLARE wildcam_count CURSOR "
                 "FOR SELECT ROW(");
    for (uint32_t i = 0; i < shape->primary.n; i++) {
        buf_add_text(sql, i > 0 ? ", " : "");
        add_name(shape->columns[shape->primary.columns[i]].name, sql);
    }
    buf_add_text(sql, ")::text COLLATE \"C\", md5(ROW(");
    for (uint32_t i = 0, n = 0; i < shape->n_columns; i++) {
        if (strcmp(shape->columns[i].name, "_origin") == 0)
            continue;
        buf_add_text(sql, n++ > 0 ? ", " : "");
        add_name(shape->columns[i].name, sql);
    }
    buf_printf(sql, ")::text) FROM %s ORDER BY 1", table);
}

// Takes the smallest key from every side that has it.
static int take_key(const FederateMesh *fm, Side *sides, uint32_t n, FederateCheck *check,
                    bool *ret_any, Error *reterr)
{
    const Side *least = NULL;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        r = fetch(fm, &sides[i], reterr);
        if (r == 0 && !sides[i].over &&
            (least == NULL || strcmp(field(&sides[i], 0), field(least, 0)) < 0))
            least = &sides[i];
    }
    *ret_any = least != NULL;
    if (r < 0 || least == NULL)
        return r;
    char *key = strdup(field(least, 0)), *content = strdup(field(least, 1));
    if (key == NULL || content == NULL) {
        free(key);
        free(content);
        return error_set(reterr, ERROR_MEMORY, "%s", check->table);
    }
    bool differs = false;
    for (uint32_t i = 0; i < n; i++) {
        if (sides[i].over || strcmp(field(&sides[i], 0), key) != 0)
            continue;
        differs = differs || strcmp(field(&sides[i], 1), content) != 0;
        sides[i].at++;
    }
    free(key);
    free(content);
    check->keys++;
    check->differing += differs ? 1 : 0;
    return 0;
}

static int merge(const FederateMesh *fm, FederateCheck *check, Error *reterr)
{
    uint32_t n = 0;
    int r = 0;
    Side *sides = arena_new_array(fm->arena, Side, fm->mesh->n);
    if (sides == NULL)
        return error_set(reterr, ERROR_MEMORY, "%s", check->table);
    for (uint32_t i = 0; r == 0 && i < fm->mesh->n; i++) {
        Buf sql CLEANUP(buf_done) = BUF_INIT(1u << 20);
        if (check->rows[i] == 0)
            continue;
        query_of(check->shapes[i], check->table, &sql);
        sides[n++] = (Side){.node = &fm->mesh->nodes[i]};
        r = mesh_script(fm->mesh, &fm->mesh->nodes[i], buf_text(&sql), reterr);
    }
    for (bool any = true; r == 0 && any;)
        r = take_key(fm, sides, n, check, &any, reterr);
    for (uint32_t i = 0; i < n; i++) {
        PQclear(sides[i].batch);
        if (sides[i].node->conn != NULL &&
            mesh_script(fm->mesh, sides[i].node, "ROLLBACK", NULL) < 0)
            r = r < 0 ? r : error_set(reterr, ERROR_UNAVAILABLE, "%s", sides[i].node->region);
    }
    return r;
}

int federate_count(const FederateMesh *fm, FederateCheck *check, Error *reterr)
{
    char sql[256 + 140];
    uint32_t with_rows = 0;
    uint64_t most = 0;
    for (uint32_t i = 0; i < fm->mesh->n; i++) {
        PGresult *result = NULL;
        if (check->shapes[i] == NULL)
            continue;
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", check->table);
        int r = mesh_query(fm->mesh, &fm->mesh->nodes[i], sql, 0, NULL, &result, reterr);
        if (r < 0)
            return r;
        check->rows[i] = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
        PQclear(result);
        with_rows += check->rows[i] > 0 ? 1 : 0;
        most = check->rows[i] > most ? check->rows[i] : most;
    }
    check->counted = true;
    check->keys = with_rows < 2 ? most : 0;
    return with_rows < 2 ? 0 : merge(fm, check, reterr);
}
