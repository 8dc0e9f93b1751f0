// SPDX-License-Identifier: MIT
// rows_migrate: `wildcam rows migrate FILE.sql`. Reads, checks, tells, asks, goes on where the last
// run of the same file ended. 3: some region was away; the same command ends it.
#include "rows_migrate.h"

#include <errno.h>
#include <stdio.h>

#include "alloc.h"
#include "files.h"
#include "rows.h"
#include "tell.h"

static int begin(MigrateRun *run, Error *reterr)
{
    Buf problems CLEANUP(buf_done) = BUF_INIT(65536);
    int n = migrate_check(run, &problems, reterr);
    if (n <= 0)
        return n;
    int r = error_set(reterr, ERROR_CONFLICT, "%d problem%s in '%s':\n%.*s", n, n == 1 ? "" : "s",
                      run->file->name, (int)problems.len - 1, buf_text(&problems));
    return error_hint(reterr, r, "Nothing was changed.");
}

static int run_all(MigrateRun *run, Error *reterr)
{
    MigrateStop stop = {0};
    int r = migrate_read(run, reterr);
    if (r == 0 && run->finished) {
        migrate_print_result(run, NULL);
        return 0;
    }
    if (r == 0 && run->abandon) {
        r = migrate_abandon(run, reterr);
        if (r == 0)
            migrate_print_result(run, NULL);
        return r;
    }
    MigrateFact *facts = run->facts; // those that are written down; the plan's are a guess
    if (r == 0)
        run->facts = arena_memdup(run->fm->arena, facts, run->file->n * sizeof *facts);
    if (r == 0 && run->facts == NULL)
        return error_set(reterr, ERROR_MEMORY, "migration");
    if (r == 0 && !run->begun)
        r = begin(run, reterr);
    for (uint32_t i = 0; r == 0 && i < run->file->n; i++)
        r = migrate_learn(run, i, reterr);
    if (r < 0)
        return r;
    if (!run->json)
        migrate_print_plan(run);
    if (run->plan) {
        migrate_print_result(run, NULL);
        return 0;
    }
    if (run->json && !run->yes)
        return error_set(reterr, ERROR_USAGE, "--json needs --yes: nobody can be asked");
    if (!run->json && !tell_agreed(run->yes))
        return error_set(reterr, -ECANCELED, "not done");
    run->facts = facts; // what a statement is about is found out when its turn comes
    r = migrate_go(run, &stop, reterr);
    if (r < 0)
        return r;
    migrate_print_result(run, &stop);
    if (!run->finished) {
        r = error_set(reterr, ERROR_NOT_HELD, "not finished: %s must do it too",
                      stop.away.len > 0 ? buf_text(&stop.away) : "a region");
        r = error_hint(reterr, r, "The same command ends it when they are there.");
    }
    buf_done(&stop.away);
    return r;
}

int rows_migrate(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL;
    MigrateRun run = {0};
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"plan", NULL, "only say what would be done, in which order", NULL, &run.plan},
        {"yes", NULL, "do not ask", NULL, &run.yes},
        {"json", NULL, "one JSON object; needs --yes or --plan", NULL, &run.json},
        {"abandon", NULL, "end an unfinished run; what is done stays", NULL, &run.abandon},
    };
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 1, 1, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    char *bytes CLEANUP(alloc_freep) = NULL;
    size_t len = 0;
    Arena *arena CLEANUP(arena_freep) = arena_new(64u << 20);
    MigrateFile file = {0};
    r = arena == NULL ? error_set(reterr, ERROR_MEMORY, "%s", argv[1])
                      : files_read(argv[1], MIGRATE_BYTES_MAX, &bytes, &len, reterr);
    if (r == 0)
        r = migrate_parse(argv[1], bytes, len, arena, &file, reterr);
    if (r < 0)
        return r;
    FederateMesh fm = {0};
    run.fm = &fm;
    run.file = &file;
    r = federate_open(dir, "wildcam rows migrate", &fm, reterr);
    if (r == 0 && !run.plan)
        r = federate_lock(&fm, reterr);
    if (r == 0)
        r = run_all(&run, reterr);
    federate_close(&fm);
    return r;
}
