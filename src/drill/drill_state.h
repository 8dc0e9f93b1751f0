// SPDX-License-Identifier: MIT
// drill_state: a running drill, shared by drill_run.c (the steps), drill_phase.c (the phases),
// drill_inject.c (faults), drill_acts.c (what is not a fault), drill_wait.c (conditions) and
// drill_measure.c (the figures). Breaking and measuring know each other only by the times in here.
#pragma once
#include "drill_run.h"
#include "edge_counters.h"
#include "fault.h"
#include "layout.h"
#include "load_watch.h"
#include "plan_watch.h"
#include "traffic_child.h"
#include "undo.h"

#define DRILL_HELD 32 // faults that are prepared, after sides were expanded

typedef struct DrillHeld {
    Fault fault;
    uint32_t id;
    bool in_force;
} DrillHeld;

typedef struct Drill {
    const DrillOptions *options;
    const DrillRow *row;
    const Model *model;
    DrillReport *report;
    int signals;
    FaultKeeper *keeper;
    Undo *undo;
    DrillHeld held[DRILL_HELD];
    uint32_t n_held;
    uint32_t phase; // index of the running one
    TrafficChild child;
    PlanWatch watch;
    PlanSight sights[PLAN_WATCH_REGIONS];
    Timeline timeline;
    Mono away[PLAN_WATCH_REGIONS]; // when the plan had turned away; 0: not yet
    bool was_in_front;             // the target, in a surviving plan, when a phase began
    Mono away_since;               // plans are asked to turn away from this moment on; 0: not asked
    LoadWatch load;
    EdgeCounters before, after;
    Mono fault, healed; // the first fault; the end of the last one
    uint64_t run;       // of the cameras
    // --- of the acts ---
    char folder[LAYOUT_PATH_MAX]; // other build, or configurations to push
    char rate[16];                // of the cameras, when a drill chooses it
    uint32_t capacity_rps;        // of each region, when a drill lowered it; 0: as in fleet.yaml
    uint32_t n_wishes, n_replaced;
    bool federated; // the databases, before anything was broken
    Mono pushed, config_back;
    Error *reterr;
} Drill;

void drill_say(const char *fmt, ...) PRINTF_LIKE(1, 2); // progress, to stderr
bool drill_is_target(const Drill *drill, uint32_t region);
uint64_t drill_all_regions(const Drill *drill); // mask
uint64_t drill_dead_edges(const Drill *drill);  // whose clients notice the fault itself
uint64_t drill_able_agents(const Drill *drill); // that can see and speak during the fault
uint64_t drill_side(const Drill *drill, DrillSide side);
uint64_t drill_cloud(const Drill *drill, uint32_t cloud); // its regions
uint64_t drill_share(const Drill *drill);                 // requests/s that one replica gets

// --- drill_inject.c ---
int drill_prepare_faults(Drill *drill) MUST_CHECK;
int drill_begin_faults(Drill *drill, const DrillPhase *phase) MUST_CHECK;
int drill_end_faults(Drill *drill) MUST_CHECK;

// --- drill_phase.c ---
int drill_run_phases(Drill *drill) MUST_CHECK;

// --- drill_task.c ---
// Something that takes its time is done in a child, while plans are watched. The body returns the
// child's exit code and writes to `out`. *ret_code: 128 + signal when it was killed.
typedef int DrillTask(const void *context, int out);
int drill_task(Drill *drill, DrillTask *body, const void *context, int64_t most_ns, int *ret_code,
               Buf *ret_output) MUST_CHECK;
// One command to the supervisor that way; an answer that is not ok is an error.
int drill_ask_slowly(Drill *drill, const char *command, int64_t most_ns) MUST_CHECK;
// `wildcam ARGUMENTS...`, what it prints on stdout, and its exit code.
int drill_wildcam(Drill *drill, const char *const *arguments, int64_t most_ns, int *ret_code,
                  Buf *ret_output) MUST_CHECK;

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

// --- drill_agree.c ---
// Waits until every agent has the same wishes, those of the drill among them.
int drill_wait_intents(Drill *drill, int64_t most_ns) MUST_CHECK;

// --- drill_measure.c ---
// The run's id, from the first frame of the request log.
int drill_find_run(Drill *drill) MUST_CHECK;
// How many acknowledged writes of this run cannot be read in these regions.
// *ret_oldest: when the first of them was acknowledged; nothing of use without one.
int drill_count_lost(Drill *drill, uint64_t regions, double *ret_lost, uint64_t *ret_acknowledged,
                     Wall *ret_oldest) MUST_CHECK;
void drill_read_counters(const Drill *drill, EdgeCounters *counters);
// Everything that is known only afterwards.
int drill_measure(Drill *drill) MUST_CHECK;
