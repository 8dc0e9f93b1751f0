// SPDX-License-Identifier: MIT
// rows_repair_one: see rows_repair.h. Missing and stale rows are replayed by a node that holds the
// winner, through the journal, so that regions that are away get it too. A tombstone is merged
// where it is missing. Damage has no winner among versions: the content of the majority is written
// as a new version, which then wins everywhere. Rows of insert-only tables have no versions: they
// are carried as texts of their columns, exactly as the giver has them.
#include "rows_repair.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lww.h"

static uint64_t bit(uint32_t i)
{
    return UINT64_C(1) << i;
}

static bool has_content(const CheckCopy *copy, int64_t v, uint64_t *ret_hash)
{
    if (copy->read && copy->visible && copy->v == v)
        *ret_hash = copy->hash;
    else if (copy->read && copy->parked && copy->parked_v == v)
        *ret_hash = copy->parked_hash;
    else
        return false;
    return true;
}

// The node whose content most others have at this version; -1: a tie.
static int majority(const Check *check, const CheckDifference *difference, uint64_t *ret_others)
{
    int best = -1;
    uint32_t most = 0;
    bool tie = false;
    for (uint32_t i = 0; i < check->mesh->n; i++) {
        uint64_t mine, other, same = 0, others = 0;
        if (!has_content(&difference->copy[i], difference->target, &mine))
            continue;
        for (uint32_t j = 0; j < check->mesh->n; j++)
            if (has_content(&difference->copy[j], difference->target, &other)) {
                same |= other == mine ? bit(j) : 0;
                others |= other == mine ? 0 : bit(j);
            }
        uint32_t count = (uint32_t)__builtin_popcountll(same);
        bool first = (same & (~same + 1)) == bit(i); // each group once
        if (count > most) {
            best = (int)i;
            most = count;
            tie = false;
            *ret_others = others;
        } else if (count == most && first) {
            tie = true;
        }
    }
    return tie ? -1 : best;
}

static void plan_damage(const Check *check, const CheckDifference *difference, int prefer,
                        RepairPlan *plan)
{
    uint64_t others = 0, hash, other;
    bool insert_only = check->tables[difference->table].kind == TABLE_KIND_INSERT_ONLY;
    int giver = prefer;
    if (prefer < 0)
        giver = majority(check, difference, &others);
    else if (has_content(&difference->copy[prefer], difference->target, &hash))
        for (uint32_t i = 0; i < check->mesh->n; i++)
            others |= has_content(&difference->copy[i], difference->target, &other) && other != hash
                          ? bit(i)
                          : 0;
    if (giver < 0 || others == 0) {
        plan->why = prefer < 0 ? "no content has a majority: say which region is right by --prefer"
                               : "the preferred region does not have this version";
        return;
    }
    plan->giver = (uint32_t)giver;
    plan->takers = others;
    plan->way = insert_only ? REPAIR_REPLACE : REPAIR_REWRITE;
    if (!insert_only && !difference->copy[giver].visible) {
        plan->way = REPAIR_NONE;
        plan->why = "the row is parked: give its unique value free first, or delete the row";
    }
}

// A node that holds the newest version, and is not one of the wrong ones.
static bool find_giver(const Check *check, const CheckDifference *difference, uint32_t *ret_giver)
{
    for (uint32_t i = 0; i < check->mesh->n; i++) {
        const CheckCopy *copy = &difference->copy[i];
        bool insert_only = check->tables[difference->table].kind == TABLE_KIND_INSERT_ONLY;
        bool right = insert_only ? copy->visible && copy->v <= difference->target
                                 : check_copy_version(copy) >= difference->target;
        if (!copy->read || !check_has(check, i) || !right || (difference->wrong >> i & 1))
            continue;
        *ret_giver = i;
        return true;
    }
    return false;
}

