// SPDX-License-Identifier: MIT
// table_shape: see table_shape.h. The catalog's own functions answer what they can (format_type);
// the rest is asked by oid, so that no search_path matters. Keys come from valid unique indexes,
// because constraints and indexes are the same to a row that violates them.
#include "table_shape.h"

#include <stdlib.h>
#include <string.h>

#include "attr.h"
#include "sql_text.h"
#include "table_inside.h"

static const char *const table_query =
    "SELECT c.oid, n.nspname, c.relname, c.reltuples, pg_total_relation_size(c.oid),"
    " EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal"
    "  AND (t.tgtype & 19) = 19 AND t.tgname !~ '^zz_wildcam_')"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.oid = CASE WHEN array_length(parse_ident($1), 1) = 1"
    " THEN to_regclass('public.' || $1) ELSE to_regclass($1) END";

// One row a column. `k` is the operator class of a unique index on it: what "equal" means there.
static const char *const columns_query =
    // names of types with their schema, whatever this session's search_path is: functions have none
    "WITH RECURSIVE here AS MATERIALIZED (SELECT set_config('search_path', 'pg_catalog', true)),"
    "base(number, oid) AS ("
    " SELECT a.attnum, a.atttypid FROM pg_attribute a WHERE a.attrelid = $1::oid AND a.attnum > 0"
    " UNION ALL SELECT b.number, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.oid"
    " WHERE t.typtype = 'd'),"
    "keys AS (SELECT DISTINCT ON (u.number) u.number, o.opcfamily, o.opcintype"
    " FROM pg_index i, unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY"
    " u(number, class, at) JOIN pg_opclass o ON o.oid = u.class"
    " WHERE i.indrelid = $1::oid AND i.indisunique AND u.at <= i.indnkeyatts"
    " ORDER BY u.number, NOT i.indisprimary, i.indexrelid)"
    "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnum, a.attnotnull,"
    " a.attgenerated <> '', a.attidentity <> '', a.attidentity = 'a',"
    " a.atthasdef AND a.attgenerated = '',"
    " EXISTS (SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod"
    "  WHERE m.amname = 'hash' AND o.opcdefault AND (o.opcintype = e.oid OR EXISTS ("
    "  SELECT FROM pg_cast x WHERE x.castsource = e.oid AND x.casttarget = o.opcintype"
    "  AND x.castmethod = 'b'))),"
    " (SELECT quote_ident(s.nspname) FROM pg_amop f JOIN pg_operator p ON p.oid = f.amopopr"
    "  JOIN pg_namespace s ON s.oid = p.oprnamespace WHERE f.amopfamily = k.opcfamily"
    "  AND f.amopstrategy = 3 AND f.amoplefttype = k.opcintype"
    "  AND f.amoprighttype = k.opcintype),"
    " EXISTS (SELECT FROM pg_amproc f WHERE f.amprocfamily = k.opcfamily AND f.amprocnum = 4"
    "  AND f.amproclefttype = k.opcintype AND f.amprocrighttype = k.opcintype)"
    "  AND NOT EXISTS (SELECT FROM pg_collation l WHERE l.oid = a.attcollation"
    "  AND NOT l.collisdeterministic),"
    " t.typcollation <> 0 OR tn.nspname <> 'pg_catalog',"
    " CASE WHEN t.typname IN ('time', 'timetz') THEN '00:00'"
    "  WHEN t.typname = 'uuid' THEN '00000000-0000-0000-0000-000000000000'"
    "  WHEN t.typname IN ('json', 'jsonb') THEN '{}' WHEN t.typname = 'bytea' THEN ''"
    "  WHEN t.typtype = 'e' THEN (SELECT g.enumlabel::text FROM pg_enum g"
    "  WHERE g.enumtypid = t.oid ORDER BY g.enumlabel::text COLLATE \"C\" LIMIT 1)"
    "  ELSE (SELECT v.value FROM (VALUES ('N', '0'), ('S', ''), ('B', 'false'), ('D', "
    "'1970-01-01'),"
    "  ('T', '0'), ('A', '{}'), ('I', '0.0.0.0'), ('R', 'empty')) v(category, value)"
    "  WHERE v.category = t.typcategory::text) END,"
    " t.typname, quote_ident(an.nspname),"
    " CASE WHEN at.typlen < 0 THEN 0 ELSE CASE at.typalign WHEN 'd' THEN 8 WHEN 'i' THEN 4"
    "  WHEN 's' THEN 2 ELSE 1 END END"
    " FROM here CROSS JOIN pg_attribute a"
    " JOIN LATERAL (SELECT t.* FROM base b JOIN pg_type t ON t.oid = b.oid"
    "  WHERE b.number = a.attnum AND t.typtype <> 'd' LIMIT 1) t ON true"
    " JOIN pg_namespace tn ON tn.oid = t.typnamespace"
    " JOIN pg_type at ON at.oid = a.atttypid JOIN pg_namespace an ON an.oid = at.typnamespace"
    " JOIN pg_type e ON e.oid = CASE WHEN t.typcategory = 'A' AND t.typelem <> 0"
    "  THEN t.typelem ELSE t.oid END"
    " LEFT JOIN keys k ON k.number = a.attnum"
    " WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

