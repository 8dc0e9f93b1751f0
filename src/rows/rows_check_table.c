// SPDX-License-Identifier: MIT
// rows_check_table: what is compared of a table. Only columns that all compared nodes have, with
// the same type, by name: their order may differ between nodes, and a schema change may be on its
// way. Generated columns follow from the others and are not in journals: left out. What hash_record
// cannot do, or does differently on each node (an enum's numbers), is compared as text.
#include "rows_check.h"

#include <stdlib.h>
#include <string.h>

void check_quote(Buf *buf, const char *name)
{
    buf_add_char(buf, '"');
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '"')
            buf_add_char(buf, '"');
        buf_add_char(buf, *c);
    }
    buf_add_char(buf, '"');
}

// Standard-conforming strings: the only character to double is the quote itself.
void check_literal(Buf *buf, const char *text)
{
    buf_add_char(buf, '\'');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\'')
            buf_add_char(buf, '\'');
        buf_add_char(buf, *c);
    }
    buf_add_char(buf, '\'');
}

bool check_has_part(const CheckTable *table, CheckPart part)
{
    if (part == CHECK_PART_VISIBLE)
        return true;
    if (table->kind == TABLE_KIND_INSERT_ONLY)
        return false;
    return part == CHECK_PART_TOMBSTONES || table->shape->n_uniques > 0;
}

void check_relation(const CheckTable *table, CheckPart part, Buf *buf)
{
    if (part == CHECK_PART_VISIBLE)
        buf_add_text(buf, table->identifier);
    else
        buf_printf(buf, "wildcam.%s_%u", part == CHECK_PART_PARKED ? "parked" : "tombstone",
                   table->number);
}

void check_column(CheckPart part, const CheckColumn *column, Buf *buf)
{
    buf_add_text(buf, "t.");
    check_quote(buf, part == CHECK_PART_VISIBLE ? column->name : column->stored);
}

void check_hash(const CheckTable *table, CheckPart part, Buf *buf)
{
    buf_add_text(buf, "hash_record_extended(ROW(");
    const CheckColumn *columns = part == CHECK_PART_TOMBSTONES ? table->key : table->columns;
    uint32_t n = part == CHECK_PART_TOMBSTONES ? table->n_key : table->n_columns;
    for (uint32_t i = 0; i < n; i++) {
        check_column(part, &columns[i], buf);
        buf_add_text(buf, columns[i].hashable ? "," : "::text,");
    }
    const char *version = part == CHECK_PART_TOMBSTONES ? "v" : "_v";
    if (table->kind == TABLE_KIND_INSERT_ONLY)
        version = "_origin";
    buf_printf(buf, "t.%s),0)", version);
}

void check_key_json(const CheckTable *table, CheckPart part, Buf *buf)
{
    buf_add_text(buf, "jsonb_build_object(");
    for (uint32_t i = 0; i < table->n_key; i++) {
        buf_add_text(buf, i > 0 ? "," : "");
        check_literal(buf, table->key[i].name);
        // 1.0 and 1.00 are one key
        bool numeric = strncmp(table->key[i].type, "numeric", 7) == 0;
        buf_add_text(buf, numeric ? ",trim_scale(" : ",");
        check_column(part, &table->key[i], buf);
        buf_add_text(buf, numeric ? ")" : "");
    }
    buf_add_text(buf, ")");
}

void check_key_columns(const CheckTable *table, Buf *buf)
{
    for (uint32_t i = 0; i < table->n_key; i++) {
        buf_add_text(buf, i > 0 ? ", " : "");
        check_quote(buf, table->key[i].name);
        buf_printf(buf, " %s", table->key[i].type);
    }
}

static void add_value(Buf *buf, const char *text)
{
    if (text[0] != '\0' && text[strcspn(text, ",=\" ")] == '\0')
        buf_add_text(buf, text);
    else
        check_quote(buf, text);
}

char *check_key_text(const char *json)
{
    Buf buf CLEANUP(buf_done) = BUF_INIT(1U << 20);
    json_t *key = json_loads(json, 0, NULL), *value;
    const char *name;
    bool first = true;
    json_object_foreach(key, name, value)
    {
        buf_printf(&buf, first ? "" : ",");
        add_value(&buf, name);
        buf_add_char(&buf, '=');
        char *text =
            json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        add_value(&buf, json_is_string(value) ? json_string_value(value)
                        : text != NULL        ? text
                                              : "");
        free(text);
        first = false;
    }
    json_decref(key);
    return buf_take(&buf);
}

static const TableColumn *find_column(const TableShape *shape, const char *name)
{
    for (uint32_t i = 0; i < shape->n_columns; i++)
        if (strcmp(shape->columns[i].name, name) == 0)
            return &shape->columns[i];
    return NULL;
}

// Everywhere, with this type?
static bool everywhere(const Check *check, TableShape *const *shapes, const TableColumn *column)
{
    for (uint32_t i = 0; i < check->mesh->n; i++) {
        if (shapes[i] == NULL)
            continue;
        const TableColumn *other = find_column(shapes[i], column->name);
        if (other == NULL || strcmp(other->type, column->type) != 0)
            return false;
    }
    return true;
}

