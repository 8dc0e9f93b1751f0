// SPDX-License-Identifier: MIT
// pick: what an edge decides per request: which replica or gateway, ejection, stall, retry budget.
// Pure and without allocation: values in, index out. nginx's module, the simulator, the tests and
// `why` call the same functions; there is no second copy of these rules in nginx C.
// Two draws by weight, the one with fewer requests in flight per weight wins (Mitzenmacher 2001,
// "The Power of Two Choices"); ejection by streak with growing time (Envoy's outlier detection).
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "instant.h"
#include "ip.h"
#include "model.h"
#include "plan.h"

// Tiers, best first. A request tries the best non-empty tier, so nothing is refused while something
// may work. Where the service is closed (PlanService.open) the caller refuses a PICK_TIER_DOWN.
typedef enum PickTier {
    PICK_TIER_GOOD,    // up or unknown, and nothing here speaks against it
    PICK_TIER_SUSPECT, // ejected, stalled, on trial and busy, or suspect by the plan
    PICK_TIER_DRAINED, // by the operator: last resort, but it works
    PICK_TIER_DOWN,    // held down, or drained and suspect: last of all
    PICK_TIER_NONE,    // not for this request: tried, wrong class, weight 0, never
} PickTier;

// One edge's evidence about one target (replica or gateway); owned by the caller, zero to start.
typedef struct PickHealth {
    uint32_t inflight;
    uint32_t streak;     // consecutive failures
    uint32_t ejections;  // in a row, for the growing time
    Mono ejected_until;  // zero: never
    Mono last_done;      // newest answer, whatever its status; a timeout is no answer
    Mono busy_since;     // when the first of the requests in flight found it idle
    uint32_t rate_milli; // completions per second * 1000, decayed
    Mono rate_at;
    bool stalled;  // ejected for silence; undone by the first answer
    bool on_trial; // no good answer since its ejection was over
} PickHealth;

#define PICK_TARGETS_MAX 64U // as many as BOUND_REPLICAS, more than BOUND_ORDER

typedef struct PickTarget {
    uint32_t weight; // > 0
    HealthState state;
    uint32_t classes;
    const PickHealth *health;
    bool tried; // by this request
} PickTarget;

// Index of the target for a request of `class_` and its tier, or -1 when none is left. `random` is
// fresh per call. A target in state UNKNOWN with no classes has not said yet what it can do:
// suspect, not excluded.
int pick_target(const PickTarget *targets, uint32_t n, ServiceClass class_, Mono now,
                uint64_t random, PickTier *ret_tier);
PickTier pick_tier(const PickTarget *target, ServiceClass class_, Mono now);
// For an order instead of weights (where an edge forwards to): the first target of the best tier,
// or -1 when none is left.
int pick_first(const PickTarget *targets, uint32_t n, ServiceClass class_, Mono now);

typedef enum PickResult {
    PICK_OK,      // an answer below 500
    PICK_SHED,    // answered that it is at its capacity: alive, so nothing against it
    PICK_ERROR,   // 5xx; up to here answers, in this order
    PICK_FAILURE, // refused, reset, timed out, garbage
    PICK_STALE,   // a reused connection was closed before an answer: no evidence against the target
    PICK_ABORTED, // the client went away
} PickResult;

void pick_started(PickHealth *health, Mono now);
// True when this result ejected the target. What happens after the time of an ejection is over is
// told in pick_health.c: one request on trial, then a few more with every 50 ms.
bool pick_finished(PickHealth *health, const ModelPick *rules, PickResult result, Mono now);
// True when the target began to stall at `now`: its waiting requests should be moved on.
bool pick_check_stall(PickHealth *health, const ModelPick *rules, Mono now);

// Retry budget of one edge: retries <= budget share of requests over about 10 s, plus a small
// burst.
typedef struct PickBudget {
    uint64_t requests_milli, retries_milli; // decayed
    Mono at;
} PickBudget;

void pick_budget_request(PickBudget *budget, Mono now);
// Takes one retry from the budget if there is one left.
bool pick_budget_retry(PickBudget *budget, const ModelPick *rules, Mono now);

// Which entry of a route a client block starts at: by share, from a hash of the block, so that DNS
// and every edge agree. The rest of the order follows by position, skipping that entry.
uint32_t pick_entry(const PlanEntry *entries, uint32_t n, const IpPrefix *block);

// Group of an address: longest prefix match over sorted prefixes; -1 if none (cannot be: all
// covered).
int pick_group(const ModelPrefix *prefixes, uint32_t n, const Ip *ip);
// The pin with the longest prefix that contains ip, or -1.
int pick_pin(const Plan *plan, const Ip *ip);

// The whole order for one client: its pin first (unless that gateway is down, drained, never or
// lacks the class), then the entry its block hashes to, then the rest by position.
// Returns the count written to ret_gateways (at most BOUND_ORDER).
uint32_t pick_order(const Plan *plan, const ModelPrefix *prefixes, uint32_t n_prefixes,
                    uint32_t service, ServiceClass class_, const Ip *client,
                    uint32_t *ret_gateways);
// The backup of an order: its best gateway of another cloud than the first one's; -1: there is
// none.
int pick_backup(const Plan *plan, const uint32_t *order, uint32_t n);
