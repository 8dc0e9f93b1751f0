// SPDX-License-Identifier: MIT
// registry: the rows of wildcam.node and wildcam.federated, equal in every database. Nobody owns
// them: each node takes over what it does not know yet from everybody it reaches. Of two rows of a
// region the younger `since` wins; the first rows have 'epoch', whoever writes them. Numbers of
// tables are given once: detections has 1, tables of fleet.yaml a number made from their name (so
// that all regions find the same one without asking), others what `rows federate` gave.
#include "ensure_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "hash.h"

#define DETECTIONS "public.detections"
#define NODES_MAX 256 // by origin

typedef struct Known {
    const char *region, *cloud, *state;
    int64_t since_us;
} Known;

static const char NODES[] =
    "SELECT origin, region, cloud, state, (extract(epoch FROM since) * 1000000)::bigint "
    "FROM wildcam.node";

static Known take_row(Arena *arena, const PGresult *result, int row)
{
    return (Known){.region = arena_strdup(arena, PQgetvalue(result, row, 1)),
                   .cloud = arena_strdup(arena, PQgetvalue(result, row, 2)),
                   .state = arena_strdup(arena, PQgetvalue(result, row, 3)),
                   .since_us = strtoll(PQgetvalue(result, row, 4), NULL, 10)};
}

static void take_nodes(Arena *arena, const PGresult *result, Known known[NODES_MAX])
{
    for (int i = 0; i < PQntuples(result); i++) {
        unsigned long origin = strtoul(PQgetvalue(result, i, 0), NULL, 10);
        Known row = take_row(arena, result, i);
        if (origin < NODES_MAX &&
            (known[origin].region == NULL || row.since_us > known[origin].since_us))
            known[origin] = row;
    }
}

// Regions of fleet.yaml that nobody knows yet.
static void add_configured(const Ensure *ensure, Known known[NODES_MAX])
{
    for (uint32_t i = 0; i < ensure->mesh->n; i++) {
        const MeshNode *node = &ensure->mesh->nodes[i];
        if (node->origin < NODES_MAX && known[node->origin].region == NULL)
            known[node->origin] =
                (Known){.region = node->region, .cloud = node->cloud, .state = "active"};
    }
}

static bool is_same(const Known *a, const Known *b)
{
    return b->region != NULL && a->since_us == b->since_us && strcmp(a->state, b->state) == 0 &&
           strcmp(a->region, b->region) == 0 && strcmp(a->cloud, b->cloud) == 0;
}

static int add_text(Ensure *ensure, const char *value, Buf *sql, Error *reterr)
{
    char *quoted = PQescapeLiteral(ensure->node->conn, value, strlen(value));
    if (quoted == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for SQL");
    buf_add_text(sql, quoted);
    PQfreemem(quoted);
    return 0;
}

static int add_node(Ensure *ensure, unsigned origin, const Known *row, Buf *sql, Error *reterr)
{
    const char *const texts[] = {row->region, row->cloud, row->state};
    int r = 0;
    buf_printf(sql,
               "INSERT INTO wildcam.node AS n (origin, region, cloud, state, since) VALUES (%u",
               origin);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(texts); i++) {
        buf_add_text(sql, ", ");
        r = add_text(ensure, texts[i], sql, reterr);
    }
    buf_printf(sql,
               ", 'epoch'::timestamptz + %lld * interval '1 us') ON CONFLICT (origin) DO UPDATE "
               "SET region = EXCLUDED.region, cloud = EXCLUDED.cloud, state = EXCLUDED.state, "
               "since = EXCLUDED.since WHERE n.since <= EXCLUDED.since;\n",
               (long long)row->since_us);
    return r;
}

