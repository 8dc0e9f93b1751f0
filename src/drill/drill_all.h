// SPDX-License-Identifier: MIT
// drill_all: many drills: the list, all of them one after the other with one table at the end, and
// one of them several times with medians.
#pragma once
#include "drill_run.h"

typedef struct DrillAll {
    DrillOptions base;       // everything but row and target
    const char *only, *skip; // names, separated by commas; NULL: all, none
    const char *to;
    bool json;
} DrillAll;

// What each does, how long, what it needs, and whether this machine can. conf: of a fleet here, or
// NULL.
int drill_list(const Conf *conf, bool json, Error *reterr) MUST_CHECK;
// ERROR_NOT_HELD: an objective was missed; another code: one could not run, or the user ended it.
int drill_all(const DrillAll *all, Error *reterr) MUST_CHECK;
int drill_repeat(const DrillOptions *options, uint32_t times, bool json, Error *reterr) MUST_CHECK;
// Pure: how long a drill takes, about, on a machine that is not busy.
int64_t drill_expected_ns(const DrillOptions *options);
