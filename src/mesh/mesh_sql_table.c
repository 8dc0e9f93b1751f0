// SPDX-License-Identifier: MIT
// mesh_sql_table: what the placeholders of a table's templates stand for: its names and lists of
// columns. A column has two names: its own, and the one in wildcam's tables (TableColumn.stored).
// Which one is meant follows from the record: d, p and q are rows of wildcam's tables, `row` is the
// version that is merged, all others are rows of the table.
#include <string.h>

#include "attr.h"
#include "mesh_sql_inside.h"
#include "sql_text.h"

typedef struct Columns {
    const TableShape *shape;
    uint32_t n; // 0: all that travel
    const uint32_t *some;
} Columns;

// One column of a list, seen through one or two records.
typedef void Item(const MeshSqlText *text, const TableColumn *column, const char *a, const char *b,
                  Buf *buf);

static bool is_stored(const MeshSqlText *text, const char *record)
{
    static const char *const records[] = {"d", "p", "q"};
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++)
        if (strcmp(record, records[i]) == 0)
            return true;
    return strcmp(record, "row") == 0 && text->row == MESH_SQL_ROW_NEW;
}

static const char *record_name(const MeshSqlText *text, const char *record)
{
    if (strcmp(record, "row") != 0)
        return record;
    return text->row == MESH_SQL_ROW_NEW ? "NEW" : "r";
}

static void field(const MeshSqlText *text, const TableColumn *column, const char *record, Buf *buf)
{
    buf_printf(buf, "%s.", record_name(text, record));
    sql_text_identifier(buf, is_stored(text, record) ? column->stored : column->name);
}

// Generated columns do not travel: each node makes its own.
static void list(const MeshSqlText *text, Columns columns, const char *between, Item *item,
                 const char *a, const char *b, Buf *buf)
{
    uint32_t n = columns.n == 0 ? columns.shape->n_columns : columns.n;
    size_t start = buf->len;
    for (uint32_t i = 0; i < n; i++) {
        const TableColumn *column = &columns.shape->columns[columns.n == 0 ? i : columns.some[i]];
        if (column->generated)
            continue;
        size_t before = buf->len;
        if (before != start)
            buf_add_text(buf, between);
        size_t after = buf->len;
        item(text, column, a, b, buf);
        if (buf->len == after && !buf->failed) { // nothing to say about this one
            buf->len = before;
            buf->data[before] = '\0';
        }
    }
}

static void item_name(const MeshSqlText *text, const TableColumn *column, const char *a,
                      const char *b, Buf *buf)
{
    if (a != NULL)
        field(text, column, a, buf);
    else
        sql_text_identifier(buf, column->name);
}

static void item_stored(const MeshSqlText *text, const TableColumn *column, const char *a,
                        const char *b, Buf *buf)
{
    if (a != NULL)
        buf_printf(buf, "%s.", a);
    sql_text_identifier(buf, column->stored);
}

static void item_definition(const MeshSqlText *text, const TableColumn *column, const char *a,
                            const char *b, Buf *buf)
{
    sql_text_identifier(buf, column->stored);
    buf_printf(buf, " %s", column->type);
}

static void item_name_literal(const MeshSqlText *text, const TableColumn *column, const char *a,
                              const char *b, Buf *buf)
{
    sql_text_literal(buf, column->name);
}

static void item_stored_literal(const MeshSqlText *text, const TableColumn *column, const char *a,
                                const char *b, Buf *buf)
{
    sql_text_literal(buf, column->stored);
}

static void item_type_literal(const MeshSqlText *text, const TableColumn *column, const char *a,
                              const char *b, Buf *buf)
{
    sql_text_literal(buf, column->type);
}

static void item_equal(const MeshSqlText *text, const TableColumn *column, const char *a,
                       const char *b, Buf *buf)
{
    field(text, column, a, buf);
    buf_printf(buf, " %s ", column->equals);
    field(text, column, b, buf);
}

static void item_stored_equal(const MeshSqlText *text, const TableColumn *column, const char *a,
                              const char *b, Buf *buf)
{
    item_stored(text, column, a, NULL, buf);
    buf_printf(buf, " %s ", column->equals);
    item_stored(text, column, b, NULL, buf);
}

