// SPDX-License-Identifier: MIT
// plan_watch: what the regions' published plans say, read from the same files as the edges read.
// The drill judges by them when the fleet has turned away from what was broken, and when everything
// is back with its full share.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "plan.h"

#define PLAN_WATCH_REGIONS 64

// Pure. True if some client would be sent to one of these regions first: it leads a route or has a
// share of one.
bool plan_in_front(const Plan *plan, const char *const *regions, uint32_t n);
// Pure. Every gateway is up and gets its full share. ret_region (may be NULL): the first that is
// not.
bool plan_is_full(const Plan *plan, const char **ret_region);

typedef struct PlanSight {
    uint64_t number; // 0: no plan was read yet
    bool in_front;   // one of the targets
    bool full;
    char not_full[64];    // a region that is not, with its state: "eastus is down"
    int64_t heartbeat_ns; // wall clock
} PlanSight;

// Reads a region's newest plan when its number has changed. false: nothing usable there.
bool plan_watch(const char *dir, const char *region, const char *const *targets, uint32_t n,
                PlanSight *sight);
