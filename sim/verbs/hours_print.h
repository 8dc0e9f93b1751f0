// SPDX-License-Identifier: MIT
// hours_print: what came of many hours, added up and told to people and programs.
#pragma once
#include "hours_workers.h"

// What was asked for.
typedef struct HoursTold {
    const char *model;
    uint64_t seed, stretch_hours, lone_links_every, allow;
    bool world, in_full, json;
} HoursTold;

#define HOURS_BAD_MAX 100U

typedef struct HoursBad {
    uint64_t seed, false_verdicts, missed;
    char text[HOURS_TEXT]; // an invariant that broke
} HoursBad;

typedef struct HoursTotal {
    uint64_t stretches, broken, n_bad; // broken: stretches that an invariant ended
    int64_t cpu_ns;
    SimHoursResult sum;
    HoursBad bad[HOURS_BAD_MAX];
    HoursStretch last;
} HoursTotal;

// Tells at once what was wrong in it.
void hours_total_add(HoursTotal *total, const HoursTold *told, const HoursStretch *stretch);
bool hours_total_held(const HoursTold *told, const HoursTotal *total);
void hours_print(const HoursTold *told, const HoursTotal *total);
void hours_print_progress(const HoursTold *told, const HoursTotal *total, uint64_t wanted,
                          bool terminal);
