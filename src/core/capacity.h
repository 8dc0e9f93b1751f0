// SPDX-License-Identifier: MIT
// capacity: projects the load of a plan and spreads what does not fit. Traffic is moved only after
// its load was projected: what a gateway cannot take goes on, in fractions, to the next ones of the
// same order that have room. When nobody has room left, all carry the rest by their capacity.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "plan.h"

// What a plan needs to know about a gateway. Compared with memcmp: zero it before filling it.
typedef struct GatewayFacts {
    HealthState state;
    uint32_t classes;
    uint32_t share_ppm; // of what it would get
    uint32_t capacity_rps;
    uint32_t load_rps;   // as stated; 0 for one that is held so long that the others carry its load
    uint32_t own_rtt_us; // coarse round trip of the own probes, for the own edge only
    uint32_t own_down;   // the own vote is DOWN: last among the live ones for the own edge only
} GatewayFacts;

typedef struct CapacityRoute {
    uint64_t demand;    // any unit, the same in all routes; 0 counts as 1
    uint32_t n;         // entries that may carry load: the first n
    PlanEntry *entries; // gateway given; share_ppm is filled in
} CapacityRoute;

typedef struct CapacityResult {
    uint64_t *used;  // [n_gateways], in the unit of demand
    bool spilled;    // a full gateway passed load on
    bool overloaded; // more load than room
} CapacityResult;

// `room`: [n_gateways] in the unit of demand.
int capacity_spread(Arena *arena, const GatewayFacts *facts, uint32_t n_gateways,
                    const uint64_t *room, CapacityRoute *routes, uint32_t n_routes,
                    CapacityResult *ret_result) MUST_CHECK;
// Would the load of the fleet fit without `gateway`? Counts what can be used now.
bool capacity_fits_without(const GatewayFacts *facts, uint32_t n_gateways, uint32_t gateway);
