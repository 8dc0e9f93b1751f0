// SPDX-License-Identifier: MIT
// rows_federate: `wildcam rows federate TABLE` takes a table into the federation, or out of it.
// In: its SQL at all nodes, then published by all, then known to all subscriptions, then every link
// filled: what was written between the first step and the third is carried by the fill, which reads
// after the subscription knows the table. Out: the other way round, and nothing that a row on its
// way may need goes before every subscriber has confirmed what was sent.
// Every step looks first: a run that was killed anywhere is ended by the next one.
#include "rows_federate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fill.h"
#include "rows.h"
#include "rows_federate_print.h"
#include "tell.h"

#define SETTLE_NS (60 * INT64_C(1000000000))

typedef struct Plan {
    const FederateMesh *fm;
    FederateCheck *check;
    TableKind kind;
    uint32_t number;
    uint64_t *filled;             // [mesh->n]: bit p: the link from p was whole before
    const FederatedTable **there; // [mesh->n]; NULL: not in that node's wildcam.federated
    FederateDone done;
} Plan;

// The number this table has, or the smallest that no node uses: those from FEDERATE_TABLES_MAX on
// are given to the tables of fleet.yaml, 1 is detections.
static int find_number(Plan *plan, Error *reterr)
{
    const FederateMesh *fm = plan->fm;
    TableShape *const *shapes = plan->check->shapes;
    bool used[FEDERATE_TABLES_MAX] = {false};
    plan->number = 0;
    plan->there = arena_new_array(fm->arena, const FederatedTable *, fm->mesh->n);
    if (plan->there == NULL)
        return error_set(reterr, ERROR_MEMORY, "wildcam.federated");
    for (uint32_t i = 0; i < fm->mesh->n; i++) {
        FederatedTable *tables = NULL;
        uint32_t n = 0;
        if (!federate_is_there(fm, i))
            continue;
        int r = federate_registry(fm, &fm->mesh->nodes[i], &tables, &n, reterr);
        if (r < 0)
            return r;
        for (uint32_t k = 0; k < n; k++)
            if (tables[k].number < FEDERATE_TABLES_MAX)
                used[tables[k].number] = true;
        const FederatedTable *one =
            shapes != NULL && shapes[i] != NULL ? federate_find(tables, n, shapes[i]) : NULL;
        plan->there[i] = one;
        if (one == NULL)
            continue;
        if (plan->number != 0 && plan->number != one->number)
            return error_set(reterr, ERROR_CONFLICT, "%s has number %u in %s and %u elsewhere",
                             plan->check->table, one->number, fm->mesh->nodes[i].region,
                             plan->number);
        plan->number = one->number;
    }
    for (uint32_t i = 2; plan->number == 0 && i < FEDERATE_TABLES_MAX; i++)
        plan->number = used[i] ? 0 : i;
    return plan->number != 0
               ? 0
               : error_set(reterr, ERROR_LIMIT, "more than %u tables", FEDERATE_TABLES_MAX - 2);
}

// The daemons would take it in again.
static int refuse_kept(const Plan *plan, Error *reterr)
{
    const ConfRows *rows = &plan->fm->context.conf->rows;
    const TableShape *shape = NULL;
    const uint32_t n = plan->check->shapes != NULL ? plan->fm->mesh->n : 0;
    for (uint32_t i = 0; shape == NULL && i < n; i++)
        shape = plan->check->shapes[i];
    bool public = shape != NULL && strcmp(shape->schema, "public") == 0;
    if (public && strcmp(shape->name, "detections") == 0)
        return error_set(reterr, ERROR_CONFLICT, "detections is the service's own table");
    for (uint32_t i = 0; shape != NULL && i < rows->n_tables; i++) {
        const char *name = rows->tables[i].name, *dot = strchr(name, '.');
        size_t len = dot != NULL ? (size_t)(dot - name) : 0;
        bool schema = dot == NULL
                          ? public
                          : strlen(shape->schema) == len && strncmp(name, shape->schema, len) == 0;
        if (schema && strcmp(dot == NULL ? name : dot + 1, shape->name) == 0) {
            int r = error_set(reterr, ERROR_CONFLICT, "%s stands in fleet.yaml, below rows.tables",
                              plan->check->table);
            return error_hint(reterr, r, "Take it out there first: 'wildcam config push'.");
        }
    }
    return 0;
}

