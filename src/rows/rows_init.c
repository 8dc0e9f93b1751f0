// SPDX-License-Identifier: MIT
// rows_init: all databases of fleet.yaml into one mesh: looks at each first, then makes each what
// it should be. Regions are done one after the other, in two rounds: first everything a node needs
// of itself, then the links, which need the others. A region that is away is named; its daemon, or
// the next run, makes what is missing.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "ensure.h"
#include "rows.h"
#include "tell.h"

typedef struct Part {
    Buf problems; // of the preflight, one a line
    int n_problems;
    EnsureDone done;
    int code;
    Error err;
} Part;

typedef struct Init {
    Mesh *mesh;
    Part *parts;
    bool plan, json;
    Buf sql;
} Init;

static void look(Init *init, uint32_t i)
{
    Part *part = &init->parts[i];
    MeshNode *node = &init->mesh->nodes[i];
    if (node->conn == NULL) {
        part->code = error_set(&part->err, ERROR_UNAVAILABLE, "%s", error_text(&node->why));
        return;
    }
    int n = mesh_preflight(init->mesh, node, &part->problems, &part->err);
    part->n_problems = n > 0 ? n : 0;
    part->code = n < 0 ? n : n > 0 ? ERROR_NOT_HELD : 0;
}

static void add_done(EnsureDone *sum, const EnsureDone *done)
{
    sum->statements += done->statements;
    sum->tables += done->tables;
    sum->subscriptions += done->subscriptions;
    sum->fills += done->fills;
    sum->missing = done->missing;
}

static void ensure(Init *init, EnsureStep last)
{
    for (uint32_t i = 0; i < init->mesh->n; i++) {
        Part *part = &init->parts[i];
        const EnsureOptions options = {.plan = init->plan, .sql = &init->sql, .last = last};
        EnsureDone done = {0};
        if (part->code < 0)
            continue;
        if (!init->json && last == ENSURE_STEP_MAX && !init->plan)
            (void)fprintf(stderr, "%s ...\n", init->mesh->nodes[i].region);
        part->code =
            mesh_ensure_node(init->mesh, &init->mesh->nodes[i], &options, &done, &part->err);
        add_done(&part->done, &done);
    }
}

// The links of a node as its database has them.
static json_t *links_of(Init *init, MeshNode *node)
{
    json_t *links = json_array();
    PGresult *result = NULL;
    int r = node->conn == NULL
                ? ERROR_UNAVAILABLE
                : mesh_query(init->mesh, node,
                             "SELECT n.region, coalesce(l.state, 'new'), l.error FROM wildcam.node "
                             "n LEFT JOIN wildcam.link l USING (origin) WHERE n.origin <> "
                             "wildcam.me() AND n.state NOT IN ('left', 'lost') ORDER BY n.origin",
                             0, NULL, &result, NULL);
    for (int i = 0; r == 0 && i < PQntuples(result); i++)
        (void)json_array_append_new(
            links, json_pack("{s:s, s:s, s:o}", "from", PQgetvalue(result, i, 0), "state",
                             PQgetvalue(result, i, 1), "error",
                             PQgetisnull(result, i, 2) ? json_null()
                                                       : json_string(PQgetvalue(result, i, 2))));
    PQclear(result);
    return links;
}

static json_t *lines_of(const Buf *text)
{
    json_t *lines = json_array();
    for (const char *at = buf_text(text); *at != '\0';) {
        size_t len = strcspn(at, "\n");
        (void)json_array_append_new(lines, json_stringn(at, len));
        at += len + (at[len] == '\n' ? 1 : 0);
    }
    return lines;
}

static json_t *region_of(Init *init, uint32_t i)
{
    const Part *part = &init->parts[i];
    MeshNode *node = &init->mesh->nodes[i];
    bool failed = part->code < 0 && part->code != ERROR_NOT_HELD;
    return json_pack("{s:s, s:b, s:o, s:i, s:i, s:i, s:i, s:o, s:o}", "region", node->region,
                     "reachable", node->conn != NULL ? 1 : 0, "error",
                     failed ? json_string(error_text(&part->err)) : json_null(), "changes",
                     (int)part->done.statements, "tables", (int)part->done.tables, "subscriptions",
                     (int)part->done.subscriptions, "fills", (int)part->done.fills, "problems",
                     lines_of(&part->problems), "links",
                     init->plan ? json_array() : links_of(init, node));
}

static bool is_filled(const json_t *link)
{
    return strcmp(json_string_value(json_object_get(link, "state")), "filled") == 0;
}

static bool is_linked(const json_t *region)
{
    const json_t *links = json_object_get(region, "links");
    for (size_t i = 0; i < json_array_size(links); i++) {
        const json_t *link = json_array_get(links, i);
        if (!is_filled(link) || json_is_string(json_object_get(link, "error")))
            return false;
    }
    return true;
}