static void plan_bury(const CheckDifference *difference, uint32_t nodes, RepairPlan *plan)
{
    int64_t best = CHECK_NO_VERSION;
    for (uint32_t i = 0; i < nodes; i++)
        if (difference->copy[i].read && difference->copy[i].tombstone_v > best) {
            best = difference->copy[i].tombstone_v;
            plan->giver = i;
        }
    plan->way = best > CHECK_NO_VERSION ? REPAIR_BURY : REPAIR_NONE;
    plan->why = "its tombstone is nowhere any more";
}

void repair_plan(const Check *check, const CheckDifference *difference, int prefer,
                 bool delete_orphans, RepairPlan *ret_plan)
{
    RepairPlan plan = {.way = REPAIR_NONE, .takers = difference->wrong, .why = "no node has it"};
    bool insert_only = check->tables[difference->table].kind == TABLE_KIND_INSERT_ONLY;
    switch (difference->verdict) {
    case CHECK_MISSING:
    case CHECK_STALE:
        if (find_giver(check, difference, &plan.giver))
            plan.way = insert_only ? REPAIR_COPY : REPAIR_REPLAY;
        break;
    case CHECK_UNDELETED:
    case CHECK_TOMBSTONE:
        plan_bury(difference, check->mesh->n, &plan);
        break;
    case CHECK_CONTENT:
        plan_damage(check, difference, prefer, &plan);
        break;
    case CHECK_PARKED:
        plan.way = REPAIR_SWEEP;
        break;
    case CHECK_ORPHAN:
        plan.giver = (uint32_t)__builtin_ctzll(check->nodes);
        plan.way = delete_orphans ? REPAIR_UNORPHAN : REPAIR_NONE;
        plan.why = "restore its parent, or delete it with --delete-orphans";
        break;
    case CHECK_SAME:
    case CHECK_VERDICT_MAX:
        break;
    }
    *ret_plan = plan;
}

char *repair_text(const Check *check, const CheckDifference *difference, const RepairPlan *plan)
{
    Buf text CLEANUP(buf_done) = BUF_INIT(65536);
    Buf takers CLEANUP(buf_done) = BUF_INIT(65536);
    const char *giver = check->mesh->nodes[plan->giver].region;
    for (uint32_t i = 0; i < check->mesh->n; i++)
        if (plan->takers >> i & 1)
            buf_printf(&takers, "%s%s", takers.len > 0 ? ", " : "", check->mesh->nodes[i].region);
    switch (plan->way) {
    case REPAIR_REPLAY:
        buf_printf(&text, "%s sends its newest version once more, for %s", giver,
                   buf_text(&takers));
        break;
    case REPAIR_BURY:
        buf_printf(&text, "the delete that %s knows is merged in %s", giver, buf_text(&takers));
        break;
    case REPAIR_REWRITE:
        buf_printf(&text, "%s writes its content as a new version, over that of %s", giver,
                   buf_text(&takers));
        break;
    case REPAIR_COPY:
        buf_printf(&text, "the row is copied from %s to %s", giver, buf_text(&takers));
        break;
    case REPAIR_REPLACE:
        buf_printf(&text, "the row of %s replaces that of %s", giver, buf_text(&takers));
        break;
    case REPAIR_SWEEP:
        buf_printf(&text, "%s gives its parked rows another try", buf_text(&takers));
        break;
    case REPAIR_UNORPHAN:
        buf_printf(&text, "%s deletes it, if it still has no parent", giver);
        break;
    case REPAIR_NONE:
    case REPAIR_WAY_MAX:
        buf_printf(&text, "cannot be mended by itself: %s", plan->why);
        break;
    }
    return buf_take(&text);
}

// One statement on one node.
static int ask(Check *check, uint32_t node, const char *sql, int n, const char *const *params,
               PGresult **ret_result, Error *reterr)
{
    if (check->mesh->nodes[node].conn == NULL)
        return error_set(reterr, ERROR_UNAVAILABLE, "%s does not answer any more",
                         check->mesh->nodes[node].region);
    return mesh_query(check->mesh, &check->mesh->nodes[node], sql, n, params, ret_result, reterr);
}

