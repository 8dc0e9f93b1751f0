// SPDX-License-Identifier: MIT
// region: makes a region's namespace and its init in it, and says whether an old one still lives.
#pragma once
#include <sys/types.h>

#include "changes.h"
#include "identity.h"
#include "program.h"

typedef struct RegionProcess {
    pid_t pid;   // of the init as we see it
    int channel; // our end
} RegionProcess;

// Can namespaces be made here at all? Tried in a child, so that `up` says it on the terminal.
int region_check(const Identity *identity, Error *reterr) MUST_CHECK;
// Root: a PID namespace, the init drops to the run user. Normal user: a user and a PID namespace.
// `alive` is a pipe that only the supervisor keeps open for writing: end of file at the reading end
// means that it died before the death signal was armed. Call from the main thread only (the death
// signal follows the thread), with lowered ids.
int region_start(const Identity *identity, const RegionSpec *spec, Changes *changes,
                 const int alive[2], RegionProcess *ret_process, Error *reterr) MUST_CHECK;
