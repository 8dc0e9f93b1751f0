// SPDX-License-Identifier: MIT
// replay_compare: what was recorded of plans and decisions, and whether what is made again is the
// same. Recorded segments of the three streams are kept for different times, and the last second
// may be missing: what only one side has at either end is no difference.
#pragma once
#include <stdbool.h>

#include "error.h"
#include "instant.h"
#include "plan.h"
#include "record.h"

typedef struct ReplayDifference {
    bool found;
    Wall at;
    char text[1024];
} ReplayDifference;

typedef struct ReplayRecorded ReplayRecorded;

int replay_recorded_read(const char *folder, ReplayRecorded **ret_recorded,
                         Error *reterr) MUST_CHECK;
ReplayRecorded *replay_recorded_free(ReplayRecorded *recorded); // takes NULL
static inline void replay_recorded_freep(ReplayRecorded **recorded)
{
    *recorded = replay_recorded_free(*recorded);
}

// From here on, in this start of the agent.
void replay_compare_start(ReplayRecorded *recorded, uint64_t boot, Mono from);
// True when it was compared; the first difference goes to `difference`.
bool replay_compare_plan(ReplayRecorded *recorded, const Plan *made, Wall at,
                         ReplayDifference *difference);
bool replay_compare_record(ReplayRecorded *recorded, const Record *made, Wall at,
                           ReplayDifference *difference);
