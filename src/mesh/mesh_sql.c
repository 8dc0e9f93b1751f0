// SPDX-License-Identifier: MIT
// mesh_sql: see mesh_sql.h. Origins, names and numbers are put in as literals, so that every plan
// has them as constants.
#include "mesh_sql.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "mesh_sql_inside.h"
#include "sql_text.h"

#define TEXT_MAX (8U << 20)
#define DIGEST_MAX 65

// Insert-only tables get _origin from their template when they lack it: it travels.
typedef struct Completed {
    TableShape shape;
    MeshSqlTable table;
    TableColumn columns[1700]; // PostgreSQL allows 1,600
} Completed;

static const MeshSqlTable *complete(const MeshSqlTable *table, Completed *space)
{
    static const TableColumn origin = {
        .name = "_origin", .stored = "_origin", .type = "smallint", .not_null = true};
    const TableShape *shape = table->shape;
    uint32_t max = (uint32_t)(sizeof space->columns / sizeof space->columns[0]);
    if (table->kind != TABLE_KIND_INSERT_ONLY || shape->has_origin || shape->n_columns >= max)
        return table;
    space->shape = *shape;
    memcpy(space->columns, shape->columns, shape->n_columns * sizeof shape->columns[0]);
    space->columns[shape->n_columns] = origin;
    space->shape.columns = space->columns;
    space->shape.n_columns = shape->n_columns + 1;
    space->table = *table;
    space->table.shape = &space->shape;
    return &space->table;
}

static int published(const MeshSqlText *text, Buf *buf, Error *reterr)
{
    for (uint32_t i = 0; i < text->n_tables; i++) {
        Completed space;
        MeshSqlText inner = {.node = text->node, .table = complete(&text->tables[i], &space)};
        bool lww = text->tables[i].kind == TABLE_KIND_LWW;
        buf_add_text(buf, ",\n");
        int r = mesh_template_use(lww ? "published_lww" : "published_insert_only",
                                  mesh_sql_table_word, &inner, buf, reterr);
        if (r < 0)
            return r;
        if (!buf->failed && buf->len > 0 && buf->data[buf->len - 1] == '\n')
            buf->data[--buf->len] = '\0';
    }
    return 0;
}

// Words of the texts that are about a node and no table.
static int node_word(void *context, const char *word, const char *const *args, uint32_t n_args,
                     Buf *buf, Error *reterr)
{
    const MeshSqlText *text = context;
    const MeshSqlNode *node = text->node;
    if (n_args > 0)
        return ERROR_NOT_FOUND;
    if (strcmp(word, "version") == 0)
        buf_printf(buf, "%d", MESH_SQL_VERSION);
    else if (strcmp(word, "me") == 0)
        buf_printf(buf, "%u", node->origin);
    else if (strcmp(word, "region") == 0)
        sql_text_literal(buf, node->region);
    else if (strcmp(word, "cloud") == 0)
        sql_text_literal(buf, node->cloud);
    else if (strcmp(word, "mesh_name") == 0)
        sql_text_literal(buf, node->mesh_name);
    else if (strcmp(word, "published") == 0)
        return published(text, buf, reterr);
    else
        return ERROR_NOT_FOUND;
    return 0;
}

static int check_node(const MeshSqlNode *node, Error *reterr)
{
    if (node->origin == 0 || node->origin > 255)
        return error_set(reterr, ERROR_RANGE, "origin '%u' is not within 1..255", node->origin);
    return 0;
}

static bool has_quote_tag(const char *name)
{
    return strstr(name, "$wildcam$") != NULL;
}

static int check_table(const MeshSqlTable *table, Error *reterr)
{
    const TableShape *shape = table->shape;
    bool tagged = has_quote_tag(shape->schema) || has_quote_tag(shape->name);
    for (uint32_t i = 0; i < shape->n_columns; i++)
        tagged = tagged || has_quote_tag(shape->columns[i].name);
    if (tagged)
        return error_set(reterr, ERROR_FORMAT, "table '%s.%s': a name contains '$wildcam$'",
                         shape->schema, shape->name);
    if (shape->primary.n == 0)
        return error_set(reterr, ERROR_FORMAT, "table '%s.%s' has no primary key", shape->schema,
                         shape->name);
    return 0;
}

static int objects(const MeshSqlNode *node, const MeshSqlTable *table, Buf *buf, Error *reterr)
{
    MeshSqlText text = {.node = node, .table = table};
    const char *name = table->kind == TABLE_KIND_LWW ? "lww" : "insert_only";
    return mesh_template_use(name, mesh_sql_table_word, &text, buf, reterr);
}

static int digest(const MeshSqlTable *table, char text[DIGEST_MAX], Error *reterr)
{
    static const MeshSqlNode nobody = {.origin = 0}; // equal on every node
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    Buf buf CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    buf_printf(&buf, "%d\n", MESH_SQL_VERSION);
    int r = objects(&nobody, table, &buf, reterr);
    if (r < 0)
        return r;
    if (EVP_Digest(buf_text(&buf), buf.len, sum, &len, EVP_sha256(), NULL) != 1)
        return error_set(reterr, ERROR_MEMORY, "no SHA-256");
    for (unsigned int i = 0; i < len; i++)
        (void)snprintf(text + (size_t)2 * i, 3, "%02x", sum[i]);
    return 0;
}

int mesh_sql_roles(Buf *buf, Error *reterr)
{
    MeshSqlText text = {0};
    return mesh_template_use("roles", node_word, &text, buf, reterr);
}

int mesh_sql_base(const MeshSqlNode *node, Buf *buf, Error *reterr)
{
    MeshSqlText text = {.node = node};
    int r = check_node(node, reterr);
    return r < 0 ? r : mesh_template_use("base", node_word, &text, buf, reterr);
}

int mesh_sql_table(const MeshSqlNode *node, const MeshSqlTable *table, Buf *buf, Error *reterr)
{
    Completed space;
    char sum[DIGEST_MAX];
    int r = check_node(node, reterr);
    if (r == 0)
        r = check_table(table, reterr);
    if (r < 0)
        return r;
    table = complete(table, &space);
    r = digest(table, sum, reterr);
    if (r == 0)
        r = objects(node, table, buf, reterr);
    if (r < 0)
        return r;
    MeshSqlText text = {.node = node, .table = table, .digest = sum};
    return mesh_template_use("federated", mesh_sql_table_word, &text, buf, reterr);
}

int mesh_sql_drop_table(const MeshSqlTable *table, Buf *buf, Error *reterr)
{
    MeshSqlText text = {.table = table};
    int r = check_table(table, reterr);
    if (r < 0)
        return r;
    return mesh_template_use(table->kind == TABLE_KIND_LWW ? "drop_lww" : "drop_insert_only",
                             mesh_sql_table_word, &text, buf, reterr);
}

int mesh_sql_publication(const MeshSqlNode *node, const MeshSqlTable *tables, uint32_t n, Buf *buf,
                         Error *reterr)
{
    MeshSqlText text = {.node = node, .tables = tables, .n_tables = n};
    int r = check_node(node, reterr);
    for (uint32_t i = 0; r == 0 && i < n; i++)
        r = check_table(&tables[i], reterr);
    return r < 0 ? r : mesh_template_use("publication", node_word, &text, buf, reterr);
}

int mesh_sql_digest(const MeshSqlTable *table, char text[65], Error *reterr)
{
    Completed space;
    int r = check_table(table, reterr);
    return r < 0 ? r : digest(complete(table, &space), text, reterr);
}
