// SPDX-License-Identifier: MIT
// rows_why (the verb): every version of one row that is known anywhere: visible, parked, as a
// tombstone, in journals that are not emptied yet, in ledgers and dead letters. One statement a
// node, so one snapshot of each; nothing is written.
#include "rows_why.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "rows.h"

// The key as the databases write it: "05" and "5" are one integer.
static int canonical(Check *check, const json_t *given, const char *text, char **ret_key,
                     Error *reterr)
{
    const CheckTable *table = &check->tables[0];
    Buf sql CLEANUP(buf_done) = BUF_INIT(65536);
    char *json = json_dumps(given, JSON_COMPACT);
    const char *params[] = {json != NULL ? json : "{}"};
    uint32_t first = (uint32_t)__builtin_ctzll(check->nodes);
    PGresult *result = NULL;
    buf_add_text(&sql, "SELECT ");
    check_key_json(table, CHECK_PART_VISIBLE, &sql);
    buf_add_text(&sql, " FROM jsonb_to_recordset(jsonb_build_array($1::jsonb)) AS t(");
    check_key_columns(table, &sql);
    buf_add_text(&sql, ")");
    Error err = ERROR_INIT;
    int r = mesh_query(check->mesh, &check->mesh->nodes[first], buf_text(&sql), 1, params, &result,
                       &err);
    free(json);
    if (r == 0) {
        *ret_key = alloc_strdup(PQgetvalue(result, 0, 0));
        r = *ret_key != NULL ? 0 : error_set(reterr, ERROR_MEMORY, "no memory for the key");
    } else if (check->mesh->nodes[first].sqlstate[0] == '2') { // data exception
        r = why_refuse_key(table, text, "does not fit the key's type", reterr);
    } else {
        r = error_set(reterr, r, "%s", error_text(&err));
    }
    error_done(&err);
    PQclear(result);
    return r;
}

// " WHERE t."a" = k."a" ..." for a part.
static void on_key(const CheckTable *table, CheckPart part, Buf *sql)
{
    for (uint32_t i = 0; i < table->n_key; i++) {
        buf_add_text(sql, i > 0 ? " AND " : " WHERE ");
        check_column(part, &table->key[i], sql);
        buf_add_text(sql, " = k.");
        check_quote(sql, table->key[i].name);
    }
}

// The key of the visible row that holds one of the parked row's values with a greater version.
static void add_holder(const CheckTable *table, Buf *sql)
{
    buf_add_text(sql, "(SELECT jsonb_build_object(");
    for (uint32_t i = 0; i < table->n_key; i++) {
        buf_add_text(sql, i > 0 ? ", " : "");
        check_literal(sql, table->key[i].name);
        buf_add_text(sql, ", x.");
        check_quote(sql, table->key[i].name);
    }
    buf_printf(sql, ") FROM %s x WHERE x._v >= t._v AND (", table->identifier);
    for (uint32_t u = 0; u < table->shape->n_uniques; u++) {
        const TableKey *key = &table->shape->uniques[u];
        buf_add_text(sql, u > 0 ? " OR (" : "(");
        for (uint32_t i = 0; i < key->n; i++) {
            const TableColumn *c = &table->shape->columns[key->columns[i]];
            buf_add_text(sql, i > 0 ? " AND x." : "x.");
            check_quote(sql, c->name);
            buf_add_text(sql, " = t.");
            check_quote(sql, c->stored);
        }
        buf_add_text(sql, ")");
    }
    buf_add_text(sql, ") LIMIT 1)");
}

// place, v, pv, cur, op, kind, row, holder
static void traces_sql(const CheckTable *table, Buf *sql)
{
    bool lww = table->kind == TABLE_KIND_LWW;
    buf_add_text(sql, "WITH k AS (SELECT * FROM jsonb_to_recordset(jsonb_build_array($1::jsonb)) "
                      "AS k(");
    check_key_columns(table, sql);
    buf_printf(sql,
               ")) SELECT %d, t.%s::bigint, NULL::bigint, NULL::bigint, NULL::text, "
               "NULL::text, (to_jsonb(t) - '_v')::text, NULL::text FROM %s t, k",
               WHY_VISIBLE, lww ? "_v" : "_origin", table->identifier);
    on_key(table, CHECK_PART_VISIBLE, sql);
    if (check_has_part(table, CHECK_PART_PARKED)) {
        buf_printf(sql,
                   " UNION ALL SELECT %d, t._v, NULL, NULL, NULL, NULL, (to_jsonb(t) - '_v' - "
                   "'at')::text, ",
                   WHY_PARKED);
        add_holder(table, sql);
        buf_printf(sql, "::text FROM wildcam.parked_%u t, k", table->number);
        on_key(table, CHECK_PART_PARKED, sql);
    }
    if (lww) {
        buf_printf(sql,
                   " UNION ALL SELECT %d, t.v, NULL, NULL, 'D', NULL, NULL, NULL FROM "
                   "wildcam.tombstone_%u t, k",
                   WHY_TOMBSTONE, table->number);
        on_key(table, CHECK_PART_TOMBSTONES, sql);
        buf_printf(sql,
                   " UNION ALL SELECT %d, t.v, t.pv, NULL, t.op::text, NULL, CASE WHEN t.op "
                   "<> 'D' THEN (to_jsonb(t) - '{v,pv,origin,op}'::text[])::text END, NULL FROM "
                   "wildcam.journal_%u t, k",
                   WHY_JOURNAL, table->number);
        on_key(table, CHECK_PART_TOMBSTONES, sql);
    }
    buf_printf(sql,
               " UNION ALL SELECT %d, l.v, l.pv, l.cur, NULL, l.kind, l.\"row\"::text, NULL "
               "FROM wildcam.ledger l WHERE l.number = %u AND l.key = $1::jsonb",
               WHY_LEDGER, table->number);
    buf_printf(sql,
               " UNION ALL SELECT %d, l.v, l.pv, NULL, l.op::text, l.message, l.\"row\"::text,"
               " NULL FROM wildcam.dead_letter l WHERE l.number = %u AND l.key = $1::jsonb",
               WHY_DEAD_LETTER, table->number);
}

