// SPDX-License-Identifier: MIT
// rows_check_orphans: rows whose parent is nowhere. Foreign keys are not checked when rows arrive
// (a child may come before its parent), so a delete here and an insert there can leave an orphan,
// the same one in every region. One node is asked; what it finds is looked at again after a fence,
// and only what still refers to the same missing parent is told.
#include "rows_check.h"

#include <stdlib.h>
#include <string.h>

static void add_columns(const TableShape *shape, const TableKey *key, Buf *sql)
{
    for (uint32_t i = 0; i < key->n; i++) {
        buf_add_text(sql, i > 0 ? " AND " : "");
        buf_add_text(sql, "t.");
        check_quote(sql, shape->columns[key->columns[i]].name);
        buf_add_text(sql, " IS NOT NULL");
    }
}

// The parent's columns that the constraint refers to are asked of the catalog: by name of the
// constraint. `$1` is the constraint, the answer one row: pairs "child = parent".
static int read_pairs(Check *check, const CheckTable *table, const TableForeign *foreign,
                      uint64_t node, char **ret_text, Error *reterr)
{
    static const char SQL[] =
        "SELECT string_agg(format('x.%I = t.%I', p.attname, c.attname), ' AND ') "
        "FROM pg_constraint f, unnest(f.conkey, f.confkey) AS k(child, parent) "
        "JOIN LATERAL (SELECT attname FROM pg_attribute WHERE attrelid = f.conrelid "
        "AND attnum = k.child) c ON true "
        "JOIN LATERAL (SELECT attname FROM pg_attribute WHERE attrelid = f.confrelid "
        "AND attnum = k.parent) p ON true "
        "WHERE f.contype = 'f' AND f.conname = $1 AND f.conrelid = $2::regclass";
    const char *params[] = {foreign->from.name, table->identifier};
    PGresult *results[CHECK_NODES_MAX];
    int r = check_ask_some(check, node, SQL, 2, params, results, reterr);
    if (r < 0)
        return r;
    const PGresult *result = results[__builtin_ctzll(node)];
    bool there = result != NULL && PQntuples(result) == 1 && PQgetisnull(result, 0, 0) == 0;
    *ret_text = there ? arena_strdup(check->arena, PQgetvalue(result, 0, 0)) : NULL;
    check_results_done(check, results);
    return 0;
}

static void orphans_sql(const CheckTable *table, const TableForeign *foreign, const char *pairs,
                        bool again, Buf *sql)
{
    buf_add_text(sql, "SELECT ");
    check_key_json(table, CHECK_PART_VISIBLE, sql);
    buf_add_text(sql, ", t._v, ROW(");
    for (uint32_t i = 0; i < foreign->from.n; i++) {
        buf_add_text(sql, i > 0 ? ",t." : "t.");
        check_quote(sql, table->shape->columns[foreign->from.columns[i]].name);
    }
    buf_printf(sql, ")::text FROM %s t ", table->identifier);
    if (again) {
        buf_add_text(sql, "JOIN jsonb_to_recordset($1::jsonb) AS k(");
        check_key_columns(table, sql);
        buf_add_text(sql, ") ON ");
        for (uint32_t i = 0; i < table->n_key; i++) {
            buf_add_text(sql, i > 0 ? " AND t." : "t.");
            check_quote(sql, table->key[i].name);
            buf_add_text(sql, " = k.");
            check_quote(sql, table->key[i].name);
        }
    }
    buf_add_text(sql, " WHERE ");
    add_columns(table->shape, &foreign->from, sql);
    buf_add_text(sql, " AND NOT EXISTS (SELECT FROM ");
    check_quote(sql, foreign->schema);
    buf_add_text(sql, ".");
    check_quote(sql, foreign->table);
    buf_printf(sql, " x WHERE %s) LIMIT %d", pairs, CHECK_KEYS_MAX);
}

// In both answers with the same parent.
static bool still(const PGresult *first, int row, const PGresult *again)
{
    for (int i = 0; i < PQntuples(again); i++)
        if (strcmp(PQgetvalue(again, i, 0), PQgetvalue(first, row, 0)) == 0 &&
            strcmp(PQgetvalue(again, i, 2), PQgetvalue(first, row, 2)) == 0)
            return true;
    return false;
}

