// SPDX-License-Identifier: MIT
// supervisor_old: the regions of a supervisor that was killed. They die with it by themselves, in
// some ten milliseconds; PostgreSQL's lock files may be removed only after that, and the ports are
// free only then. A pid that another process has meanwhile is told by its start time.
#include <signal.h>
#include <time.h>

#include "clock.h"
#include "process_id.h"
#include "supervisor.h"

static bool lives(const char *dir, const RegionSpec *spec, ProcessId *ret_id)
{
    LayoutPath path = layout_region(dir, spec->name, "init.pid");
    return process_id_read(path.text, ret_id, NULL) == 0 && process_id_lives(ret_id);
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
        if (now.ns > patience.ns)
            (void)kill(id.pid, SIGKILL);
        // /proc has no event for the end of a process that is not our child.
        (void)nanosleep(&(struct timespec){.tv_nsec = 5 * NS_PER_MS}, NULL);
    }
    return 0;
}