static void item_not_distinct(const MeshSqlText *text, const TableColumn *column, const char *a,
                              const char *b, Buf *buf)
{
    field(text, column, a, buf);
    buf_add_text(buf, " IS NOT DISTINCT FROM ");
    field(text, column, b, buf);
}

static void item_distinct(const MeshSqlText *text, const TableColumn *column, const char *a,
                          const char *b, Buf *buf)
{
    field(text, column, a, buf);
    buf_add_text(buf, " IS DISTINCT FROM ");
    field(text, column, b, buf);
}

// IS NOT DISTINCT FROM looks for its operator in the caller's search_path.
static void item_unmoved(const MeshSqlText *text, const TableColumn *column, const char *a,
                         const char *b, Buf *buf)
{
    buf_add_text(buf, "COALESCE(");
    item_equal(text, column, a, b, buf);
    buf_add_text(buf, ", ");
    field(text, column, a, buf);
    buf_add_text(buf, " IS NULL AND ");
    field(text, column, b, buf);
    buf_add_text(buf, " IS NULL)");
}

static void item_rank(const MeshSqlText *text, const TableColumn *column, const char *a,
                      const char *b, Buf *buf)
{
    field(text, column, a, buf);
    if (column->order_as_text)
        buf_add_text(buf, "::text COLLATE \"C\"");
    if (b != NULL)
        buf_add_text(buf, b); // " DESC"
}

static void item_json(const MeshSqlText *text, const TableColumn *column, const char *a,
                      const char *b, Buf *buf)
{
    sql_text_literal(buf, column->name);
    buf_add_text(buf, ", ");
    field(text, column, a, buf);
}

static void item_assign(const MeshSqlText *text, const TableColumn *column, const char *a,
                        const char *b, Buf *buf)
{
    field(text, column, a, buf);
    buf_add_text(buf, " := NEW.");
    sql_text_identifier(buf, column->stored);
    buf_add_char(buf, ';');
}

static bool in_key(const TableShape *shape, const TableKey *key, const TableColumn *column)
{
    for (uint32_t i = 0; i < key->n; i++)
        if (&shape->columns[key->columns[i]] == column)
            return true;
    return false;
}

// A key's equal values are written again only where equal is not the same: a statement that names
// key columns takes stronger locks.
static void item_set(const MeshSqlText *text, const TableColumn *column, const char *a,
                     const char *b, Buf *buf)
{
    const TableShape *shape = text->table->shape;
    if (column->identity_always)
        return;
    if (in_key(shape, &shape->primary, column) && column->equal_image)
        return;
    if (text->table->kind == TABLE_KIND_INSERT_ONLY && strcmp(column->name, "_origin") == 0)
        return;
    buf_add_text(buf, ", ");
    sql_text_identifier(buf, column->name);
    buf_add_text(buf, " = ");
    field(text, column, a, buf);
}

static void item_set_parked(const MeshSqlText *text, const TableColumn *column, const char *a,
                            const char *b, Buf *buf)
{
    sql_text_identifier(buf, column->stored);
    buf_add_text(buf, " = EXCLUDED.");
    sql_text_identifier(buf, column->stored);
}

// The column that keeps a dummy out of a unique key: its first one that is not of the primary key.
static bool makes_unlike(const TableShape *shape, const TableColumn *column)
{
    for (uint32_t k = 0; k < shape->n_uniques; k++) {
        const TableKey *key = &shape->uniques[k];
        for (uint32_t i = 0; i < key->n; i++) {
            const TableColumn *first = &shape->columns[key->columns[i]];
            if (in_key(shape, &shape->primary, first))
                continue;
            if (first == column)
                return true;
            break;
        }
    }
    return false;
}

// A dummy has its key, collides with no other row, and satisfies what can be known of its checks;
// the rest of the row may be missing.
static void item_dummy(const MeshSqlText *text, const TableColumn *column, const char *a,
                       const char *b, Buf *buf)
{
    const TableShape *shape = text->table->shape;
    if (in_key(shape, &shape->primary, column)) {
        field(text, column, a, buf);
    } else if (makes_unlike(shape, column) && (!column->not_null || column->unlike != NULL)) {
        buf_add_text(buf, column->not_null ? column->unlike : "NULL");
    } else if (column->not_null && column->filler != NULL) {
        buf_add_text(buf, "COALESCE(");
        field(text, column, a, buf);
        buf_printf(buf, ", %s)", column->filler);
    } else {
        field(text, column, a, buf);
    }
}

