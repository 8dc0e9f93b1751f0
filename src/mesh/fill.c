// SPDX-License-Identifier: MIT
// fill: see fill.h. Why a link that is subscribed first and filled then is complete:
//
// State is a function of the greatest version of each key (parked rows follow from them), so a
// subscriber S is right when, for every key k, it has merged w, the greatest version of k. Let P be
// the writer of w. (Insert-only tables: w is the copy of the lowest origin; no tombstones.)
// 1. P holds w: visible, parked or as a tombstone, from its commit on; nothing greater replaces it.
// 2. w committed before the link's slot was made: then it is in every snapshot that is taken at P
//    after that (making a slot waits for all transactions that run), so the fill ships it. It
//    committed later: then the slot decodes it. So S merges w, from either side or from both;
//    merging is idempotent and blind to order, so fill, stream and local writers may race.
// 3. Writers that are no node any more: before a node's state becomes `left` or `lost`, the others
//    fill each other for its origin, so each of them holds all that is left of it, and any of them
//    may ship it (`and_inactive`).
// Where it could break is a tombstone that was collected too early: w deletes k, an older u is
// still on its way to S. Three rules close that:
// 4. The fill ships only u >= since, and since is S's own watermark of that writer (`safe`: all
// below
//    is applied at S already), 0 when there is none.
// 5. That watermark stands still from before the subscription is made until the fill is done (the
//    heartbeat's trigger looks at wildcam.link), so floor() <= since all that time, in every
//    database that has heard of it, and floor() is 0 for a node that joins: it counts from
//    `joining` on, which is written everywhere before the first slot is made.
// 6. A tombstone is collected only below floor(). w > u >= since >= floor(): it stays, at the giver
//    until the snapshot has shipped it, at S until u has been merged and lost.
// A version made from one of the future (last + 1 us) may lie above the `safe` that covers it in
// time; it is then shipped twice at most.
// Not covered, on purpose: versions of P that P itself lost (restored or emptied): `rows recover`.
//
// How: text COPY out of one REPEATABLE READ snapshot, staged in a temporary table at the taker in
// batches (kept here too, bounded, so that a deadlock only repeats the batch), merged in one
// statement a batch. Commits are asynchronous; the last one flushes them all.
#include "fill_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define BATCH_ROWS 5000
#define TRIES 200 // deadlocks of one batch

typedef enum Part { PART_TOMBSTONES, PART_ROWS } Part;

static bool is_passing(const char *state) // deadlock, serialization
{
    return strcmp(state, "40P01") == 0 || strcmp(state, "40001") == 0;
}

// As wildcam.is_poison(): what no retry heals.
static bool is_poison(const char *state)
{
    static const char *const passing[] = {"", "08", "25", "40", "53", "55", "57", "58", "XX"};
    for (size_t i = 0; i < ARRAY_SIZE(passing); i++)
        if (strncmp(state, passing[i], 2) == 0)
            return false;
    return true;
}

static void copy_in_text(const FillTable *table, Part part, Buf *out)
{
    const char *columns = part == PART_TOMBSTONES ? table->key : table->columns;
    buf_printf(out, "COPY pg_temp.wildcam_fill (%s, %s) FROM STDIN",
               table->insert_only ? "_origin" : "_wildcam_op, _v", columns);
}

// Rows that the taker has in the same or a greater version are no work, nor are tombstones:
// versions only grow, so a look without a lock is enough.
static void wanted_rows(const FillTable *table, Part part, Buf *out)
{
    if (part == PART_TOMBSTONES)
        buf_printf(out,
                   "SELECT * FROM pg_temp.wildcam_fill s WHERE NOT EXISTS (SELECT 1 FROM "
                   "wildcam.tombstone_%u d WHERE %s AND d.v >= s._v) ORDER BY s._v DESC",
                   table->number, table->same_stored_key);
    else if (table->insert_only)
        buf_printf(out,
                   "SELECT * FROM pg_temp.wildcam_fill s WHERE NOT EXISTS (SELECT 1 FROM %s t "
                   "WHERE %s AND t._origin <= s._origin)",
                   table->name, table->same_key);
    else
        buf_printf(out,
                   "SELECT * FROM pg_temp.wildcam_fill s WHERE NOT EXISTS (SELECT 1 FROM %s t "
                   "WHERE %s AND t._v >= s._v) ORDER BY s._v DESC",
                   table->name, table->same_key);
}

