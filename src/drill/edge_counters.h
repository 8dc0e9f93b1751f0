// SPDX-License-Identifier: MIT
// edge_counters: how often the edges retried, from the counters that their workers keep on disk.
#pragma once
#include <stdint.h>

#include "error.h"

#define EDGE_COUNTERS_SLOTS 512

typedef struct EdgeCounter {
    uint32_t region;
    uint64_t pid, started_ns; // which worker; a slot is used again by others
    uint64_t retries;
} EdgeCounter;

typedef struct EdgeCounters {
    uint32_t n;
    EdgeCounter items[EDGE_COUNTERS_SLOTS];
} EdgeCounters;

// Adds the workers of one region; what cannot be read is left out.
void edge_counters_read(const char *dir, const char *name, uint32_t region, EdgeCounters *counters);
// Pure. Retries between two readings in the regions of the mask; a worker that was not there before
// counts from zero.
uint64_t edge_counters_retries(const EdgeCounters *before, const EdgeCounters *after,
                               uint64_t regions);