// One of the unique keys is equal; equal NULLs are not.
static void add_conflict(const MeshSqlText *text, const char *a, const char *b, Buf *buf)
{
    const TableShape *shape = text->table->shape;
    for (uint32_t k = 0; k < shape->n_uniques; k++) {
        const TableKey *key = &shape->uniques[k];
        buf_add_text(buf, k == 0 ? "(" : " OR (");
        list(text, (Columns){shape, key->n, key->columns}, " AND ", item_equal, a, b, buf);
        buf_add_char(buf, ')');
    }
}

// Once each, though a column may be in several unique keys.
static void add_unique_columns(const MeshSqlText *text, const char *between, Item *item,
                               const char *a, const char *b, Buf *buf)
{
    const TableShape *shape = text->table->shape;
    bool first = true;
    for (uint32_t i = 0; i < shape->n_columns; i++) {
        for (uint32_t k = 0; k < shape->n_uniques; k++) {
            if (!in_key(shape, &shape->uniques[k], &shape->columns[i]))
                continue;
            if (!first)
                buf_add_text(buf, between);
            item(text, &shape->columns[i], a, b, buf);
            first = false;
            break;
        }
    }
}

static void add_table(const MeshSqlText *text, Buf *buf)
{
    sql_text_identifier(buf, text->table->shape->schema);
    buf_add_char(buf, '.');
    sql_text_identifier(buf, text->table->shape->name);
}

static int add_table_text(const MeshSqlText *text, bool literal, Buf *buf)
{
    Buf name CLEANUP(buf_done) = BUF_INIT(1024);
    add_table(text, &name);
    if (literal) {
        sql_text_literal(buf, buf_text(&name));
        return buf_check(&name);
    }
    for (const char *at = buf_text(&name); *at != '\0'; at++) // inside of a literal of RAISE
        buf_add_text(buf, *at == '\'' ? "''" : *at == '%' ? "%%" : (char[]){*at, '\0'});
    return buf_check(&name);
}

static void add_row_json(const MeshSqlText *text, Buf *buf)
{
    if (text->row == MESH_SQL_ROW_NEW)
        buf_add_text(buf, "to_jsonb(NEW) - '{v,pv,origin,op}'::text[]");
    else
        buf_add_text(buf, "to_jsonb(r) - '_v'");
}

static void add_parked_indexes(const MeshSqlText *text, Buf *buf)
{
    const TableShape *shape = text->table->shape;
    for (uint32_t k = 0; k < shape->n_uniques; k++) {
        buf_printf(buf, "%sCREATE INDEX IF NOT EXISTS parked_%u_%u ON wildcam.parked_%u (",
                   k == 0 ? "" : "\n", text->table->number, k + 1, text->table->number);
        list(text, (Columns){shape, shape->uniques[k].n, shape->uniques[k].columns}, ", ",
             item_stored, NULL, NULL, buf);
        buf_add_text(buf, ");");
    }
}

// The columns of a trigger that only statements fire which name one of them. A trigger of the
// table's own may change any column behind the statement: then all fire it.
static void add_of(const MeshSqlText *text, bool unique, Buf *buf)
{
    const TableShape *shape = text->table->shape;
    if (shape->has_before_update)
        return;
    buf_add_text(buf, " OF ");
    if (unique)
        add_unique_columns(text, ", ", item_name, NULL, NULL, buf);
    else
        list(text, (Columns){shape, shape->primary.n, shape->primary.columns}, ", ", item_name,
             NULL, NULL, buf);
}

// A journal's columns behind v and pv: every byte of padding is written, sent and read n times.
static void add_by_width(const MeshSqlText *text, Buf *buf)
{
    static const uint32_t widths[] = {8, 4, 2, 1, 0};
    const TableShape *shape = text->table->shape;
    for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
        for (uint32_t i = 0; i < shape->n_columns; i++) {
            if (shape->columns[i].width != widths[w] || shape->columns[i].generated)
                continue;
            buf_add_text(buf, ", ");
            item_definition(text, &shape->columns[i], NULL, NULL, buf);
        }
        if (widths[w] == 2)
            buf_add_text(buf, ", origin smallint NOT NULL");
        if (widths[w] == 1)
            buf_add_text(buf, ", op \"char\" NOT NULL");
    }
}

