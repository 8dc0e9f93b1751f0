// SPDX-License-Identifier: MIT
// rows_migrate_print: the plan before, the result after.
#include <stdio.h>
#include <string.h>

#include "rows_migrate.h"
#include "tell.h"

static uint32_t count_done(const MigrateRun *run, uint32_t statement, uint32_t phase)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < run->fm->mesh->n; i++)
        n += run->fm->member[i] && (run->done[i][statement] >> phase & 1) != 0 ? 1 : 0;
    return n;
}

void migrate_print_plan(const MigrateRun *run)
{
    for (uint32_t i = 0; i < run->file->n; i++) {
        const MigrateStatement *s = &run->file->statements[i];
        const MigrateFact *fact = &run->facts[i];
        const MigratePhase *phases = migrate_phases(s, fact);
        (void)printf("line %u: %s%s%s\n", s->line, migrate_class_name(s->class),
                     fact->table != NULL ? " " : "", fact->table != NULL ? fact->table : "");
        for (uint32_t p = 0; phases[p].what != NULL; p++)
            (void)printf("  %u. %s: %u of %u regions have it%s%s\n", p + 1, phases[p].what,
                         count_done(run, i, p), run->fm->members,
                         phases[p].barrier ? "; begins when all have the one before" : "",
                         phases[p].settle ? " and everything written by then is applied" : "");
    }
    (void)fflush(stdout);
}

static json_t *statement_json(const MigrateRun *run, uint32_t i)
{
    const MigrateStatement *s = &run->file->statements[i];
    const MigrateFact *fact = &run->facts[i];
    const MigratePhase *phases = migrate_phases(s, fact);
    json_t *list = json_array();
    for (uint32_t p = 0; phases[p].what != NULL; p++) {
        json_t *regions = json_array();
        for (uint32_t k = 0; k < run->fm->mesh->n; k++)
            if (run->fm->member[k] && (run->done[k][i] >> p & 1) != 0)
                (void)json_array_append_new(regions, json_string(run->fm->mesh->nodes[k].region));
        (void)json_array_append_new(list, json_pack("{s:s, s:b, s:b, s:o}", "what", phases[p].what,
                                                    "barrier", phases[p].barrier, "settle",
                                                    phases[p].settle, "done", regions));
    }
    return json_pack("{s:i, s:s, s:s?, s:o, s:s, s:o}", "line", (int)s->line, "class",
                     migrate_class_name(s->class), "table", fact->table, "number",
                     fact->number != 0 ? json_integer(fact->number) : json_null(), "sql", s->text,
                     "phases", list);
}

static void print_json(const MigrateRun *run, const MigrateStop *stop)
{
    json_t *statements = json_array(), *away = json_array();
    for (uint32_t i = 0; i < run->file->n; i++)
        (void)json_array_append_new(statements, statement_json(run, i));
    for (uint32_t i = 0; i < run->fm->mesh->n; i++)
        if (run->fm->member[i] && run->fm->mesh->nodes[i].conn == NULL)
            (void)json_array_append_new(away, json_string(run->fm->mesh->nodes[i].region));
    json_t *answer =
        json_pack("{s:s, s:s, s:b, s:i, s:o, s:o}", "file", run->file->name, "id", run->file->id,
                  "finished", run->finished, "ran", stop != NULL ? (int)stop->ran : 0, "away", away,
                  "statements", statements);
    (void)json_dumpf(answer, stdout, JSON_COMPACT);
    (void)printf("\n");
    json_decref(answer);
}

void migrate_print_result(const MigrateRun *run, const MigrateStop *stop)
{
    if (run->json) {
        print_json(run, stop);
        return;
    }
    if (run->plan)
        return;
    if (run->abandon)
        (void)printf("%s: abandoned; what it has done stays\n", run->file->name);
    else if (run->finished && (stop == NULL || stop->ran == 0))
        (void)printf("%s: done before, in all regions\n", run->file->name);
    else if (run->finished)
        (void)printf("%s: done in all %u regions\n", run->file->name, run->fm->members);
    else
        (void)printf("%s: as far as is safe without %s%s\n", run->file->name, buf_text(&stop->away),
                     stop->stopped ? "" : "; all other regions have done it");
}
