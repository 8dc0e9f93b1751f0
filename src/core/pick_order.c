// SPDX-License-Identifier: MIT
// pick_order: which gateways, in which order, for one client. The same functions answer in DNS, at
// every edge and in `why`, so they look at nothing but the plan, the prefix table and the address.
// The block (/24, /48) is hashed, not the address: resolvers hand on no more of a client than that.
#include <string.h>

#include "bounds.h"
#include "hash.h"
#include "pick.h"

uint32_t pick_entry(const PlanEntry *entries, uint32_t n, const IpPrefix *block)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += entries[i].share_ppm;
    uint64_t hash = hash_bytes(HASH_SEED, block->ip.bytes, sizeof block->ip.bytes);
    hash = hash_mix(hash_u64(hash, block->bits));
    uint64_t point = (uint64_t)(((unsigned __int128)hash * sum) >> 64);
    for (uint32_t i = 0; i < n; i++) {
        if (point < entries[i].share_ppm)
            return i;
        point -= entries[i].share_ppm;
    }
    return 0; // no share anywhere: the order alone decides
}

static int compare(const IpPrefix *a, const Ip *ip, unsigned bits)
{
    int r = memcmp(a->ip.bytes, ip->bytes, sizeof ip->bytes);
    return r != 0 ? r : (int)a->bits - (int)bits;
}

// The newest entry not behind (ip, bits) in the table's order, or -1.
static int last_not_behind(const ModelPrefix *prefixes, uint32_t n, const Ip *ip, unsigned bits)
{
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(&prefixes[middle].prefix, ip, bits) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return (int)low - 1;
}

static unsigned common_bits(const Ip *a, const Ip *b)
{
    unsigned bits = 0;
    while (bits < 128 && a->bytes[bits / 8] == b->bytes[bits / 8])
        bits += 8;
    while (bits < 128 && ((a->bytes[bits / 8] ^ b->bytes[bits / 8]) & 0x80U >> bits % 8) == 0)
        bits++;
    return bits;
}

// The last entry not behind the address is the longest match or lies inside none that matches: in
// the second case every match is at most as long as the bits they share, so look again with those.
int pick_group(const ModelPrefix *prefixes, uint32_t n, const Ip *ip)
{
    Ip key = *ip;
    unsigned bits = 128;
    for (;;) {
        int i = last_not_behind(prefixes, n, &key, bits);
        if (i < 0)
            return -1;
        const IpPrefix *prefix = &prefixes[i].prefix;
        unsigned common = common_bits(&prefix->ip, ip);
        if (common >= prefix->bits)
            return (int)prefixes[i].group;
        bits = common; // fewer in each round, so this ends
        key = ip_masked(*ip, bits);
    }
}

int pick_pin(const Plan *plan, const Ip *ip)
{
    int best = -1;
    for (uint32_t i = 0; i < plan->n_pins; i++) {
        const IpPrefix *prefix = &plan->pins[i].prefix;
        if (ip_prefix_contains(prefix, ip) &&
            (best < 0 || prefix->bits > plan->pins[best].prefix.bits))
            best = (int)i;
    }
    return best;
}

static bool pin_holds(const Plan *plan, uint32_t gateway, ServiceClass class_)
{
    if (gateway >= plan->n_gateways)
        return false;
    const PlanGateway *g = &plan->gateways[gateway];
    // One that is suspect goes behind the others, for pinned clients too.
    return (g->classes & 1U << class_) != 0 &&
           (g->state == HEALTH_UP || g->state == HEALTH_UNKNOWN);
}

static uint32_t add(uint32_t *gateways, uint32_t n, uint32_t gateway)
{
    if (n == BOUND_ORDER)
        return n;
    for (uint32_t i = 0; i < n; i++)
        if (gateways[i] == gateway)
            return n;
    gateways[n] = gateway;
    return n + 1;
}

uint32_t pick_order(const Plan *plan, const ModelPrefix *prefixes, uint32_t n_prefixes,
                    uint32_t service, ServiceClass class_, const Ip *client, uint32_t *ret_gateways)
{
    uint32_t n = 0;
    int pin = pick_pin(plan, client);
    if (pin >= 0 && pin_holds(plan, plan->pins[pin].gateway, class_))
        n = add(ret_gateways, n, plan->pins[pin].gateway);
    int found = pick_group(prefixes, n_prefixes, client);
    // A table of another generation may name a group that the plan has not: any order beats none.
    uint32_t group = found >= 0 && (uint32_t)found < plan->n_groups ? (uint32_t)found : 0;
    uint64_t index = ((uint64_t)service * SERVICE_CLASS_MAX + class_) * plan->n_groups + group;
    if (index >= plan->n_routes)
        return n;
    const PlanRoute *route = &plan->routes[index];
    if (route->n_entries == 0)
        return n;
    IpPrefix block = ip_client_block(client);
    n = add(ret_gateways, n,
            route->entries[pick_entry(route->entries, route->n_entries, &block)].gateway);
    for (uint32_t i = 0; i < route->n_entries; i++)
        n = add(ret_gateways, n, route->entries[i].gateway);
    return n;
}

int pick_backup(const Plan *plan, const uint32_t *order, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        if (strcmp(plan->gateways[order[i]].cloud, plan->gateways[order[0]].cloud) != 0)
            return (int)order[i];
    return -1;
}
