// SPDX-License-Identifier: MIT
// admit: may the own region serve one more request now, or is it at its capacity? A token bucket
// kept as one number (GCRA, the cell rate algorithm of ITU-T I.371): the moment at which the bucket
// would be full again. Each request moves it on by its cost; a request that would move it farther
// than the burst into the future is shed. No timer, no tokens to refill, and since the state is one
// integer, several workers share one bucket by compare and swap (the shell's part).
//
// Why a bucket and not the requests in flight: a region at twice its capacity must go on serving
// its capacity, at once and without queues; queues are what makes an overloaded region die.
// Fair: by arrival. Reads and writes, clients and peers, all the same; so the excess is spread over
// whoever sends it, and no peer's spill can push a region above what it can carry.
// The burst is a tenth of a second's requests: no second holds more than 110 % of the capacity.
//
// Goes wrong: a machine that stands still for longer than the burst finds more requests waiting
// than it may serve at once, and sheds some though it is not overloaded. Small regions therefore
// get a burst of some requests at least.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "instant.h"
#include "plan.h"

#define ADMIT_BURST_NS (NS_PER_S / 10)
#define ADMIT_BURST_MIN 8            // requests
#define ADMIT_SHED INT64_MIN         // of admit_next: no
#define ADMIT_AGAIN_MIN_S 1U         // Retry-After, drawn evenly: clients that were shed together
#define ADMIT_AGAIN_MAX_S 3U         // must not come back together
#define ADMIT_FULL_NS (NS_PER_S / 4) // a peer that shed a request gets no spill for so long

typedef struct AdmitRule {
    int64_t cost_ns;  // of one request; 0: nothing is ever shed
    int64_t burst_ns; // the bucket's size
} AdmitRule;

// capacity_rps 0: unknown, so nothing is shed.
static inline AdmitRule admit_rule(uint32_t capacity_rps)
{
    if (capacity_rps == 0)
        return (AdmitRule){0};
    // Rounded up: never more than the capacity.
    int64_t cost = (NS_PER_S + capacity_rps - 1) / capacity_rps;
    int64_t least = ADMIT_BURST_MIN * cost;
    return (AdmitRule){.cost_ns = cost,
                       .burst_ns = least > ADMIT_BURST_NS ? least : ADMIT_BURST_NS};
}

// `full_at` is the bucket; the new one when the request is admitted, ADMIT_SHED when it is not.
// Begin with 0. A bucket that lies farther ahead than any request of this rule moves it (the rule
// was another, or a worker's clock was read a little later) is an empty one as of now.
static inline int64_t admit_next(const AdmitRule *rule, int64_t full_at, Mono now)
{
    if (full_at <= now.ns) // full
        return now.ns + rule->cost_ns;
    int64_t latest = now.ns + rule->burst_ns;
    if (full_at <= latest - rule->cost_ns)
        return full_at + rule->cost_ns;
    return full_at > latest + rule->burst_ns || rule->cost_ns == 0 ? latest : ADMIT_SHED;
}

// May a request that the own region has no capacity for be handed to this gateway? Only if the plan
// expects it to carry its own; whether it really does, its own bucket says (and ADMIT_FULL_NS).
static inline bool admit_has_room(const PlanGateway *gateway)
{
    return (gateway->state == HEALTH_UP || gateway->state == HEALTH_UNKNOWN) &&
           gateway->share_ppm > 0 && gateway->load_ppm <= PPM_ONE;
}

// Seconds for Retry-After from 32 random bits.
static inline uint32_t admit_again_s(uint32_t random)
{
    uint32_t choices = ADMIT_AGAIN_MAX_S - ADMIT_AGAIN_MIN_S + 1;
    return ADMIT_AGAIN_MIN_S + (uint32_t)((uint64_t)random * choices >> 32);
}
