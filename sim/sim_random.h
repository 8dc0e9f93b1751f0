// SPDX-License-Identifier: MIT
// sim_random: property runs. Every round is a world of its own seed; the first broken invariant
// ends the run with the seed that shows it again.
#pragma once
#include <stdint.h>

#include "buf.h"
#include "error.h"

typedef struct SimRandomResult {
    uint64_t rounds, events;
    uint64_t verdicts; // changes of verdicts that were seen: a run without any tested nothing
    uint64_t errors;   // events that the core refused, as it should
    uint64_t plans;
    uint64_t digest;   // same seed, same digest
    uint64_t bad_seed; // after a failure
} SimRandomResult;

// Whole fleets under random faults, late, lost and doubled effects; afterwards all must be calm.
// What the agents decided goes to `timeline`, if there is one.
int sim_random_fleet(uint64_t seed, uint64_t events, Buf *timeline, SimRandomResult *result,
                     Error *reterr) MUST_CHECK;
// One core and its twin under events of every kind, sound and nonsense, over deployments of every
// size; memory runs short now and then for one of the two, and both must stay equal.
int sim_random_core(uint64_t seed, uint64_t events, SimRandomResult *result,
                    Error *reterr) MUST_CHECK;
