// SPDX-License-Identifier: MIT
// rows: see rows.h. `wildcam rows VERB` runs `wildcam-rows VERB`; a row of the table is called by
// its second word and prints both in its help.
#include "rows.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "buf.h"

static const Verb VERBS[] = {
    {"rows init", "[--dir DIR] [--plan] [--json]",
     "make the databases of all regions one mesh; shows what is missing", rows_init},
    {"rows federate", "[--insert-only | --drop] [OPTIONS] TABLE",
     "take a table of all regions into the federation, or out of it", rows_federate},
    {"rows migrate", "[--plan | --abandon] [OPTIONS] FILE.sql",
     "roll schema changes through all regions in the safe order", rows_migrate},
    {"rows join", "[--dir DIR] [--yes] [--json] REGION",
     "take a region into the mesh while the others write", rows_join},
    {"rows leave", "[--dir DIR] [--force] [--yes] [--json] REGION",
     "take a region out of the mesh; its origin never returns", rows_leave},
    {"rows recover", "[--dir DIR] [--yes] [--json] REGION",
     "bring back a region whose database was lost or restored", rows_recover},
    {"rows status", "[--dir DIR] [--region REGION] [--watch] [--json]",
     "lags, RPO, conflicts and alarms of every region and link", rows_status},
    {"rows check", "[TABLE ...] [--rate ROWS] [--resume] [OPTIONS]",
     "compare the rows of all regions while they are written to", rows_check},
    {"rows repair", "[TABLE ...] [--prefer REGION] [OPTIONS]",
     "mend what a check finds; shows first what it would do", rows_repair},
    {"rows why", "TABLE KEY [--dir DIR] [--json]",
     "every version of a row, which one won and why, and where it is", rows_why},
};

static const char *name_of(const Verb *verb)
{
    return strchr(verb->name, ' ') + 1;
}

static const Verb *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(VERBS); i++)
        if (strcmp(name_of(&VERBS[i]), name) == 0)
            return &VERBS[i];
    return NULL;
}

static void print_verbs(FILE *file)
{
    (void)fprintf(file, "usage: wildcam rows VERB [OPTIONS]\n\n"
                        "Six writable databases that converge.\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(VERBS); i++)
        (void)fprintf(file, "  %-10s %s\n", name_of(&VERBS[i]), VERBS[i].summary);
    (void)fprintf(file, "\n'wildcam rows VERB --help' says more about one.\n");
}

int rows_main(int argc, char **argv, Error *reterr)
{
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        print_verbs(argc < 2 ? stderr : stdout);
        return argc < 2 ? error_set(reterr, ERROR_USAGE, "a verb is missing") : 0;
    }
    if (strcmp(argv[1], "serve") == 0) // a region's daemon: for supervisors
        return rows_serve(argc - 1, argv + 1, reterr);
    const Verb *verb = find(argv[1]);
    if (verb == NULL) {
        int r = error_set(reterr, ERROR_USAGE, "unknown verb '%s'", argv[1]);
        return error_hint(reterr, r, "'wildcam rows --help' lists the verbs.");
    }
    int r = verb->run(verb, argc - 1, argv + 1, reterr);
    if (fflush(stdout) != 0 && r >= 0)
        r = error_errno(reterr, errno, "write to stdout");
    return r;
}
