// SPDX-License-Identifier: MIT
// drill_state: a running drill, shared by drill_run.c (the steps), drill_wait.c (conditions) and
// drill_measure.c (the figures).
#pragma once
#include "drill_run.h"
#include "edge_counters.h"
#include "plan_watch.h"
#include "traffic_child.h"

typedef struct Drill {
    const DrillOptions *options;
    const Model *model;
    DrillReport *report;
    int signals;
    bool broken; // something is to be healed
    TrafficChild child;
    PlanSight sights[PLAN_WATCH_REGIONS];
    Mono away[PLAN_WATCH_REGIONS]; // when the plan had turned away; 0: not yet
    EdgeCounters before, after;
    Mono fault, healed;
    uint64_t run; // of the cameras
    Error *reterr;
} Drill;

void drill_say(const char *text); // progress, to stderr
bool drill_is_target(const Drill *drill, uint32_t region);
uint64_t drill_all_regions(const Drill *drill); // mask

// --- drill_wait.c ---
// Waits one look; ERROR_UNAVAILABLE when the user wants the drill to end.
int drill_look(Drill *drill) MUST_CHECK;
void drill_watch_plans(Drill *drill);
bool drill_all_away(const Drill *drill); // every survivor's plan has turned away
// Every gateway up with its full share, as every region sees it. ERROR_TIMEOUT: ret_why says why
// not.
int drill_wait_full(Drill *drill, int64_t most_ns, char *ret_why, size_t size) MUST_CHECK;
// Lets traffic run for a time that is part of the drill.
int drill_keep_going(Drill *drill, Mono until) MUST_CHECK;

// --- drill_measure.c ---
// The run's id, from the first frame of the request log.
int drill_find_run(Drill *drill) MUST_CHECK;
// How many acknowledged writes of this run cannot be read in these regions.
int drill_count_lost(Drill *drill, uint64_t regions, double *ret_lost,
                     uint64_t *ret_acknowledged) MUST_CHECK;
// Everything that is known only afterwards.
int drill_measure(Drill *drill) MUST_CHECK;
