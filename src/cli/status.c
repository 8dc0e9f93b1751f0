// SPDX-License-Identifier: MIT
// status: the fleet at a glance. Exit code 3 when a region is not healthy, 1 when no fleet runs.
#include <stdio.h>
#include <unistd.h>

#include "alloc.h"
#include "cli.h"
#include "clock.h"
#include "control.h"
#include "fleet_view.h"
#include "tell.h"

#define AGENT_NS NS_PER_S

static int show(const Context *context, bool json, bool watch, Error *reterr)
{
    json_t *view = NULL;
    int r = fleet_view_get(context, AGENT_NS, &view, reterr);
    if (r < 0)
        return r;
    if (json) {
        r = json_dumpf(view, stdout, watch ? JSON_COMPACT : JSON_INDENT(2)) == 0
                ? 0
                : error_set(reterr, ERROR_UNAVAILABLE, "write to stdout");
        (void)printf("\n");
    } else {
        if (watch && isatty(STDOUT_FILENO) == 1)
            (void)printf("\033[H\033[2J");
        fleet_view_print(view, stdout);
    }
    if (r == 0 && !fleet_view_all_healthy(view))
        r = 3;
    json_decref(view);
    return r;
}

// Once a second, until stdout is gone or the fleet is.
static int watch(const Context *context, bool json, Error *reterr)
{
    for (;;) {
        int r = show(context, json, true, reterr);
        if (r < 0 || fflush(stdout) != 0)
            return r < 0 ? r : 0;
        char *answer = NULL;
        r = control_ask(context->dir.text, "status", 5 * NS_PER_S, &answer, reterr);
        free(answer);
        if (r < 0)
            return r;
        (void)sleep(1); // the rate of a display, not a wait for something
    }
}

int verb_status(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL;
    bool json = false, again = false;
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"watch", NULL, "again every second", NULL, &again},
        {"json", NULL, "for programs; with --watch one object a line", NULL, &json},
    };
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 0, 0, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    Context context CLEANUP(context_done) = {0};
    r = context_open(dir, &context, reterr);
    char *answer CLEANUP(alloc_freep) = NULL;
    if (r == 0)
        r = context_running(control_ask(context.dir.text, "status", 5 * NS_PER_S, &answer, reterr),
                            reterr);
    if (r < 0)
        return r;
    return again ? watch(&context, json, reterr) : show(&context, json, false, reterr);
}
