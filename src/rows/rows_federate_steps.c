// SPDX-License-Identifier: MIT
// rows_federate_steps: see rows_federate.h. Three traps decide the order and the locks here.
// A row that is written before a subscription knows its table is lost without any sign: so whoever
// adds a table fills every link afterwards. A publication that gets a table while a transaction
// that has written it is open may never publish it (servers before 15.13 keep their answer): so the
// journal is locked against writers for that moment. And what was sent before a publication changed
// is still on its way: nothing that it needs may go before every subscriber has confirmed.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "rows_federate.h"

#define ARENA_LIMIT (256u << 20)
#define STATEMENT_NS (300 * INT64_C(1000000000))

// Literals of a migration and the texts that are compared must mean the same in every region.
static const char SESSION[] =
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; "
    "SET extra_float_digits = 3; SET bytea_output = 'hex'; SET standard_conforming_strings = on; "
    "SET client_min_messages = warning; SET statement_timeout = 0; "
    "SET default_transaction_read_only = off; SET search_path = public; SET lock_timeout = 0";

static int read_members(FederateMesh *fm, Error *reterr)
{
    Mesh *mesh = fm->mesh;
    uint32_t connected = 0;
    for (uint32_t i = 0; i < mesh->n; i++) {
        MeshNode *node = &mesh->nodes[i];
        if (node->conn == NULL)
            continue;
        connected++;
        int r = mesh_script(mesh, node, SESSION, reterr);
        if (r < 0)
            return r;
        if (fm->name != NULL)
            continue;
        PGresult *result = NULL;
        r = mesh_query(mesh, node, "SELECT to_regclass('wildcam.mesh')", 0, NULL, &result, reterr);
        if (r < 0)
            return r;
        bool there = PQgetisnull(result, 0, 0) == 0;
        PQclear(result);
        if (!there)
            continue;
        r = mesh_query(
            mesh, node,
            "SELECT (SELECT name FROM wildcam.mesh), n.origin, n.state FROM wildcam.node n", 0,
            NULL, &result, reterr);
        if (r < 0)
            return r;
        for (int row = 0; row < PQntuples(result); row++) {
            const char *state = PQgetvalue(result, row, 2);
            if (fm->name == NULL && PQgetisnull(result, row, 0) == 0)
                fm->name = arena_strdup(fm->arena, PQgetvalue(result, row, 0));
            for (uint32_t j = 0; j < mesh->n; j++)
                if (strtoul(PQgetvalue(result, row, 1), NULL, 10) == mesh->nodes[j].origin)
                    fm->member[j] = strcmp(state, "active") == 0 || strcmp(state, "joining") == 0;
        }
        PQclear(result);
    }
    if (connected == 0)
        return mesh_need_all(mesh, reterr);
    for (uint32_t i = 0; i < mesh->n; i++)
        fm->members += fm->member[i] ? 1 : 0;
    if (fm->name != NULL && fm->members > 0)
        return 0;
    int r = error_set(reterr, ERROR_NOT_FOUND, "the databases are no mesh yet");
    return error_hint(reterr, r, "'wildcam rows init' makes them one.");
}

int federate_open(const char *dir, const char *application, FederateMesh *ret_mesh, Error *reterr)
{
    FederateMesh fm = {.arena = arena_new(ARENA_LIMIT)};
    int r = fm.arena == NULL ? error_set(reterr, ERROR_MEMORY, "%s", application)
                             : context_open(dir, &fm.context, reterr);
    if (r == 0)
        r = mesh_open(fm.context.conf,
                      &(MeshOptions){.dir = fm.context.dir.text,
                                     .as = MESH_AS_OWNER,
                                     .application = application,
                                     .statement_ns = STATEMENT_NS},
                      &fm.mesh, reterr);
    if (r == 0) {
        fm.member = arena_new_array(fm.arena, bool, fm.mesh->n);
        r = fm.member == NULL ? error_set(reterr, ERROR_MEMORY, "%s", application)
                              : read_members(&fm, reterr);
    }
    if (r < 0)
        federate_close(&fm);
    else
        *ret_mesh = fm;
    return r;
}

void federate_close(FederateMesh *fm)
{
    fm->mesh = mesh_free(fm->mesh);
    context_done(&fm->context);
    fm->arena = arena_free(fm->arena);
}

