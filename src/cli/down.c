// SPDX-License-Identifier: MIT
// down: ends the fleet and waits until its supervisor is gone, which is after every process of
// every region.
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "alloc.h"
#include "cli.h"
#include "clock.h"
#include "context.h"
#include "control.h"
#include "control_path.h"
#include "files.h"
#include "process_id.h"
#include "tell.h"

#define DOWN_NS (20 * NS_PER_S)

static int await_end(const ProcessId *id, Error *reterr)
{
    Mono end = mono_add(clock_mono(), DOWN_NS);
    while (process_id_lives(id)) {
        if (clock_mono().ns > end.ns) {
            int r = error_set(reterr, ERROR_TIMEOUT, "the supervisor (pid %ld) does not end",
                              (long)id->pid);
            return error_hint(reterr, r, "kill -9 %ld ends it and everything it started.",
                              (long)id->pid);
        }
        // Not our child: /proc has no event for its end.
        (void)nanosleep(&(struct timespec){.tv_nsec = 10 * NS_PER_MS}, NULL);
    }
    return 0;
}

int verb_down(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL;
    bool now = false;
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"now", NULL, "kill everything at once instead of asking it to end", NULL, &now},
    };
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 0, 0, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    LayoutPath path;
    r = layout_absolute(dir != NULL ? dir : "run", &path, reterr);
    if (r < 0)
        return r;
    ProcessId id;
    bool known = process_id_read(layout_dir(path.text, "supervisor.pid").text, &id, NULL) == 0;
    char *answer CLEANUP(alloc_freep) = NULL;
    Mono begun = clock_mono();
    r = control_ask(path.text, now ? "down now" : "down", 5 * NS_PER_S, &answer, reterr);
    if (r == ERROR_NOT_FOUND && !(known && process_id_lives(&id))) {
        (void)printf("no fleet runs in '%s'\n", path.text);
        return 0;
    }
    if (r == 0 && known)
        r = await_end(&id, reterr);
    char text[TELL_DURATION_MAX];
    if (r == 0)
        (void)printf("the fleet has ended (%s)\n",
                     tell_duration(mono_since(clock_mono(), begun) / NS_PER_MS, text));
    return r;
}
