// SPDX-License-Identifier: MIT
// edge_counters: what the edges did, from the counters that their workers keep on disk.
#pragma once
#include <stdint.h>

#include "error.h"

#define EDGE_COUNTERS_SLOTS 512

typedef struct EdgeCounts {
    uint64_t retries;
    uint64_t shed;   // answered 503 because the region was full, clients' and peers' requests
    uint64_t served; // by this region's own replicas or cache
} EdgeCounts;

typedef struct EdgeCounter {
    uint32_t region;
    uint64_t pid, started_ns; // which worker; a slot is used again by others
    EdgeCounts counts;
} EdgeCounter;

typedef struct EdgeCounters {
    uint32_t n;
    EdgeCounter items[EDGE_COUNTERS_SLOTS];
} EdgeCounters;

// Adds the workers of one region; what cannot be read is left out.
void edge_counters_read(const char *dir, const char *name, uint32_t region, EdgeCounters *counters);
// Pure. Between two readings in the regions of the mask; a worker that was not there before counts
// from zero.
EdgeCounts edge_counters_between(const EdgeCounters *before, const EdgeCounters *after,
                                 uint64_t regions);