bool federate_is_there(const FederateMesh *fm, uint32_t i)
{
    return fm->member[i] && fm->mesh->nodes[i].conn != NULL;
}

int federate_need_all(const FederateMesh *fm, Error *reterr)
{
    Buf away CLEANUP(buf_done) = BUF_INIT(4096);
    for (uint32_t i = 0; i < fm->mesh->n; i++)
        if (fm->member[i] && fm->mesh->nodes[i].conn == NULL)
            buf_printf(&away, "%s%s (%s)", away.len > 0 ? ", " : "", fm->mesh->nodes[i].region,
                       error_text(&fm->mesh->nodes[i].why));
    if (away.len == 0)
        return 0;
    int r = error_set(reterr, ERROR_UNAVAILABLE, "not reachable: %s", buf_text(&away));
    return error_hint(reterr, r,
                      "Every region must be there: what one does not know, stops its "
                      "stream. A region that is lost for good leaves first: "
                      "'wildcam rows leave'.");
}

int federate_lock(const FederateMesh *fm, Error *reterr)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < fm->mesh->n; i++)
        if (federate_is_there(fm, i))
            r = mesh_lock(fm->mesh, &fm->mesh->nodes[i], FEDERATE_LOCK_NS, reterr);
    return r;
}

int federate_need_no_migration(const FederateMesh *fm, Error *reterr)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < fm->mesh->n; i++) {
        MeshNode *node = &fm->mesh->nodes[i];
        PGresult *result = NULL;
        if (!federate_is_there(fm, i))
            continue;
        r = mesh_query(fm->mesh, node, "SELECT to_regclass('wildcam.migration_run')", 0, NULL,
                       &result, reterr);
        bool there = r == 0 && PQgetisnull(result, 0, 0) == 0;
        PQclear(result);
        result = NULL;
        if (there)
            r = mesh_query(fm->mesh, node,
                           "SELECT file FROM wildcam.migration_run WHERE finished IS NULL", 0, NULL,
                           &result, reterr);
        if (there && r == 0 && PQntuples(result) > 0) {
            r = error_set(reterr, ERROR_CONFLICT, "%s: the migration of '%s' is not finished",
                          node->region, PQgetvalue(result, 0, 0));
            r = error_hint(reterr, r, "'wildcam rows migrate' with that file ends it.");
        }
        PQclear(result);
    }
    return r;
}

int federate_registry(const FederateMesh *fm, MeshNode *node, FederatedTable **ret_tables,
                      uint32_t *ret_n, Error *reterr)
{
    PGresult *result = NULL;
    int r = mesh_query(fm->mesh, node,
                       "SELECT number, kind, schema, name, digest, "
                       "quote_ident(schema) || '.' || quote_ident(name) "
                       "FROM wildcam.federated ORDER BY number",
                       0, NULL, &result, reterr);
    if (r < 0)
        return r;
    uint32_t n = (uint32_t)PQntuples(result);
    FederatedTable *tables = arena_new_array(fm->arena, FederatedTable, n + 1);
    for (uint32_t i = 0; tables != NULL && i < n; i++)
        tables[i] = (FederatedTable){
            .number = (uint32_t)strtoul(PQgetvalue(result, (int)i, 0), NULL, 10),
            .kind = strcmp(PQgetvalue(result, (int)i, 1), "lww") == 0 ? TABLE_KIND_LWW
                                                                      : TABLE_KIND_INSERT_ONLY,
            .schema = arena_strdup(fm->arena, PQgetvalue(result, (int)i, 2)),
            .name = arena_strdup(fm->arena, PQgetvalue(result, (int)i, 3)),
            .digest = arena_strdup(fm->arena, PQgetvalue(result, (int)i, 4)),
            .table = arena_strdup(fm->arena, PQgetvalue(result, (int)i, 5))};
    PQclear(result);
    if (tables == NULL || (n > 0 && tables[n - 1].table == NULL))
        return error_set(reterr, ERROR_MEMORY, "wildcam.federated");
    *ret_tables = tables;
    *ret_n = n;
    return 0;
}

const FederatedTable *federate_find(const FederatedTable *tables, uint32_t n,
                                    const TableShape *shape)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(tables[i].schema, shape->schema) == 0 &&
            strcmp(tables[i].name, shape->name) == 0)
            return &tables[i];
    return NULL;
}

