// SPDX-License-Identifier: MIT
// core: decides. One event in, one update out; no clock, no I/O, no randomness but its own seeded
// generator. Same events, same updates, bit for bit.
//
// A shell: create the core, then loop { wait until core_next_wake or something happens; step }. An
// effect's result comes back as an event with the effect's id; lost, late and doubled ones are
// ordinary: unknown ids are ignored, missing answers run into the deadline that the core holds.
//
//   TICK ------------> probes due (EFFECT_PROBE), reports due (EFFECT_REPORT), deadlines, verdicts
//   PROBE_* ---------> path state -> own vote
//   REPORT ----------> views of the other observers, relayed votes, intents, classes, loads
//   EDGE, REPLICA ---> passive evidence, own replicas
//   INTENT, CONFIG --> the operator's hand
//                        |
//                        v  verdicts -> plan (when it differs) + records
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "error.h"
#include "intent.h"
#include "model.h"
#include "plan.h"
#include "record.h"
#include "report.h"

typedef struct Core Core;

typedef enum CoreEventKind {
    CORE_EVENT_TICK,
    CORE_EVENT_PROBE_ANSWERED, // id, gateway: a valid answer arrived
    CORE_EVENT_PROBE_FAILED, // id, gateway: hard failure (refused, reset, TLS, certificate, status)
    CORE_EVENT_IDLE_CLOSED,  // gateway: it closed an idle probe connection
    CORE_EVENT_REPORT,       // report from a peer, or its answer to ours
    CORE_EVENT_EDGE,         // what the own edge saw of a gateway since the last such event
    CORE_EVENT_REPLICA,      // result of probing an own replica
    CORE_EVENT_INTENT,       // an operator's wish made here
    CORE_EVENT_CONFIG,       // a new model
    CORE_EVENT_MAX,
} CoreEventKind;

typedef struct CoreEventEdge {
    uint32_t gateway;
    uint32_t successes, failures; // real requests since the last event; failures: 5xx and no answer
    bool any_success;
    Mono success_sent; // when the newest request that succeeded was *sent*
    uint32_t load_rps; // own gateway only: requests per second served here
} CoreEventEdge;

typedef struct CoreEventReplica {
    uint32_t replica; // 0-based
    bool answered;
    uint32_t classes; // what its health answer says, per class
} CoreEventReplica;

typedef struct CoreEvent {
    Mono now; // never before the last event's (an older one counts as equal)
    Wall wall;
    CoreEventKind kind;
    uint64_t id;      // PROBE_*
    uint32_t gateway; // PROBE_*, IDLE_CLOSED
    union {
        const Report *report;
        CoreEventEdge edge;
        CoreEventReplica replica;
        const Intent *intent;
        const Model *model;
    } u;
} CoreEvent;

typedef enum CoreEffectKind {
    CORE_EFFECT_PROBE,   // GET the gateway's health location; hedge on a fresh connection after
                         // hedge_ns
    CORE_EFFECT_REPORT,  // send core_report() to that peer now
    CORE_EFFECT_REPLICA, // GET /api/health of that own replica
    CORE_EFFECT_KEEP_INTENTS, // write core_intents() to disk
} CoreEffectKind;

typedef struct CoreEffect {
    CoreEffectKind kind;
    uint64_t id;
    uint32_t gateway;   // PROBE, REPORT: whose; REPLICA: index of the replica
    int64_t hedge_ns;   // PROBE
    int64_t give_up_ns; // after this the answer is of no use: drop the connection
} CoreEffect;

typedef struct CoreUpdate {
    uint32_t n_effects, n_records;
    const CoreEffect *effects;
    const Record *records;
    const Plan *plan; // NULL: unchanged
} CoreUpdate;

typedef struct CoreOptions {
    uint32_t own;        // index of the own region
    uint64_t seed;       // of the core's generator (probe jitter, ids)
    uint64_t boot;       // random, not 0
    uint64_t first_plan; // number of the first plan: epoch << 32 | counter above the last one's
    const char *const *replica_sockets; // [model->regions[own].replicas], copied
    const Intent *intents;              // from disk
    uint32_t n_intents;
} CoreOptions;

// The model must outlive the core or the CONFIG event that replaces it.
int core_new(const Model *model, const CoreOptions *options, Mono now, Wall wall, Core **ret_core,
             Error *reterr) MUST_CHECK;
// What ret_update points to lives in `arena`. On error the core is as it was before the call.
int core_step(Core *core, Arena *arena, const CoreEvent *event, CoreUpdate *ret_update,
              Error *reterr) MUST_CHECK;
// When the next TICK is due at the latest.
Mono core_next_wake(const Core *core);
// The report to send to `peer` (region index) at `now`, in the arena.
int core_report(Core *core, Arena *arena, uint32_t peer, Mono now, Wall wall,
                const Report **ret_report) MUST_CHECK;
// The current plan; never NULL after core_new.
const Plan *core_plan(const Core *core);
// The plan that `intent` would lead to if it were made now, in the arena, without own replicas;
// nothing changes.
int core_preview(const Core *core, Arena *arena, const Intent *intent, Mono now,
                 const Plan **ret_plan, Error *reterr) MUST_CHECK;
uint32_t core_intents(const Core *core, const Intent **ret_intents);
Core *core_free(Core *core); // takes NULL, returns NULL

// --- For people: state as values, for status, metrics and why. ---

typedef struct CoreGatewayStatus {
    bool held;
    HealthState state;
    uint32_t up, down, unknown; // fresh votes
    uint32_t flaps;
    int64_t since_ns; // in this verdict for so long
    int64_t hold_left_ns;
    uint32_t share_ppm;
    uint32_t classes;
    Vote own_vote;
    uint32_t own_streak;
    uint32_t p50_us, p99_us; // own probes
    bool slow;
    int64_t clock_offset_ns;                 // peer's wall minus ours; 0 for ourselves
    int64_t report_age_ns;                   // AGE_NEVER: none
    uint64_t plan_number, plan_fleet_digest; // as the peer reported
    uint32_t generation;
    uint64_t config_hash;
    uint32_t load_rps, replicas_want, replicas_up;
    const char *reason; // why the verdict is as it is, in the arena
} CoreGatewayStatus;

int core_gateway_status(const Core *core, Arena *arena, uint32_t gateway, Mono now,
                        CoreGatewayStatus *ret_status) MUST_CHECK;

typedef struct CoreSelfStatus {
    bool sick, alone;
    uint32_t fresh;          // observers heard from, ourselves included
    int64_t clock_offset_ns; // the peers' median minus the own wall
    bool clock_refused;      // beyond clock_max_skew: class write is gone
} CoreSelfStatus;

CoreSelfStatus core_self_status(const Core *core, Mono now);
