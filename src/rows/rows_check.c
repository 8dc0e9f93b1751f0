// SPDX-License-Identifier: MIT
// rows_check (the verb): compares the rows of all regions while they are written to. Reads only,
// but for heartbeats. Ctrl-C answers at once with what was checked; --resume goes on after it.
#include "rows_check.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"
#include "rows.h"
#include "tell.h"

static volatile sig_atomic_t stop;

static void on_interrupt(int number)
{
    stop = number;
}

static int run(Check *check, const char *dir, bool resume, Error *reterr)
{
    int r = resume ? check_state_read(check, dir, reterr) : 0;
    for (uint32_t i = 0; r == 0 && i < check->n_tables; i++) {
        if (check->tables[i].counts.from_before)
            continue;
        r = check_table(check, i, reterr);
        // a killed run leaves what it had, an interrupted one too
        if (check->n_tables > 1 && r == 0)
            r = check_state_write(check, dir, reterr);
    }
    check_progress_end();
    if (r == 0)
        check_state_remove(dir);
    return r;
}

static int tell(const Check *check, bool json, Error *reterr)
{
    json_t *report = check_json(check);
    if (report == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for the report");
    if (json)
        (void)(json_dumpf(report, stdout, JSON_INDENT(2)) == 0 && printf("\n") > 0);
    else
        check_print(report, stdout);
    size_t n = json_array_size(json_object_get(report, "differences"));
    json_decref(report);
    if (n == 0)
        return 0;
    int r = error_set(reterr, ERROR_NOT_HELD, "%zu row%s differ%s", n, n == 1 ? "" : "s",
                      n == 1 ? "s" : "");
    return error_hint(reterr, r,
                      "'wildcam rows why TABLE KEY' says more about one; 'wildcam rows "
                      "repair' mends them.");
}

static int interrupted(const Check *check, Error *reterr)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < check->n_tables; i++)
        done += check->tables[i].counts.complete ? 1 : 0;
    int r = error_set(reterr, ERROR_CONFLICT, "interrupted: %u of %u tables checked", done,
                      check->n_tables);
    return error_hint(reterr, r, "'wildcam rows check --resume' goes on from there.");
}

int rows_check(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL, *rate = NULL;
    bool json = false, resume = false;
    int operands;
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"json", NULL, "for programs", NULL, &json},
        {"rate", "ROWS", "at most so many rows a second and region", &rate, NULL},
        {"resume", NULL, "go on after an interrupted check", NULL, &resume},
    };
    int r = cli_parse(verb, options, ARRAY_SIZE(options), 0, 1000, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    CheckOptions how = {.n_tables = operands,
                        .tables = argv + 1,
                        .application = "wildcam rows check",
                        .stop = &stop,
                        .told = check_progress};
    if (rate != NULL && (parse_u64(rate, strlen(rate), UINT32_MAX, &how.rate) < 0 || how.rate == 0))
        return error_set(reterr, ERROR_USAGE, "option '--rate': '%s' is no number of rows", rate);
    Context context;
    Check check = {0};
    r = context_open(dir, &context, reterr);
    if (r < 0)
        return r;
    const struct sigaction action = {.sa_handler = on_interrupt};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    how.dir = context.dir.text;
    how.conf = context.conf;
    r = check_open(&how, &check, reterr);
    if (r == 0) {
        r = run(&check, context.dir.text, resume, reterr);
        Error told = ERROR_INIT;
        int found = r == 0 || r == -ECANCELED ? tell(&check, json, &told) : 0;
        if (r == -ECANCELED)
            r = interrupted(&check, reterr);
        if (found < 0) { // that rows differ is what matters most
            error_done(reterr);
            *reterr = told;
            r = found;
        }
        check_done(&check);
    }
    context_done(&context);
    return r;
}
