// SPDX-License-Identifier: MIT
// fill_table: what the fill needs to know of each federated table, asked once a fill: the giver
// says which columns it has, the taker's catalog makes the texts, so that a column that only the
// taker has already (a migration on its way) gets its default, as an older row would.
#include "fill_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define TABLES_MAX 4096

static const char GIVER_TABLES[] =
    "SELECT number, schema, name, kind, columns, key, "
    "to_regclass('wildcam.parked_' || number) IS NOT NULL, "
    "quote_ident(schema) || '.' || quote_ident(name) FROM wildcam.federated "
    "WHERE $1::int IN (0, number) ORDER BY number";

// $1: number, $2: the giver's columns, $3: schema, $4: name, $5: kind, $6: the giver's key.
// Hashes must be equal in all databases: types whose hash is that of their value, text for the
// rest (an enum's hash is that of its oid).
static const char TAKER_TABLE[] =
    "WITH f AS (SELECT *, format('%I.%I', schema, name)::regclass AS class FROM wildcam.federated "
    "WHERE number = $1::int AND schema = $3::name AND name = $4::name AND kind = $5 "
    "AND key = $6::text[]), "
    "a AS (SELECT a.attnum, a.attname, quote_ident(a.attname) AS q, "
    "format_type(a.atttypid, a.atttypmod) AS type, a.atttypid, pg_get_expr(d.adbin, d.adrelid) AS "
    "e, "
    "a.attname = ANY($2::text[]) AND a.attname NOT IN ('_v', '_origin') AS given, "
    "a.attname = ANY(f.key) AS is_key, "
    // table_stored_name() in SQL
    "CASE WHEN regexp_replace(a.attname, '^(c_)*', '') IN ('v', 'pv', 'origin', 'op', 'at', '_v') "
    "THEN quote_ident('c_' || a.attname) ELSE quote_ident(a.attname) END AS stored, "
    "a.attgenerated <> '' AS made FROM f JOIN pg_attribute a ON a.attrelid = f.class "
    "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
    "WHERE a.attnum > 0 AND NOT a.attisdropped) "
    "SELECT string_agg(q, ', ' ORDER BY attnum) FILTER (WHERE is_key), " // 0 key
    "string_agg(q, ', ' ORDER BY attnum) FILTER (WHERE given), "         // 1 columns
    "string_agg(q || ' ' || type || CASE WHEN e IS NULL OR given THEN '' ELSE ' DEFAULT ' || e "
    "END, ', ' ORDER BY attnum) FILTER (WHERE NOT made), "                              // 2 staged
    "string_agg(CASE WHEN made THEN 'NULL' ELSE 's.' || q END, ', ' ORDER BY attnum), " // 3 row
    "string_agg(q || ' = EXCLUDED.' || q, ', ' ORDER BY attnum) "
    "FILTER (WHERE given OR attname = '_origin'), "                                          // 4
    "string_agg('t.' || q || ' = s.' || q, ' AND ' ORDER BY attnum) FILTER (WHERE is_key), " // 5
    "string_agg(stored, ', ' ORDER BY attnum) FILTER (WHERE is_key), "                       // 6
    "string_agg(stored, ', ' ORDER BY attnum) FILTER (WHERE given), "                        // 7
    "string_agg('d.' || stored || ' = s.' || q, ' AND ' ORDER BY attnum) "
    "FILTER (WHERE is_key), "                                                                  // 8
    "string_agg(format('%L, s.%s', attname, q), ', ' ORDER BY attnum) FILTER (WHERE is_key), " // 9
    "string_agg(q || CASE WHEN atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, "
    "'uuid'::regtype, 'text'::regtype, 'varchar'::regtype, 'bytea'::regtype, 'date'::regtype, "
    "'timestamptz'::regtype, 'timestamp'::regtype) THEN '' ELSE '::text' END, ', ' "
    "ORDER BY attnum) FILTER (WHERE is_key), " // 10 hashed
    "(SELECT EXISTS (SELECT 1 FROM pg_index i, f WHERE i.indrelid = f.class AND i.indisunique "
    "AND NOT i.indisprimary)), "                          // 11 has uniques
    "(SELECT pg_relation_size(class) > 8388608 FROM f), " // 12 many
    "(SELECT string_agg(c, ', ') FROM unnest($2::text[]) c WHERE c NOT IN "
    "(SELECT attname FROM a)) FROM a"; // 13 columns that the taker lacks
enum { HASHED = 10, UNIQUES, MANY, LACKING };

