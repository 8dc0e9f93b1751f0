// SPDX-License-Identifier: MIT
// rows_check_rows: what is left of suspect ranges, row by row: keys and hashes of all nodes side by
// side, batch after batch; kept are the keys whose rows are not the same everywhere.
#include "rows_check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "hash.h"

#define BATCH_RANGES 256    // suspect ranges in one statement through the index
#define ROWS_AT_ONCE 100000 // of one node, held while keys are compared

typedef struct Row {
    char *key;
    uint64_t hash;  // of the key
    uint64_t seen;  // nodes that have it
    uint64_t first; // hash of its content on the first of them
    bool differs;
} Row;

typedef struct Rows {
    Row *rows;
    size_t n, capacity; // capacity: a power of two
} Rows;

static void rows_free(Rows *rows)
{
    for (size_t i = 0; i < rows->capacity; i++)
        free(rows->rows[i].key);
    free(rows->rows);
    *rows = (Rows){0};
}

static Row *row_at(Rows *rows, const char *key, uint64_t hash)
{
    size_t at = hash & (rows->capacity - 1);
    while (rows->rows[at].key != NULL &&
           (rows->rows[at].hash != hash || strcmp(rows->rows[at].key, key) != 0))
        at = (at + 1) & (rows->capacity - 1);
    return &rows->rows[at];
}

static int rows_reserve(Rows *rows, size_t n, Error *reterr)
{
    size_t capacity = 1024;
    while (capacity < n * 2)
        capacity *= 2;
    *rows = (Rows){.capacity = capacity, .rows = alloc_zeroed(capacity, sizeof(Row))};
    if (rows->rows == NULL)
        rows->capacity = 0;
    return rows->rows != NULL ? 0 : error_set(reterr, ERROR_MEMORY, "no memory for rows");
}

static int take_rows(Rows *rows, uint32_t node, const PGresult *result, Error *reterr)
{
    for (int i = 0; i < PQntuples(result); i++) {
        const char *key = PQgetvalue(result, i, 0);
        uint64_t content = check_modular(PQgetvalue(result, i, 1));
        uint64_t hash = hash_mix(hash_text(HASH_SEED, key));
        Row *row = row_at(rows, key, hash);
        if (row->key == NULL) {
            *row = (Row){.key = alloc_strdup(key), .hash = hash, .first = content};
            if (row->key == NULL)
                return error_set(reterr, ERROR_MEMORY, "no memory for rows");
            rows->n++;
        }
        row->differs |= row->first != content;
        row->seen |= UINT64_C(1) << node;
    }
    return 0;
}

void check_keys_done(CheckKeys *keys)
{
    for (size_t i = 0; i < keys->n; i++)
        free(keys->keys[i]);
    free(keys->keys);
    *keys = (CheckKeys){0};
}

int check_keys_add(CheckKeys *keys, const char *key, Error *reterr)
{
    if (keys->n >= CHECK_KEYS_MAX) {
        keys->full = true;
        return 0;
    }
    int r = alloc_grow((void **)&keys->keys, &keys->capacity, keys->n + 1, sizeof *keys->keys);
    char *copy = r == 0 ? alloc_strdup(key) : NULL;
    if (copy == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for keys");
    keys->keys[keys->n++] = copy;
    return 0;
}

static int compare_rows(Check *check, PGresult *const *results, CheckKeys *keys, Error *reterr)
{
    Rows rows;
    size_t most = 0;
    for (uint32_t i = 0; i < check->mesh->n; i++)
        most += results[i] != NULL ? (size_t)PQntuples(results[i]) : 0;
    int r = rows_reserve(&rows, most, reterr);
    for (uint32_t i = 0; r == 0 && i < check->mesh->n; i++)
        if (results[i] != NULL)
            r = take_rows(&rows, i, results[i], reterr);
    for (size_t i = 0; r == 0 && i < rows.capacity; i++) {
        const Row *row = &rows.rows[i];
        if (row->key != NULL && (row->differs || (row->seen & check->nodes) != check->nodes))
            r = check_keys_add(keys, row->key, reterr);
    }
    rows_free(&rows);
    return r;
}

int check_rows(Check *check, const CheckTable *table, CheckPart part, const CheckSplit *split,
               const CheckSuspects *suspects, CheckKeys *keys, Error *reterr)
{
    int r = 0;
    // as many ranges at once as rows fit
    size_t batch = (size_t)(ROWS_AT_ONCE / (suspects->rows / (suspects->n + 1) + 1)) + 1;
    if (split->by != CHECK_BY_HASH && batch > BATCH_RANGES)
        batch = BATCH_RANGES;
    for (size_t at = 0; r == 0 && at < suspects->n && !keys->full; at += batch) {
        Buf sql CLEANUP(buf_done) = BUF_INIT(16U << 20);
        PGresult *results[CHECK_NODES_MAX];
        buf_add_text(&sql, "SELECT ");
        check_key_json(table, part, &sql);
        buf_add_text(&sql, ", ");
        check_hash(table, part, &sql);
        buf_add_text(&sql, " FROM ");
        check_relation(table, part, &sql);
        buf_add_text(&sql, " t WHERE ");
        if (part == CHECK_PART_TOMBSTONES)
            buf_printf(&sql, "t.v >= %" PRId64 " AND ", check->tombstones_from);
        check_split_where(table, part, split, suspects->ranges + at,
                          suspects->n - at < batch ? suspects->n - at : batch, &sql);
        r = check_ask(check, buf_text(&sql), 0, NULL, results, reterr);
        if (r < 0)
            break;
        r = compare_rows(check, results, keys, reterr);
        check_results_done(check, results);
    }
    return r;
}
