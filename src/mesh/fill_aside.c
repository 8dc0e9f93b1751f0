// SPDX-License-Identifier: MIT
// fill_aside: what only a restored database has of its own writes. They were made before the
// restore and never left the region, or after it, on top of old rows: nobody can say by itself
// whether they should count. So they are kept, as jsonb and without their versions' power, and
// counted.
#include "fill_inside.h"

#include <stdlib.h>

#include "alloc.h"

static int run_text(const FillSide *side, const Buf *sql, PGresult **ret_result, Error *reterr)
{
    return buf_check(sql) < 0 ? error_set(reterr, ERROR_MEMORY, "no memory for a statement")
                              : fill_run(side, buf_text(sql), -1, NULL, ret_result, NULL, reterr);
}

// Copies the survivor's (_v or _origin, key) to pg_temp.wildcam_theirs.
static int read_theirs(Fill *fill, const FillTable *table, const char *query, Error *reterr)
{
    Buf copy CLEANUP(buf_done) = BUF_INIT(0);
    buf_printf(&copy, "COPY pg_temp.wildcam_theirs (%s, %s) FROM STDIN",
               table->insert_only ? "_origin" : "_v", table->key);
    int r = buf_check(&copy) < 0 ? error_set(reterr, ERROR_MEMORY, "no memory for a statement")
                                 : fill_copy_out(&fill->giver, query, reterr);
    buf_clear(&fill->batch);
    while (r == 0) {
        char *row = NULL;
        size_t len = 0;
        r = fill_copy_row(&fill->giver, &row, &len, reterr);
        if (r <= 0)
            break;
        buf_add(&fill->batch, row, len);
        PQfreemem(row);
        r = buf_check(&fill->batch) < 0
                ? error_set(reterr, ERROR_MEMORY, "no memory for a batch of keys")
            : fill->batch.len >= FILL_BATCH_BYTES
                ? fill_copy_in(&fill->taker, buf_text(&copy), &fill->batch, NULL, reterr)
                : 0;
        if (fill->batch.len >= FILL_BATCH_BYTES)
            buf_clear(&fill->batch);
    }
    if (r == 0 && fill->batch.len > 0)
        r = fill_copy_in(&fill->taker, buf_text(&copy), &fill->batch, NULL, reterr);
    return r;
}

static int keep(Fill *fill, const FillTable *table, uint64_t *ret_rows, Error *reterr)
{
    Buf sql CLEANUP(buf_done) = BUF_INIT(0);
    PGresult *result = NULL;
    const char *version = table->insert_only ? "0" : "s._v";
    buf_printf(&sql,
               "CREATE TABLE IF NOT EXISTS wildcam.recovered_%u (key jsonb, v bigint, op \"char\", "
               "\"row\" jsonb, at timestamptz NOT NULL DEFAULT clock_timestamp(), "
               "PRIMARY KEY (key, v, op))",
               table->number);
    int r = run_text(&fill->taker, &sql, NULL, reterr);
    buf_clear(&sql);
    buf_printf(&sql,
               "INSERT INTO wildcam.recovered_%u (key, v, op, \"row\") SELECT "
               "jsonb_build_object(%s), %s, s._wildcam_op, "
               "to_jsonb(s) - '_v' - '_origin' - '_wildcam_op' FROM pg_temp.wildcam_ours s WHERE "
               "NOT EXISTS (SELECT 1 FROM pg_temp.wildcam_theirs t WHERE %s%s) "
               "ON CONFLICT DO NOTHING",
               table->number, table->key_json, version, table->same_key,
               table->insert_only ? "" : " AND t._v >= s._v");
    if (r == 0)
        r = run_text(&fill->taker, &sql, &result, reterr);
    if (r == 0)
        *ret_rows += strtoull(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    buf_clear(&sql);
    buf_printf(&sql,
               "DO $$ BEGIN IF NOT EXISTS (SELECT FROM wildcam.recovered_%u) THEN "
               "DROP TABLE wildcam.recovered_%u; END IF; END $$",
               table->number, table->number);
    return r < 0 ? r : run_text(&fill->taker, &sql, NULL, reterr);
}

static void versions_query(const Fill *fill, const FillTable *table, Buf *out)
{
    long long since = (long long)fill->wanted->since_us << 8;
    buf_printf(out,
               "COPY (SELECT _v, %s FROM %s WHERE _v >= %lld UNION ALL SELECT v, %s FROM "
               "wildcam.tombstone_%u WHERE v >= %lld",
               table->key, table->name, since, table->stored_key, table->number, since);
    if (table->has_parked)
        buf_printf(out, " UNION ALL SELECT _v, %s FROM wildcam.parked_%u WHERE _v >= %lld",
                   table->stored_key, table->number, since);
    buf_add_text(out, ") TO STDOUT");
}

static int read_ours(Fill *fill, const FillTable *table, Error *reterr)
{
    Buf sql CLEANUP(buf_done) = BUF_INIT(0);
    buf_printf(&sql,
               "INSERT INTO pg_temp.wildcam_ours (_wildcam_op, _v, %s) SELECT 'U', _v, %s FROM %s "
               "WHERE ",
               table->columns, table->columns, table->name);
    fill_condition(fill, "_v", true, &sql);
    buf_printf(&sql,
               ";INSERT INTO pg_temp.wildcam_ours (_wildcam_op, _v, %s) SELECT 'D', v, %s FROM "
               "wildcam.tombstone_%u WHERE ",
               table->key, table->stored_key, table->number);
    fill_condition(fill, "v", true, &sql);
    if (table->has_parked) {
        buf_printf(&sql,
                   ";INSERT INTO pg_temp.wildcam_ours (_wildcam_op, _v, %s) SELECT 'U', _v, %s "
                   "FROM wildcam.parked_%u WHERE ",
                   table->columns, table->stored_columns, table->number);
        fill_condition(fill, "_v", true, &sql);
    }
    return run_text(&fill->taker, &sql, NULL, reterr);
}

static int aside_lww(Fill *fill, const FillTable *table, Error *reterr)
{
    Buf query CLEANUP(buf_done) = BUF_INIT(0);
    versions_query(fill, table, &query);
    int r = buf_check(&query) < 0 ? error_set(reterr, ERROR_MEMORY, "no memory for a statement")
                                  : read_theirs(fill, table, buf_text(&query), reterr);
    return r < 0 ? r : read_ours(fill, table, reterr);
}

static int aside_insert_only(Fill *fill, const FillTable *table, Error *reterr)
{
    Buf buckets CLEANUP(buf_done) = BUF_INIT(0), where CLEANUP(buf_done) = BUF_INIT(0),
                query CLEANUP(buf_done) = BUF_INIT(0);
    bool all = false;
    // from the taker's side: a range that the survivor lacks altogether differs too
    Fill turned = *fill;
    turned.giver = fill->taker;
    turned.taker = fill->giver;
    int r = fill_compare(&turned, table, &buckets, &all, reterr);
    if (r < 0)
        return r;
    fill_condition(fill, "_origin", false, &where);
    buf_printf(&where, " AND (%s & %d) = ANY ('{%s}')", table->hash, FILL_BUCKETS - 1,
               buf_text(&buckets));
    buf_printf(&query, "COPY (SELECT _origin, %s FROM %s WHERE %s) TO STDOUT", table->key,
               table->name, buf_text(&where));
    r = buf_check(&query) < 0 ? error_set(reterr, ERROR_MEMORY, "no memory for a statement")
                              : read_theirs(fill, table, buf_text(&query), reterr);
    buf_clear(&query);
    buf_printf(&query,
               "INSERT INTO pg_temp.wildcam_ours (_wildcam_op, _origin, %s) SELECT 'I', _origin, "
               "%s FROM %s WHERE %s",
               table->columns, table->columns, table->name, buf_text(&where));
    return r < 0 ? r : run_text(&fill->taker, &query, NULL, reterr);
}

// Federated at the survivor with the same key, still?
static int is_shared(Fill *fill, const FillTable *table, bool *ret_is, Error *reterr)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%u", table->number);
    const char *params[] = {number, table->name};
    PGresult *result = NULL;
    int r = fill_run(&fill->giver,
                     "SELECT count(*) FROM wildcam.federated WHERE number = $1::int AND "
                     "format('%I.%I', schema, name) = $2",
                     2, params, &result, NULL, reterr);
    *ret_is = r == 0 && PQgetvalue(result, 0, 0)[0] == '1';
    PQclear(result);
    return r;
}

