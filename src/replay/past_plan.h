// SPDX-License-Identifier: MIT
// past_plan: the plan that a region's edge obeyed at some moment, with the fleet.yaml of that time,
// and what was decided about whom until then. From the recorded plans, so it needs no agent and no
// beginning: each plan segment can be read by itself.
#pragma once
#include "arena.h"
#include "conf.h"
#include "plan.h"
#include "record.h"

typedef struct PastPlan {
    Arena *arena;
    const Plan *plan; // its time of making is plan->made
    Conf *conf;
    Wall next; // when the plan after it was made; WALL_NEVER-like INT64_MAX: it is the newest
    Wall oldest, newest; // of the recorded plans
    char region[128];
} PastPlan;

// ERROR_NOT_FOUND: nothing was recorded so early; the text says since when.
int past_plan_find(const char *folder, Wall at, PastPlan *ret_past, Error *reterr) MUST_CHECK;
void past_plan_done(PastPlan *past);

typedef struct PastRecord {
    RecordKind kind;
    Wall at; // by the agent's clock when the batch was begun
    char subject[128], facts[400];
} PastRecord;

#define PAST_RECORDS_MAX 256

// The newest record about each subject until `at` (plans made do not count). A folder without
// records has none.
int past_records_find(const char *folder, Wall at, PastRecord *ret_records, uint32_t *ret_n,
                      Error *reterr) MUST_CHECK;
