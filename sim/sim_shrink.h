// SPDX-License-Identifier: MIT
// sim_shrink: makes a scenario that breaks something smaller while it still breaks the same: fewer
// faults and wishes, narrower masks, shorter and weaker faults, no load, fewer regions. One
// candidate a step, in a fixed order, so that the caller may show progress and stop at any time.
#pragma once
#include "sim_scenario.h"

#define SIM_CLASS_MAX 48

typedef struct SimShrink {
    SimScenario best;
    SimRunOptions options;
    char broken[SIM_CLASS_MAX]; // what is broken, without its numbers
    uint32_t runs, kept;
    uint32_t way, at; // the next candidate
    bool changed;     // in this pass
} SimShrink;

// `problem`: the text of the failure of `scenario`.
void sim_shrink_begin(SimShrink *shrink, const SimScenario *scenario, const SimRunOptions *options,
                      const char *problem);
// 1: go on; 0: nothing can be left out any more.
int sim_shrink_step(SimShrink *shrink);
// "invariant 2", "liveness", or the text up to its first number.
void sim_shrink_class(const char *problem, char ret_class[SIM_CLASS_MAX]);
