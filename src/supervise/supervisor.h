// SPDX-License-Identifier: MIT
// supervisor: the parent of the regions' inits. Starts all regions at once, starts again what dies
// by itself (with a growing pause), keeps down what was killed on purpose, answers on
// DIR/supervisor.sock (control.h), and ends everything when it ends: orderly after "down", SIGTERM
// or SIGINT; at once when it is killed or its front is.
#pragma once
#include <stddef.h>

#include "identity.h"
#include "program.h"

typedef struct SupervisorOptions {
    const Identity *identity; // ids are lowered
    const RegionSpec *const *specs;
    size_t n;
    const char *dir;
    int lock;  // DIR/supervisor.pid, locked (supervisor_lock)
    int front; // end of file here: the front is gone, end at once; -1: detached
} SupervisorOptions;

// Takes DIR/supervisor.pid for us. ERROR_RUNNING when another supervisor has it.
int supervisor_lock(const char *dir, int *ret_fd, Error *reterr) MUST_CHECK;
// Waits until the regions of a killed supervisor have died (they do by themselves; at most
// `wait_ns`), kills what is left of them.
int supervisor_await_old(const char *dir, const RegionSpec *const *specs, size_t n, int64_t wait_ns,
                         Error *reterr) MUST_CHECK;
// Returns when everything has ended.
int supervisor_run(const SupervisorOptions *options, Error *reterr) MUST_CHECK;