static int aside_table(Fill *fill, const FillTable *table, uint64_t *ret_rows, Error *reterr)
{
    bool shared = false;
    int r = is_shared(fill, table, &shared, reterr);
    if (r < 0 || !shared)
        return r;
    r = fill_stage(fill, table, "wildcam_ours", true, reterr);
    if (r == 0)
        r = fill_stage(fill, table, "wildcam_theirs", true, reterr);
    if (r == 0)
        r = table->insert_only ? aside_insert_only(fill, table, reterr)
                               : aside_lww(fill, table, reterr);
    return r < 0 ? error_wrap(reterr, r, "table %s", table->name)
                 : keep(fill, table, ret_rows, reterr);
}

static int aside(Fill *fill, uint64_t *ret_rows, Error *reterr)
{
    FillTable *tables = NULL;
    uint32_t n = 0;
    int r = fill_connect(fill->giver.node, "wildcam recover", &fill->giver, reterr);
    if (r == 0)
        r = fill_connect(fill->taker.node, "wildcam recover", &fill->taker, reterr);
    if (r < 0)
        return r;
    // its own list of tables: the survivor may have got more since
    FillSide survivor = fill->giver;
    fill->giver = fill->taker;
    r = fill_read_tables(fill, &tables, &n, reterr);
    fill->giver = survivor;
    for (uint32_t i = 0; r == 0 && i < n; i++)
        r = aside_table(fill, &tables[i], ret_rows, reterr);
    return r;
}

int mesh_fill_aside(Mesh *mesh, MeshNode *survivor, MeshNode *restored, int64_t since_us,
                    uint64_t *ret_rows, Error *reterr)
{
    const uint8_t origins[] = {(uint8_t)restored->origin};
    const FillWanted wanted = {.n_origins = 1, .origins = origins, .since_us = since_us};
    Fill fill = {.arena = arena_new(FILL_ARENA_BYTES),
                 .giver = {.node = survivor},
                 .taker = {.node = restored},
                 .wanted = &wanted,
                 .active = "{}",
                 .batch = BUF_INIT(FILL_BATCH_BYTES + FILL_ROW_BYTES_MAX)};
    uint64_t rows = 0;
    int r = fill.arena == NULL ? error_set(reterr, ERROR_MEMORY, "no memory for a fill")
                               : aside(&fill, &rows, reterr);
    if (r == 0)
        *ret_rows = rows;
    else
        r = error_wrap(reterr, r, "keep what only %s has", restored->region);
    PQfinish(fill.giver.conn);
    PQfinish(fill.taker.conn);
    buf_done(&fill.batch);
    arena_free(fill.arena);
    return r;
}
