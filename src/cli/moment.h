// SPDX-License-Identifier: MIT
// moment: a point in time as people write it on the command line.
#pragma once
#include "error.h"
#include "instant.h"

// "2026-11-23T14:00:00Z", or a time ago: "5m". ERROR_USAGE names the option. Not in the future.
int moment_parse(const char *option, const char *text, Wall now, Wall *ret_at,
                 Error *reterr) MUST_CHECK;
