// SPDX-License-Identifier: MIT
// steer: see steer.h.
#include "steer.h"

#include <string.h>

#include "hash.h"
#include "instant.h"

typedef struct Candidate {
    SteerTier tier;
    bool far; // beyond the latency budget: latency decides, not cost
    int64_t first, second;
    uint32_t gateway;
} Candidate;

static SteerTier tier_of(const SteerQuery *query, uint32_t gateway)
{
    const GatewayFacts *facts = &query->facts[gateway];
    switch (facts->state) {
    case HEALTH_NEVER:
        return STEER_TIER_NEVER;
    case HEALTH_DOWN:
        return STEER_TIER_DOWN;
    case HEALTH_DRAINED:
        return STEER_TIER_DRAINED;
    default:
        break;
    }
    if ((facts->classes >> query->class_ & 1) == 0)
        return STEER_TIER_CLASSLESS;
    if (facts->state == HEALTH_SUSPECT || (query->own_votes_count && facts->own_down))
        return STEER_TIER_SUSPECT;
    return STEER_TIER_LIVE;
}

void steer_tiers(const SteerQuery *query, uint8_t *ret_tiers)
{
    for (uint32_t g = 0; g < query->model->n_regions; g++)
        ret_tiers[g] = (uint8_t)tier_of(query, g);
}

static bool better(const SteerQuery *query, const Candidate *a, const Candidate *b)
{
    if (a->tier != b->tier)
        return a->tier < b->tier;
    if (a->far != b->far)
        return !a->far;
    if (a->first != b->first)
        return a->first < b->first;
    if (a->second != b->second)
        return a->second < b->second;
    uint64_t hash_a = hash_mix(query->hash ^ query->name_hash[a->gateway]);
    uint64_t hash_b = hash_mix(query->hash ^ query->name_hash[b->gateway]);
    return hash_a != hash_b ? hash_a > hash_b : a->gateway < b->gateway;
}

static Candidate candidate(const SteerQuery *query, uint32_t gateway,
                           const int64_t nearest[STEER_TIER_MAX])
{
    SteerTier tier = (SteerTier)query->tiers[gateway];
    int64_t latency = query->latency_us[gateway];
    int64_t cost = query->model->regions[gateway].egress_cost;
    bool far = latency > ns_add_saturated(nearest[tier], query->budget_us);
    return (Candidate){.tier = tier,
                       .far = far,
                       .first = far ? latency : cost,
                       .second = far ? cost : latency,
                       .gateway = gateway};
}

// What nearly all gateways of a large fleet are: behind the worst of those that are kept. Says so
// without building a candidate; false means only that the comparison decides.
static bool surely_behind(const SteerQuery *query, uint32_t gateway, const Candidate *worst)
{
    SteerTier tier = (SteerTier)query->tiers[gateway];
    return tier > worst->tier ||
           (tier == worst->tier && worst->far && query->latency_us[gateway] > worst->first);
}

static void insert(const SteerQuery *query, Candidate *best, uint32_t *n, const Candidate *new)
{
    if (*n == BOUND_ORDER) {
        if (!better(query, new, &best[BOUND_ORDER - 1]))
            return;
        (*n)--;
    }
    uint32_t at = *n;
    for (; at > 0 && better(query, new, &best[at - 1]); at--)
        best[at] = best[at - 1];
    best[at] = *new;
    (*n)++;
}

// When one cloud fills all places, its death would leave nobody in the order: the best gateway of
// another cloud takes the last one.
static void keep_second_cloud(const SteerQuery *query, const int64_t nearest[STEER_TIER_MAX],
                              Candidate *best, uint32_t n)
{
    const ModelRegion *regions = query->model->regions;
    uint32_t cloud = regions[best[0].gateway].cloud;
    for (uint32_t i = 1; i < n; i++)
        if (regions[best[i].gateway].cloud != cloud)
            return;
    bool found = false;
    for (uint32_t g = 0; g < query->model->n_regions; g++) {
        if (regions[g].cloud == cloud || (int)g == query->exclude ||
            query->tiers[g] == STEER_TIER_NEVER)
            continue;
        Candidate other = candidate(query, g, nearest);
        if (!found || better(query, &other, &best[n - 1])) {
            best[n - 1] = other;
            found = true;
        }
    }
}

void steer_order(const SteerQuery *query, SteerOrder *ret_order)
{
    const uint32_t n_regions = query->model->n_regions;
    int64_t nearest[STEER_TIER_MAX];
    uint32_t in_tier[STEER_TIER_MAX] = {0};
    for (int t = 0; t < STEER_TIER_MAX; t++)
        nearest[t] = INT64_MAX;
    for (uint32_t g = 0; g < n_regions; g++) {
        if ((int)g == query->exclude)
            continue;
        in_tier[query->tiers[g]]++;
        if (query->latency_us[g] < nearest[query->tiers[g]])
            nearest[query->tiers[g]] = query->latency_us[g];
    }
    // Everything `never`: the best of them all the same. A client that gets no address at all would
    // be worse served than one that meets a region which the operator forbade.
    uint32_t usable = 0;
    for (int t = 0; t < STEER_TIER_NEVER; t++)
        usable += in_tier[t];
    Candidate best[BOUND_ORDER];
    uint32_t n = 0;
    for (uint32_t g = 0; g < n_regions; g++) {
        if ((int)g == query->exclude || (query->tiers[g] == STEER_TIER_NEVER && usable > 0) ||
            (n == BOUND_ORDER && surely_behind(query, g, &best[n - 1])))
            continue;
        Candidate new = candidate(query, g, nearest);
        insert(query, best, &n, &new);
    }
    if (usable == 0 && n > 1)
        n = 1;
    if (n == BOUND_ORDER && n_regions > BOUND_ORDER)
        keep_second_cloud(query, nearest, best, n);
    ret_order->n = n;
    ret_order->n_first = 0;
    for (uint32_t i = 0; i < n; i++) {
        ret_order->gateways[i] = best[i].gateway;
        ret_order->n_first += best[i].tier == best[0].tier;
    }
}