static void call_text(const FillTable *table, Buf *out)
{
    const char *version = table->insert_only ? "0" : "s._v";
    buf_printf(out, "wildcam.merge_%u(%s, %s, %s, ROW(%s)::%s)", table->number,
               table->insert_only ? "'I'" : "s._wildcam_op", version, version, table->row,
               table->name);
}

static void merge_text(const FillTable *table, Part part, Buf *out)
{
    if (table->insert_only) { // the common case has no other copy: many times faster than calls
        buf_printf(out,
                   "INSERT INTO %s AS t (%s, _origin) OVERRIDING SYSTEM VALUE SELECT %s, _origin "
                   "FROM (",
                   table->name, table->columns, table->columns);
        wanted_rows(table, part, out);
        buf_printf(out, ") s ON CONFLICT (%s) DO UPDATE SET %s WHERE t._origin > EXCLUDED._origin",
                   table->key, table->set);
        return;
    }
    buf_add_text(out, "SELECT count(");
    call_text(table, out);
    buf_add_text(out, ") FROM (");
    wanted_rows(table, part, out);
    buf_add_text(out, ") s");
}

// Row by row, after a batch had one that no merge takes: such a row becomes a dead letter, as in
// the stream.
static void guarded_text(const FillTable *table, Part part, Buf *out)
{
    buf_add_text(
        out, "DO $wildcam_fill$\n#variable_conflict use_column\nDECLARE s record; BEGIN FOR s IN ");
    wanted_rows(table, part, out);
    buf_add_text(out, " LOOP BEGIN PERFORM ");
    call_text(table, out);
    buf_printf(out,
               "; EXCEPTION WHEN OTHERS THEN IF NOT wildcam.is_poison(SQLSTATE) THEN RAISE; END IF;"
               "INSERT INTO wildcam.dead_letter (number, key, v, pv, origin, op, \"row\", sqlstate,"
               " message) VALUES (%u, jsonb_build_object(%s), %s, to_jsonb(ROW(%s)::%s) - '_v',"
               " SQLSTATE, SQLERRM); PERFORM set_config('wildcam.fill_dead', "
               "(current_setting('wildcam.fill_dead')::int + 1)::text, false);"
               " END; END LOOP; END $wildcam_fill$",
               table->number, table->key_json,
               table->insert_only ? "0, NULL, s._origin, 'I'"
                                  : "s._v, s._v, s._v & 255, s._wildcam_op",
               table->row, table->name);
}

// One transaction: staged and merged.
static int try_batch(Fill *fill, const char *copy_in, const char *merge, char state[6],
                     Error *reterr)
{
    int r = fill_run(&fill->taker, "BEGIN", -1, NULL, NULL, state, reterr);
    if (r == 0)
        r = fill_copy_in(&fill->taker, copy_in, &fill->batch, state, reterr);
    if (r == 0)
        r = fill_run(&fill->taker, merge, -1, NULL, NULL, state, reterr);
    if (r == 0)
        r = fill_run(&fill->taker, "COMMIT", -1, NULL, NULL, state, reterr);
    if (r < 0 && state[0] != '\0') {
        Error ignored = ERROR_INIT;
        int back = fill_run(&fill->taker, "ROLLBACK", -1, NULL, NULL, NULL, &ignored);
        error_done(&ignored);
        if (back < 0)
            state[0] = '\0';
    }
    return r;
}

// The same statement until no deadlock is in its way.
static int retry_batch(Fill *fill, const FillTable *table, Part part,
                       void (*text)(const FillTable *table, Part part, Buf *out), char state[6],
                       Error *reterr)
{
    Buf copy_in CLEANUP(buf_done) = BUF_INIT(0), merge CLEANUP(buf_done) = BUF_INIT(0);
    int r = 0;
    copy_in_text(table, part, &copy_in);
    text(table, part, &merge);
    if (buf_check(&copy_in) < 0 || buf_check(&merge) < 0)
        return error_set(reterr, ERROR_MEMORY, "no memory for a statement");
    for (int i = 0; i < TRIES; i++) {
        r = try_batch(fill, buf_text(&copy_in), buf_text(&merge), state, reterr);
        if (r == 0 || !is_passing(state))
            break;
    }
    return r;
}

