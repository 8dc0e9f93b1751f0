// SPDX-License-Identifier: MIT
// fleet_state: what the supervisor knows of its regions and their programs; shared by its loop
// (supervisor.c) and its socket (control.c).
//
//   backoff --(time)--> running <--(cont)-- hung        kill: running, hung, backoff -> down
//      ^                  |  \----(stop)----^            start: down, backoff -> running
//      +--(init died)-----+                              end of the fleet: -> ending -> down
#pragma once
#include <sys/types.h>

#include "bounds.h"
#include "buf.h"
#include "changes.h"
#include "instant.h"
#include "program.h"
#include "region.h"

typedef enum RegionState {
    REGION_STATE_DOWN, // killed on purpose, or not started yet
    REGION_STATE_RUNNING,
    REGION_STATE_HUNG,
    REGION_STATE_BACKOFF,
    REGION_STATE_ENDING,
    REGION_STATE_MAX,
} RegionState;

typedef struct ProgramView {
    ProgramState state;
    long pid; // inside the region's namespace
    unsigned restarts;
    char detail[160];
} ProgramView;

typedef struct RegionView {
    const RegionSpec *spec;
    RegionState state;
    bool killed;           // on purpose: stays down
    RegionProcess process; // pid 0: none
    Mono since, again;
    unsigned failures, starts;
    ProgramView programs[PROGRAMS_MAX];
    Changes changes; // they outlive the region's processes
} RegionView;

typedef struct FleetState {
    size_t n;
    RegionView *regions;
    const char *dir;
    bool ending;
    Mono started, ending_since;
} FleetState;

// "down", "starting", "up", "hung", "restarting", "ending".
const char *region_state_name(const RegionView *region);
// Takes a message of a region's init ("PROGRAM STATE PID RESTARTS DETAIL"); others are ignored.
void fleet_state_message(RegionView *region, const char *message);
RegionView *fleet_state_find(FleetState *fleet, const char *name); // or NULL
// Index into spec->programs, or -1.
int fleet_state_program(const RegionView *region, const char *name);
void fleet_state_json(const FleetState *fleet, Mono now, Buf *out);
