// SPDX-License-Identifier: MIT
// sim_scenario: faults and what must come of them, as data. Times are milliseconds after the
// warm-up (SIM_WARM_UP_MS), when the first fault begins.
#pragma once
#include "sim_fleet.h"

#define SIM_WARM_UP_MS 20000

// From from_ms to until_ms, at every moment (`once`: at one of them), every running agent of `who`
// is as said.
typedef struct SimExpect {
    int64_t from_ms, until_ms;
    uint32_t who;  // mask of agents
    uint32_t held; // gateways that it holds down,
    uint32_t care; // of these (0: of all)
    uint32_t last; // gateways that stand first in none of its routes
    uint32_t slow; // gateways that it calls slow, at least
    bool once;
    int64_t max_apart_ms;     // at the end, how long agents that hear most others disagreed; 0: any
    uint32_t max_transitions; // at until_ms, over all gateways; 0: not looked at
} SimExpect;

#define SIM_MAX_FAULTS 8
#define SIM_MAX_EXPECTS 8

typedef struct SimScenario {
    const char *name, *text;
    int64_t run_ms;                     // after the warm-up
    SimFault faults[SIM_MAX_FAULTS];    // times in ms, up to the first with an empty mask
    int64_t flap_ms;                    // repeat the first fault with this period until the end
    SimExpect expects[SIM_MAX_EXPECTS]; // up to the first with nobody in `who`
    uint32_t traffic_rps;
    bool calm_at_end; // all is forgotten: nothing held, full shares, one fleet part
} SimScenario;

extern const SimScenario SIM_SCENARIOS[];
extern const size_t SIM_N_SCENARIOS;

const SimScenario *sim_scenario_find(const char *name); // or NULL
// 0 when everything came as expected; ERROR_NOT_HELD with the first difference.
int sim_scenario_run(const SimScenario *scenario, uint64_t seed, bool around_the_world,
                     Buf *timeline, uint64_t *ret_digest, Error *reterr) MUST_CHECK;