enum {
    COLUMN_NAME,
    COLUMN_TYPE,
    COLUMN_NUMBER,
    COLUMN_NOT_NULL,
    COLUMN_GENERATED,
    COLUMN_IDENTITY,
    COLUMN_IDENTITY_ALWAYS,
    COLUMN_HAS_DEFAULT,
    COLUMN_HASHABLE,
    COLUMN_EQUALS_SCHEMA,
    COLUMN_EQUAL_IMAGE,
    COLUMN_ORDER_AS_TEXT,
    COLUMN_FILLER,
    COLUMN_BASE_TYPE,
    COLUMN_TYPE_SCHEMA,
    COLUMN_WIDTH,
};

static const char *const uniques_query =
    "SELECT i.indisprimary, c.relname, array_to_string((i.indkey::int2[])[0:i.indnkeyatts - 1], ' "
    "')"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE i.indrelid = $1::oid AND i.indisunique AND i.indisvalid AND i.indexprs IS NULL"
    " AND i.indpred IS NULL ORDER BY NOT i.indisprimary, c.relname COLLATE \"C\"";

static const char *const foreigns_query =
    "SELECT o.conname, array_to_string(o.conkey, ' '), n.nspname, c.relname FROM pg_constraint o"
    " JOIN pg_class c ON c.oid = o.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE o.conrelid = $1::oid AND o.contype = 'f' ORDER BY o.conname COLLATE \"C\"";

static bool truth(const PGresult *result, int row, int column)
{
    return strcmp(PQgetvalue(result, row, column), "t") == 0;
}

static const char *copy(Arena *arena, const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? NULL
                                            : arena_strdup(arena, PQgetvalue(result, row, column));
}

// c_ is added as long as it takes: so no two columns ever get the same name.
const char *table_stored_name(Arena *arena, const char *name)
{
    static const char *const taken[] = {"v", "pv", "origin", "op", "at", "_v"};
    const char *rest = name;
    while (strncmp(rest, "c_", 2) == 0)
        rest += 2;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(rest, taken[i]) == 0)
            return arena_printf(arena, "c_%s", name);
    return name;
}

void table_shape_identifier(const TableShape *shape, Buf *buf)
{
    sql_text_identifier(buf, shape->schema);
    buf_add_char(buf, '.');
    sql_text_identifier(buf, shape->name);
}

