// SPDX-License-Identifier: MIT
// table_problems: every reason why a table cannot be federated, each with what would help. All of
// them at once, so that nobody meets them one by one. A query a subject; each row is one problem.
// What would only be wrong together with other regions (another shape) is table_shape_diff's.
#include <string.h>

#include "attr.h"
#include "table_inside.h"

// $1: oid of the table, $2: 'lww' or 'insert-only', $3: this origin, $4: all origins "{1,2,3}".
static const char *const queries[] = {
    "SELECT format('is %s: federate %s', CASE c.relkind WHEN 'p' THEN 'partitioned'"
    " WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'f' THEN 'a foreign table'"
    " ELSE 'no table' END, CASE c.relkind WHEN 'p' THEN 'a table that is not partitioned'"
    " ELSE 'the tables below it' END)"
    " FROM pg_class c WHERE c.oid = $1::oid AND c.relkind <> 'r'",

    "SELECT 'inherits, or is inherited from: ALTER TABLE ... NO INHERIT (or DETACH PARTITION)'"
    " WHERE EXISTS (SELECT FROM pg_inherits i WHERE $1::oid IN (i.inhrelid, i.inhparent))"
    " AND (SELECT c.relkind FROM pg_class c WHERE c.oid = $1::oid) = 'r'",

    "SELECT CASE c.relpersistence WHEN 'u' THEN 'is unlogged: ALTER TABLE ... SET LOGGED'"
    " ELSE 'is temporary: only this session sees it' END"
    " FROM pg_class c WHERE c.oid = $1::oid AND c.relpersistence <> 'p'",

    "SELECT 'is in schema ' || n.nspname || ', which is not replicated'"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.oid = $1::oid AND n.nspname IN ('wildcam', 'pg_catalog', 'information_schema')",

    "SELECT 'has no primary key: ALTER TABLE ... ADD PRIMARY KEY (...)'"
    " WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = $1::oid AND i.indisprimary)",

    "SELECT format('%s %s is deferrable: it must be checked at once',"
    " CASE WHEN i.indisprimary THEN 'primary key' ELSE 'unique key' END, c.relname)"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE i.indrelid = $1::oid AND i.indisunique AND NOT i.indimmediate",

    "SELECT format('unique index %s %s: two regions cannot agree by it; use a unique key over "
    "columns',"
    " c.relname, CASE WHEN i.indpred IS NOT NULL THEN 'is partial' ELSE 'is over an expression' "
    "END)"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1::oid"
    " AND i.indisunique AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL)",

    "SELECT format('unique index %s takes NULLs as equal: make it NULLS DISTINCT', c.relname)"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE i.indrelid = $1::oid AND i.indnullsnotdistinct",

    "SELECT format('unique index %s is not valid: REINDEX INDEX or drop it', c.relname)"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE i.indrelid = $1::oid AND i.indisunique AND NOT i.indisvalid",

    "SELECT format('has unique key %s besides its primary key: what two regions insert at once "
    "could"
    " stop the stream; drop it, or federate the table as last-write-wins', c.relname)"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1::oid"
    " AND i.indisunique AND NOT i.indisprimary AND $2::text = 'insert-only'",

    "SELECT format('exclusion constraint %s: rows of two regions could exclude each other; drop "
    "it',"
    " o.conname) FROM pg_constraint o WHERE o.conrelid = $1::oid AND o.contype = 'x'",

    "SELECT format('key column %s is generated: its value must come with the row', a.attname)"
    " FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)"
    " WHERE i.indrelid = $1::oid AND i.indisunique AND a.attgenerated <> ''",

    // The same value of a sequence in two regions would be the same row.
    "SELECT format('key column %s counts by sequence %s, %s: use uuid, or ALTER SEQUENCE %s "
    "INCREMENT"
    " %s RESTART with a value that leaves the remainder %s', a.attname, s.seqrelid::regclass,"
    " CASE WHEN r.count < 0 THEN 'downwards' WHEN r.count = 1 THEN 'by 1' ELSE"
    " format('by %s from %s', r.count, r.next) END, s.seqrelid::regclass, 256, $3::int)"
    " FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid"
    "  AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])"
    " JOIN pg_depend d ON (d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid"
    "   AND d.refobjsubid = a.attnum AND d.classid = 'pg_class'::regclass AND d.deptype = 'i')"
    "  OR (d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass"
    "   AND d.objid IN (SELECT f.oid FROM pg_attrdef f WHERE f.adrelid = a.attrelid"
    "   AND f.adnum = a.attnum))"
    " JOIN pg_sequence s ON s.seqrelid = CASE WHEN d.deptype = 'i' THEN d.objid ELSE d.refobjid END"
    " CROSS JOIN LATERAL (SELECT s.seqincrement AS count,"
    "  (xpath('/row/last_value/text()', query_to_xml(format('SELECT last_value FROM %s',"
    "   s.seqrelid::regclass), false, true, '')))[1]::text::bigint AS next) r"
    " WHERE i.indrelid = $1::oid AND i.indisprimary AND (i.indnkeyatts = 1 OR $2::text = 'lww')"
    " AND NOT (r.count > 1 AND r.next % r.count = $3::int % r.count AND (SELECT count(*) ="
    "  count(DISTINCT o.origin % r.count) FROM unnest($4::int[]) o(origin)))",

    "SELECT format('column %s is GENERATED ALWAYS AS IDENTITY: ALTER COLUMN %s SET GENERATED BY"
    " DEFAULT', a.attname, quote_ident(a.attname)) FROM pg_attribute a"
    " WHERE a.attrelid = $1::oid AND a.attidentity = 'a' AND NOT EXISTS (SELECT FROM pg_index i"
    " WHERE i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey))",

    "SELECT 'has a column _v of its own: rename it' FROM pg_attribute a WHERE a.attrelid = $1::oid"
    " AND a.attname = '_v' AND NOT a.attisdropped AND ($2::text <> 'lww' OR NOT (a.attnotnull"
    " AND a.atttypid = 'bigint'::regtype AND a.atthasdef AND a.attgenerated = ''"
    " AND (SELECT pg_get_expr(f.adbin, f.adrelid) FROM pg_attrdef f WHERE f.adrelid = a.attrelid"
    " AND f.adnum = a.attnum) ~ '^((wildcam\\.)?stamp\\(|''?[0-9])'))",

    "SELECT 'column _origin must be smallint NOT NULL' FROM pg_attribute a"
    " WHERE a.attrelid = $1::oid AND a.attname = '_origin' AND NOT a.attisdropped"
    " AND $2::text = 'insert-only' AND NOT (a.attnotnull AND a.atttypid = 'smallint'::regtype"
    " AND a.attgenerated = '')",

    "SELECT format('has %s columns: at most 1,590', count(*)) FROM pg_attribute a"
    " WHERE a.attrelid = $1::oid AND a.attnum > 0 HAVING count(*) > 1590",

    "SELECT format('trigger %s runs after zz_wildcam_update and could change the row behind it:"
    " ALTER TRIGGER ... RENAME TO a name before zz_', t.tgname) FROM pg_trigger t"
    " WHERE t.tgrelid = $1::oid AND NOT t.tgisinternal AND t.tgname::text COLLATE \"C\" >"
    " 'zz_wildcam_update' AND t.tgname !~ '^zz_wildcam_' AND (t.tgtype & 19) = 19"
    " AND $2::text = 'lww'",

    "SELECT format('rule %s changes what writes do: drop it', r.rulename) FROM pg_rewrite r"
    " WHERE r.ev_class = $1::oid AND r.ev_type <> '1'",

    "SELECT 'forces row security on its owner: ALTER TABLE ... NO FORCE ROW LEVEL SECURITY'"
    " FROM pg_class c WHERE c.oid = $1::oid AND c.relforcerowsecurity",

    "SELECT 'a name contains $wildcam$: rename it' FROM pg_class c WHERE c.oid = $1::oid"
    " AND (c.relname LIKE '%$wildcam$%' OR EXISTS (SELECT FROM pg_attribute a"
    " WHERE a.attrelid = c.oid AND a.attname LIKE '%$wildcam$%'))",
};