int federate_kind_of(const FederateMesh *fm, const char *table, TableKind *ret_kind, Error *reterr)
{
    for (uint32_t i = 0; i < fm->mesh->n; i++) {
        FederatedTable *tables = NULL;
        TableShape *shape = NULL;
        uint32_t n = 0;
        if (!federate_is_there(fm, i))
            continue;
        int r = federate_registry(fm, &fm->mesh->nodes[i], &tables, &n, reterr);
        if (r == 0)
            r = table_shape_read(fm->mesh, &fm->mesh->nodes[i], table, TABLE_KIND_LWW, fm->arena,
                                 &shape, reterr);
        if (r < 0)
            return r;
        const FederatedTable *one = shape != NULL ? federate_find(tables, n, shape) : NULL;
        if (one == NULL)
            continue;
        *ret_kind = one->kind;
        return 0;
    }
    return error_set(reterr, ERROR_NOT_FOUND, "table '%s' is not federated", table);
}

MeshSqlNode federate_sql_node(const FederateMesh *fm, const MeshNode *node)
{
    return (MeshSqlNode){.origin = node->origin,
                         .region = node->region,
                         .cloud = node->cloud,
                         .mesh_name = fm->name};
}

// A lock that was not had, a deadlock with an apply worker.
static bool is_passing(const MeshNode *node)
{
    return strcmp(node->sqlstate, "55P03") == 0 || strcmp(node->sqlstate, "40P01") == 0 ||
           strcmp(node->sqlstate, "40001") == 0;
}

int federate_apply(const FederateMesh *fm, MeshNode *node, const char *sql, Error *reterr)
{
    // Below the default of deadlock_timeout: in a circle with a stream's worker we give way.
    Buf text CLEANUP(buf_done) = BUF_INIT(32u << 20);
    buf_add_text(&text, "BEGIN; SET LOCAL lock_timeout = '500ms';\n");
    buf_add_text(&text, sql);
    buf_add_text(&text, "\n; COMMIT");
    int r = buf_check(&text);
    if (r < 0)
        return error_set(reterr, r, "%s: the SQL of a step", node->region);
    Mono end = mono_add(clock_mono(), FEDERATE_LOCK_NS);
    for (;;) {
        r = mesh_script(fm->mesh, node, buf_text(&text), reterr);
        if (r == 0)
            return 0;
        bool passing = is_passing(node);
        if (node->conn == NULL || mesh_script(fm->mesh, node, "ROLLBACK", NULL) < 0)
            return r;
        if (!passing)
            return r;
        if (clock_mono().ns >= end.ns)
            return error_hint(reterr, r,
                              "A transaction holds the table for long: pg_locks and "
                              "pg_stat_activity show which. Nothing was changed there; "
                              "run it again.");
        error_done(reterr);
        (void)poll(NULL, 0, 100);
    }
}

// The shape without one column; NULL without memory.
static const TableShape *shape_without(const TableShape *shape, const char *column, Arena *arena)
{
    TableShape *copy = arena_memdup(arena, shape, sizeof *shape);
    TableColumn *columns = arena_new_array(arena, TableColumn, shape->n_columns);
    uint32_t *primary = arena_new_array(arena, uint32_t, shape->primary.n);
    if (copy == NULL || columns == NULL || primary == NULL)
        return NULL;
    uint32_t n = 0, gone = UINT32_MAX;
    for (uint32_t i = 0; i < shape->n_columns; i++)
        if (strcmp(shape->columns[i].name, column) != 0)
            columns[n++] = shape->columns[i];
        else
            gone = i;
    copy->columns = columns;
    copy->n_columns = n;
    for (uint32_t i = 0; i < shape->primary.n; i++)
        primary[i] = shape->primary.columns[i] - (shape->primary.columns[i] > gone ? 1 : 0);
    copy->primary.columns = primary;
    TableKey *uniques = arena_new_array(arena, TableKey, shape->n_uniques + 1);
    for (uint32_t k = 0; uniques != NULL && k < shape->n_uniques; k++) {
        uint32_t *at = arena_new_array(arena, uint32_t, shape->uniques[k].n);
        if (at == NULL)
            return NULL;
        for (uint32_t i = 0; i < shape->uniques[k].n; i++)
            at[i] = shape->uniques[k].columns[i] - (shape->uniques[k].columns[i] > gone ? 1 : 0);
        uniques[k] = shape->uniques[k];
        uniques[k].columns = at;
    }
    copy->uniques = uniques;
    copy->n_foreigns = 0; // their columns are not used by the SQL
    return uniques == NULL ? NULL : copy;
}