void fill_condition(const Fill *fill, const char *column, bool is_version, Buf *out)
{
    const FillWanted *wanted = fill->wanted;
    Buf origin CLEANUP(buf_done) = BUF_INIT(256);
    buf_printf(&origin, is_version ? "(%s & 255)" : "%s", column);
    buf_printf(out, "(%s = ANY ('{", buf_text(&origin));
    for (uint32_t i = 0; i < wanted->n_origins; i++)
        buf_printf(out, "%s%u", i > 0 ? "," : "", wanted->origins[i]);
    buf_add_text(out, "}')");
    if (wanted->and_inactive)
        buf_printf(out, " OR %s <> ALL ('%s')", buf_text(&origin), fill->active);
    buf_add_char(out, ')');
    if (is_version && wanted->since_us > 0)
        buf_printf(out, " AND %s >= %lld", column, (long long)wanted->since_us << 8);
}

static int not_there(const Fill *fill, const char *name, Error *reterr)
{
    int r = error_set(reterr, ERROR_CONFLICT, "%s: table %s is not federated as in %s",
                      fill->taker.node->region, name, fill->giver.node->region);
    return error_hint(reterr, r, "'wildcam rows init' brings both to the same state.");
}

static int of_result(Fill *fill, const PGresult *result, FillTable *table, Error *reterr)
{
    if (PQgetisnull(result, 0, 0))
        return not_there(fill, table->name, reterr);
    if (!PQgetisnull(result, 0, LACKING)) {
        int r = error_set(reterr, ERROR_CONFLICT, "%s: table %s lacks columns of %s: %s",
                          fill->taker.node->region, table->name, fill->giver.node->region,
                          PQgetvalue(result, 0, LACKING));
        return error_hint(reterr, r, "'wildcam rows migrate' finishes a change of the schema.");
    }
    const char **texts[] = {&table->key,
                            &table->columns,
                            &table->staged,
                            &table->row,
                            &table->set,
                            &table->same_key,
                            &table->stored_key,
                            &table->stored_columns,
                            &table->same_stored_key,
                            &table->key_json};
    bool failed = false;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        *texts[i] = arena_strdup(fill->arena, PQgetvalue(result, 0, (int)i));
        failed |= *texts[i] == NULL;
    }
    table->hash =
        arena_printf(fill->arena, "hash_record_extended(ROW(%s, %s), 0)",
                     PQgetvalue(result, 0, HASHED), table->insert_only ? "_origin" : "_v");
    table->has_uniques = PQgetvalue(result, 0, UNIQUES)[0] == 't';
    table->many = PQgetvalue(result, 0, MANY)[0] == 't';
    return failed || table->hash == NULL
               ? error_set(reterr, ERROR_MEMORY, "no memory for the tables' texts")
               : 0;
}

static int read_table(Fill *fill, const PGresult *list, int row, FillTable *table, Error *reterr)
{
    const char *kind = PQgetvalue(list, row, 3);
    char number[16];
    (void)strncpy(number, PQgetvalue(list, row, 0), sizeof number - 1);
    number[sizeof number - 1] = '\0';
    *table = (FillTable){.number = (uint32_t)strtoul(number, NULL, 10),
                         .insert_only = strcmp(kind, "insert-only") == 0,
                         .has_parked = PQgetvalue(list, row, 6)[0] == 't',
                         .name = arena_strdup(fill->arena, PQgetvalue(list, row, 7))};
    if (table->name == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for the tables' texts");
    const char *params[] = {
        number, PQgetvalue(list, row, 4), PQgetvalue(list, row, 1), PQgetvalue(list, row, 2),
        kind,   PQgetvalue(list, row, 5)};
    PGresult *result = NULL;
    int r = fill_run(&fill->taker, TAKER_TABLE, ARRAY_SIZE(params), params, &result, NULL, reterr);
    if (r == 0)
        r = of_result(fill, result, table, reterr);
    PQclear(result);
    return r;
}

int fill_read_tables(Fill *fill, FillTable **ret_tables, uint32_t *ret_n, Error *reterr)
{
    char wanted[16];
    (void)snprintf(wanted, sizeof wanted, "%u", fill->wanted->table);
    const char *params[] = {wanted};
    PGresult *list = NULL;
    int r = fill_run(&fill->giver, GIVER_TABLES, 1, params, &list, NULL, reterr);
    if (r < 0)
        return r;
    int n = PQntuples(list);
    FillTable *tables =
        n <= TABLES_MAX ? arena_new_array(fill->arena, FillTable, (size_t)n + 1) : NULL;
    if (tables == NULL)
        r = error_set(reterr, ERROR_LIMIT, "%d federated tables; at most %d", n, TABLES_MAX);
    if (r == 0 && n == 0 && fill->wanted->table != 0)
        r = error_set(reterr, ERROR_NOT_FOUND, "%s: no federated table has number %u",
                      fill->giver.node->region, fill->wanted->table);
    for (int i = 0; r == 0 && i < n; i++)
        r = read_table(fill, list, i, &tables[i], reterr);
    PQclear(list);
    if (r == 0) {
        *ret_tables = tables;
        *ret_n = (uint32_t)n;
    }
    return r;
}
