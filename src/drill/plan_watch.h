// SPDX-License-Identifier: MIT
// plan_watch: what the regions' published plans say, read from the same files as the edges read.
// The drill judges by them when the fleet has turned away from what was broken, when everything is
// back with its full share, and what was taken down meanwhile (timeline.h).
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "timeline.h"

#define PLAN_WATCH_REGIONS TIMELINE_REGIONS

// Pure. True if some client would be sent to one of these regions first: it leads a route or has a
// share of one.
bool plan_in_front(const Plan *plan, const char *const *regions, uint32_t n);
// Pure. Every gateway is up, can serve everything, and gets its full share. ret_gateway: the first
// that is not.
bool plan_is_full(const Plan *plan, uint32_t *ret_gateway);

typedef struct PlanSight {
    uint64_t number; // 0: no plan was read yet
    bool in_front;   // one of the targets
    bool full;
    char not_full[64];    // a region that is not, with its state: "eastus is down"
    int64_t heartbeat_ns; // wall clock
} PlanSight;

typedef struct PlanWatch {
    const char *dir;
    const Model *model;
    const char *const *targets; // regions for in_front
    uint32_t n_targets;
    Timeline *timeline; // may be NULL
} PlanWatch;

// Reads the newest plan of a region (index) when its number has changed. false: nothing usable
// there.
bool plan_watch(const PlanWatch *watch, uint32_t region, Mono now, PlanSight *sight);