int federate_shape(const FederateMesh *fm, MeshNode *node, const FederatedTable *table,
                   const char *without, const TableShape **ret_shape, Error *reterr)
{
    TableShape *shape = NULL;
    int r = table_shape_read(fm->mesh, node, table->table, table->kind, fm->arena, &shape, reterr);
    if (r < 0)
        return r;
    *ret_shape = without == NULL ? shape : shape_without(shape, without, fm->arena);
    return *ret_shape == NULL ? error_set(reterr, ERROR_MEMORY, "%s", table->table) : 0;
}

int federate_publication(const FederateMesh *fm, MeshNode *node, uint32_t number,
                         const char *without, Buf *sql, Error *reterr)
{
    FederatedTable *tables = NULL;
    uint32_t n = 0, kept = 0;
    int r = federate_registry(fm, node, &tables, &n, reterr);
    if (r < 0)
        return r;
    MeshSqlTable *all = arena_new_array(fm->arena, MeshSqlTable, n + 1);
    if (all == NULL)
        return error_set(reterr, ERROR_MEMORY, "publication");
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        const FederatedTable *table = &tables[i];
        if (table->number == number && without == NULL)
            continue;
        const TableShape *shape = NULL;
        r = federate_shape(fm, node, table,
                           table->number == number && without[0] != '\0' ? without : NULL, &shape,
                           reterr);
        all[kept++] = (MeshSqlTable){.number = table->number, .kind = table->kind, .shape = shape};
        if (table->number != number)
            continue;
        if (table->kind == TABLE_KIND_LWW)
            buf_printf(sql, "LOCK TABLE wildcam.journal_%u IN SHARE MODE;\n", number);
        else
            buf_printf(sql, "LOCK TABLE %s IN SHARE MODE;\n", table->table);
    }
    MeshSqlNode self = federate_sql_node(fm, node);
    return r < 0 ? r : mesh_sql_publication(&self, all, kept, sql, reterr);
}

int federate_is_published(const FederateMesh *fm, MeshNode *node, const FederatedTable *table,
                          bool *ret_is, Error *reterr)
{
    char journal[32];
    (void)snprintf(journal, sizeof journal, "journal_%u", table->number);
    bool lww = table->kind == TABLE_KIND_LWW;
    const char *params[] = {lww ? "wildcam" : table->schema, lww ? journal : table->name};
    PGresult *result = NULL;
    int r = mesh_query(fm->mesh, node,
                       "SELECT count(*) FROM pg_publication_tables WHERE pubname = 'wildcam' AND "
                       "schemaname = $1 AND tablename = $2",
                       2, params, &result, reterr);
    if (r < 0)
        return r;
    *ret_is = strcmp(PQgetvalue(result, 0, 0), "0") != 0;
    PQclear(result);
    return 0;
}

// The names of what is published / subscribed, as one text.
static int read_tables(const FederateMesh *fm, MeshNode *node, const char *sql, const char *param,
                       char **ret_text, Error *reterr)
{
    PGresult *result = NULL;
    int r = mesh_query(fm->mesh, node, sql, param != NULL ? 1 : 0, &param, &result, reterr);
    if (r < 0)
        return r;
    *ret_text = arena_strdup(fm->arena, PQgetvalue(result, 0, 0));
    PQclear(result);
    return *ret_text == NULL ? error_set(reterr, ERROR_MEMORY, "subscription") : 0;
}

