// SPDX-License-Identifier: MIT
// hours_workers: stretches of hours in worker processes, since the simulator has one thread.
// Numbers of stretches go to a worker one at a time, results come back through a pipe; a worker
// that dies is an error. On a stop the stretches under way are finished, so that what was done is
// one range.
#pragma once
#include "sim_hours.h"

#define HOURS_JOBS_MAX 64U
#define HOURS_TEXT 256U

typedef struct HoursStretch {
    uint64_t index;
    int code; // of sim_hours_run
    char text[HOURS_TEXT];
    int64_t cpu_ns;
    SimHoursResult result;
} HoursStretch;

typedef struct HoursWork {
    SimHoursOptions options; // of each; the seed is that of the first
    uint64_t n;              // stretches
    uint32_t jobs;
    // After each, in any order, and now and then in between with NULL. False: no more of them.
    bool (*done)(void *user, const HoursStretch *stretch);
    void *user;
} HoursWork;

int hours_work(const HoursWork *work, Error *reterr) MUST_CHECK;