#define N_QUERIES (sizeof queries / sizeof queries[0])

static const char *origins_text(const Mesh *mesh, const MeshNode *node, Arena *arena)
{
    const char *text = arena_printf(arena, "{%u", node->origin);
    for (uint32_t i = 0; text != NULL && i < mesh->n; i++)
        if (mesh->nodes[i].origin != node->origin)
            text = arena_printf(arena, "%s,%u", text, mesh->nodes[i].origin);
    return text != NULL ? arena_printf(arena, "%s}", text) : NULL;
}

static int append(Arena *arena, TableShape *shape, const PGresult *result, Error *reterr)
{
    uint32_t more = (uint32_t)PQntuples(result);
    if (more == 0)
        return 0;
    const char **problems = arena_new_array(arena, const char *, shape->n_problems + more);
    if (problems == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for the table's problems");
    if (shape->n_problems > 0)
        memcpy(problems, shape->problems, shape->n_problems * sizeof problems[0]);
    for (uint32_t i = 0; i < more; i++) {
        problems[shape->n_problems + i] = arena_strdup(arena, PQgetvalue(result, (int)i, 0));
        if (problems[shape->n_problems + i] == NULL)
            return error_set(reterr, ERROR_MEMORY, "no memory for the table's problems");
    }
    shape->problems = problems;
    shape->n_problems += more;
    return 0;
}

int table_problems_find(Mesh *mesh, MeshNode *node, const char *oid, TableKind kind, Arena *arena,
                        TableShape *shape, Error *reterr)
{
    const char *origin = arena_printf(arena, "%u", node->origin);
    const char *origins = origins_text(mesh, node, arena);
    if (origin == NULL || origins == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for the table's problems");
    const char *params[] = {oid, kind == TABLE_KIND_LWW ? "lww" : "insert-only", origin, origins};
    for (size_t i = 0; i < N_QUERIES; i++) {
        PGresult *result = NULL;
        Buf sql CLEANUP(buf_done) = BUF_INIT(65536);
        // every query gets all four, so that one list of parameters fits all
        buf_printf(&sql,
                   "SELECT p.text FROM (%s) p(text) WHERE $1::oid IS NOT NULL AND $2::text"
                   " IS NOT NULL AND $3::int IS NOT NULL AND $4::int[] IS NOT NULL",
                   queries[i]);
        int r = buf_check(&sql);
        if (r == 0)
            r = mesh_query(mesh, node, buf_text(&sql), 4, params, &result, reterr);
        if (r < 0)
            return error_wrap(reterr, r, "table '%s.%s'", shape->schema, shape->name);
        r = append(arena, shape, result, reterr);
        PQclear(result);
        if (r < 0)
            return r;
    }
    return 0;
}
