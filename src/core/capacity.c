// SPDX-License-Identifier: MIT
// capacity: see capacity.h. Integers only; products of load and share are taken in 128 bits.
#include "capacity.h"

#include "bounds.h"
#include "error.h"

typedef unsigned __int128 Wide;

static uint64_t scaled(uint64_t value, uint64_t numerator, uint64_t denominator)
{
    return (uint64_t)((Wide)value * numerator / denominator);
}

typedef struct Spread {
    const GatewayFacts *facts;
    const uint64_t *room;
    uint32_t n_gateways;
    CapacityRoute *routes;
    uint32_t n_routes;
    uint64_t *used, *wanted; // [n_gateways]
    uint64_t *left;          // [n_routes]
    uint64_t *carried;       // [n_routes * BOUND_ORDER]
} Spread;

static uint64_t offer(const Spread *spread, uint32_t route, uint32_t place)
{
    uint32_t gateway = spread->routes[route].entries[place].gateway;
    return scaled(spread->left[route], spread->facts[gateway].share_ppm, PPM_ONE);
}

// One round: every route offers what it has left to its entry at `place`; gateways that cannot take
// all take the same fraction of each offer.
static bool round_at(Spread *spread, uint32_t place)
{
    bool full = false;
    for (uint32_t g = 0; g < spread->n_gateways; g++)
        spread->wanted[g] = 0;
    for (uint32_t r = 0; r < spread->n_routes; r++)
        if (place < spread->routes[r].n && spread->left[r] > 0)
            spread->wanted[spread->routes[r].entries[place].gateway] += offer(spread, r, place);
    uint64_t *used = spread->used;
    for (uint32_t r = 0; r < spread->n_routes; r++) {
        if (place >= spread->routes[r].n || spread->left[r] == 0)
            continue;
        uint32_t g = spread->routes[r].entries[place].gateway;
        uint64_t taken = offer(spread, r, place);
        if (spread->wanted[g] > spread->room[g]) {
            full = true;
            taken = scaled(taken, spread->room[g], spread->wanted[g]);
        }
        spread->carried[r * BOUND_ORDER + place] += taken;
        spread->left[r] -= taken;
        used[g] += taken;
    }
    return full;
}

// What nobody had room for, by capacity; a share of 0 (a weight, not a lack of room) stays 0 unless
// there is nothing else.
static void share_rest(Spread *spread, uint32_t r)
{
    CapacityRoute *route = &spread->routes[r];
    Wide total = 0;
    for (uint32_t i = 0; i < route->n; i++) {
        const GatewayFacts *facts = &spread->facts[route->entries[i].gateway];
        total += (Wide)facts->capacity_rps * facts->share_ppm;
    }
    uint64_t rest = spread->left[r];
    for (uint32_t i = 0; i < route->n && total > 0; i++) {
        uint32_t g = route->entries[i].gateway;
        Wide part = (Wide)spread->facts[g].capacity_rps * spread->facts[g].share_ppm;
        // total < 2^69 and rest < 2^58: scale so that the product stays below 2^128.
        uint64_t taken = (uint64_t)((Wide)rest * (uint64_t)(part >> 10) / ((total >> 10) + 1));
        spread->carried[r * BOUND_ORDER + i] += taken;
        spread->used[g] += taken;
        spread->left[r] -= taken;
    }
    spread->carried[r * BOUND_ORDER] += spread->left[r]; // crumbs of rounding
    spread->used[route->entries[0].gateway] += spread->left[r];
    spread->left[r] = 0;
}

static void fill_shares(const Spread *spread, uint32_t r, uint64_t demand)
{
    CapacityRoute *route = &spread->routes[r];
    uint32_t sum = 0, largest = 0;
    for (uint32_t i = 0; i < route->n; i++) {
        PlanEntry *entry = &route->entries[i];
        entry->share_ppm = (uint32_t)scaled(spread->carried[r * BOUND_ORDER + i], PPM_ONE, demand);
        sum += entry->share_ppm;
        if (entry->share_ppm > route->entries[largest].share_ppm)
            largest = i;
    }
    route->entries[largest].share_ppm += PPM_ONE - sum;
}

int capacity_spread(Arena *arena, const GatewayFacts *facts, uint32_t n_gateways,
                    const uint64_t *room, CapacityRoute *routes, uint32_t n_routes,
                    CapacityResult *ret_result)
{
    Spread spread = {
        .facts = facts,
        .n_gateways = n_gateways,
        .routes = routes,
        .n_routes = n_routes,
        .used = arena_new_array(arena, uint64_t, n_gateways),
        .wanted = arena_new_array(arena, uint64_t, n_gateways),
        .left = arena_new_array(arena, uint64_t, n_routes),
        .carried = arena_new_array(arena, uint64_t, (size_t)n_routes * BOUND_ORDER),
    };
    uint64_t *free_room = arena_new_array(arena, uint64_t, n_gateways);
    if (spread.used == NULL || spread.wanted == NULL || spread.left == NULL ||
        spread.carried == NULL || free_room == NULL)
        return ERROR_MEMORY;
    spread.room = free_room;
    for (uint32_t r = 0; r < n_routes; r++)
        spread.left[r] = routes[r].demand > 0 ? routes[r].demand : 1;
    CapacityResult result = {.used = spread.used};
    bool left = true;
    for (uint32_t place = 0; place < BOUND_ORDER && left; place++) {
        for (uint32_t g = 0; g < n_gateways; g++)
            free_room[g] = room[g] > spread.used[g] ? room[g] - spread.used[g] : 0;
        result.spilled |= round_at(&spread, place);
        left = false;
        for (uint32_t r = 0; r < n_routes; r++)
            left |= spread.left[r] > 0;
    }
    for (uint32_t r = 0; r < n_routes; r++) {
        if (spread.left[r] > 0)
            share_rest(&spread, r);
        fill_shares(&spread, r, routes[r].demand > 0 ? routes[r].demand : 1);
    }
    for (uint32_t g = 0; g < n_gateways; g++)
        result.overloaded |= spread.used[g] > room[g];
    *ret_result = result;
    return 0;
}

bool capacity_fits_without(const GatewayFacts *facts, uint32_t n_gateways, uint32_t gateway)
{
    uint64_t load = 0, room = 0;
    for (uint32_t g = 0; g < n_gateways; g++) {
        load += facts[g].load_rps;
        if (g != gateway && (facts[g].state == HEALTH_UP || facts[g].state == HEALTH_UNKNOWN))
            room += scaled(facts[g].capacity_rps, facts[g].share_ppm, PPM_ONE);
    }
    return load <= room;
}
