// SPDX-License-Identifier: MIT
// sim_fault_model: what breaks in an ordinary year, as rates. Model F: per hour, every duration
// exponential, what lasts and how often:
//
//   uplink of a region loses half of its packets      0.5 each     2 s
//   link between two regions loses 70 %               0.5 each     3 s
//   uplink of a region is gone                        0.05 each   20 s
//   link between two regions takes five times as long 0.2 each    30 s
//   all transit between clouds is gone                0.02        30 s
//   one cloud is cut off from the others              0.01 each   20 s
//   two clouds lose 90 % of what they send each other 0.05 each   10 s
//   an agent stands still                             0.1 each     3 s
//   an agent is started again                         0.1 each     2 s
//   a gateway is started again                        0.1 each     0.2 s
//
// and 0.1 % of all packets always. 10F: all rates tenfold, so that one hour holds as many double
// faults as a hundred of F.
//
// Every process has a generator of its own, and only integers are used: the schedule hangs on the
// seed alone, neither on the compiler nor on how much of the time between faults is simulated.
// Owner: the caller, by value.
#pragma once
#include "sim_world.h"

#define SIM_MODEL_LOSS_PPM 1000

typedef enum SimTroubleKind {
    TROUBLE_UPLINK_BURST,
    TROUBLE_LINK_BURST,
    TROUBLE_UPLINK_OUTAGE,
    TROUBLE_LINK_SLOW,
    TROUBLE_TRANSIT,
    TROUBLE_CLOUD_ALONE,
    TROUBLE_CLOUD_PAIR,
    TROUBLE_AGENT_FROZEN,
    TROUBLE_AGENT_RESTART,
    TROUBLE_GATEWAY_RESTART,
    TROUBLE_MAX,
} SimTroubleKind;

// One fault of the model.
typedef struct SimTrouble {
    SimTroubleKind kind;
    uint32_t a, b; // regions (b: LINK_*), clouds (CLOUD_*; PAIR: the two)
    int64_t from_ns, until_ns;
} SimTrouble;

#define SIM_TROUBLE_PARTS 2
#define SIM_TROUBLE_SOURCES 72

typedef struct SimTroubleSource {
    Rng rng;
    SimTrouble next;
} SimTroubleSource;

typedef struct SimFaultModel {
    uint32_t times; // how often as often as in F
    uint32_t n_sources;
    SimTroubleSource sources[SIM_TROUBLE_SOURCES];
} SimFaultModel;

// No trouble begins before start_ns.
void sim_fault_model_begin(SimFaultModel *model, uint32_t times, uint64_t seed, int64_t start_ns);
// The next one by its beginning; it stays the next until it is taken.
const SimTrouble *sim_fault_model_next(const SimFaultModel *model);
void sim_fault_model_take(SimFaultModel *model);
// What it means to the world; returns how many parts.
size_t sim_trouble_parts(const SimTrouble *trouble, const SimWorld *world,
                         SimFault ret_parts[SIM_TROUBLE_PARTS]);
const char *sim_trouble_name(SimTroubleKind kind);
// Exponential with that mean, at most 45 times as long.
int64_t sim_exponential_ns(Rng *rng, int64_t mean_ns);
