// SPDX-License-Identifier: MIT
// rows_federate_print: see rows_federate_print.h.
#include "rows_federate_print.h"

#include <stdio.h>
#include <string.h>

#include "tell.h"

static const char *kind_text(TableKind kind)
{
    return kind == TABLE_KIND_LWW ? "lww" : "insert-only";
}

static void print_lines(const char *heading, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        tell_line(stderr, "%s%.*s", heading, (int)len, text);
        (void)fputc('\n', stderr);
        text += len + (text[len] == '\n' ? 1 : 0);
    }
}

// Of rows with the same key: which region's stays.
static const char *winner(const FederateMesh *fm, const FederateCheck *check, TableKind kind)
{
    const MeshNode *best = NULL;
    for (uint32_t i = 0; i < fm->mesh->n; i++) {
        const MeshNode *node = &fm->mesh->nodes[i];
        if (!fm->member[i] || check->rows[i] == 0)
            continue;
        if (best == NULL ||
            (kind == TABLE_KIND_LWW ? node->origin > best->origin : node->origin < best->origin))
            best = node;
    }
    return best != NULL ? best->region : "";
}

static void print_rows(const FederateMesh *fm, const FederateCheck *check, TableKind kind)
{
    static const char *const HEADS[] = {"REGION", "ORIGIN", "ROWS NOW"};
    TellTable table = tell_table(HEADS, 3);
    for (uint32_t i = 0; i < fm->mesh->n; i++) {
        if (!fm->member[i])
            continue;
        tell_cell(&table, TELL_PLAIN, "%s", fm->mesh->nodes[i].region);
        tell_cell(&table, TELL_PLAIN, "%u", fm->mesh->nodes[i].origin);
        tell_cell(&table, TELL_PLAIN, "%llu", (unsigned long long)check->rows[i]);
    }
    tell_table_print(&table, stdout);
    (void)printf("%llu key%s in all", (unsigned long long)check->keys, check->keys == 1 ? "" : "s");
    if (check->differing > 0)
        (void)printf(
            "; %llu differ%s between regions: of those the row of the %s origin stays, first "
            "of all that of %s",
            (unsigned long long)check->differing, check->differing == 1 ? "s" : "",
            kind == TABLE_KIND_LWW ? "higher" : "lower", winner(fm, check, kind));
    (void)printf("\n");
}

void federate_print_before(const FederateMesh *fm, const FederateCheck *check, TableKind kind,
                           uint32_t number, const FederateOptions *options)
{
    print_lines("warning: ", buf_text(&check->warnings));
    if (check->counted)
        print_rows(fm, check, kind);
    if (options->drop)
        (void)printf("%s leaves the federation in %u regions: rows and their column %s stay, its "
                     "journal, tombstones and parked rows go\n",
                     check->table, fm->members, kind == TABLE_KIND_LWW ? "_v" : "_origin");
    else
        (void)printf(
            "%s becomes table %u of the federation (%s) in %u regions: column %s, triggers%s; "
            "then rows that are there go to all regions\n",
            check->table, number, kind_text(kind), fm->members,
            kind == TABLE_KIND_LWW ? "_v" : "_origin",
            kind == TABLE_KIND_LWW ? ", journal, tombstones" : "");
    (void)fflush(stdout);
}

static void print_json(const FederateMesh *fm, const FederateCheck *check, TableKind kind,
                       const FederateDone *done, const FederateOptions *options)
{
    json_t *regions = json_array(), *warnings = json_array();
    for (uint32_t i = 0; i < fm->mesh->n; i++)
        if (fm->member[i])
            (void)json_array_append_new(
                regions,
                json_pack("{s:s, s:i, s:o}", "region", fm->mesh->nodes[i].region, "origin",
                          (int)fm->mesh->nodes[i].origin, "rows",
                          check->counted ? json_integer((json_int_t)check->rows[i]) : json_null()));
    for (const char *text = buf_text(&check->warnings); *text != '\0';) {
        size_t len = strcspn(text, "\n");
        (void)json_array_append_new(warnings, json_stringn(text, len));
        text += len + (text[len] == '\n' ? 1 : 0);
    }
    json_t *answer =
        json_pack("{s:s, s:s, s:s, s:i, s:b, s:o, s:o, s:o, s:I, s:i, s:o}", "table", check->table,
                  "action", options->drop ? "drop" : "federate", "kind", kind_text(kind), "number",
                  (int)done->number, "changed", !done->already, "keys",
                  check->counted ? json_integer((json_int_t)check->keys) : json_null(), "differing",
                  check->counted ? json_integer((json_int_t)check->differing) : json_null(),
                  "warnings", warnings, "filled_rows", (json_int_t)done->filled_rows, "links",
                  (int)done->links, "regions", regions);
    (void)json_dumpf(answer, stdout, JSON_COMPACT);
    (void)printf("\n");
    json_decref(answer);
}

void federate_print_after(const FederateMesh *fm, const FederateCheck *check, TableKind kind,
                          const FederateDone *done, const FederateOptions *options)
{
    if (options->json)
        print_json(fm, check, kind, done, options);
    else if (done->already)
        (void)printf("%s: nothing to do\n", check->table);
    else if (options->drop)
        (void)printf(
            "%s is out of the federation. Its column %s stays; to remove it: ALTER TABLE ... DROP "
            "COLUMN in each region's psql.\n",
            check->table, kind == TABLE_KIND_LWW ? "_v" : "_origin");
    else
        (void)printf("%s is federated: %u links, %llu rows sent\n", check->table, done->links,
                     (unsigned long long)done->filled_rows);
}
