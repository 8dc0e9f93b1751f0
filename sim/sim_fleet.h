// SPDX-License-Identifier: MIT
// sim_fleet: a region each with the real core in it, in virtual time. The fleet plays the shells:
// it carries out effects through the world (probes, reports, replicas) and brings back the events.
// After every step the invariants are looked at; the first broken one ends the run.
// Owner: the caller; faults and model must outlive it. Each agent's clocks start somewhere else.
#pragma once
#include "buf.h"
#include "core.h"
#include "sim_check.h"
#include "sim_heap.h"
#include "sim_layout.h"
#include "sim_load.h"
#include "sim_message.h"
#include "sim_world.h"

typedef struct SimBackup { // of an agent's disk
    Arena *disk;
    const Intent *intents;
    uint32_t n_intents;
    uint64_t epoch;
} SimBackup;

typedef struct SimAgent {
    Core *core; // NULL: not running
    uint32_t life;
    int64_t mono_ns, wall_ns; // what its clocks show at 0
    int64_t tick_at_ns;
    bool kept[SIM_REGIONS_MAX];             // an idle probe connection
    int64_t busy_until_ns[SIM_REGIONS_MAX]; // one report under way per peer
    Arena *disk;                            // intents
    const Intent *intents;
    uint32_t n_intents;
    uint64_t epoch; // of its plans
    SimBackup backup;
    bool restored; // its next start is with that
    SimCheck check;
    uint32_t held, slow; // masks, as the core says
    uint32_t transitions;
    uint32_t idle_ticks;
} SimAgent;

struct SimFleet {
    const Model *model;
    SimWorld world;
    SimHeap heap;
    SimMessages messages;
    SimDigests digests;
    SimAgent agents[SIM_REGIONS_MAX];
    int64_t now_ns;
    uint64_t seed, steps;
    uint64_t digest;  // over everything that the cores said; same seed, same digest
    bool brief;       // digest: only over steps that made a record or a plan
    int64_t apart_ns; // time in which agents that are not alone held different gateways
    bool apart;
    bool changed;         // by the last event: a verdict or a plan
    SimLoad load;         // clients who follow the plans
    uint32_t traffic_rps; // requests of the region's own users at each edge; 0: none
    uint32_t chaos_ppm;   // share of events that come late, twice or not at all
    Buf *timeline;        // records as lines, or NULL
    Arena *arena;         // of one step
};

typedef struct SimFleetOptions {
    const SimFault *faults;
    size_t n_faults;
    uint64_t seed;
    const SimLayout *layout; // NULL: the guide's regions, or
    bool around_the_world;   // these with the round trips of the world
    uint32_t loss_ppm;
    uint32_t traffic_rps, chaos_ppm;
    uint32_t clients_ppm; // demand of clients who follow the plans, of the whole capacity
    bool queued_probes;   // probes wait in a gateway's queue as requests do
    Buf *timeline;
} SimFleetOptions;

// The agents start within the first 250 ms, the first fault may begin at any time.
int sim_fleet_new(const SimFleetOptions *options, SimFleet **ret_fleet, Error *reterr) MUST_CHECK;
// One event; 1, or 0 when the next one is not before end_ns, or an error.
int sim_fleet_step(SimFleet *fleet, int64_t end_ns, Error *reterr) MUST_CHECK;
// An operator's wish at one agent.
int sim_fleet_intent(SimFleet *fleet, uint32_t agent, const Intent *intent,
                     Error *reterr) MUST_CHECK;
// A fault that is added to the world later: what happens at its edges. Both lie ahead.
int sim_fleet_plan_fault(SimFleet *fleet, const SimFault *fault, Error *reterr) MUST_CHECK;
// The world's clock jumps; the agents' stand still, and all that is under way comes later by as
// much. Faults stay where they are: none that has edges may be under way or planned.
void sim_fleet_shift(SimFleet *fleet, int64_t by_ns);
// All running agents agree: nothing held, every gateway up, one fleet digest.
int sim_fleet_check_calm(const SimFleet *fleet, Error *reterr) MUST_CHECK;
SimFleet *sim_fleet_free(SimFleet *fleet); // takes NULL, returns NULL

static inline Mono sim_agent_mono(const SimFleet *fleet, uint32_t agent)
{
    return (Mono){fleet->now_ns + fleet->agents[agent].mono_ns};
}
