// SPDX-License-Identifier: MIT
// load_watch: how much each region served per second while a drill ran, from the edges' counters.
// A rate is taken over two seconds, so that the moment of reading does not show.
#pragma once
#include "edge_counters.h"
#include "instant.h"
#include "model.h"

#define LOAD_WATCH_REGIONS 64
#define LOAD_WATCH_SAMPLES 3 // one second apart: the first and the last give the rate

typedef struct LoadWatch {
    const char *dir;
    const Model *model;
    bool on;
    uint32_t n;
    Mono at[LOAD_WATCH_SAMPLES];
    EdgeCounters samples[LOAD_WATCH_SAMPLES];
    double peak_rps[LOAD_WATCH_REGIONS]; // since it was switched on
    uint64_t measured; // regions that were seen for that long; others have no peak
} LoadWatch;

void load_watch_begin(LoadWatch *load);
// Does something once a second only.
void load_watch_look(LoadWatch *load, Mono now);
// Pure: a sample of all regions at this time.
void load_watch_add(LoadWatch *load, Mono at, const EdgeCounters *counters);
