// SPDX-License-Identifier: MIT
// rows_check_run: a check from its start: who takes part, then table after table: sums of ranges,
// narrower where they differ, rows of what is left, two looks at each key that differs.
#include "rows_check.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define ARENA_BYTES (256U << 20)
#define FENCE_NS (15 * NS_PER_S)
#define SLICE_ROWS 1000000

static const char SESSION[] =
    "SELECT set_config(s.name, s.value, false) FROM (VALUES "
    // texts of values must be the same on all nodes
    "('datestyle', 'ISO, YMD'), ('timezone', 'UTC'), ('extra_float_digits', '1'), "
    "('bytea_output', 'hex'), ('intervalstyle', 'postgres'), ('xmloption', 'content'), "
    // one core a node: the database has other work
    "('max_parallel_workers_per_gather', '0'), ('work_mem', '64MB'), ('jit', 'off'), "
    // ranges are few: hashed, never sorted, which takes half the time. The planner cannot know
    "('enable_sort', 'off'), "
    "('statement_timeout', '0'), ('idle_in_transaction_session_timeout', '0'), "
    "('default_transaction_isolation', 'read committed')) AS s(name, value)";

static const char NODES[] =
    "SELECT n.origin, n.region, n.state, wildcam.me() = n.origin, "
    "(SELECT count(*) FROM wildcam.link l JOIN wildcam.node o USING (origin) "
    " WHERE o.state = 'active' AND l.state <> 'filled'), wildcam.floor() FROM wildcam.node n";

static void leave_out(Check *check, uint32_t node, const char *why)
{
    check->nodes &= ~(UINT64_C(1) << node);
    check->why_not[node] = arena_strdup(check->arena, why);
}

// One node's word about itself and about who is active.
static void take_node(Check *check, uint32_t i, const PGresult *result, uint64_t active[4])
{
    bool known = false;
    for (int row = 0; row < PQntuples(result); row++) {
        uint32_t origin = (uint32_t)check_int(result, row, 0) & 255;
        const char *state = PQgetvalue(result, row, 2);
        if (strcmp(state, "left") != 0 && strcmp(state, "lost") != 0)
            active[origin / 64] |= UINT64_C(1) << (origin % 64);
        if (PQgetvalue(result, row, 3)[0] != 't')
            continue;
        known = true;
        if (strcmp(state, "active") != 0)
            leave_out(check, i, arena_printf(check->arena, "is %s", state));
        else if (check_int(result, row, 4) > 0)
            leave_out(check, i, "is still being filled");
        if (origin != check->mesh->nodes[i].origin)
            leave_out(check, i, arena_printf(check->arena, "says that its origin is %u", origin));
    }
    if (!known)
        leave_out(check, i, "is no node of the mesh");
}

static int too_few(const Check *check, Error *reterr)
{
    Buf text CLEANUP(buf_done) = BUF_INIT(65536);
    for (uint32_t i = 0; i < check->mesh->n; i++)
        if (!check_has(check, i))
            buf_printf(&text, "; %s: %s", check->mesh->nodes[i].region, check->why_not[i]);
    int r = error_set(reterr, ERROR_UNAVAILABLE, "fewer than two regions can be compared%s",
                      buf_text(&text));
    return error_hint(reterr, r,
                      "'wildcam rows status' shows the links; 'wildcam rows init' makes "
                      "the mesh.");
}

static int read_nodes(Check *check, Error *reterr)
{
    PGresult *results[CHECK_NODES_MAX];
    MeshAnswer answers[CHECK_NODES_MAX] = {0};
    uint64_t active[4] = {0};
    (void)mesh_each(check->mesh, NODES, 0, NULL, answers);
    for (uint32_t i = 0; i < check->mesh->n; i++) {
        if (answers[i].code < 0)
            leave_out(check, i, error_text(&answers[i].err));
        else
            take_node(check, i, answers[i].result, active);
    }
    mesh_answers_done(answers, check->mesh->n);
    for (size_t i = 0; i < 4; i++)
        check->inactive[i] = ~active[i];
    if (__builtin_popcountll(check->nodes) < 2)
        return too_few(check, reterr);
    int r = check_ask(check, SESSION, 0, NULL, results, reterr);
    if (r == 0)
        check_results_done(check, results);
    return r;
}

