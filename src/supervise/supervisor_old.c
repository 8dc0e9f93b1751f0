// SPDX-License-Identifier: MIT
// supervisor_old: the regions of a supervisor that was killed. They die with it by themselves, in
// some ten milliseconds; PostgreSQL's lock files may be removed only after that, and the ports are
// free only then. A pid that another process has meanwhile is told by its start time.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "files.h"
#include "process_id.h"
#include "supervisor.h"

static bool lives(const char *dir, const RegionSpec *spec, ProcessId *ret_id)
{
    LayoutPath path = layout_region(dir, spec->name, "init.pid");
    return process_id_read(path.text, ret_id, NULL) == 0 && process_id_lives(ret_id);
}

// init.pid lies in a folder of the run user, and our real user may be root: a forged pid must not
// make us kill what is not the run user's.
static bool is_run_users(const ProcessId *id)
{
    char path[64], *status = NULL;
    size_t len;
    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)id->pid);
    if (files_read(path, 64U << 10, &status, &len, NULL) < 0)
        return false;
    const char *line = strstr(status, "\nUid:\t");
    bool same = line != NULL && strtoul(line + 6, NULL, 10) == geteuid();
    free(status);
    return same;
}

int supervisor_await_old(const char *dir, const RegionSpec *const *specs, size_t n, int64_t wait_ns,
                         Error *reterr)
{
    Mono patience = mono_add(clock_mono(), wait_ns), end = mono_add(patience, wait_ns);
    for (size_t i = 0; i < n;) {
        ProcessId id;
        if (!lives(dir, specs[i], &id)) {
            i++;
            continue;
        }
        Mono now = clock_mono();
        if (now.ns > end.ns)
            return error_set(reterr, ERROR_TIMEOUT,
                             "region '%s' of an earlier fleet (pid %ld) does not die",
                             specs[i]->name, (long)id.pid);
        if (now.ns > patience.ns && is_run_users(&id))
            (void)kill(id.pid, SIGKILL);
        // /proc has no event for the end of a process that is not our child.
        (void)nanosleep(&(struct timespec){.tv_nsec = 5 * NS_PER_MS}, NULL);
    }
    return 0;
}