static int count_dead(Fill *fill, Error *reterr)
{
    PGresult *result = NULL;
    int r = fill_run(&fill->taker, "SELECT current_setting('wildcam.fill_dead')", -1, NULL, &result,
                     NULL, reterr);
    if (r == 0)
        fill->progress.dead_letters = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return r;
}

static int merge_batch(Fill *fill, const FillTable *table, Part part, Error *reterr)
{
    char state[6] = "";
    if (fill->batch_rows == 0)
        return 0;
    int r = retry_batch(fill, table, part, merge_text, state, reterr);
    if (r < 0 && is_poison(state)) {
        error_done(reterr);
        r = retry_batch(fill, table, part, guarded_text, state, reterr);
        if (r == 0)
            r = count_dead(fill, reterr);
    }
    if (r < 0)
        return r;
    if (part == PART_TOMBSTONES)
        fill->progress.tombstones += fill->batch_rows;
    else
        fill->progress.rows += fill->batch_rows;
    fill->batch_rows = 0;
    buf_clear(&fill->batch);
    if (fill->told != NULL && !fill->told(fill->context, &fill->progress))
        return error_set(reterr, -ECANCELED, "stopped");
    return 0;
}

static int ship(Fill *fill, const FillTable *table, Part part, const char *query, Error *reterr)
{
    uint32_t most = fill->wanted->batch_rows > 0 ? fill->wanted->batch_rows : BATCH_ROWS;
    int r = fill_copy_out(&fill->giver, query, reterr);
    buf_clear(&fill->batch);
    fill->batch_rows = 0;
    while (r == 0) {
        char *row = NULL;
        size_t len = 0;
        r = fill_copy_row(&fill->giver, &row, &len, reterr);
        if (r <= 0)
            break;
        buf_add(&fill->batch, row, len);
        PQfreemem(row);
        fill->batch_rows++;
        r = buf_check(&fill->batch) < 0
                ? error_set(reterr, ERROR_MEMORY, "no memory for a batch of %u rows",
                            fill->batch_rows)
            : fill->batch_rows >= most || fill->batch.len >= FILL_BATCH_BYTES
                ? merge_batch(fill, table, part, reterr)
                : 0;
    }
    return r < 0 ? r : merge_batch(fill, table, part, reterr);
}

static int ship_tombstones(Fill *fill, const FillTable *table, Error *reterr)
{
    Buf query CLEANUP(buf_done) = BUF_INIT(0);
    buf_printf(&query, "COPY (SELECT 'D', v, %s FROM wildcam.tombstone_%u WHERE ",
               table->stored_key, table->number);
    fill_condition(fill, "v", true, &query);
    buf_add_text(&query, ") TO STDOUT");
    return buf_check(&query) < 0 ? error_set(reterr, ERROR_MEMORY, "no memory for a statement")
                                 : ship(fill, table, PART_TOMBSTONES, buf_text(&query), reterr);
}

static int ship_rows(Fill *fill, const FillTable *table, const char *buckets, Error *reterr)
{
    Buf query CLEANUP(buf_done) = BUF_INIT(0);
    const char *column = table->insert_only ? "_origin" : "_v";
    buf_printf(&query, "COPY (SELECT %s%s, %s FROM %s WHERE ", table->insert_only ? "" : "'U', ",
               column, table->columns, table->name);
    fill_condition(fill, column, !table->insert_only, &query);
    if (buckets != NULL)
        buf_printf(&query, " AND (%s & %d) = ANY ('{%s}')", table->hash, FILL_BUCKETS - 1, buckets);
    if (!table->insert_only && table->has_parked) {
        buf_printf(&query, " UNION ALL SELECT 'U', _v, %s FROM wildcam.parked_%u WHERE ",
                   table->stored_columns, table->number);
        fill_condition(fill, "_v", true, &query);
    }
    // the newest first: nothing is placed only to be evicted again
    if (!table->insert_only && table->has_uniques)
        buf_add_text(&query, " ORDER BY 2 DESC");
    buf_add_text(&query, ") TO STDOUT");
    return buf_check(&query) < 0 ? error_set(reterr, ERROR_MEMORY, "no memory for a statement")
                                 : ship(fill, table, PART_ROWS, buf_text(&query), reterr);
}

