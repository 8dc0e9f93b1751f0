// SPDX-License-Identifier: MIT
// rows_repair: what would mend one difference, and doing it. Every way is safe against newer writes
// that happen meanwhile: versions are merged by the same rule as always, changes name the version
// that they change.
#pragma once
#include "rows_check.h"

typedef enum RepairWay {
    REPAIR_REPLAY,   // a holder journals the winner once more, with its own version
    REPAIR_BURY,     // the tombstone is merged where the row still is, or the tombstone is not
    REPAIR_REWRITE,  // a node of the majority writes its content as a new version
    REPAIR_COPY,     // insert-only: the row is carried to those that lack it
    REPAIR_REPLACE,  // insert-only: the majority's content replaces the other
    REPAIR_SWEEP,    // parked rows are looked at again
    REPAIR_UNORPHAN, // the orphan is deleted, as a normal write
    REPAIR_NONE,     // nobody can decide
    REPAIR_WAY_MAX,
} RepairWay;

typedef struct RepairPlan {
    RepairWay way;
    uint32_t giver; // node with the right version or content
    uint64_t takers;
    const char *why; // of REPAIR_NONE
} RepairPlan;

// `prefer`: node that is right when a majority cannot tell; -1: none.
void repair_plan(const Check *check, const CheckDifference *difference, int prefer,
                 bool delete_orphans, RepairPlan *ret_plan);
// "us-west-2 sends version ... once more", malloced.
char *repair_text(const Check *check, const CheckDifference *difference, const RepairPlan *plan);
// *ret_done: something was changed (else a newer write had come first).
int repair_one(Check *check, const CheckDifference *difference, const RepairPlan *plan,
               bool *ret_done, Error *reterr) MUST_CHECK;