static const char *op_prefix(const MeshSqlText *text)
{
    return text->row == MESH_SQL_ROW_NEW ? "NEW" : NULL;
}

static void add_param(const MeshSqlText *text, const char *name, Buf *buf)
{
    if (op_prefix(text) != NULL)
        buf_printf(buf, "NEW.%s", name);
    else
        buf_printf(buf, "merge_%u.%s", text->table->number, name);
}

typedef enum Of {
    OF_ALL,
    OF_KEY,
} Of;

typedef struct ListWord {
    const char *word;
    uint32_t min_args, max_args;
    Of of;
    const char *between;
    Item *item;
} ListWord;

static const ListWord list_words[] = {
    {"columns", 0, 1, OF_ALL, ", ", item_name},
    {"key", 0, 1, OF_KEY, ", ", item_name},
    {"stored", 0, 1, OF_ALL, ", ", item_stored},
    {"stored_key", 0, 1, OF_KEY, ", ", item_stored},
    {"key_definition", 0, 0, OF_KEY, ", ", item_definition},
    {"same_key", 2, 2, OF_KEY, " AND ", item_equal},
    {"same_stored_key", 2, 2, OF_KEY, " AND ", item_stored_equal},
    {"assignments", 1, 1, OF_ALL, " ", item_assign},
    {"dummy", 1, 1, OF_ALL, ", ", item_dummy},
    {"set_columns", 1, 1, OF_ALL, "", item_set},
    {"set_stored", 0, 0, OF_ALL, ", ", item_set_parked},
    {"key_pairs", 1, 1, OF_KEY, ", ", item_json},
    {"rank_key", 1, 2, OF_KEY, ", ", item_rank},
    {"name_literals", 0, 0, OF_ALL, ", ", item_name_literal},
    {"key_literals", 0, 0, OF_KEY, ", ", item_name_literal},
    {"stored_literals", 0, 0, OF_ALL, ", ", item_stored_literal},
    {"type_literals", 0, 0, OF_ALL, ", ", item_type_literal},
    {"stored_key_literals", 0, 0, OF_KEY, ", ", item_stored_literal},
    {"key_type_literals", 0, 0, OF_KEY, ", ", item_type_literal},
};

static bool list_word(const MeshSqlText *text, const char *word, const char *const *args,
                      uint32_t n_args, Buf *buf)
{
    const TableShape *shape = text->table->shape;
    for (size_t i = 0; i < sizeof list_words / sizeof list_words[0]; i++) {
        const ListWord *w = &list_words[i];
        if (strcmp(w->word, word) != 0 || n_args < w->min_args || n_args > w->max_args)
            continue;
        Columns columns = {.shape = shape};
        if (w->of == OF_KEY)
            columns = (Columns){shape, shape->primary.n, shape->primary.columns};
        list(text, columns, w->between, w->item, n_args > 0 ? args[0] : NULL,
             n_args > 1 ? args[1] : NULL, buf);
        return true;
    }
    return false;
}

// The same text with further words, from a list: "{{set r}}" and the like.
static int expand(const MeshSqlText *text, const char *template, const char *record, Buf *buf,
                  Error *reterr)
{
    Buf filled CLEANUP(buf_done) = BUF_INIT(1024);
    for (const char *at = template; *at != '\0'; at++)
        if (*at == '$')
            buf_add_text(&filled, record);
        else
            buf_add_char(&filled, *at);
    int r = buf_check(&filled);
    if (r < 0)
        return error_set(reterr, r, "no memory");
    return mesh_template_expand(template, buf_text(&filled), mesh_sql_table_word, (void *)text, buf,
                                reterr);
}

typedef struct TextWord {
    const char *word;
    uint32_t n_args;
    const char *text; // $: the first argument
    enum {
        WHEN_ALWAYS,
        WHEN_UNIQUE, // the table has more unique keys; else nothing
        WHEN_LWW,
        WHEN_ARRIVED, // the merged row is the journal's NEW; else nothing
    } when;
} TextWord;