static int take_columns(Check *check, CheckTable *table, TableShape *const *shapes, Error *reterr)
{
    const TableShape *shape = table->shape;
    CheckColumn *columns = arena_new_array(check->arena, CheckColumn, shape->n_columns + 1);
    CheckColumn *key = arena_new_array(check->arena, CheckColumn, shape->primary.n + 1);
    Buf out CLEANUP(buf_done) = BUF_INIT(65536);
    if (columns == NULL || key == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for '%s'", table->name);
    for (uint32_t i = 0; i < shape->n_columns; i++) {
        const TableColumn *c = &shape->columns[i];
        if (c->generated || strcmp(c->name, "_origin") == 0 || strcmp(c->name, "_v") == 0)
            continue;
        if (everywhere(check, shapes, c))
            columns[table->n_columns++] = (CheckColumn){c->name, c->type, c->stored, c->hashable};
        else
            buf_printf(&out, "%s%s", out.len > 0 ? ", " : "", c->name);
    }
    for (uint32_t i = 0; i < shape->primary.n; i++) {
        const TableColumn *c = &shape->columns[shape->primary.columns[i]];
        key[table->n_key++] = (CheckColumn){c->name, c->type, c->stored, c->hashable};
    }
    table->columns = columns;
    table->key = key;
    table->left_out = arena_strdup(check->arena, buf_text(&out));
    return table->left_out != NULL && table->n_key > 0
               ? 0
               : error_set(reterr, ERROR_UNAVAILABLE, "'%s' has no primary key", table->name);
}

static int read_shapes(Check *check, CheckTable *table, Error *reterr)
{
    TableShape *shapes[CHECK_NODES_MAX] = {0};
    for (uint32_t i = 0; i < check->mesh->n; i++) {
        if (!check_has(check, i))
            continue;
        int r = table_shape_read(check->mesh, &check->mesh->nodes[i], table->identifier,
                                 table->kind, check->arena, &shapes[i], reterr);
        if (r < 0)
            return r;
        if (table->shape == NULL)
            table->shape = shapes[i];
    }
    return table->shape != NULL
               ? take_columns(check, table, shapes, reterr)
               : error_set(reterr, ERROR_UNAVAILABLE, "nobody has '%s'", table->name);
}

static int add_table(Check *check, const PGresult *list, int row, Error *reterr)
{
    const char *schema = PQgetvalue(list, row, 1), *name = PQgetvalue(list, row, 2);
    Buf quoted CLEANUP(buf_done) = BUF_INIT(4096);
    check_quote(&quoted, schema);
    buf_add_char(&quoted, '.');
    check_quote(&quoted, name);
    CheckTable *table = &check->tables[check->n_tables];
    *table = (CheckTable){
        .number = (uint32_t)check_int(list, row, 0),
        .kind =
            strcmp(PQgetvalue(list, row, 3), "lww") == 0 ? TABLE_KIND_LWW : TABLE_KIND_INSERT_ONLY,
        .name = strcmp(schema, "public") == 0 ? arena_strdup(check->arena, name)
                                              : arena_printf(check->arena, "%s.%s", schema, name),
        .identifier = arena_strdup(check->arena, buf_text(&quoted))};
    if (table->name == NULL || table->identifier == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for table '%s'", name);
    int r = read_shapes(check, table, reterr);
    check->n_tables += r == 0 ? 1 : 0;
    return r;
}

// Row of the list that the user means, or -1.
static int find_wanted(const PGresult *list, const char *wanted)
{
    for (int i = 0; i < PQntuples(list); i++) {
        const char *schema = PQgetvalue(list, i, 1), *name = PQgetvalue(list, i, 2);
        size_t len = strlen(schema);
        if (strcmp(schema, "public") == 0 && strcmp(name, wanted) == 0)
            return i;
        if (strncmp(wanted, schema, len) == 0 && wanted[len] == '.' &&
            strcmp(wanted + len + 1, name) == 0)
            return i;
    }
    return -1;
}

static int add_wanted(Check *check, const PGresult *list, const char *wanted, Error *reterr)
{
    int row = find_wanted(list, wanted);
    if (row >= 0)
        return add_table(check, list, row, reterr);
    Buf names CLEANUP(buf_done) = BUF_INIT(65536);
    for (int i = 0; i < PQntuples(list); i++)
        buf_printf(&names, "%s%s", i > 0 ? ", " : "", PQgetvalue(list, i, 2));
    int r = error_set(reterr, ERROR_USAGE, "table '%s' is not federated; federated: %s", wanted,
                      names.len > 0 ? buf_text(&names) : "none");
    return error_hint(reterr, r, "'wildcam rows federate TABLE' takes a table into the mesh.");
}

int check_tables(Check *check, int n_wanted, char *const *wanted, Error *reterr)
{
    static const char SQL[] =
        "SELECT number, schema, name, kind FROM wildcam.federated ORDER BY schema, name";
    PGresult *results[CHECK_NODES_MAX];
    uint32_t first = (uint32_t)__builtin_ctzll(check->nodes);
    int r = check_ask_some(check, UINT64_C(1) << first, SQL, 0, NULL, results, reterr);
    if (r < 0)
        return r;
    const PGresult *list = results[first];
    int n = list != NULL ? PQntuples(list) : 0;
    check->tables =
        arena_new_array(check->arena, CheckTable, (size_t)(n > n_wanted ? n : n_wanted) + 1);
    if (check->tables == NULL)
        r = error_set(reterr, ERROR_MEMORY, "no memory for the tables");
    for (int i = 0; r == 0 && n_wanted == 0 && i < n; i++)
        r = add_table(check, list, i, reterr);
    for (int i = 0; r == 0 && i < n_wanted; i++)
        r = add_wanted(check, list, wanted[i], reterr);
    check_results_done(check, results);
    return r;
}
