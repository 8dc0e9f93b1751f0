// SPDX-License-Identifier: MIT
// sim_check: the five invariants of the core, looked at from outside after every step.
//
//   1 a plan is never empty and never older than the one it replaces; the last good one stays
//   2 without a quorum nothing is removed, only put last; with one there is a floor;
//     drained and never differ
//   3 traffic is moved only as far as the survivors can carry it
//   4 shares go by the client's block, the same way everywhere
//   5 same facts, same fleet part, bit for bit; its digest names it
#pragma once
#include "core.h"
#include "error.h"

#define SIM_CHECK_DIGESTS 4096

// What is remembered from step to step about one core.
typedef struct SimCheck {
    uint64_t plan_number; // 0: none yet
    Mono boot, now;       // `now` as the core takes it: never back
    bool said;            // the first plan, which core_new made, is said by a later step
    uint64_t held, slow;  // masks of gateways
    uint64_t content;     // hash of the whole plan
} SimCheck;

// Which content each fleet digest stood for; shared by all cores of a run.
typedef struct SimDigests {
    uint64_t digest[SIM_CHECK_DIGESTS], content[SIM_CHECK_DIGESTS];
} SimDigests;

// One plan by itself: invariants 1 to 4, and 5 against the digests seen before.
int sim_check_plan(const Model *model, const Plan *plan, SimDigests *digests,
                   Error *reterr) MUST_CHECK;
// After core_new: remembers its first plan.
int sim_check_begin(SimCheck *check, const Model *model, Core *core, Mono now, SimDigests *digests,
                    Error *reterr) MUST_CHECK;
// After a successful step. ERROR_NOT_HELD with the invariant and its facts.
int sim_check_step(SimCheck *check, const Model *model, Core *core, Arena *arena, Mono now,
                   const CoreUpdate *update, SimDigests *digests, Error *reterr) MUST_CHECK;
// After a failed step: nothing may have changed.
int sim_check_failed_step(const SimCheck *check, const Core *core, Error *reterr) MUST_CHECK;
// Two agents whose plans have the same fleet digest send every client the same way.
int sim_check_same_way(const Model *model, const Plan *a, const Plan *b, uint64_t seed,
                       Error *reterr) MUST_CHECK;