static const TextWord text_words[] = {
    {"set", 1, "_v = $._v{{set_columns $}}", WHEN_LWW},
    {"set_parked", 0, "{{set_stored}}, _v = EXCLUDED._v", WHEN_ALWAYS},
    {"key_json", 1, "jsonb_build_object({{key_pairs $}})", WHEN_ALWAYS},
    {"rank", 1, "$._v, {{rank_key $}}", WHEN_ALWAYS},
    {"names", 0, "ARRAY[{{name_literals}}]", WHEN_ALWAYS},
    {"key_columns", 0, "ARRAY[{{key_literals}}]", WHEN_ALWAYS},
    {"stored_names", 0, "ARRAY[{{stored_literals}}]", WHEN_ALWAYS},
    {"stored_types", 0, "ARRAY[{{type_literals}}]", WHEN_ALWAYS},
    {"key_names", 0, "ARRAY[{{stored_key_literals}}]", WHEN_ALWAYS},
    {"key_types", 0, "ARRAY[{{key_type_literals}}]", WHEN_ALWAYS},
    {"assign", 1, "{{assignments $}}", WHEN_ARRIVED},
    {"row_declaration", 0, "r {{table}};", WHEN_ARRIVED},
    {"or_unique_moved", 0, " OR NOT ({{unique_unmoved}})", WHEN_UNIQUE},
    {"fresh_parked", 0,
     "INSERT INTO wildcam.parked_{{n}} ({{stored_key}}, _v) VALUES ({{key r}}, 0) "
     "ON CONFLICT ({{stored_key}}) DO NOTHING; IF FOUND THEN DELETE FROM wildcam.parked_{{n}} p "
     "WHERE {{same_key p r}} AND p._v = 0; END IF;",
     WHEN_UNIQUE},
    {"take_parked", 0,
     "DELETE FROM wildcam.parked_{{n}} p WHERE {{same_key p NEW}} RETURNING p._v INTO parked;",
     WHEN_UNIQUE},
    {"take_above", 0, "above := GREATEST(above, parked);", WHEN_UNIQUE},
    {"drop_parked", 0, "DELETE FROM wildcam.parked_{{n}} p WHERE {{same_key p OLD}};", WHEN_UNIQUE},
    {"or_parked", 0, "UNION ALL SELECT p._v FROM wildcam.parked_{{n}} p WHERE {{same_key p k}}",
     WHEN_UNIQUE},
};

static int text_word(const MeshSqlText *text, const char *word, const char *const *args,
                     uint32_t n_args, Buf *buf, Error *reterr)
{
    for (size_t i = 0; i < sizeof text_words / sizeof text_words[0]; i++) {
        const TextWord *w = &text_words[i];
        if (strcmp(w->word, word) != 0 || w->n_args != n_args)
            continue;
        if (w->when == WHEN_UNIQUE && text->table->shape->n_uniques == 0)
            return 0;
        if (w->when == WHEN_ARRIVED && text->row == MESH_SQL_ROW_R)
            return 0;
        if (w->when == WHEN_LWW && text->table->kind != TABLE_KIND_LWW)
            return expand(text, "_origin = $._origin{{set_columns $}}", args[0], buf, reterr);
        return expand(text, w->text, n_args > 0 ? args[0] : "", buf, reterr);
    }
    return ERROR_NOT_FOUND;
}

// Words whose text is in a template of its own, plain or unique.
static int template_word(const MeshSqlText *text, const char *word, const char *const *args,
                         uint32_t n_args, Buf *buf, Error *reterr)
{
    bool unique = text->table->shape->n_uniques > 0;
    MeshSqlText inner = *text;
    if (strcmp(word, "merge") == 0 && n_args == 1) {
        inner.row = strcmp(args[0], "NEW") == 0 ? MESH_SQL_ROW_NEW : MESH_SQL_ROW_R;
        return mesh_template_use(unique ? "unique_merge" : "plain_merge", mesh_sql_table_word,
                                 &inner, buf, reterr);
    }
    if (strcmp(word, "objects") == 0 && n_args == 0)
        return mesh_template_use(unique ? "unique" : "plain", mesh_sql_table_word, &inner, buf,
                                 reterr);
    if (!unique && n_args == 0 &&
        (strcmp(word, "replay_parked") == 0 || strcmp(word, "release_triggers") == 0))
        return 0;
    if (strcmp(word, "replay_parked") == 0 && n_args == 0)
        return mesh_template_use("unique_replay", mesh_sql_table_word, &inner, buf, reterr);
    if (strcmp(word, "release_triggers") == 0 && n_args == 0)
        return mesh_template_use("unique_triggers", mesh_sql_table_word, &inner, buf, reterr);
    return ERROR_NOT_FOUND;
}