static void where_key(const CheckTable *table, Buf *sql)
{
    buf_add_text(sql, "FROM jsonb_to_recordset(jsonb_build_array($1::jsonb)) AS k(");
    check_key_columns(table, sql);
    buf_add_text(sql, ") WHERE ");
    for (uint32_t i = 0; i < table->n_key; i++) {
        buf_add_text(sql, i > 0 ? " AND t." : "t.");
        check_quote(sql, table->key[i].name);
        buf_add_text(sql, " = k.");
        check_quote(sql, table->key[i].name);
    }
}

static int replay(Check *check, const CheckDifference *difference, const RepairPlan *plan,
                  bool *ret_done, Error *reterr)
{
    char sql[96];
    const char *params[] = {difference->key};
    PGresult *result = NULL;
    (void)snprintf(sql, sizeof sql, "SELECT wildcam.replay_%u($1::jsonb)",
                   check->tables[difference->table].number);
    int r = ask(check, plan->giver, sql, 1, params, &result, reterr);
    *ret_done = r == 0 && PQgetisnull(result, 0, 0) == 0;
    PQclear(result);
    return r;
}

static int bury(Check *check, const CheckDifference *difference, const RepairPlan *plan,
                bool *ret_done, Error *reterr)
{
    const CheckTable *table = &check->tables[difference->table];
    Buf sql CLEANUP(buf_done) = BUF_INIT(65536);
    char v[24];
    const char *params[] = {difference->key, v};
    int r = 0;
    (void)snprintf(v, sizeof v, "%" PRId64, difference->copy[plan->giver].tombstone_v);
    buf_printf(&sql,
               "SELECT wildcam.merge_%u('D', $2::bigint, NULL, "
               "jsonb_populate_record(NULL::%s, $1::jsonb))",
               table->number, table->identifier);
    for (uint32_t i = 0; r == 0 && i < check->mesh->n; i++)
        if (plan->takers >> i & 1)
            r = ask(check, i, buf_text(&sql), 2, params, NULL, reterr);
    // a row below a tombstone that is equal everywhere: merging it again finds nothing to do
    buf_clear(&sql);
    buf_printf(&sql, "SELECT wildcam.sweep_%u()", table->number);
    for (uint32_t i = 0; r == 0 && i < check->mesh->n; i++)
        if (plan->takers >> i & 1 && difference->verdict == CHECK_UNDELETED &&
            difference->copy[i].tombstone_v >= difference->target)
            r = ask(check, i, buf_text(&sql), 0, NULL, NULL, reterr);
    *ret_done = r == 0;
    return r;
}

// SET key = key stamps a new version above what it saw; not when somebody wrote meanwhile.
static int rewrite(Check *check, const CheckDifference *difference, const RepairPlan *plan,
                   bool *ret_done, Error *reterr)
{
    const CheckTable *table = &check->tables[difference->table];
    Buf sql CLEANUP(buf_done) = BUF_INIT(65536);
    char v[24];
    const char *params[] = {difference->key, v};
    (void)snprintf(v, sizeof v, "%" PRId64, difference->target);
    buf_printf(&sql, "UPDATE %s t SET ", table->identifier);
    check_quote(&sql, table->key[0].name);
    buf_add_text(&sql, " = t.");
    check_quote(&sql, table->key[0].name);
    buf_add_text(&sql, " ");
    where_key(table, &sql);
    buf_add_text(&sql, " AND t._v = $2::bigint");
    PGresult *result = NULL;
    int r = ask(check, plan->giver, buf_text(&sql), 2, params, &result, reterr);
    *ret_done = r == 0 && strcmp(PQcmdTuples(result), "1") == 0;
    PQclear(result);
    return r;
}

