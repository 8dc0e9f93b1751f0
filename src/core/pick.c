// SPDX-License-Identifier: MIT
// pick: the choice of one target; see pick.h. Runs once per request inside nginx, where the whole
// module may cost two percent of it: one pass makes a set of the best tier's targets (a bit each),
// two short walks over the set find the drawn ones. No memory, no division.
// Goes wrong: stale evidence. It is looked at with `now` each time, so time alone frees a target;
// nothing has to run for that.
#include "pick.h"

#include "attr.h"
#include "pick_health.h"

// Per state: without and with evidence of its own against the target.
static const uint8_t TIERS[HEALTH_MAX][2] = {
    [HEALTH_UNKNOWN] = {PICK_TIER_GOOD, PICK_TIER_SUSPECT},
    [HEALTH_UP] = {PICK_TIER_GOOD, PICK_TIER_SUSPECT},
    [HEALTH_SUSPECT] = {PICK_TIER_SUSPECT, PICK_TIER_SUSPECT},
    [HEALTH_DOWN] = {PICK_TIER_DOWN, PICK_TIER_DOWN},
    [HEALTH_DRAINED] = {PICK_TIER_DRAINED, PICK_TIER_DOWN},
    [HEALTH_NEVER] = {PICK_TIER_NONE, PICK_TIER_NONE},
};

static inline PickTier tier_of(const PickTarget *target, uint32_t class_bit, Mono now)
{
    if (target->tried || target->weight == 0 || (uint32_t)target->state >= HEALTH_MAX)
        return PICK_TIER_NONE;
    if ((target->classes & class_bit) == 0)
        return target->classes == 0 && target->state == HEALTH_UNKNOWN ? PICK_TIER_SUSPECT
                                                                       : PICK_TIER_NONE;
    const PickHealth *health = target->health;
    bool suspect = health != NULL && health->ejections != 0 && pick_health_suspect(health, now);
    return (PickTier)TIERS[target->state][suspect];
}

PickTier pick_tier(const PickTarget *target, ServiceClass class_, Mono now)
{
    return tier_of(target, 1U << class_, now);
}

// `other` would carry no more per weight with this request than `drawn` does without it. So the
// draw stands while both have room, and a canary of weight 10 beside 90 gets its tenth at any load;
// comparing what both would carry would give it nothing until the heavy one has nine in flight.
static inline bool is_better(const PickTarget *other, const PickTarget *drawn)
{
    uint64_t other_load = other->health != NULL ? other->health->inflight : 0;
    uint64_t drawn_load = drawn->health != NULL ? drawn->health->inflight : 0;
    return (other_load + 1) * drawn->weight <= drawn_load * other->weight;
}

// The target of the set at the 32-bit fraction `draw` of its summed weights; sums stay below 2^38.
static inline uint32_t drawn(const PickTarget *targets, uint64_t set, uint64_t sum, uint32_t draw)
{
    uint64_t point = (uint64_t)(((unsigned __int128)draw * sum) >> 32);
    for (;;) {
        uint32_t i = (uint32_t)__builtin_ctzll(set);
        if (point < targets[i].weight)
            return i;
        point -= targets[i].weight;
        set &= set - 1;
    }
}

int pick_target(const PickTarget *targets, uint32_t n, ServiceClass class_, Mono now,
                uint64_t random, PickTier *ret_tier)
{
    PickTier best = PICK_TIER_NONE;
    uint64_t set = 0, sum = 0;
    for (uint32_t i = 0; i < n && i < PICK_TARGETS_MAX; i++) {
        PickTier tier = tier_of(&targets[i], 1U << class_, now);
        if (tier > best || tier == PICK_TIER_NONE)
            continue;
        if (tier < best) {
            best = tier;
            set = sum = 0;
        }
        set |= UINT64_C(1) << i;
        sum += targets[i].weight;
    }
    *ret_tier = best;
    if (set == 0)
        return -1;
    uint32_t first = drawn(targets, set, sum, (uint32_t)(random >> 32));
    set &= ~(UINT64_C(1) << first);
    if (set == 0)
        return (int)first;
    uint32_t second = drawn(targets, set, sum - targets[first].weight, (uint32_t)random);
    return (int)(is_better(&targets[second], &targets[first]) ? second : first);
}

int pick_first(const PickTarget *targets, uint32_t n, ServiceClass class_, Mono now)
{
    PickTier best = PICK_TIER_NONE;
    int first = -1;
    for (uint32_t i = 0; i < n; i++) {
        PickTier tier = pick_tier(&targets[i], class_, now);
        if (tier < best) {
            best = tier;
            first = (int)i;
        }
    }
    return first;
}