static char *copy_of(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) == 1 ? NULL
                                                 : alloc_strdup(PQgetvalue(result, row, column));
}

static int64_t version_at(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) == 1 ? CHECK_NO_VERSION
                                                 : check_int(result, row, column);
}

static int take_traces(Why *why, uint32_t node, const PGresult *result, Error *reterr)
{
    for (int row = 0; row < PQntuples(result); row++) {
        int r = alloc_grow((void **)&why->traces, &why->traces_capacity, why->n_traces + 1,
                           sizeof *why->traces);
        if (r < 0)
            return error_set(reterr, r, "no memory for versions");
        why->traces[why->n_traces++] = (WhyTrace){.node = node,
                                                  .place = (WhyPlace)check_int(result, row, 0),
                                                  .v = version_at(result, row, 1),
                                                  .pv = version_at(result, row, 2),
                                                  .cur = version_at(result, row, 3),
                                                  .op = PQgetvalue(result, row, 4)[0],
                                                  .kind = copy_of(result, row, 5),
                                                  .row = copy_of(result, row, 6),
                                                  .holder = copy_of(result, row, 7)};
    }
    why->nodes[node].read = true;
    return 0;
}

static int read_traces(Check *check, Why *why, const char *key, Error *reterr)
{
    Buf sql CLEANUP(buf_done) = BUF_INIT(1U << 20);
    const char *params[] = {key};
    PGresult *results[CHECK_NODES_MAX];
    traces_sql(why->table, &sql);
    int r = check_ask(check, buf_text(&sql), 1, params, results, reterr);
    if (r < 0)
        return r;
    for (uint32_t i = 0; r == 0 && i < check->mesh->n; i++)
        if (results[i] != NULL)
            r = take_traces(why, i, results[i], reterr);
    check_results_done(check, results);
    if (r == 0)
        r = check_ask(check, "SELECT origin, safe FROM wildcam.watermark WHERE node = wildcam.me()",
                      0, NULL, results, reterr);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < check->mesh->n; i++) {
        for (int row = 0; results[i] != NULL && row < PQntuples(results[i]); row++)
            why->nodes[i].safe[check_int(results[i], row, 0) & 255] = check_int(results[i], row, 1);
        why->nodes[i].safe[check->mesh->nodes[i].origin & 255] = check->wall_us; // its own: all
        if (!check_has(check, i))
            why->nodes[i].text = alloc_strdup(check->why_not[i] != NULL ? check->why_not[i] : "");
    }
    check_results_done(check, results);
    return 0;
}

static int answer(Check *check, const char *given, bool json, Error *reterr)
{
    Why *why = alloc_zeroed(1, sizeof *why);
    json_t *pairs = json_object();
    char *key = NULL, *shown = NULL;
    int r = why != NULL ? why_parse_key(&check->tables[0], given, pairs, reterr)
                        : error_set(reterr, ERROR_MEMORY, "no memory");
    if (r == 0)
        r = canonical(check, pairs, given, &key, reterr);
    if (r == 0) {
        why->mesh = check->mesh;
        why->table = &check->tables[0];
        r = read_traces(check, why, key, reterr);
    }
    if (r == 0)
        r = why_explain(why, reterr);
    if (r == 0)
        shown = check_key_text(key);
    if (r == 0 && why->n_versions == 0) {
        r = error_set(reterr, ERROR_NOT_FOUND, "no region knows '%s' of '%s'", shown,
                      why->table->name);
        r = error_hint(reterr, r, "Deleted rows are forgotten when every region has deleted them.");
    } else if (r == 0 && json) {
        json_t *root = why_json(why, shown);
        (void)(json_dumpf(root, stdout, JSON_INDENT(2)) == 0 && printf("\n") > 0);
        json_decref(root);
    } else if (r == 0) {
        why_print(why, shown, stdout);
    }
    if (why != NULL)
        why_done(why);
    free(why);
    free(key);
    free(shown);
    json_decref(pairs);
    return r;
}

int rows_why(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL;
    bool json = false;
    int operands;
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"json", NULL, "for programs", NULL, &json},
    };
    int r = cli_parse(verb, options, ARRAY_SIZE(options), 2, 2, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    Context context;
    Check check = {0};
    r = context_open(dir, &context, reterr);
    if (r < 0)
        return r;
    const CheckOptions how = {.dir = context.dir.text,
                              .conf = context.conf,
                              .n_tables = 1,
                              .tables = argv + 1,
                              .application = "wildcam rows why"};
    r = check_open(&how, &check, reterr);
    if (r == 0) {
        r = answer(&check, argv[2], json, reterr);
        check_done(&check);
    }
    context_done(&context);
    return r;
}
