// SPDX-License-Identifier: MIT
// sim_expect: a scenario's expectations, looked at whenever a verdict or a plan changes, when the
// clients' load was computed anew, and when a window begins: between those moments nothing can
// differ. An expectation that was never looked at is a failure of its own.
#pragma once
#include "sim_scenario.h"

// What was looked at so far.
typedef struct SimLooked {
    uint32_t windows;                   // mask of expectations
    uint32_t met[SIM_MAX_EXPECTS];      // agents that met a `once`
    uint64_t load_ticks;                // seen
    int64_t apart_ns, longest_apart_ns; // agents that hear most others disagree: now, at worst
    uint32_t held[SIM_REGIONS_MAX];     // by agent, for `growing`:
    int64_t since_ns[SIM_REGIONS_MAX][SIM_REGIONS_MAX], length_ns[SIM_REGIONS_MAX][SIM_REGIONS_MAX];
    uint32_t shrunk; // agents that held a gateway shorter than before
} SimLooked;

int64_t sim_scenario_ns(int64_t ms); // after the warm-up -> after the start
// After a step that began at from_ns.
int sim_expect_step(const SimFleet *fleet, const SimScenario *scenario, int64_t from_ns,
                    SimLooked *looked, Error *reterr) MUST_CHECK;
int sim_expect_end(const SimFleet *fleet, const SimScenario *scenario, const SimLooked *looked,
                   Error *reterr) MUST_CHECK;
