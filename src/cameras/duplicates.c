// SPDX-License-Identifier: MIT
// duplicates: verify_duplicates of verify.h. Asks each region's database over its own socket (peer
// authentication: the fleet's user and root need no password) and counts keys with several ids.
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "camera_request.h"
#include "layout.h"
#include "verify.h"

typedef struct Row {
    char key[RECORDS_KEY + 1];
    char id[RECORDS_ID + 1];
} Row;

typedef struct Rows {
    Row *items;
    size_t n, capacity;
} Rows;

static int take_rows(const PGresult *result, Rows *rows)
{
    for (int i = 0; i < PQntuples(result); i++) {
        if (alloc_grow((void **)&rows->items, &rows->capacity, rows->n + 1, sizeof(Row)) < 0)
            return ERROR_MEMORY;
        Row *row = &rows->items[rows->n++];
        (void)snprintf(row->key, sizeof row->key, "%s", PQgetvalue(result, i, 0));
        (void)snprintf(row->id, sizeof row->id, "%s", PQgetvalue(result, i, 1));
    }
    return 0;
}

static int read_region(const Conf *conf, const char *dir, uint32_t region, const char *pattern,
                       Rows *rows, Error *reterr)
{
    const char *name = conf->model.regions[region].name;
    LayoutPath sockets;
    int r = layout_sockets(dir, name, &sockets, reterr);
    if (r < 0)
        return r;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", conf->regions[region].database_port);
    const char *const keys[] = {"host", "port", "user", "dbname", "connect_timeout", NULL};
    const char *const values[] = {sockets.text, port, "wildcam", "wildcam", "2", NULL};
    PGconn *connection = PQconnectdbParams(keys, values, 0);
    PGresult *result = NULL;
    if (PQstatus(connection) == CONNECTION_OK) {
        const char *const params[] = {pattern};
        result = PQexecParams(connection,
                              "SELECT idempotency_key, id::text FROM public.detections"
                              " WHERE idempotency_key LIKE $1",
                              1, NULL, params, NULL, NULL, 0);
    }
    if (result == NULL || PQresultStatus(result) != PGRES_TUPLES_OK)
        r = error_set(reterr, ERROR_UNAVAILABLE, "database of %s: %s", name,
                      PQerrorMessage(connection));
    else if ((r = take_rows(result, rows)) < 0)
        r = error_set(reterr, r, "database of %s: out of memory", name);
    PQclear(result);
    PQfinish(connection);
    return r;
}

static int compare_rows(const void *a, const void *b)
{
    const Row *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order != 0 ? order : strcmp(x->id, y->id);
}

// Keys with more than one id; sorts.
static uint64_t count_duplicates(Rows *rows)
{
    if (rows->n > 0)
        qsort(rows->items, rows->n, sizeof(Row), compare_rows);
    uint64_t count = 0;
    bool counted = false; // this key
    for (size_t i = 1; i < rows->n; i++) {
        bool same_key = strcmp(rows->items[i].key, rows->items[i - 1].key) == 0;
        bool same_id = strcmp(rows->items[i].id, rows->items[i - 1].id) == 0;
        if (!same_key)
            counted = false;
        else if (!same_id && !counted) {
            counted = true;
            count++;
        }
    }
    return count;
}

int verify_duplicates(const Conf *conf, const char *dir, uint64_t regions, uint64_t run,
                      uint64_t *ret_duplicates, Error *reterr)
{
    Rows rows = {0};
    int r = 0;
    char pattern[64];
    (void)snprintf(pattern, sizeof pattern, CAMERA_KEY_PREFIX "%%", run);
    for (uint32_t i = 0; r == 0 && i < conf->model.n_regions && i < RECORDS_REGIONS; i++) {
        if ((regions >> i & 1) != 0)
            r = read_region(conf, dir, i, pattern, &rows, reterr);
    }
    if (r == 0)
        *ret_duplicates = count_duplicates(&rows);
    free(rows.items);
    return r;
}
