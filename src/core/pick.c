// SPDX-License-Identifier: MIT
// pick: the choice of one target; see pick.h. Runs once per request inside nginx, so it is two
// short passes without memory: the first finds the best tier and its weight, the second walks to
// the drawn points. Goes wrong: stale evidence. It is looked at with `now` each time, so time alone
// frees a target; nothing has to run for that.
#include "pick.h"

#include "attr.h"
#include "pick_health.h"

PickTier pick_tier(const PickTarget *target, ServiceClass class_, Mono now)
{
    if (target->tried || target->weight == 0 || target->state == HEALTH_NEVER)
        return PICK_TIER_NONE;
    bool silent = target->state == HEALTH_UNKNOWN && target->classes == 0;
    if (!silent && (target->classes & 1U << class_) == 0)
        return PICK_TIER_NONE;
    bool suspect = silent || target->state == HEALTH_SUSPECT ||
                   (target->health != NULL && pick_health_suspect(target->health, now));
    switch (target->state) {
    case HEALTH_UNKNOWN:
    case HEALTH_UP:
    case HEALTH_SUSPECT:
        return suspect ? PICK_TIER_SUSPECT : PICK_TIER_GOOD;
    case HEALTH_DRAINED:
        return suspect ? PICK_TIER_DOWN : PICK_TIER_DRAINED;
    default:
        return PICK_TIER_DOWN;
    }
}

// a has fewer requests in flight per weight than b; the one about to start counts, so that of two
// idle targets the heavier one is the better.
static bool less_loaded(const PickTarget *a, const PickTarget *b)
{
    uint64_t a_load = a->health != NULL ? a->health->inflight : 0;
    uint64_t b_load = b->health != NULL ? b->health->inflight : 0;
    return (a_load + 1) * b->weight < (b_load + 1) * a->weight;
}

// The target of the tier at `point` of its summed weights, leaving out `skip`.
static uint32_t at_point(const PickTarget *targets, uint32_t n, ServiceClass class_, Mono now,
                         PickTier tier, uint32_t skip, uint64_t point)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i == skip || pick_tier(&targets[i], class_, now) != tier)
            continue;
        if (point < targets[i].weight)
            return i;
        point -= targets[i].weight;
    }
    NOT_REACHED();
}

int pick_target(const PickTarget *targets, uint32_t n, ServiceClass class_, Mono now,
                uint64_t random)
{
    PickTier best = PICK_TIER_NONE;
    uint64_t sum = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        PickTier tier = pick_tier(&targets[i], class_, now);
        if (tier < best) {
            best = tier;
            sum = count = 0;
        }
        if (tier == best && tier != PICK_TIER_NONE) {
            sum += targets[i].weight;
            count++;
        }
    }
    if (count == 0)
        return -1;
    // Each half of `random` draws one point; sums stay far below 2^64 (weights have 32 bits).
    uint64_t first_point = (uint64_t)(((unsigned __int128)(random >> 32) * sum) >> 32);
    uint32_t first = at_point(targets, n, class_, now, best, n, first_point);
    if (count == 1)
        return (int)first;
    sum -= targets[first].weight;
    uint64_t second_point = (uint64_t)(((unsigned __int128)(random & UINT32_MAX) * sum) >> 32);
    uint32_t second = at_point(targets, n, class_, now, best, first, second_point);
    return (int)(less_loaded(&targets[second], &targets[first]) ? second : first);
}