// Where bucket i of two sorted lists (bucket, count, sum) differs.
static void differing(const PGresult *giver, const PGresult *taker, Buf *out, uint32_t *ret_n)
{
    int j = 0;
    *ret_n = 0;
    for (int i = 0; i < PQntuples(giver); i++) {
        long bucket = strtol(PQgetvalue(giver, i, 0), NULL, 10);
        while (j < PQntuples(taker) && strtol(PQgetvalue(taker, j, 0), NULL, 10) < bucket)
            j++;
        if (j < PQntuples(taker) && strtol(PQgetvalue(taker, j, 0), NULL, 10) == bucket &&
            strcmp(PQgetvalue(giver, i, 1), PQgetvalue(taker, j, 1)) == 0 &&
            strcmp(PQgetvalue(giver, i, 2), PQgetvalue(taker, j, 2)) == 0)
            continue;
        buf_printf(out, "%s%ld", *ret_n > 0 ? "," : "", bucket);
        (*ret_n)++;
    }
}

// An insert-only table's rows have no age, so a gap is found by comparing sums of hashes; only
// ranges that differ are shipped. *ret_all: so many that all may go.
int fill_compare(Fill *fill, const FillTable *table, Buf *buckets, bool *ret_all, Error *reterr)
{
    Buf query CLEANUP(buf_done) = BUF_INIT(0);
    PGresult *results[2];
    uint32_t n;
    buf_printf(&query, "SELECT h & %d, count(*), sum(h) FROM (SELECT %s AS h FROM %s WHERE ",
               FILL_BUCKETS - 1, table->hash, table->name);
    fill_condition(fill, "_origin", false, &query);
    buf_add_text(&query, ") x GROUP BY 1 ORDER BY 1");
    if (buf_check(&query) < 0)
        return error_set(reterr, ERROR_MEMORY, "no memory for a statement");
    int r = fill_run_both(&fill->giver, &fill->taker, buf_text(&query), results, reterr);
    if (r < 0)
        return r;
    differing(results[0], results[1], buckets, &n);
    PQclear(results[0]);
    PQclear(results[1]);
    *ret_all = n > FILL_BUCKETS / 2;
    return buf_check(buckets) < 0 ? error_set(reterr, ERROR_MEMORY, "no memory for ranges") : 0;
}

static int expect(Fill *fill, const FillTable *table, Error *reterr)
{
    Buf query CLEANUP(buf_done) = BUF_INIT(0);
    PGresult *result = NULL;
    buf_printf(&query, "SELECT count(*) FROM %s WHERE ", table->name);
    fill_condition(fill, table->insert_only ? "_origin" : "_v", !table->insert_only, &query);
    if (buf_check(&query) < 0)
        return error_set(reterr, ERROR_MEMORY, "no memory for a statement");
    int r = fill_run(&fill->giver, buf_text(&query), -1, NULL, &result, NULL, reterr);
    if (r == 0)
        fill->progress.expected += strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return r;
}

int fill_stage(Fill *fill, const FillTable *table, const char *name, bool keep, Error *reterr)
{
    Buf sql CLEANUP(buf_done) = BUF_INIT(0);
    buf_printf(&sql,
               "DROP TABLE IF EXISTS pg_temp.%s;"
               "CREATE TEMP TABLE %s (_wildcam_op \"char\", %s) ON COMMIT %s ROWS",
               name, name, table->staged, keep ? "PRESERVE" : "DELETE");
    return buf_check(&sql) < 0
               ? error_set(reterr, ERROR_MEMORY, "no memory for a statement")
               : fill_run(&fill->taker, buf_text(&sql), -1, NULL, NULL, NULL, reterr);
}

static int fill_table(Fill *fill, const FillTable *table, Error *reterr)
{
    Buf buckets CLEANUP(buf_done) = BUF_INIT(0);
    bool all = true;
    int r = fill_stage(fill, table, "wildcam_fill", false, reterr);
    if (r == 0 && !table->insert_only)
        r = ship_tombstones(fill, table, reterr);
    if (r == 0 && table->insert_only && table->many)
        r = fill_compare(fill, table, &buckets, &all, reterr);
    return r < 0 ? r : ship_rows(fill, table, all ? NULL : buf_text(&buckets), reterr);
}