static void print_region(const json_t *region, const Part *part, TellTable *table)
{
    const json_t *links = json_object_get(region, "links");
    size_t filled = 0, n = json_array_size(links);
    for (size_t i = 0; i < n; i++)
        filled += is_filled(json_array_get(links, i)) ? 1 : 0;
    tell_cell(table, TELL_PLAIN, "%s", json_string_value(json_object_get(region, "region")));
    tell_cell(table, part->code < 0 ? TELL_RED : TELL_GREEN, "%s",
              part->code == ERROR_NOT_HELD ? "not ready"
              : part->code < 0             ? "failed"
                                           : "ok");
    tell_cell(table, TELL_PLAIN, "%u", part->done.statements);
    tell_cell(table, filled < n ? TELL_YELLOW : TELL_PLAIN, "%zu of %zu", filled, n);
}

static void print_reasons(const json_t *region)
{
    const char *name = json_string_value(json_object_get(region, "region"));
    const char *error = json_string_value(json_object_get(region, "error"));
    const json_t *problems = json_object_get(region, "problems");
    const json_t *links = json_object_get(region, "links");
    if (error != NULL)
        tell_line(stdout, "%s: %s", name, error);
    for (size_t i = 0; i < json_array_size(problems); i++)
        tell_line(stdout, "%s: %s", name, json_string_value(json_array_get(problems, i)));
    for (size_t i = 0; i < json_array_size(links); i++) {
        const json_t *link = json_array_get(links, i);
        const char *why = json_string_value(json_object_get(link, "error"));
        if (why != NULL)
            tell_line(stdout, "%s from %s: %s", name,
                      json_string_value(json_object_get(link, "from")), why);
    }
}

static int report(Init *init)
{
    static const char *const HEADS[] = {"REGION", "STATE", "CHANGES", "LINKS FILLED"};
    json_t *regions = json_array();
    TellTable table = tell_table(HEADS, ARRAY_SIZE(HEADS));
    bool complete = true;
    for (uint32_t i = 0; i < init->mesh->n; i++) {
        json_t *region = region_of(init, i);
        complete = complete && init->parts[i].code == 0 && is_linked(region);
        print_region(region, &init->parts[i], &table);
        (void)json_array_append_new(regions, region);
    }
    if (init->json) {
        json_t *root = json_pack("{s:b, s:b, s:o, s:o}", "complete", complete ? 1 : 0, "plan",
                                 init->plan ? 1 : 0, "sql",
                                 init->plan ? json_string(buf_text(&init->sql)) : json_null(),
                                 "regions", json_incref(regions));
        (void)json_dumpf(root, stdout, JSON_INDENT(2));
        (void)printf("\n");
        json_decref(root);
        free(table.cells);
    } else if (init->plan) {
        (void)fputs(init->sql.len > 0 ? buf_text(&init->sql) : "-- nothing to change\n", stdout);
        free(table.cells);
    } else {
        tell_table_print(&table, stdout);
    }
    for (size_t i = 0; !init->json && i < json_array_size(regions); i++)
        print_reasons(json_array_get(regions, i));
    json_decref(regions);
    return complete ? 0 : 3;
}

static int run(Init *init, Error *reterr)
{
    init->parts = alloc_zeroed(init->mesh->n, sizeof *init->parts);
    if (init->parts == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for the regions");
    for (uint32_t i = 0; i < init->mesh->n; i++) {
        init->parts[i].problems = BUF_INIT(1U << 20);
        look(init, i);
    }
    if (!init->plan)
        ensure(init, ENSURE_STEP_PUBLICATION);
    ensure(init, ENSURE_STEP_MAX);
    int r = report(init);
    for (uint32_t i = 0; i < init->mesh->n; i++) {
        buf_done(&init->parts[i].problems);
        error_done(&init->parts[i].err);
    }
    free(init->parts);
    return r;
}

int rows_init(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL;
    Init init = {.sql = BUF_INIT(64U << 20)};
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"plan", NULL, "print the SQL that would run; change nothing", NULL, &init.plan},
        {"json", NULL, "for programs", NULL, &init.json},
    };
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 0, 0, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    Context context CLEANUP(context_done) = {0};
    r = context_open(dir, &context, reterr);
    const MeshOptions mesh = {
        .dir = context.dir.text, .as = MESH_AS_OWNER, .application = "wildcam rows init"};
    if (r == 0)
        r = mesh_open(context.conf, &mesh, &init.mesh, reterr);
    if (r == 0)
        r = run(&init, reterr);
    init.mesh = mesh_free(init.mesh);
    buf_done(&init.sql);
    return r;
}
