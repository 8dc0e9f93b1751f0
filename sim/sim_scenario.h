// SPDX-License-Identifier: MIT
// sim_scenario: faults and what must come of them, as data. Times are milliseconds after the
// warm-up (SIM_WARM_UP_MS), when the first fault begins. Scenarios are written in scenarios*.c or
// read from files (sim_file.h), and both say the same.
#pragma once
#include "sim_fleet.h"

#define SIM_WARM_UP_MS 20000
#define SIM_MASK_NONE SIM_ONE(31) // in `care`: gateways are not looked at
#define SIM_LOSS_PPM 1000         // of every packet, always: no network is without

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
    bool agree;               // all of `who` have one fleet part
    bool growing;             // each time that it holds one of `care`, longer than the last time
    int64_t max_apart_ms;     // agents that hear most others never disagree longer; 0: any
    uint32_t max_transitions; // at until_ms, over all gateways; 0: not looked at
    // Of clients who follow the plans, in every tenth of a second; 0: not looked at.
    uint32_t max_load_ppm;                 // of its capacity, offered to any gateway that works
    uint32_t max_shed_ppm, max_failed_ppm; // of the demand
} SimExpect;

// An operator's wish at one agent.
typedef struct SimWish {
    int64_t at_ms, for_ms; // for_ms 0: for good
    uint32_t agent;
    IntentKind kind;
    const char *target; // "region:us-east-1"; NULL: the end of the list
    const char *region; // PIN
    uint32_t weight_ppm;
} SimWish;

#define SIM_MAX_FAULTS 16
#define SIM_MAX_EXPECTS 12
#define SIM_MAX_WISHES 6

typedef struct SimScenario {
    const char *name, *text;
    const char *layout;                 // name; NULL: the guide's
    const SimLayout *own;               // its own layout, or NULL
    int64_t run_ms;                     // after the warm-up
    SimFault faults[SIM_MAX_FAULTS];    // times in ms, up to the first with an empty mask
    int64_t flap_ms;                    // repeat the first fault with this period until the end
    SimWish wishes[SIM_MAX_WISHES];     // up to the first without a target
    SimExpect expects[SIM_MAX_EXPECTS]; // up to the first with nobody in `who`
    uint32_t traffic_rps;               // of each region's own users
    uint32_t clients_ppm;               // demand of clients, of the fleet's whole capacity
    bool queued_probes;                 // probes wait in a full gateway's queue too
    bool calm_at_end; // all is forgotten: nothing held, full shares, one fleet part
    bool live;        // after the last fault all is forgotten in bounded time, see sim_liveness.h
} SimScenario;

// The built-in ones, by subject.
extern const SimScenario SIM_SCENARIOS_VERDICT[], SIM_SCENARIOS_DIRTY[], SIM_SCENARIOS_LOAD[];
extern const size_t SIM_N_VERDICT, SIM_N_DIRTY, SIM_N_LOAD;

size_t sim_scenario_n_faults(const SimScenario *scenario);
size_t sim_scenario_n_wishes(const SimScenario *scenario);
size_t sim_scenario_n_expects(const SimScenario *scenario);
const SimScenario *sim_scenario_at(size_t index);       // or NULL: there are no more
const SimScenario *sim_scenario_find(const char *name); // or NULL

// One more invariant of the caller's, looked at after every step.
typedef int SimInvariant(const SimFleet *fleet, Error *reterr);

typedef struct SimRunOptions {
    uint64_t seed;
    bool around_the_world; // when the scenario has no layout of its own
    Buf *timeline;         // or NULL
    SimInvariant *invariant;
} SimRunOptions;

typedef struct SimRunResult {
    uint64_t digest, steps;
    int64_t virtual_ns;
    uint32_t transitions;                                   // of verdicts, over all agents
    int64_t apart_ns;                                       // see SimFleet
    uint32_t peak_load_ppm, peak_shed_ppm, peak_failed_ppm; // of clients, after the warm-up
} SimRunResult;

// 0 when everything came as expected; ERROR_NOT_HELD with the first difference. The result is
// filled in both cases.
int sim_scenario_run(const SimScenario *scenario, const SimRunOptions *options,
                     SimRunResult *ret_result, Error *reterr) MUST_CHECK;