static int ask_orphans(Check *check, const CheckTable *table, const TableForeign *foreign,
                       const char *pairs, uint64_t node, const char *keys, PGresult **results,
                       Error *reterr)
{
    Buf sql CLEANUP(buf_done) = BUF_INIT(1U << 20);
    orphans_sql(table, foreign, pairs, keys != NULL, &sql);
    if (buf_check(&sql) < 0)
        return error_set(reterr, ERROR_MEMORY, "no memory for a statement");
    return check_ask_some(check, node, buf_text(&sql), keys != NULL ? 1 : 0, &keys, results,
                          reterr);
}

static int tell_orphans(Check *check, uint32_t index, const TableForeign *foreign,
                        const PGresult *first, const PGresult *again, Error *reterr)
{
    int r = 0;
    for (int i = 0; r == 0 && i < PQntuples(first); i++) {
        if (!still(first, i, again))
            continue;
        Buf detail CLEANUP(buf_done) = BUF_INIT(65536);
        buf_printf(&detail, "%s %s of '%s' (%s)", foreign->table, PQgetvalue(first, i, 2),
                   foreign->table, foreign->from.name);
        CheckDifference found = {.verdict = CHECK_ORPHAN,
                                 .table = index,
                                 .key = PQgetvalue(first, i, 0),
                                 .detail = detail.data,
                                 .target = check_int(first, i, 1)};
        r = check_add(check, &found, reterr);
    }
    return r;
}

static bool all_compared(const Check *check)
{
    uint64_t away[4];
    for (size_t i = 0; i < 4; i++)
        away[i] = ~check->inactive[i];
    for (uint32_t i = 0; i < check->mesh->n; i++)
        if (check_has(check, i))
            away[check->mesh->nodes[i].origin / 64] &=
                ~(UINT64_C(1) << check->mesh->nodes[i].origin % 64);
    return (away[0] | away[1] | away[2] | away[3]) == 0;
}

static int one_foreign(Check *check, uint32_t index, const TableForeign *foreign, Error *reterr)
{
    const CheckTable *table = &check->tables[index];
    uint64_t node = check->nodes & (~check->nodes + 1);
    uint32_t at = (uint32_t)__builtin_ctzll(node);
    PGresult *first[CHECK_NODES_MAX], *again[CHECK_NODES_MAX];
    CheckFence fence;
    char *pairs = NULL;
    int r = read_pairs(check, table, foreign, node, &pairs, reterr);
    if (r < 0 || pairs == NULL)
        return r;
    r = ask_orphans(check, table, foreign, pairs, node, NULL, first, reterr);
    if (r < 0)
        return r;
    Buf keys CLEANUP(buf_done) = BUF_INIT(64U << 20);
    int n = first[at] != NULL ? PQntuples(first[at]) : 0;
    for (int i = 0; i < n; i++)
        buf_printf(&keys, "%s%s", i == 0 ? "[" : ",", PQgetvalue(first[at], i, 0));
    buf_add_text(&keys, "]");
    if (n > 0) {
        r = check_fence(check, &fence, reterr);
        if (r == 0)
            r = ask_orphans(check, table, foreign, pairs, node, buf_text(&keys), again, reterr);
        if (r == 0) {
            // a node that is away may have the parent; a link that is late too
            if (fence.late[0] == '\0' && again[at] != NULL && all_compared(check))
                r = tell_orphans(check, index, foreign, first[at], again[at], reterr);
            check_results_done(check, again);
        }
    }
    check_results_done(check, first);
    return r;
}

int check_orphans(Check *check, uint32_t index, Error *reterr)
{
    const CheckTable *table = &check->tables[index];
    int r = 0;
    if (table->kind != TABLE_KIND_LWW)
        return 0;
    for (uint32_t i = 0; r == 0 && i < table->shape->n_foreigns; i++)
        r = one_foreign(check, index, &table->shape->foreigns[i], reterr);
    return r;
}
