// SPDX-License-Identifier: MIT
// rows_check_looks: single keys. A look reads everything that a node has of a key (visible, parked,
// tombstone) in one statement, so in one snapshot. Two looks with a fence between; the verdict is
// rows_check_verdict.c's.
#include "rows_check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "lww.h"

#define KEYS_AT_ONCE 500

static void on_key(const CheckTable *table, const char *alias, CheckPart part, Buf *sql)
{
    buf_add_text(sql, " ON ");
    for (uint32_t i = 0; i < table->n_key; i++) {
        const CheckColumn *c = &table->key[i];
        buf_printf(sql, "%s%s.", i > 0 ? " AND " : "", alias);
        check_quote(sql, part == CHECK_PART_VISIBLE ? c->name : c->stored);
        buf_add_text(sql, " = k.");
        check_quote(sql, c->name);
    }
}

// LEFT JOIN LATERAL (SELECT t.<version> AS v, hash AS h FROM part t) ... each part under its alias.
static void join_part(const CheckTable *table, const char *alias, CheckPart part, Buf *sql)
{
    static const char *const VERSIONS[] = {"_v", "_v", "v"};
    buf_printf(sql, " LEFT JOIN (SELECT t.%s AS \"wildcam v\", ",
               table->kind == TABLE_KIND_INSERT_ONLY ? "_origin" : VERSIONS[part]);
    check_hash(table, part, sql);
    buf_add_text(sql, " AS \"wildcam h\", t.* FROM ");
    check_relation(table, part, sql);
    buf_printf(sql, " t) %s", alias);
    on_key(table, alias, part, sql);
}

// Nobody visible with a greater (version, key) has one of the parked row's unique values.
static void add_free(const CheckTable *table, Buf *sql)
{
    buf_add_text(sql, "NOT EXISTS (SELECT FROM ");
    check_relation(table, CHECK_PART_VISIBLE, sql);
    buf_add_text(sql, " x WHERE x._v >= p._v AND (");
    for (uint32_t u = 0; u < table->shape->n_uniques; u++) {
        const TableKey *key = &table->shape->uniques[u];
        buf_add_text(sql, u > 0 ? " OR (" : "(");
        for (uint32_t i = 0; i < key->n; i++) {
            const TableColumn *c = &table->shape->columns[key->columns[i]];
            buf_add_text(sql, i > 0 ? " AND x." : "x.");
            check_quote(sql, c->name);
            buf_add_text(sql, " = p.");
            check_quote(sql, c->stored);
        }
        buf_add_text(sql, ")");
    }
    buf_add_text(sql, "))");
}

static void look_sql(const CheckTable *table, Buf *sql)
{
    bool parked = check_has_part(table, CHECK_PART_PARKED);
    bool tombs = check_has_part(table, CHECK_PART_TOMBSTONES);
    buf_add_text(sql, "SELECT k.\"wildcam n\", t.\"wildcam v\", t.\"wildcam h\", ");
    buf_add_text(sql, parked ? "p.\"wildcam v\", p.\"wildcam h\", p.\"wildcam v\" IS NOT NULL AND "
                             : "NULL, NULL, false");
    if (parked)
        add_free(table, sql);
    buf_add_text(sql, tombs ? ", d.\"wildcam v\"" : ", NULL");
    buf_add_text(sql, " FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (");
    check_key_columns(table, sql);
    buf_add_text(sql, ")) WITH ORDINALITY AS k(");
    for (uint32_t i = 0; i < table->n_key; i++) {
        check_quote(sql, table->key[i].name);
        buf_add_text(sql, ", ");
    }
    buf_add_text(sql, "\"wildcam n\")");
    join_part(table, "t", CHECK_PART_VISIBLE, sql);
    if (parked)
        join_part(table, "p", CHECK_PART_PARKED, sql);
    if (tombs)
        join_part(table, "d", CHECK_PART_TOMBSTONES, sql);
}

static int64_t version_at(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) == 1 ? CHECK_NO_VERSION
                                                 : check_int(result, row, column);
}

static void read_copies(const PGresult *result, uint32_t node, uint32_t nodes, size_t n,
                        CheckCopy *copies)
{
    for (int row = 0; row < PQntuples(result); row++) {
        size_t key = (size_t)check_int(result, row, 0) - 1;
        if (key >= n)
            continue;
        CheckCopy copy = {.read = true,
                          .visible = PQgetisnull(result, row, 1) == 0,
                          .parked = PQgetisnull(result, row, 3) == 0,
                          .v = version_at(result, row, 1),
                          .hash = (uint64_t)check_int(result, row, 2),
                          .parked_v = version_at(result, row, 3),
                          .parked_hash = (uint64_t)check_int(result, row, 4),
                          .free = PQgetvalue(result, row, 5)[0] == 't',
                          .tombstone_v = version_at(result, row, 6)};
        copies[key * nodes + node] = copy;
    }
}