static int install(Plan *plan, uint32_t i, Error *reterr)
{
    const FederateMesh *fm = plan->fm;
    MeshNode *node = &fm->mesh->nodes[i];
    MeshSqlTable table = {
        .number = plan->number, .kind = plan->kind, .shape = plan->check->shapes[i]};
    MeshSqlNode self = federate_sql_node(fm, node);
    char digest[65];
    Buf sql CLEANUP(buf_done) = BUF_INIT(16u << 20);
    int r = mesh_sql_digest(&table, digest, reterr);
    if (r < 0)
        return r;
    if (plan->there[i] != NULL && strcmp(plan->there[i]->digest, digest) == 0)
        return 0;
    r = mesh_sql_table(&self, &table, &sql, reterr);
    if (r < 0)
        return r;
    // Until the last step is done, whoever comes next fills these links.
    buf_add_text(&sql, "\nUPDATE wildcam.link SET state = 'subscribed' WHERE state = 'filled'");
    r = federate_apply(fm, node, buf_text(&sql), reterr);
    if (r == 0)
        plan->done.installed++;
    return r;
}

static int publish(Plan *plan, uint32_t i, Error *reterr)
{
    const FederateMesh *fm = plan->fm;
    MeshNode *node = &fm->mesh->nodes[i];
    Buf sql CLEANUP(buf_done) = BUF_INIT(16u << 20);
    FederatedTable table = {.number = plan->number,
                            .kind = plan->kind,
                            .schema = plan->check->shapes[i]->schema,
                            .name = plan->check->shapes[i]->name};
    bool is = false;
    int r = federate_is_published(fm, node, &table, &is, reterr);
    if (r < 0 || is)
        return r;
    r = federate_publication(fm, node, plan->number, "", &sql, reterr);
    if (r == 0)
        r = federate_apply(fm, node, buf_text(&sql), reterr);
    if (r == 0)
        plan->done.published++;
    return r;
}

// The link to `subscriber` from `publisher`: refreshed, and filled unless it was both before.
static int link_one(Plan *plan, uint32_t subscriber, uint32_t publisher, Error *reterr)
{
    Mesh *mesh = plan->fm->mesh;
    MeshNode *to = &mesh->nodes[subscriber], *from = &mesh->nodes[publisher];
    char origin[16];
    const char *params[] = {origin};
    bool refreshed = false;
    (void)snprintf(origin, sizeof origin, "%u", from->origin);
    int r = federate_refresh(plan->fm, to, from, &refreshed, reterr);
    if (r < 0)
        return r;
    plan->done.refreshed += refreshed ? 1 : 0;
    PGresult *result = NULL;
    r = mesh_query(mesh, to, "SELECT state FROM wildcam.link WHERE origin = $1", 1, params, &result,
                   reterr);
    if (r < 0)
        return r;
    // Missing: nobody keeps count of this link (databases without a daemon).
    bool filled = PQntuples(result) == 0 || strcmp(PQgetvalue(result, 0, 0), "filled") == 0;
    PQclear(result);
    bool whole = (plan->filled[subscriber] >> publisher & 1) != 0 || filled;
    if (filled && !refreshed)
        return 0;
    // A link that was not filled before owes the other tables too.
    const uint8_t origins[] = {(uint8_t)from->origin, (uint8_t)to->origin};
    FillProgress progress = {0};
    r = mesh_fill(mesh, from, to,
                  &(FillWanted){.n_origins = ARRAY_SIZE(origins),
                                .origins = origins,
                                .and_inactive = true,
                                .table = whole ? plan->number : 0},
                  NULL, NULL, &progress, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "fill %s from %s", to->region, from->region);
    plan->done.filled_rows += progress.rows;
    plan->done.links++;
    return mesh_query(mesh, to,
                      "UPDATE wildcam.link SET state = 'filled', since = now(), error = NULL WHERE "
                      "origin = $1 AND state = 'subscribed'",
                      1, params, NULL, reterr);
}

static int link_all(Plan *plan, Error *reterr)
{
    Mesh *mesh = plan->fm->mesh;
    int r = 0;
    for (uint32_t to = 0; r == 0 && to < mesh->n; to++)
        for (uint32_t from = 0; r == 0 && from < mesh->n; from++)
            if (to != from && plan->fm->member[to] && plan->fm->member[from])
                r = link_one(plan, to, from, reterr);
    return r;
}