int federate_refresh(const FederateMesh *fm, MeshNode *subscriber, const MeshNode *publisher,
                     bool *ret_changed, Error *reterr)
{
    char name[MESH_NAME_MAX], sql[160], *published, *known;
    mesh_subscription_name(subscriber, publisher, name);
    int r =
        read_tables(fm, &fm->mesh->nodes[publisher - fm->mesh->nodes],
                    "SELECT coalesce(string_agg(t, ' ' ORDER BY t COLLATE \"C\"), '') FROM (SELECT "
                    "quote_ident(schemaname) || '.' || quote_ident(tablename) AS t FROM "
                    "pg_publication_tables WHERE pubname = 'wildcam') x",
                    NULL, &published, reterr);
    if (r == 0)
        r = read_tables(
            fm, subscriber,
            "SELECT CASE WHEN EXISTS (SELECT FROM pg_subscription WHERE subname = $1) "
            "THEN coalesce(string_agg(t, ' ' ORDER BY t COLLATE \"C\"), '') ELSE '-' END "
            "FROM (SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS t "
            "FROM pg_subscription_rel r JOIN pg_class c ON c.oid = r.srrelid JOIN "
            "pg_namespace n ON n.oid = c.relnamespace JOIN pg_subscription s ON s.oid = "
            "r.srsubid WHERE s.subname = $1) x",
            name, &known, reterr);
    if (r < 0)
        return r;
    *ret_changed = strcmp(published, known) != 0;
    if (strcmp(known, "-") == 0) {
        r = error_set(reterr, ERROR_NOT_FOUND, "%s: subscription '%s' is missing",
                      subscriber->region, name);
        return error_hint(reterr, r, "'wildcam rows init' makes it.");
    }
    if (!*ret_changed)
        return 0;
    (void)snprintf(sql, sizeof sql,
                   "ALTER SUBSCRIPTION %s REFRESH PUBLICATION WITH (copy_data = false)", name);
    return mesh_query(fm->mesh, subscriber, sql, 0, NULL, NULL, reterr);
}

// Appends the names of the links from `publisher` that have not confirmed `lsn`; how many.
static int behind(const FederateMesh *fm, MeshNode *publisher, const char *lsn, Buf *names,
                  Error *reterr)
{
    int n = 0;
    for (uint32_t i = 0; i < fm->mesh->n; i++) {
        char slot[MESH_NAME_MAX];
        const MeshNode *subscriber = &fm->mesh->nodes[i];
        if (!fm->member[i] || subscriber == publisher)
            continue;
        mesh_subscription_name(subscriber, publisher, slot);
        const char *params[] = {lsn, slot};
        PGresult *result = NULL;
        int r = mesh_query(fm->mesh, publisher, "SELECT wildcam.confirmed($1, ARRAY[$2::name])", 2,
                           params, &result, reterr);
        if (r < 0)
            return r;
        bool confirmed = strcmp(PQgetvalue(result, 0, 0), "1") == 0;
        PQclear(result);
        if (!confirmed)
            buf_printf(names, "%s%s", names->len > 0 ? ", " : "", slot);
        n += confirmed ? 0 : 1;
    }
    return n;
}

int federate_settle(const FederateMesh *fm, int64_t wait_ns, Error *reterr)
{
    Mesh *mesh = fm->mesh;
    Mono end = mono_add(clock_mono(), wait_ns);
    char(*lsns)[32] = arena_alloc_array(fm->arena, mesh->n, sizeof *lsns);
    if (lsns == NULL)
        return error_set(reterr, ERROR_MEMORY, "links");
    int r = federate_need_all(fm, reterr);
    for (uint32_t i = 0; r == 0 && i < mesh->n; i++) {
        PGresult *result = NULL;
        if (!fm->member[i])
            continue;
        r = mesh_query(mesh, &mesh->nodes[i], "SELECT pg_current_wal_insert_lsn()", 0, NULL,
                       &result, reterr);
        if (r == 0)
            (void)snprintf(lsns[i], sizeof lsns[i], "%s", PQgetvalue(result, 0, 0));
        PQclear(result);
        if (r == 0) // something to confirm, past the point
            r = mesh_script(mesh, &mesh->nodes[i], "SELECT wildcam.beat()", reterr);
    }
    while (r == 0) {
        Buf names CLEANUP(buf_done) = BUF_INIT(4096);
        int n = 0;
        for (uint32_t i = 0; n >= 0 && i < mesh->n; i++)
            if (fm->member[i]) {
                int more = behind(fm, &mesh->nodes[i], lsns[i], &names, reterr);
                n = more < 0 ? more : n + more;
            }
        if (n <= 0)
            return n;
        if (clock_mono().ns >= end.ns) {
            r = error_set(reterr, ERROR_TIMEOUT, "not everything is applied yet: %s",
                          buf_text(&names));
            return error_hint(reterr, r,
                              "'wildcam rows status' shows these links. Run it again when "
                              "they have caught up.");
        }
        (void)poll(NULL, 0, 20);
    }
    return r;
}