static int look_some(Check *check, const CheckTable *table, char *const *keys, size_t n,
                     CheckCopy *copies, Error *reterr)
{
    Buf list CLEANUP(buf_done) = BUF_INIT(64U << 20), sql CLEANUP(buf_done) = BUF_INIT(4U << 20);
    for (size_t i = 0; i < n; i++)
        buf_printf(&list, "%s%s", i == 0 ? "[" : ",", keys[i]);
    buf_add_text(&list, "]");
    look_sql(table, &sql);
    if (buf_check(&list) < 0 || buf_check(&sql) < 0)
        return error_set(reterr, ERROR_LIMIT, "keys of '%s' are too big", table->name);
    const char *params[] = {buf_text(&list)};
    PGresult *results[CHECK_NODES_MAX];
    int r = check_ask(check, buf_text(&sql), 1, params, results, reterr);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < check->mesh->n; i++)
        if (results[i] != NULL)
            read_copies(results[i], i, check->mesh->n, n, copies);
    check_results_done(check, results);
    return 0;
}

int check_look(Check *check, const CheckTable *table, char *const *keys, size_t n,
               CheckCopy *copies, Error *reterr)
{
    memset(copies, 0, n * check->mesh->n * sizeof *copies);
    int r = 0;
    for (size_t at = 0; r == 0 && at < n; at += KEYS_AT_ONCE)
        r = look_some(check, table, keys + at, n - at < KEYS_AT_ONCE ? n - at : KEYS_AT_ONCE,
                      copies + at * check->mesh->n, reterr);
    return r;
}

int check_add(Check *check, const CheckDifference *difference, Error *reterr)
{
    int r = alloc_grow((void **)&check->differences, &check->capacity, check->n_differences + 1,
                       sizeof *check->differences);
    if (r < 0)
        return error_set(reterr, r, "no memory for differences");
    CheckDifference *own = &check->differences[check->n_differences];
    size_t size = check->mesh->n * sizeof(CheckCopy);
    *own = *difference;
    own->key = alloc_strdup(difference->key);
    own->detail = difference->detail != NULL ? alloc_strdup(difference->detail) : NULL;
    own->copy = alloc_zeroed(check->mesh->n, sizeof(CheckCopy));
    check->n_differences++;
    if (own->key == NULL || own->copy == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for differences");
    if (difference->copy != NULL)
        memcpy(own->copy, difference->copy, size);
    check->tables[difference->table].counts.differences++;
    return 0;
}

void check_forget_differences(Check *check)
{
    for (size_t i = 0; i < check->n_differences; i++) {
        free(check->differences[i].key);
        free(check->differences[i].detail);
        free(check->differences[i].copy);
    }
    free(check->differences);
    check->differences = NULL;
    check->n_differences = check->capacity = 0;
}

// Copies that are not the same, though nobody can be blamed yet.
static bool in_flight(const CheckRule *rule, const CheckCopy *now)
{
    int64_t first = CHECK_NO_VERSION;
    bool any = false;
    for (uint32_t i = 0; i < rule->n; i++) {
        if (!now[i].read)
            continue;
        int64_t v = check_copy_version(&now[i]);
        if (any && v != first)
            return true;
        first = v;
        any = true;
    }
    return false;
}

static int judge_one(Check *check, uint32_t index, char *key, const CheckFence *fence,
                     const CheckRule *rule, const CheckCopy *before, CheckCopy *now, Error *reterr)
{
    CheckTable *table = &check->tables[index];
    int64_t target = check_target(rule, before);
    bool insert_only = table->kind == TABLE_KIND_INSERT_ONLY;
    uint32_t origin = target <= 0 ? 0 : insert_only ? (uint32_t)target : lww_stamp_origin(target);
    // a row of an insert-only table has no time: only a fence tells
    bool fenced = check_fenced(check, fence, origin, insert_only ? INT64_MAX : target);
    CheckDifference found = {.table = index, .key = key, .copy = now};
    found.verdict = check_judge(rule, before, now, fenced, &found.wrong, &found.target);
    if (found.verdict != CHECK_SAME)
        return check_add(check, &found, reterr);
    table->counts.in_flight += !fenced && in_flight(rule, now) ? 1 : 0;
    return 0;
}

int check_judge_keys(Check *check, uint32_t index, char *const *keys, size_t n, Error *reterr)
{
    const CheckTable *table = &check->tables[index];
    CheckCopy *before = alloc_zeroed(n * check->mesh->n + 1, sizeof *before);
    CheckCopy *now = alloc_zeroed(n * check->mesh->n + 1, sizeof *now);
    CheckFence fence;
    CheckRule rule = {.kind = table->kind, .n = check->mesh->n};
    int r =
        before != NULL && now != NULL ? 0 : error_set(reterr, ERROR_MEMORY, "no memory for keys");
    if (r == 0)
        r = check_look(check, table, keys, n, before, reterr);
    if (r == 0)
        r = check_fence(check, &fence, reterr);
    if (r == 0)
        r = check_look(check, table, keys, n, now, reterr);
    if (r == 0)
        r = check_floor(check, reterr);
    rule.tombstones_from = check->tombstones_from;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = judge_one(check, index, keys[i], &fence, &rule, before + i * check->mesh->n,
                      now + i * check->mesh->n, reterr);
    free(before);
    free(now);
    return r;
}