// No node can have collected a tombstone at or above the smallest floor, less what the daemons
// leave as a margin. (The floor only rises.)
int check_floor(Check *check, Error *reterr)
{
    PGresult *results[CHECK_NODES_MAX];
    int64_t most = 0;
    int r = check_ask(check, "SELECT wildcam.floor()", 0, NULL, results, reterr);
    for (uint32_t i = 0; r == 0 && i < check->mesh->n; i++)
        if (results[i] != NULL && check_int(results[i], 0, 0) > most)
            most = check_int(results[i], 0, 0);
    if (r == 0)
        check_results_done(check, results);
    check->tombstones_from = most > check->margin_us ? (most - check->margin_us) << 8 : 0;
    return r;
}

int check_open_mesh(Mesh *mesh, const CheckOptions *options, Check *ret_check, Error *reterr)
{
    *ret_check =
        (Check){.mesh = mesh,
                .arena = arena_new(ARENA_BYTES),
                .nodes = mesh->n >= 64 ? UINT64_MAX : (UINT64_C(1) << mesh->n) - 1,
                .fence_ns = FENCE_NS,
                .margin_us = mesh->conf != NULL ? mesh->conf->rows.margin_ns / NS_PER_US : 0,
                .rate = options->rate,
                .slice_rows = SLICE_ROWS,
                .stop = options->stop,
                .told = options->told,
                .step = "connecting",
                .began = clock_mono(),
                .table_began = clock_mono(),
                .wall_us = clock_wall().ns / NS_PER_US};
    if (ret_check->arena == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for the check");
    int r = read_nodes(ret_check, reterr);
    if (r == 0)
        r = check_tables(ret_check, options->n_tables, options->tables, reterr);
    return r;
}

int check_open(const CheckOptions *options, Check *ret_check, Error *reterr)
{
    Mesh *mesh = NULL;
    MeshOptions how = {
        .dir = options->dir, .as = MESH_AS_OWNER, .application = options->application};
    int r = mesh_open(options->conf, &how, &mesh, reterr);
    if (r < 0)
        return r;
    r = check_open_mesh(mesh, options, ret_check, reterr);
    if (r < 0)
        check_done(ret_check);
    return r;
}

void check_done(Check *check)
{
    check_forget_differences(check);
    json_decref(check->before);
    check->before = NULL;
    check->mesh = mesh_free(check->mesh);
    check->arena = arena_free(check->arena);
}

// The planner's estimate of the node that has most.
static int estimate(Check *check, const CheckTable *table, CheckPart part, uint64_t *ret_rows,
                    Error *reterr)
{
    Buf name CLEANUP(buf_done) = BUF_INIT(4096), sql CLEANUP(buf_done) = BUF_INIT(65536);
    PGresult *results[CHECK_NODES_MAX];
    check_relation(table, part, &name);
    buf_add_text(&sql, "SELECT CASE WHEN c.reltuples > 0 THEN (c.reltuples / c.relpages * p.n)"
                       " ELSE p.n * 60 END::bigint FROM pg_class c, LATERAL (SELECT "
                       "pg_relation_size(c.oid) / current_setting('block_size')::int AS n) p "
                       "WHERE c.oid = ");
    check_literal(&sql, buf_text(&name));
    buf_add_text(&sql, "::regclass");
    int r = check_ask(check, buf_text(&sql), 0, NULL, results, reterr);
    *ret_rows = 0;
    for (uint32_t i = 0; r == 0 && i < check->mesh->n; i++) {
        uint64_t rows = results[i] != NULL ? (uint64_t)check_int(results[i], 0, 0) : 0;
        *ret_rows = rows > *ret_rows ? rows : *ret_rows;
    }
    if (r == 0)
        check_results_done(check, results);
    return r;
}

static int compare_part(Check *check, uint32_t index, CheckPart part, CheckKeys *keys,
                        Error *reterr)
{
    CheckTable *table = &check->tables[index];
    CheckSuspects suspects = {0};
    CheckSplit split;
    CheckFence fence;
    uint64_t rows = 0, expected, ranges = 0;
    int r = estimate(check, table, part, &expected, reterr);
    if (r == 0 && part == CHECK_PART_VISIBLE)
        check->all_rows = expected;
    if (r == 0)
        r = check_split(check, table, part, expected, &split, reterr);
    Mono began = clock_mono();
    if (r == 0)
        r = check_compare(check, table, part, &split, expected, &rows, &ranges, &suspects, reterr);
    table->counts.scan_ns += mono_since(clock_mono(), began);
    table->counts.rows = part == CHECK_PART_VISIBLE ? rows : table->counts.rows;
    table->counts.parked = part == CHECK_PART_PARKED ? rows : table->counts.parked;
    table->counts.tombstones = part == CHECK_PART_TOMBSTONES ? rows : table->counts.tombstones;
    table->counts.ranges += ranges;
    table->counts.suspects += suspects.n;
    if (r == 0 && suspects.n > 0) {
        check->step = "looking into suspect ranges";
        r = check_fence(check, &fence, reterr); // most of what differs was on its way
        if (r == 0)
            r = check_narrow(check, table, part, &split, &suspects, reterr);
        if (r == 0)
            r = check_rows(check, table, part, &split, &suspects, keys, reterr);
    }
    if (keys->full)
        table->counts.more = suspects.n;
    free(suspects.ranges);
    return r;
}

// Parked rows are wrong by themselves too: all of them are looked at, equal or not.
static int add_parked(Check *check, const CheckTable *table, CheckKeys *keys, Error *reterr)
{
    Buf sql CLEANUP(buf_done) = BUF_INIT(65536);
    PGresult *results[CHECK_NODES_MAX];
    buf_add_text(&sql, "SELECT ");
    check_key_json(table, CHECK_PART_PARKED, &sql);
    buf_printf(&sql, " FROM wildcam.parked_%u t LIMIT %d", table->number, CHECK_KEYS_MAX);
    int r = check_ask(check, buf_text(&sql), 0, NULL, results, reterr);
    if (r < 0)
        return r;
    for (uint32_t i = 0; r == 0 && i < check->mesh->n; i++)
        for (int row = 0; r == 0 && results[i] != NULL && row < PQntuples(results[i]); row++)
            r = check_keys_add(keys, PQgetvalue(results[i], row, 0), reterr);
    check_results_done(check, results);
    return r;
}

// Rows below their own tombstone, the same on all nodes: no sum would show it.
static int add_undeleted(Check *check, const CheckTable *table, CheckKeys *keys, Error *reterr)
{
    Buf sql CLEANUP(buf_done) = BUF_INIT(65536);
    PGresult *results[CHECK_NODES_MAX];
    buf_add_text(&sql, "SELECT ");
    check_key_json(table, CHECK_PART_VISIBLE, &sql);
    buf_printf(&sql, " FROM wildcam.tombstone_%u d JOIN %s t ON ", table->number,
               table->identifier);
    for (uint32_t i = 0; i < table->n_key; i++) {
        buf_add_text(&sql, i > 0 ? " AND t." : "t.");
        check_quote(&sql, table->key[i].name);
        buf_add_text(&sql, " = d.");
        check_quote(&sql, table->key[i].stored);
    }
    buf_printf(&sql, " WHERE d.v > t._v LIMIT %d", CHECK_KEYS_MAX);
    int r = check_ask(check, buf_text(&sql), 0, NULL, results, reterr);
    if (r < 0)
        return r;
    for (uint32_t i = 0; r == 0 && i < check->mesh->n; i++)
        for (int row = 0; r == 0 && results[i] != NULL && row < PQntuples(results[i]); row++)
            r = check_keys_add(keys, PQgetvalue(results[i], row, 0), reterr);
    check_results_done(check, results);
    return r;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void drop_twins(CheckKeys *keys)
{
    size_t n = 0;
    if (keys->n > 0)
        qsort(keys->keys, keys->n, sizeof *keys->keys, by_text);
    for (size_t i = 0; i < keys->n; i++) {
        if (n > 0 && strcmp(keys->keys[n - 1], keys->keys[i]) == 0)
            free(keys->keys[i]);
        else
            keys->keys[n++] = keys->keys[i];
    }
    keys->n = n;
}

int check_table(Check *check, uint32_t index, Error *reterr)
{
    CheckTable *table = &check->tables[index];
    CheckKeys keys = {0};
    table->counts = (CheckCounts){0};
    check->now = table;
    check->step = "comparing";
    check->done_rows = check->all_rows = 0;
    check->table_began = clock_mono();
    int r = check_floor(check, reterr);
    for (CheckPart part = 0; r == 0 && part < CHECK_PART_MAX; part++)
        if (check_has_part(table, part))
            r = compare_part(check, index, part, &keys, reterr);
    if (r == 0 && check_has_part(table, CHECK_PART_PARKED))
        r = add_parked(check, table, &keys, reterr);
    if (r == 0 && check_has_part(table, CHECK_PART_TOMBSTONES))
        r = add_undeleted(check, table, &keys, reterr);
    drop_twins(&keys);
    check->step = "looking twice at rows that differ";
    if (r == 0 && keys.n > 0)
        r = check_judge_keys(check, index, keys.keys, keys.n, reterr);
    check->step = "looking for parents";
    if (r == 0)
        r = check_orphans(check, index, reterr);
    check_keys_done(&keys);
    table->counts.complete = r == 0;
    table->counts.duration_ns = mono_since(clock_mono(), check->table_began);
    return r;
}