static int unorphan(Check *check, const CheckDifference *difference, const RepairPlan *plan,
                    bool *ret_done, Error *reterr)
{
    const CheckTable *table = &check->tables[difference->table];
    Buf sql CLEANUP(buf_done) = BUF_INIT(65536);
    char v[24];
    const char *params[] = {difference->key, v};
    (void)snprintf(v, sizeof v, "%" PRId64, difference->target);
    buf_printf(&sql, "DELETE FROM %s t USING ", table->identifier);
    Buf where CLEANUP(buf_done) = BUF_INIT(65536);
    where_key(table, &where);
    buf_add_text(&sql, buf_text(&where) + strlen("FROM "));
    buf_add_text(&sql, " AND t._v = $2::bigint");
    PGresult *result = NULL;
    int r = ask(check, plan->giver, buf_text(&sql), 2, params, &result, reterr);
    *ret_done = r == 0 && strcmp(PQcmdTuples(result), "1") == 0;
    PQclear(result);
    return r;
}

static int sweep(Check *check, const CheckDifference *difference, const RepairPlan *plan,
                 bool *ret_done, Error *reterr)
{
    char sql[64];
    int r = 0;
    (void)snprintf(sql, sizeof sql, "SELECT wildcam.sweep_%u()",
                   check->tables[difference->table].number);
    for (uint32_t i = 0; r == 0 && i < check->mesh->n; i++)
        if (plan->takers >> i & 1)
            r = ask(check, i, sql, 0, NULL, NULL, reterr);
    *ret_done = r == 0;
    return r;
}

// -- insert-only: the row as texts, named by column --

static int carry(Check *check, const CheckDifference *difference, uint32_t giver,
                 PGresult **ret_row, Error *reterr)
{
    const CheckTable *table = &check->tables[difference->table];
    Buf sql CLEANUP(buf_done) = BUF_INIT(1U << 20);
    const char *params[] = {difference->key};
    buf_add_text(&sql, "SELECT ");
    for (uint32_t i = 0; i < table->n_columns; i++) {
        buf_add_text(&sql, "t.");
        check_quote(&sql, table->columns[i].name);
        buf_add_text(&sql, "::text, ");
    }
    buf_printf(&sql, "t._origin::text FROM %s t, ", table->identifier);
    Buf where CLEANUP(buf_done) = BUF_INIT(65536);
    where_key(table, &where);
    buf_add_text(&sql, buf_text(&where) + strlen("FROM "));
    int r = ask(check, giver, buf_text(&sql), 1, params, ret_row, reterr);
    return r;
}

// Parameters of a statement on a taker: the key, then the row's columns and its origin.
static void values_of(const CheckTable *table, const char *key, const PGresult *row,
                      const char **params)
{
    params[0] = key;
    for (uint32_t i = 0; i <= table->n_columns; i++)
        params[i + 1] = PQgetisnull(row, 0, (int)i) == 1 ? NULL : PQgetvalue(row, 0, (int)i);
}

// A record of the taker's table, in its own order of columns.
static void record_sql(const CheckTable *table, const PGresult *order, Buf *sql)
{
    buf_add_text(sql, "ROW(");
    for (int row = 0; row < PQntuples(order); row++) {
        const char *name = PQgetvalue(order, row, 0), *type = PQgetvalue(order, row, 1);
        uint32_t at = 0;
        while (at < table->n_columns && strcmp(table->columns[at].name, name) != 0)
            at++;
        bool known = at < table->n_columns || strcmp(name, "_origin") == 0;
        buf_add_text(sql, row > 0 ? ", " : "");
        if (known)
            buf_printf(sql, "$%u::text::%s", at + 2, type);
        else
            buf_printf(sql, "NULL::%s", type);
    }
    buf_printf(sql, ")::%s", table->identifier);
}

