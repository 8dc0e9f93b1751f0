// SPDX-License-Identifier: MIT
// sim_load: clients who follow the plans, and gateways that are queues. Every 100 ms the demand of
// each client group is handed out as the plans of the regions' DNS say; what meets a gateway that
// does not answer tries the next one of its order, in another cloud if there is one; what is beyond
// a queue is shed. A fluid: no request is drawn, so that a run costs little and repeats.
// Not modelled: caches of answers (a stale reader is a fault), sessions, writes.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "plan.h"
#include "sim_model.h"

#define SIM_LOAD_TICK_NS (100 * NS_PER_MS)
#define SIM_LOAD_START_NS (5 * NS_PER_S) // all agents are up and together by then

typedef struct SimFleet SimFleet;

// What a region's DNS and edge know: the routes of one plan, of its first service's reads.
typedef struct SimReader {
    uint64_t number; // of the plan; 0: none yet
    uint32_t n[SIM_REGIONS_MAX];
    PlanEntry entries[SIM_REGIONS_MAX][SIM_REGIONS_MAX]; // by group
    uint32_t n_forward;
    PlanEntry forward[SIM_REGIONS_MAX];
} SimReader;

// A gateway with its replicas. Amounts are thousandths of a request; rates per second.
typedef struct SimEndpoint {
    uint64_t offered, forwarded;         // in this tick, before its queue
    uint64_t backlog;                    // waiting
    uint64_t answered_rest, failed_rest; // not yet a whole request
    uint32_t offered_rps, shed_rps;
    int64_t wait_ns; // for a request that comes now
} SimEndpoint;

typedef struct SimLoad {
    uint32_t demand_rps; // of all clients; 0: there are none
    bool queued_probes;  // probes wait in the gateway's queue too
    SimReader readers[SIM_REGIONS_MAX];
    SimEndpoint ends[SIM_REGIONS_MAX];
    uint64_t ticks;
    // Of the last tick, in parts per million:
    uint32_t load_ppm; // of its capacity, offered to the fullest gateway that takes requests
    uint32_t shed_ppm, failed_ppm, retried_ppm; // of the demand
    int64_t worst_wait_ns;
} SimLoad;

// One tick; then every running agent hears what its edge counted.
int sim_load_tick(SimFleet *fleet, Error *reterr) MUST_CHECK;