int ensure_nodes(Ensure *ensure, Error *reterr)
{
    Mesh *mesh = ensure->mesh;
    MeshAnswer *answers CLEANUP(alloc_freep) = alloc_zeroed(mesh->n, sizeof *answers);
    Known *all CLEANUP(alloc_freep) = alloc_zeroed(2 * NODES_MAX, sizeof *all);
    if (answers == NULL || all == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for the regions");
    Known *own = all + NODES_MAX;
    int failed =
        mesh_each(mesh, NODES, 0, NULL, answers); // a database without schema knows nothing
    (void)failed;
    for (uint32_t i = 0; i < mesh->n; i++) {
        if (answers[i].result == NULL)
            continue;
        take_nodes(ensure->arena, answers[i].result, all);
        if (&mesh->nodes[i] == ensure->node)
            take_nodes(ensure->arena, answers[i].result, own);
    }
    mesh_answers_done(answers, mesh->n);
    add_configured(ensure, all);
    Buf sql CLEANUP(buf_done) = BUF_INIT(1U << 20);
    int r = 0;
    for (unsigned i = 0; r == 0 && i < NODES_MAX; i++)
        if (all[i].region != NULL && !is_same(&all[i], &own[i]))
            r = add_node(ensure, i, &all[i], &sql, reterr);
    const char *state = ensure->node->origin < NODES_MAX ? all[ensure->node->origin].state : NULL;
    if (r == 0 && sql.len > 0)
        r = ensure_change(ensure, "regions", buf_text(&sql), reterr);
    if (r == 0 && state != NULL && (strcmp(state, "lost") == 0 || strcmp(state, "left") == 0)) {
        r = error_set(reterr, ERROR_CONFLICT, "%s: the mesh has it as '%s'", ensure->node->region,
                      state);
        r = error_hint(reterr, r, "'wildcam rows %s %s' takes it in again.",
                       strcmp(state, "lost") == 0 ? "recover" : "join", ensure->node->region);
    }
    return r;
}

typedef struct Wanted {
    uint32_t number;
    const char *name; // schema.name, quoted where needed
    TableKind kind;
} Wanted;

// The same in every region, whoever is there; two names that meet are refused by want().
static uint32_t number_of(const char *name)
{
    return 1000 + (uint32_t)(hash_mix(hash_text(HASH_SEED, name)) % 1000000);
}

typedef struct WantedList {
    uint32_t n;
    Wanted items[ENSURE_TABLES_MAX];
} WantedList;

static const char TABLES[] =
    "SELECT number, format('%I.%I', schema, name), kind FROM wildcam.federated ORDER BY number";

static int want(Ensure *ensure, WantedList *list, uint32_t number, const char *name, TableKind kind,
                Error *reterr)
{
    for (uint32_t i = 0; i < list->n; i++) {
        bool same_name = strcmp(list->items[i].name, name) == 0;
        if (same_name)
            return 0; // known, with the number it got first
        if (list->items[i].number == number)
            return error_set(reterr, ERROR_CONFLICT,
                             "%s: number %u is table %s here and %s elsewhere",
                             ensure->node->region, number, list->items[i].name, name);
    }
    char *copy = arena_strdup(ensure->arena, name);
    if (copy == NULL || list->n == ENSURE_TABLES_MAX)
        return error_set(reterr, ERROR_LIMIT, "more than %d federated tables", ENSURE_TABLES_MAX);
    list->items[list->n++] = (Wanted){.number = number, .name = copy, .kind = kind};
    return 0;
}

// Tables of fleet.yaml. Those that this database does not have are left out.
static int want_configured(Ensure *ensure, WantedList *list, Error *reterr)
{
    const ConfRows *rows = &ensure->mesh->conf->rows;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < rows->n_tables; i++) {
        const char *name = NULL, *params[] = {rows->tables[i].name};
        Buf public CLEANUP(buf_done) = BUF_INIT(256);
        buf_printf(&public, "%s%s", strchr(params[0], '.') == NULL ? "public." : "", params[0]);
        params[0] = buf_text(&public);
        r = ensure_text(ensure, ensure->node,
                        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN "
                        "pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)",
                        1, params, &name, reterr);
        if (r == 0 && name != NULL)
            r = want(ensure, list, number_of(name), name,
                     rows->tables[i].insert_only ? TABLE_KIND_INSERT_ONLY : TABLE_KIND_LWW, reterr);
    }
    return r;
}

static int want_rows(Ensure *ensure, WantedList *list, const PGresult *result, Error *reterr)
{
    int r = 0;
    for (int i = 0; r == 0 && i < PQntuples(result); i++)
        r = want(ensure, list, (uint32_t)strtoul(PQgetvalue(result, i, 0), NULL, 10),
                 PQgetvalue(result, i, 1),
                 strcmp(PQgetvalue(result, i, 2), "lww") == 0 ? TABLE_KIND_LWW
                                                              : TABLE_KIND_INSERT_ONLY,
                 reterr);
    return r;
}

