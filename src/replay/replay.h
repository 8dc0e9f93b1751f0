// SPDX-License-Identifier: MIT
// replay: gives fresh cores what a region's core was given, in the same order, and holds what they
// decide against what was recorded: every plan byte for byte, every decision record as a text. The
// first difference is kept with its moment. A run of an agent is replayed from its beginning, or,
// when that was overwritten or something in between is missing, from the next snapshot on.
#pragma once
#include "core.h"
#include "replay_compare.h"

typedef struct ReplayResult {
    char region[128];
    uint32_t starts;          // of the agent, as far as they can be seen
    uint32_t resumed;         // times that the replay went on from a snapshot
    uint32_t damaged;         // frames that ended a segment too early
    uint64_t events, refused; // refused: by the core, as they were then
    uint64_t plans, records;  // compared
    Wall from, until;         // of the events that were replayed
    ReplayDifference difference;
} ReplayResult;

// Each decision as it is made again, for a timeline; may be NULL.
typedef void ReplayTell(void *context, const Record *record, Wall at);

// `folder`: a region's records folder. 0 also when something differs.
int replay_run(const char *folder, ReplayTell *tell, void *context, ReplayResult *ret_result,
               Error *reterr) MUST_CHECK;