static int plain_word(const MeshSqlText *text, const char *word, Buf *buf)
{
    const TableShape *shape = text->table->shape;
    if (strcmp(word, "table") == 0)
        add_table(text, buf);
    else if (strcmp(word, "table_literal") == 0)
        return add_table_text(text, true, buf);
    else if (strcmp(word, "table_text") == 0)
        return add_table_text(text, false, buf);
    else if (strcmp(word, "schema_literal") == 0)
        sql_text_literal(buf, shape->schema);
    else if (strcmp(word, "name_literal") == 0)
        sql_text_literal(buf, shape->name);
    else if (strcmp(word, "kind_literal") == 0)
        buf_add_text(buf, text->table->kind == TABLE_KIND_LWW ? "'lww'" : "'insert-only'");
    else if (strcmp(word, "digest") == 0)
        buf_printf(buf, "'%s'", text->digest);
    else if (strcmp(word, "n") == 0)
        buf_printf(buf, "%u", text->table->number);
    else if (strcmp(word, "me") == 0)
        buf_printf(buf, "%u", text->node->origin);
    else if (strcmp(word, "first") == 0) // the version of rows that were there before
        buf_printf(buf, "%u", 1U << 8 | text->node->origin);
    else if (strcmp(word, "path") == 0)
        buf_add_text(buf, shape->path);
    else if (strcmp(word, "op") == 0 || strcmp(word, "v") == 0 || strcmp(word, "pv") == 0)
        add_param(text, word, buf);
    else if (strcmp(word, "leave") == 0)
        buf_add_text(buf, op_prefix(text) != NULL ? "RETURN NULL;" : "RETURN;");
    else if (strcmp(word, "row_json") == 0)
        add_row_json(text, buf);
    else if (strcmp(word, "parked_indexes") == 0)
        add_parked_indexes(text, buf);
    else if (strcmp(word, "of_key") == 0)
        add_of(text, false, buf);
    else if (strcmp(word, "of_unique") == 0)
        add_of(text, true, buf);
    else if (strcmp(word, "by_width") == 0)
        add_by_width(text, buf);
    else if (strcmp(word, "unique_unmoved") == 0)
        add_unique_columns(text, " AND ", item_unmoved, "OLD", "NEW", buf);
    else if (strcmp(word, "unique_changed") == 0)
        add_unique_columns(text, " OR ", item_distinct, "OLD", "NEW", buf);
    else if (strcmp(word, "overriding") != 0)
        return ERROR_NOT_FOUND;
    else
        for (uint32_t i = 0; i < shape->n_columns; i++)
            if (shape->columns[i].identity_always) {
                buf_add_text(buf, "OVERRIDING SYSTEM VALUE");
                break;
            }
    return 0;
}

int mesh_sql_table_word(void *context, const char *word, const char *const *args, uint32_t n_args,
                        Buf *buf, Error *reterr)
{
    const MeshSqlText *text = context;
    if (list_word(text, word, args, n_args, buf))
        return 0;
    if (strcmp(word, "conflict") == 0 && n_args == 2) {
        add_conflict(text, args[0], args[1], buf);
        return 0;
    }
    if (strcmp(word, "same_unique") == 0 && n_args == 2) {
        add_unique_columns(text, " AND ", item_not_distinct, args[0], args[1], buf);
        return 0;
    }
    if (strcmp(word, "rank_down") == 0 && n_args == 1) {
        buf_printf(buf, "%s._v DESC, ", args[0]);
        list(text,
             (Columns){text->table->shape, text->table->shape->primary.n,
                       text->table->shape->primary.columns},
             ", ", item_rank, args[0], " DESC", buf);
        return 0;
    }
    int r = text_word(text, word, args, n_args, buf, reterr);
    if (r != ERROR_NOT_FOUND)
        return r;
    r = template_word(text, word, args, n_args, buf, reterr);
    if (r != ERROR_NOT_FOUND || n_args > 0)
        return r;
    return plain_word(text, word, buf);
}
