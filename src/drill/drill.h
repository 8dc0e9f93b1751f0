// SPDX-License-Identifier: MIT
// drill: `wildcam drill NAME`: breaks something for real under camera traffic, measures what
// clients saw, heals it, and holds the figures against the objectives in fleet.yaml and its own.
#pragma once
#include <errno.h>
#include <stdint.h>

#include "error.h"

// The user ended it; everything was healed.
#define ERROR_INTERRUPTED (-EINTR)

// One command to the supervisor of the fleet in `dir`, one JSON answer (malloced).
typedef int DrillAsk(const char *dir, const char *command, int64_t timeout_ns, char **ret_answer,
                     Error *reterr);

// 0, or a negative code; ERROR_NOT_HELD when an objective was missed.
int drill_main(int argc, char **argv, DrillAsk *ask, Error *reterr) MUST_CHECK;
