// SPDX-License-Identifier: MIT
// spawn: starts one program of a region: a session of its own (the terminal's Ctrl-C must not reach
// it), stdin from /dev/null, output appended to its log file, a clean environment.
#pragma once
#include <sys/types.h>

#include "program.h"

// The new process id, or a negative code. Called by the region's init; the child inherits nothing
// but its log file.
pid_t spawn_program(const RegionSpec *spec, const Program *program, Error *reterr) MUST_CHECK;
// Runs a command to its end and waits for it; `input` (may be NULL) is its stdin, output is ours.
// For steps. 0, or ERROR_UNAVAILABLE with how it ended.
int spawn_wait(const char *const *argv, const char *input, Error *reterr) MUST_CHECK;