// Which links were whole before this run.
static int read_links(Plan *plan, Error *reterr)
{
    Mesh *mesh = plan->fm->mesh;
    plan->filled = arena_new_array(plan->fm->arena, uint64_t, mesh->n);
    int r = plan->filled == NULL ? error_set(reterr, ERROR_MEMORY, "links") : 0;
    for (uint32_t to = 0; r == 0 && to < mesh->n; to++) {
        PGresult *result = NULL;
        if (!plan->fm->member[to])
            continue;
        r = mesh_query(mesh, &mesh->nodes[to],
                       "SELECT origin FROM wildcam.link WHERE state = 'filled'", 0, NULL, &result,
                       reterr);
        for (int row = 0; r == 0 && row < PQntuples(result); row++)
            for (uint32_t from = 0; from < mesh->n && from < 64; from++)
                if (strtoul(PQgetvalue(result, row, 0), NULL, 10) == mesh->nodes[from].origin)
                    plan->filled[to] |= UINT64_C(1) << from;
        PQclear(result);
    }
    return r;
}

// One step at every member before the next one anywhere.
static int at_all(Plan *plan, int (*step)(Plan *plan, uint32_t i, Error *reterr), Error *reterr)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < plan->fm->mesh->n; i++)
        if (plan->fm->member[i])
            r = step(plan, i, reterr);
    return r;
}

static int take_in(Plan *plan, Error *reterr)
{
    int r = read_links(plan, reterr);
    if (r == 0)
        r = at_all(plan, install, reterr);
    if (r == 0)
        r = at_all(plan, publish, reterr);
    if (r == 0)
        r = link_all(plan, reterr);
    plan->done.already = plan->done.installed + plan->done.published + plan->done.links == 0;
    return r;
}

static int unpublish(Plan *plan, uint32_t i, Error *reterr)
{
    const FederateMesh *fm = plan->fm;
    MeshNode *node = &fm->mesh->nodes[i];
    Buf sql CLEANUP(buf_done) = BUF_INIT(16u << 20);
    bool is = false;
    if (plan->there[i] == NULL)
        return 0;
    int r = federate_is_published(fm, node, plan->there[i], &is, reterr);
    if (r < 0 || !is)
        return r;
    r = federate_publication(fm, node, plan->number, NULL, &sql, reterr);
    if (r == 0)
        r = federate_apply(fm, node, buf_text(&sql), reterr);
    plan->done.published += r == 0 ? 1 : 0;
    return r;
}

static int uninstall(Plan *plan, uint32_t i, Error *reterr)
{
    const FederateMesh *fm = plan->fm;
    Buf sql CLEANUP(buf_done) = BUF_INIT(1u << 20);
    if (plan->there[i] == NULL)
        return 0;
    MeshSqlTable table = {
        .number = plan->number, .kind = plan->kind, .shape = plan->check->shapes[i]};
    int r = mesh_sql_drop_table(&table, &sql, reterr);
    if (r == 0)
        r = federate_apply(fm, &fm->mesh->nodes[i], buf_text(&sql), reterr);
    plan->done.installed += r == 0 ? 1 : 0;
    return r;
}

static int forget(Plan *plan, uint32_t i, Error *reterr)
{
    Mesh *mesh = plan->fm->mesh;
    int r = 0;
    for (uint32_t from = 0; r == 0 && from < mesh->n; from++) {
        bool changed = false;
        if (from == i || !plan->fm->member[from])
            continue;
        r = federate_refresh(plan->fm, &mesh->nodes[i], &mesh->nodes[from], &changed, reterr);
        plan->done.refreshed += changed ? 1 : 0;
    }
    return r;
}

static int take_out(Plan *plan, Error *reterr)
{
    bool any = false;
    for (uint32_t i = 0; i < plan->fm->mesh->n; i++)
        any = any || plan->there[i] != NULL;
    plan->done.already = !any;
    if (!any)
        return 0;
    int r = at_all(plan, unpublish, reterr);
    if (r == 0)
        r = federate_settle(plan->fm, SETTLE_NS, reterr);
    if (r == 0)
        r = at_all(plan, forget, reterr);
    return r < 0 ? r : at_all(plan, uninstall, reterr);
}

