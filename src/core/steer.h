// SPDX-License-Identifier: MIT
// steer: the order of gateways for one client group and class. In order: verdicts and intents,
// class, latency, then cost within the latency budget, ties by rendezvous hash. (Pins come before
// all that and are looked up per client, in pick; capacity decides the shares, in capacity.)
// Selection keeps the best BOUND_ORDER by insertion: one pass over the gateways, no sort.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "bounds.h"
#include "capacity.h"
#include "model.h"

typedef enum SteerTier {
    STEER_TIER_LIVE,
    STEER_TIER_SUSPECT,   // no verdict, but too many doubts to stand in front
    STEER_TIER_CLASSLESS, // alive, but its region cannot serve the class: its edge would forward
    STEER_TIER_DRAINED,
    STEER_TIER_DOWN,
    STEER_TIER_NEVER, // left out, unless there is nothing else: a plan is never empty
    STEER_TIER_MAX,
} SteerTier;

typedef struct SteerQuery {
    const Model *model;
    const GatewayFacts *facts;
    const int64_t *latency_us; // [n_regions]
    const uint64_t *name_hash; // [n_regions]
    const uint8_t *tiers;      // [n_regions], by steer_tiers: the same for all groups of a class
    uint64_t hash;             // of the group's name
    int64_t budget_us;
    ServiceClass class_;
    int exclude;          // gateway to leave out, or -1
    bool own_votes_count; // the own edge's orders: its own DOWN votes put a gateway behind
} SteerQuery;

typedef struct SteerOrder {
    uint32_t n;       // at least 1 if there is any gateway that is not excluded
    uint32_t n_first; // how many of them are in the best tier: those carry the load
    uint32_t gateways[BOUND_ORDER];
} SteerOrder;

// Reads everything in the query but latencies, hashes and tiers.
void steer_tiers(const SteerQuery *query, uint8_t *ret_tiers);
void steer_order(const SteerQuery *query, SteerOrder *ret_order);