static int copy_to(Check *check, const CheckDifference *difference, uint32_t taker,
                   const PGresult *row, Error *reterr)
{
    static const char ORDER[] =
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = "
        "$1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
    const CheckTable *table = &check->tables[difference->table];
    const char *name[] = {table->identifier};
    const char **params = calloc(table->n_columns + 2U, sizeof *params);
    Buf sql CLEANUP(buf_done) = BUF_INIT(1U << 20);
    PGresult *order = NULL;
    int r = params != NULL ? ask(check, taker, ORDER, 1, name, &order, reterr)
                           : error_set(reterr, ERROR_MEMORY, "no memory for a row");
    if (r == 0) {
        values_of(table, difference->key, row, params);
        buf_printf(&sql, "SELECT wildcam.merge_%u('I', 0, NULL, ", table->number);
        record_sql(table, order, &sql);
        buf_add_text(&sql, ") FROM (SELECT $1::text) k");
        r = ask(check, taker, buf_text(&sql), (int)table->n_columns + 2, params, NULL, reterr);
    }
    PQclear(order);
    free(params);
    return r;
}

// Both are of one origin: merging would keep what is there.
static int replace_at(Check *check, const CheckDifference *difference, uint32_t taker,
                      const PGresult *row, Error *reterr)
{
    const CheckTable *table = &check->tables[difference->table];
    const char **params = calloc(table->n_columns + 2U, sizeof *params);
    Buf sql CLEANUP(buf_done) = BUF_INIT(1U << 20);
    if (params == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for a row");
    values_of(table, difference->key, row, params);
    buf_printf(&sql, "UPDATE %s t SET _origin = $%u::text::smallint", table->identifier,
               table->n_columns + 2);
    for (uint32_t i = 0; i < table->n_columns; i++) {
        buf_add_text(&sql, ", ");
        check_quote(&sql, table->columns[i].name);
        buf_printf(&sql, " = $%u::text::%s", i + 2, table->columns[i].type);
    }
    buf_add_text(&sql, " ");
    where_key(table, &sql);
    int r = ask(check, taker, "BEGIN", 0, NULL, NULL, reterr);
    if (r == 0)
        r = ask(check, taker, "SET LOCAL wildcam.apply = '1'", 0, NULL, NULL, reterr);
    if (r == 0)
        r = ask(check, taker, buf_text(&sql), (int)table->n_columns + 2, params, NULL, reterr);
    Error ignored = ERROR_INIT;
    int ended = ask(check, taker, r == 0 ? "COMMIT" : "ROLLBACK", 0, NULL, NULL, &ignored);
    if (r == 0 && ended < 0)
        r = error_set(reterr, ended, "%s", error_text(&ignored));
    error_done(&ignored);
    free(params);
    return r;
}

static int carry_to_all(Check *check, const CheckDifference *difference, const RepairPlan *plan,
                        bool *ret_done, Error *reterr)
{
    PGresult *row = NULL;
    int r = carry(check, difference, plan->giver, &row, reterr);
    *ret_done = r == 0 && PQntuples(row) == 1;
    for (uint32_t i = 0; r == 0 && *ret_done && i < check->mesh->n; i++)
        if (plan->takers >> i & 1)
            r = plan->way == REPAIR_COPY ? copy_to(check, difference, i, row, reterr)
                                         : replace_at(check, difference, i, row, reterr);
    PQclear(row);
    return r;
}

int repair_one(Check *check, const CheckDifference *difference, const RepairPlan *plan,
               bool *ret_done, Error *reterr)
{
    *ret_done = false;
    switch (plan->way) {
    case REPAIR_REPLAY:
        return replay(check, difference, plan, ret_done, reterr);
    case REPAIR_BURY:
        return bury(check, difference, plan, ret_done, reterr);
    case REPAIR_REWRITE:
        return rewrite(check, difference, plan, ret_done, reterr);
    case REPAIR_COPY:
    case REPAIR_REPLACE:
        return carry_to_all(check, difference, plan, ret_done, reterr);
    case REPAIR_SWEEP:
        return sweep(check, difference, plan, ret_done, reterr);
    case REPAIR_UNORPHAN:
        return unorphan(check, difference, plan, ret_done, reterr);
    case REPAIR_NONE:
    case REPAIR_WAY_MAX:
        break;
    }
    return 0;
}
