// SPDX-License-Identifier: MIT
// sim_layout: which regions a simulated fleet has and how far they are from each other. Two layouts
// have the guide's six regions; others are read from scenario files or made here.
// Owner: whoever made it; a fleet only looks.
#pragma once
#include "sim_world.h"

typedef struct SimLayout {
    const char *name;
    const Model *model; // 3 to SIM_REGIONS_MAX regions
    const int64_t (*rtt_ns)[SIM_REGIONS_MAX];
} SimLayout;

// "guide" (six regions, round trips of 1 to 65 ms), "world" (the same six, 1 to 220 ms), "twelve"
// (three clouds in four places, 1 to 220 ms); NULL: no such one.
const SimLayout *sim_layout_find(const char *name);
