// SPDX-License-Identifier: MIT
// spawn: starts one program of a region: a session of its own (the terminal's Ctrl-C must not reach
// it), stdin from /dev/null, output appended to its log file, a clean environment.
#pragma once
#include <sys/types.h>

#include "program.h"

#define SPAWN_SOCKETS_MAX 64

// What this start differs in from what the RegionSpec says.
typedef struct SpawnOptions {
    const char *programs;    // folder that our own programs come from; NULL: as specified
    const char *environment; // "A=1 B=2" (changes.h); NULL: none
    // Listening sockets that an nginx inherits by its variable NGINX.
    const int *sockets;
    size_t n_sockets;
} SpawnOptions;

// The new process id, or a negative code. Called by the region's init; the child inherits nothing
// but its log file and those sockets. `options` may be NULL.
pid_t spawn_program(const RegionSpec *spec, const Program *program, const SpawnOptions *options,
                    Error *reterr) MUST_CHECK;
// Runs a command to its end and waits for it; `input` (may be NULL) is its stdin, output is ours.
// For steps. 0, or ERROR_UNAVAILABLE with how it ended.
int spawn_wait(const char *const *argv, const char *input, Error *reterr) MUST_CHECK;