static int fill_tables(Fill *fill, Error *reterr)
{
    FillTable *tables = NULL;
    uint32_t n = 0;
    int r = fill_read_tables(fill, &tables, &n, reterr);
    fill->progress.n_tables = n;
    // a gap is small, and a count would read the table once more
    for (uint32_t i = 0; r == 0 && fill->wanted->since_us == 0 && i < n; i++)
        r = expect(fill, &tables[i], reterr);
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        uint64_t rows = fill->progress.rows, tombstones = fill->progress.tombstones;
        fill->progress.table = tables[i].name;
        fill->progress.table_number = i + 1;
        r = fill_table(fill, &tables[i], reterr);
        if (r < 0)
            r = error_wrap(reterr, r, "table %s after %llu rows and %llu tombstones",
                           tables[i].name, (unsigned long long)(fill->progress.rows - rows),
                           (unsigned long long)(fill->progress.tombstones - tombstones));
    }
    return r;
}

// Merges are apply, not writes: no stamps, no journal, no foreign keys on the way. The role may
// lack the right for the last; then the tables' own checks decide.
static int prepare_taker(const FillSide *taker, Error *reterr)
{
    char state[6];
    int r =
        fill_run(taker, "SET session_replication_role = replica", -1, NULL, NULL, state, reterr);
    if (r < 0 && strcmp(state, "42501") != 0)
        return r;
    if (r < 0)
        error_done(reterr);
    return fill_run(
        taker, "SET wildcam.apply = '1'; SET wildcam.fill_dead = '0'; SET synchronous_commit = off",
        -1, NULL, NULL, NULL, reterr);
}

static int prepare_giver(Fill *fill, Error *reterr)
{
    PGresult *result = NULL;
    int r = fill_run(&fill->giver, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", -1, NULL,
                     NULL, NULL, reterr);
    if (r == 0)
        r = fill_run(&fill->giver,
                     "SELECT coalesce(array_agg(origin), '{}') FROM wildcam.node "
                     "WHERE state IN ('active', 'leaving')",
                     -1, NULL, &result, NULL, reterr);
    if (r == 0) {
        fill->active = arena_strdup(fill->arena, PQgetvalue(result, 0, 0));
        if (fill->active == NULL)
            r = error_set(reterr, ERROR_MEMORY, "no memory for the nodes");
    }
    PQclear(result);
    return r;
}

// What was committed without waiting is on disk when this is: a commit flushes all before it.
static int flush(const FillSide *taker, Error *reterr)
{
    return fill_run(taker,
                    "SET synchronous_commit = local; DROP TABLE IF EXISTS pg_temp.wildcam_fill", -1,
                    NULL, NULL, NULL, reterr);
}

static int run_fill(Fill *fill, Error *reterr)
{
    char name[64];
    (void)snprintf(name, sizeof name, "wildcam fill %.20s from %.20s", fill->taker.node->region,
                   fill->giver.node->region);
    int r = fill_connect(fill->giver.node, name, &fill->giver, reterr);
    if (r == 0)
        r = fill_connect(fill->taker.node, name, &fill->taker, reterr);
    if (r == 0)
        r = prepare_taker(&fill->taker, reterr);
    if (r == 0)
        r = prepare_giver(fill, reterr);
    if (r == 0)
        r = fill_tables(fill, reterr);
    return r < 0 ? r : flush(&fill->taker, reterr);
}

int mesh_fill(Mesh *mesh, MeshNode *giver, MeshNode *taker, const FillWanted *wanted,
              FillTold *told, void *context, FillProgress *ret_done, Error *reterr)
{
    Fill fill = {.arena = arena_new(FILL_ARENA_BYTES),
                 .giver = {.node = giver},
                 .taker = {.node = taker},
                 .wanted = wanted,
                 .told = told,
                 .context = context,
                 .batch = BUF_INIT(FILL_BATCH_BYTES + FILL_ROW_BYTES_MAX)};
    int r = fill.arena == NULL ? error_set(reterr, ERROR_MEMORY, "no memory for a fill")
                               : run_fill(&fill, reterr);
    if (r < 0)
        r = error_wrap(reterr, r, "fill %s from %s", taker->region, giver->region);
    else if (ret_done != NULL)
        *ret_done = fill.progress;
    if (r == 0 && ret_done != NULL)
        ret_done->table = NULL; // lived in the arena
    PQfinish(fill.giver.conn);
    PQfinish(fill.taker.conn);
    buf_done(&fill.batch);
    arena_free(fill.arena);
    return r;
}