// A value that no other row has, for types of which such are easily made.
static const char *unlike_of(const char *base_type)
{
    static const char *const values[][2] = {
        {"uuid", "gen_random_uuid()"},
        {"text", "gen_random_uuid()::text"},
        {"varchar", "gen_random_uuid()::text"},
        {"int4", "(-2000000000 * random())::int"},
        {"int8", "(-9000000000000000000 * random())::bigint"},
        {"numeric", "(-9000000000000000000 * random())::bigint::numeric"},
        {"bytea", "uuid_send(gen_random_uuid())"},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (strcmp(values[i][0], base_type) == 0)
            return values[i][1];
    return NULL;
}

static bool read_column(const PGresult *result, int row, Arena *arena, TableColumn *column)
{
    *column = (TableColumn){
        .name = copy(arena, result, row, COLUMN_NAME),
        .type = copy(arena, result, row, COLUMN_TYPE),
        .number = (uint32_t)strtoul(PQgetvalue(result, row, COLUMN_NUMBER), NULL, 10),
        .width = (uint32_t)strtoul(PQgetvalue(result, row, COLUMN_WIDTH), NULL, 10),
        .not_null = truth(result, row, COLUMN_NOT_NULL),
        .generated = truth(result, row, COLUMN_GENERATED),
        .identity = truth(result, row, COLUMN_IDENTITY),
        .identity_always = truth(result, row, COLUMN_IDENTITY_ALWAYS),
        .has_default = truth(result, row, COLUMN_HAS_DEFAULT),
        .hashable = truth(result, row, COLUMN_HASHABLE),
    };
    if (column->name == NULL || column->type == NULL)
        return false;
    column->stored = table_stored_name(arena, column->name);
    if (!PQgetisnull(result, row, COLUMN_EQUALS_SCHEMA)) {
        column->equals =
            arena_printf(arena, "OPERATOR(%s.=)", PQgetvalue(result, row, COLUMN_EQUALS_SCHEMA));
        column->equal_image = truth(result, row, COLUMN_EQUAL_IMAGE);
        column->order_as_text = truth(result, row, COLUMN_ORDER_AS_TEXT);
        column->unlike = unlike_of(PQgetvalue(result, row, COLUMN_BASE_TYPE));
        if (column->equals == NULL)
            return false;
    }
    if (!PQgetisnull(result, row, COLUMN_FILLER)) {
        Buf text CLEANUP(buf_done) = BUF_INIT(4096);
        sql_text_literal(&text, PQgetvalue(result, row, COLUMN_FILLER));
        buf_printf(&text, "::%s", column->type);
        column->filler = arena_strdup(arena, buf_text(&text));
    }
    return column->stored != NULL;
}

// The schemas of its columns' types, once each: quoted names.
static const char *path_of(const PGresult *result, Arena *arena)
{
    const char *path = "pg_catalog";
    for (int i = 0; path != NULL && i < PQntuples(result); i++) {
        const char *schema = PQgetvalue(result, i, COLUMN_TYPE_SCHEMA);
        bool known = strcmp(schema, "pg_catalog") == 0;
        for (int k = 0; k < i; k++)
            known = known || strcmp(schema, PQgetvalue(result, k, COLUMN_TYPE_SCHEMA)) == 0;
        if (!known)
            path = arena_printf(arena, "%s, %s", path, schema);
    }
    return path != NULL ? arena_printf(arena, "%s, pg_temp", path) : NULL;
}

static int no_memory(Error *reterr)
{
    return error_set(reterr, ERROR_MEMORY, "no memory for the table's shape");
}

static int read_columns(const PGresult *result, Arena *arena, TableShape *shape, Error *reterr)
{
    int n = PQntuples(result);
    TableColumn *columns = arena_new_array(arena, TableColumn, (size_t)n + 1);
    shape->path = path_of(result, arena);
    if (columns == NULL || shape->path == NULL)
        return no_memory(reterr);
    for (int i = 0; i < n; i++) {
        const char *name = PQgetvalue(result, i, COLUMN_NAME);
        shape->has_origin = shape->has_origin || strcmp(name, "_origin") == 0;
        if (strcmp(name, "_v") == 0) {
            shape->has_version = true;
            continue;
        }
        if (!read_column(result, i, arena, &columns[shape->n_columns++]))
            return no_memory(reterr);
    }
    shape->columns = columns;
    return 0;
}

static uint32_t index_of(const TableShape *shape, unsigned long number)
{
    for (uint32_t i = 0; i < shape->n_columns; i++)
        if (shape->columns[i].number == number)
            return i;
    return UINT32_MAX; // _v
}

// "2 5": the columns' numbers. A key over _v is none that travels.
static int read_key(const TableShape *shape, const char *name, const char *numbers, Arena *arena,
                    TableKey *key, Error *reterr)
{
    uint32_t *columns = arena_new_array(arena, uint32_t, strlen(numbers) / 2 + 1);
    key->name = arena_strdup(arena, name);
    key->columns = columns;
    if (columns == NULL || key->name == NULL)
        return no_memory(reterr);
    for (char *end; *numbers != '\0'; numbers = end + (*end == ' ')) {
        uint32_t at = index_of(shape, strtoul(numbers, &end, 10));
        if (end == numbers || at == UINT32_MAX)
            return error_set(reterr, ERROR_FORMAT, "key '%s' is over column _v", name);
        columns[key->n++] = at;
    }
    return 0;
}

static int read_uniques(const PGresult *result, Arena *arena, TableShape *shape, Error *reterr)
{
    int n = PQntuples(result);
    TableKey *uniques = arena_new_array(arena, TableKey, (size_t)n + 1);
    if (uniques == NULL)
        return no_memory(reterr);
    for (int i = 0; i < n; i++) {
        bool primary = truth(result, i, 0);
        TableKey *key = primary ? &shape->primary : &uniques[shape->n_uniques++];
        int r =
            read_key(shape, PQgetvalue(result, i, 1), PQgetvalue(result, i, 2), arena, key, reterr);
        if (r < 0)
            return r;
    }
    shape->uniques = uniques;
    return 0;
}

static int read_foreigns(const PGresult *result, Arena *arena, TableShape *shape, Error *reterr)
{
    int n = PQntuples(result);
    TableForeign *foreigns = arena_new_array(arena, TableForeign, (size_t)n + 1);
    if (foreigns == NULL)
        return no_memory(reterr);
    for (int i = 0; i < n; i++) {
        TableForeign *foreign = &foreigns[shape->n_foreigns++];
        int r = read_key(shape, PQgetvalue(result, i, 0), PQgetvalue(result, i, 1), arena,
                         &foreign->from, reterr);
        if (r < 0)
            return r;
        foreign->schema = copy(arena, result, i, 2);
        foreign->table = copy(arena, result, i, 3);
        if (foreign->schema == NULL || foreign->table == NULL)
            return no_memory(reterr);
    }
    shape->foreigns = foreigns;
    return 0;
}

typedef int ReadResult(const PGresult *result, Arena *arena, TableShape *shape, Error *reterr);

static int ask(Mesh *mesh, MeshNode *node, const char *sql, const char *oid, ReadResult *read,
               Arena *arena, TableShape *shape, Error *reterr)
{
    const char *params[] = {oid};
    PGresult *result = NULL;
    int r = mesh_query(mesh, node, sql, 1, params, &result, reterr);
    if (r < 0)
        return r;
    r = read(result, arena, shape, reterr);
    PQclear(result);
    return r;
}

static int read_table(Mesh *mesh, MeshNode *node, const char *table, Arena *arena,
                      TableShape *shape, const char **ret_oid, Error *reterr)
{
    const char *params[] = {table};
    PGresult *result = NULL;
    int r = mesh_query(mesh, node, table_query, 1, params, &result, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "table '%s'", table);
    if (PQntuples(result) == 0) {
        PQclear(result);
        return error_set(reterr, ERROR_NOT_FOUND, "%s: no table '%s'", node->region, table);
    }
    *ret_oid = copy(arena, result, 0, 0);
    shape->schema = copy(arena, result, 0, 1);
    shape->name = copy(arena, result, 0, 2);
    shape->rows = strtod(PQgetvalue(result, 0, 3), NULL);
    shape->bytes = strtoll(PQgetvalue(result, 0, 4), NULL, 10);
    shape->has_before_update = truth(result, 0, 5);
    PQclear(result);
    return *ret_oid != NULL && shape->schema != NULL && shape->name != NULL ? 0 : no_memory(reterr);
}

int table_shape_read(Mesh *mesh, MeshNode *node, const char *table, TableKind kind, Arena *arena,
                     TableShape **ret_shape, Error *reterr)
{
    const char *oid = NULL;
    TableShape *shape = arena_new_of(arena, TableShape);
    if (shape == NULL)
        return no_memory(reterr);
    int r = read_table(mesh, node, table, arena, shape, &oid, reterr);
    if (r == 0)
        r = ask(mesh, node, columns_query, oid, read_columns, arena, shape, reterr);
    if (r == 0)
        r = ask(mesh, node, uniques_query, oid, read_uniques, arena, shape, reterr);
    if (r == 0)
        r = ask(mesh, node, foreigns_query, oid, read_foreigns, arena, shape, reterr);
    if (r == 0)
        r = table_problems_find(mesh, node, oid, kind, arena, shape, reterr);
    if (r < 0)
        return r;
    *ret_shape = shape;
    return 0;
}