// Our own rows first, then everybody's, then detections and those of fleet.yaml.
static int want_all(Ensure *ensure, WantedList *list, Error *reterr)
{
    Mesh *mesh = ensure->mesh;
    MeshAnswer *answers CLEANUP(alloc_freep) = alloc_zeroed(mesh->n, sizeof *answers);
    if (answers == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for the tables");
    int failed = mesh_each(mesh, TABLES, 0, NULL, answers), r = 0;
    (void)failed;
    for (uint32_t pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; r == 0 && i < mesh->n; i++)
            if (answers[i].result != NULL && (&mesh->nodes[i] == ensure->node) == (pass == 0))
                r = want_rows(ensure, list, answers[i].result, reterr);
    mesh_answers_done(answers, mesh->n);
    if (r == 0 && mesh->conf != NULL)
        r = want(ensure, list, 1, DETECTIONS, TABLE_KIND_INSERT_ONLY, reterr);
    if (r == 0 && mesh->conf != NULL)
        r = want_configured(ensure, list, reterr);
    return r;
}

// In this database, with this SQL, already?
static int is_made(Ensure *ensure, const MeshSqlTable *table, bool *ret_made, Error *reterr)
{
    char digest[65], number[16];
    const char *there = NULL, *params[] = {number};
    *ret_made = false;
    (void)snprintf(number, sizeof number, "%u", table->number);
    int r = mesh_sql_digest(table, digest, reterr);
    if (r == 0 && ensure->based)
        r = ensure_text(ensure, ensure->node,
                        "SELECT digest FROM wildcam.federated WHERE number = $1::int", 1, params,
                        &there, reterr);
    if (r == 0)
        *ret_made = there != NULL && strcmp(there, digest) == 0;
    return r;
}

static int make(Ensure *ensure, const MeshSqlTable *table, const char *name, Error *reterr)
{
    bool made = false;
    int r = is_made(ensure, table, &made, reterr);
    if (r < 0 || made)
        return r;
    Buf sql CLEANUP(buf_done) = BUF_INIT(4U << 20), text CLEANUP(buf_done) = BUF_INIT(5U << 20);
    r = mesh_sql_table(&ensure->sql_node, table, &sql, reterr);
    buf_printf(&text, "BEGIN;\nSET LOCAL lock_timeout = '5s';\n%s\nCOMMIT;\n", buf_text(&sql));
    if (r == 0 && buf_check(&text) < 0)
        r = error_set(reterr, ERROR_MEMORY, "no memory for SQL");
    char what[160];
    (void)snprintf(what, sizeof what, "table %s", name);
    if (r == 0)
        r = ensure_change(ensure, what, buf_text(&text), reterr);
    ensure->done.tables += r == 0 ? 1 : 0;
    return r;
}

static int refuse(const TableShape *shape, const Wanted *wanted, Error *reterr)
{
    Buf text CLEANUP(buf_done) = BUF_INIT(65536);
    for (uint32_t i = 0; i < shape->n_problems; i++)
        buf_printf(&text, "%s%s", i > 0 ? "; " : "", shape->problems[i]);
    return error_set(reterr, ERROR_CONFLICT, "table %s cannot be federated: %s", wanted->name,
                     buf_text(&text));
}

int ensure_tables(Ensure *ensure, Error *reterr)
{
    WantedList *list CLEANUP(alloc_freep) = alloc_zeroed(1, sizeof *list);
    int r = list == NULL ? error_set(reterr, ERROR_MEMORY, "no memory for the tables")
                         : want_all(ensure, list, reterr);
    for (uint32_t i = 0; r == 0 && i < list->n; i++) {
        const Wanted *wanted = &list->items[i];
        TableShape *shape = NULL;
        Error err CLEANUP(error_done) = ERROR_INIT;
        r = table_shape_read(ensure->mesh, ensure->node, wanted->name, wanted->kind, ensure->arena,
                             &shape, &err);
        if (r ==
            ERROR_NOT_FOUND) { // its migration has not come yet, or the operator made it elsewhere
            r = 0;
            continue;
        }
        if (r < 0) {
            r = error_set(reterr, r, "%s", error_text(&err));
            break;
        }
        MeshSqlTable *table = &ensure->tables[ensure->n_tables++];
        *table = (MeshSqlTable){.number = wanted->number, .kind = wanted->kind, .shape = shape};
        r = shape->n_problems > 0 ? refuse(shape, wanted, reterr)
                                  : make(ensure, table, wanted->name, reterr);
    }
    return r;
}