// What it is federated as decides; asking for another kind is refused before its shape is judged.
static int check_kind(Plan *plan, const FederateOptions *options, Error *reterr)
{
    Error err CLEANUP(error_done) = ERROR_INIT;
    TableKind is = plan->kind;
    int r = federate_kind_of(plan->fm, options->table, &is, &err);
    if (options->drop && r < 0)
        return error_set(reterr, r, "%s", error_text(&err));
    if (r < 0 || is == plan->kind || options->drop) {
        plan->kind = r == 0 ? is : plan->kind;
        return 0; // a table that is missing somewhere is a problem of the check
    }
    r = error_set(reterr, ERROR_CONFLICT, "'%s' is federated as %s already", options->table,
                  is == TABLE_KIND_LWW ? "last-write-wins" : "insert-only");
    return error_hint(reterr, r, "'wildcam rows federate %s --drop' takes it out first.",
                      options->table);
}

// Looks, tells, asks.
static int prepare(Plan *plan, const FederateOptions *options, Error *reterr)
{
    const FederateMesh *fm = plan->fm;
    plan->kind = options->insert_only ? TABLE_KIND_INSERT_ONLY : TABLE_KIND_LWW;
    int r = federate_need_all(fm, reterr);
    if (r == 0)
        r = check_kind(plan, options, reterr);
    if (r == 0)
        r = federate_check(fm, options->table, plan->kind, plan->check, reterr);
    if (r < 0)
        return r;
    if (options->drop) // what does not fit together is no reason to keep it in
        plan->check->n_problems = 0;
    if (plan->check->n_problems > 0) {
        r = error_set(reterr, ERROR_CONFLICT, "%u problem%s with table '%s':\n%.*s",
                      plan->check->n_problems, plan->check->n_problems == 1 ? "" : "s",
                      options->table, (int)plan->check->problems.len - 1,
                      buf_text(&plan->check->problems));
        return error_hint(reterr, r,
                          "Nothing was changed. docs/rows.md tells what a federated table "
                          "needs.");
    }
    r = find_number(plan, reterr);
    if (r == 0 && options->drop)
        r = refuse_kept(plan, reterr);
    bool is_new = r == 0;
    for (uint32_t i = 0; r == 0 && i < fm->mesh->n; i++)
        is_new = is_new && plan->there[i] == NULL;
    if (r == 0 && is_new && !options->drop)
        r = federate_count(fm, plan->check, reterr);
    if (r < 0)
        return r;
    if (!options->json)
        federate_print_before(fm, plan->check, plan->kind, plan->number, options);
    if (!options->json && (is_new != options->drop) && !tell_agreed(options->yes))
        return error_set(reterr, -ECANCELED, "not done");
    if (options->json && !options->yes)
        return error_set(reterr, ERROR_USAGE, "--json needs --yes: nobody can be asked");
    return 0;
}

int rows_federate(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL;
    FederateOptions to = {0};
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"insert-only", NULL, "rows are never changed: no journal, no versions", NULL,
         &to.insert_only},
        {"drop", NULL, "take the table out of the federation; its rows stay", NULL, &to.drop},
        {"yes", NULL, "do not ask", NULL, &to.yes},
        {"json", NULL, "one JSON object; needs --yes", NULL, &to.json},
    };
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 1, 1, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    to.table = argv[1];
    FederateMesh fm = {0};
    FederateCheck check = {0};
    r = federate_open(dir, "wildcam rows federate", &fm, reterr);
    if (r < 0)
        return r;
    Plan plan = {.fm = &fm, .check = &check};
    r = prepare(&plan, &to, reterr);
    if (r == 0)
        r = federate_lock(&fm, reterr);
    if (r == 0)
        r = federate_need_no_migration(&fm, reterr);
    if (r == 0) // again, now that nobody else changes it
        r = find_number(&plan, reterr);
    if (r == 0)
        r = to.drop ? take_out(&plan, reterr) : take_in(&plan, reterr);
    plan.done.number = plan.number;
    if (r == 0)
        federate_print_after(&fm, &check, plan.kind, &plan.done, &to);
    federate_check_done(&check);
    federate_close(&fm);
    return r;
}
