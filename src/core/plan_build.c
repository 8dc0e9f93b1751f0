// SPDX-License-Identifier: MIT
// plan_build: see plans.h.
#include <string.h>

#include "bounds.h"
#include "error.h"
#include "hash.h"
#include "plans.h"
#include "steer.h"

#define LOAD_ROUND_PPM 10000U // projected load in whole percents

typedef struct Build {
    Arena *arena;
    const PlanInput *input;
    const Model *model;
    Plan *plan;
    PlanGateway *gateways;
    PlanRoute *routes;
    CapacityRoute *loads;
    uint64_t *name_hash;
    uint8_t *tiers; // of the class under way
} Build;

static int fill_names(Build *build)
{
    const Model *model = build->model;
    PlanService *services = arena_new_array(build->arena, PlanService, model->n_services);
    const char **groups = arena_new_array(build->arena, const char *, model->n_groups);
    build->gateways = arena_new_array(build->arena, PlanGateway, model->n_regions);
    build->name_hash = arena_new_array(build->arena, uint64_t, model->n_regions);
    build->tiers = arena_new_array(build->arena, uint8_t, model->n_regions);
    if (services == NULL || groups == NULL || build->gateways == NULL || build->name_hash == NULL ||
        build->tiers == NULL)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < model->n_services; i++) {
        services[i].name = model->services[i].name;
        memcpy(services[i].open, model->services[i].open, sizeof services[i].open);
    }
    for (uint32_t i = 0; i < model->n_groups; i++)
        groups[i] = model->groups[i].name;
    for (uint32_t g = 0; g < model->n_regions; g++) {
        const ModelRegion *region = &model->regions[g];
        const GatewayFacts *facts = &build->input->facts[g];
        build->name_hash[g] = hash_text(HASH_SEED, region->name);
        build->gateways[g] = (PlanGateway){.region = region->name,
                                           .cloud = model->clouds[region->cloud].name,
                                           .address = region->address,
                                           .edge_port = region->edge_port,
                                           .peer_port = region->peer_port,
                                           .state = facts->state,
                                           .classes = facts->classes,
                                           .share_ppm = facts->share_ppm,
                                           .capacity_rps = facts->capacity_rps};
    }
    build->plan->n_services = model->n_services;
    build->plan->services = services;
    build->plan->n_groups = model->n_groups;
    build->plan->groups = groups;
    build->plan->n_gateways = model->n_regions;
    build->plan->gateways = build->gateways;
    return 0;
}

// Demand of one route in millionths of a request per second. How a group's load divides among the
// services and classes is not known: evenly among those that exist.
static uint64_t demand_of(const Build *build, uint32_t service, uint32_t class_, uint32_t group,
                          uint64_t total_rps, uint32_t pairs)
{
    const Model *model = build->model;
    if ((model->services[service].classes >> class_ & 1) == 0 || pairs == 0)
        return 0;
    return total_rps * model->groups[group].demand_ppm / pairs;
}

static int fill_route(Build *build, const SteerQuery *query, PlanRoute *route, CapacityRoute *load)
{
    SteerOrder order;
    steer_order(query, &order);
    PlanEntry *entries = arena_new_array(build->arena, PlanEntry, order.n);
    if (entries == NULL)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < order.n; i++)
        entries[i].gateway = order.gateways[i];
    route->n_entries = order.n;
    route->entries = entries;
    load->n = order.n_first;
    load->entries = entries;
    return 0;
}

static int fill_routes(Build *build)
{
    const Model *model = build->model;
    uint32_t n = model->n_services * SERVICE_CLASS_MAX * model->n_groups, pairs = 0, at = 0;
    uint64_t total_rps = 0;
    build->routes = arena_new_array(build->arena, PlanRoute, n);
    build->loads = arena_new_array(build->arena, CapacityRoute, n);
    if (build->routes == NULL || build->loads == NULL)
        return ERROR_MEMORY;
    for (uint32_t g = 0; g < model->n_regions; g++)
        total_rps += build->input->facts[g].load_rps;
    for (uint32_t s = 0; s < model->n_services; s++)
        for (uint32_t c = 0; c < SERVICE_CLASS_MAX; c++)
            pairs += model->services[s].classes >> c & 1;
    SteerQuery query = {.model = model,
                        .facts = build->input->facts,
                        .name_hash = build->name_hash,
                        .tiers = build->tiers,
                        .exclude = -1};
    for (uint32_t s = 0; s < model->n_services; s++)
        for (uint32_t c = 0; c < SERVICE_CLASS_MAX; c++) {
            query.budget_us = model->services[s].latency_budget_us;
            query.class_ = (ServiceClass)c;
            steer_tiers(&query, build->tiers);
            for (uint32_t g = 0; g < model->n_groups; g++, at++) {
                query.latency_us = model->groups[g].latency_us;
                query.hash = hash_text(HASH_SEED, model->groups[g].name);
                build->routes[at] = (PlanRoute){.service = s, .class_ = c, .group = g};
                build->loads[at].demand = demand_of(build, s, c, g, total_rps, pairs);
                if (fill_route(build, &query, &build->routes[at], &build->loads[at]) < 0)
                    return ERROR_MEMORY;
            }
        }
    build->plan->n_routes = n;
    build->plan->routes = build->routes;
    return 0;
}

static int fill_loads(Build *build, PlanOutput *output)
{
    uint32_t n = build->model->n_regions;
    uint64_t *room = arena_new_array(build->arena, uint64_t, n);
    if (room == NULL)
        return ERROR_MEMORY;
    for (uint32_t g = 0; g < n; g++)
        room[g] = (uint64_t)build->input->facts[g].capacity_rps * PPM_ONE;
    CapacityResult result;
    int r = capacity_spread(build->arena, build->input->facts, n, room, build->loads,
                            build->plan->n_routes, &result);
    if (r < 0)
        return r;
    for (uint32_t g = 0; g < n; g++) {
        uint32_t capacity = build->input->facts[g].capacity_rps;
        uint64_t ppm = result.used[g] / (capacity > 0 ? capacity : 1);
        ppm = (ppm + LOAD_ROUND_PPM / 2) / LOAD_ROUND_PPM * LOAD_ROUND_PPM;
        build->gateways[g].load_ppm = ppm > UINT32_MAX ? UINT32_MAX : (uint32_t)ppm;
    }
    output->spilled = result.spilled;
    output->overloaded = result.overloaded;
    return 0;
}

static int compare_pins(const PlanPin *x, const PlanPin *y)
{
    int by_ip = memcmp(x->prefix.ip.bytes, y->prefix.ip.bytes, sizeof x->prefix.ip.bytes);
    return by_ip != 0 ? by_ip : (int)x->prefix.bits - (int)y->prefix.bits;
}

// Sorted; of one prefix written in two ways (two targets) the first stays.
static void insert_pin(PlanPin *pins, uint32_t *n, const PlanPin *pin)
{
    uint32_t at = *n;
    while (at > 0 && compare_pins(pin, &pins[at - 1]) < 0)
        at--;
    if (at > 0 && compare_pins(pin, &pins[at - 1]) == 0)
        return;
    memmove(pins + at + 1, pins + at, (*n - at) * sizeof *pins);
    pins[at] = *pin;
    (*n)++;
}

static int fill_pins(Build *build)
{
    const IntentSet *set = build->input->intents;
    PlanPin *pins = arena_new_array(build->arena, PlanPin, set->n);
    if (pins == NULL)
        return ERROR_MEMORY;
    uint32_t n = 0;
    for (uint32_t i = 0; i < set->n; i++) {
        const Intent *intent = &set->items[i];
        IpPrefix prefix;
        if (intent->kind != INTENT_PIN || !intent_is_active(intent, build->input->wall) ||
            strncmp(intent->target, "prefix:", 7) != 0 ||
            ip_prefix_parse(intent->target + 7, &prefix) < 0)
            continue;
        int gateway = model_find_region(build->model, intent->region);
        if (gateway < 0 || build->input->facts[gateway].state == HEALTH_NEVER)
            continue; // `never` is stronger than a pin
        insert_pin(pins, &n, &(PlanPin){.prefix = prefix, .gateway = (uint32_t)gateway});
    }
    build->plan->pins = pins;
    build->plan->n_pins = n;
    return 0;
}

// From here to the others: the distances of the group that this region lies in (the one it is
// nearest to), or what the own probes measure where that is more: a path that got longer than the
// map says is used last, without any verdict. A path shorter than the map says is left where it is,
// so that a fleet on one machine steers as the map says.
static const int64_t *own_latencies(const Build *build)
{
    const Model *model = build->model;
    uint32_t own = build->input->own;
    const ModelGroup *home = NULL;
    for (uint32_t g = 0; g < model->n_groups; g++)
        if (home == NULL || model->groups[g].latency_us[own] < home->latency_us[own])
            home = &model->groups[g];
    int64_t *latencies = arena_new_array(build->arena, int64_t, model->n_regions);
    for (uint32_t g = 0; g < model->n_regions && latencies != NULL; g++) {
        int64_t distance = home != NULL ? home->latency_us[g] : 0;
        int64_t measured = build->input->facts[g].own_rtt_us;
        latencies[g] = distance > measured ? distance : measured;
    }
    return latencies;
}

static int fill_forward(Build *build)
{
    const Model *model = build->model;
    const GatewayFacts *facts = build->input->facts;
    SteerQuery query = {.model = model,
                        .facts = facts,
                        .latency_us = own_latencies(build),
                        .name_hash = build->name_hash,
                        .tiers = build->tiers,
                        .hash = build->name_hash[build->input->own],
                        .exclude = (int)build->input->own,
                        .own_votes_count = true};
    if (query.latency_us == NULL)
        return ERROR_MEMORY;
    for (uint32_t c = 0; c < SERVICE_CLASS_MAX; c++) {
        query.class_ = (ServiceClass)c;
        query.budget_us = INT64_MAX;
        for (uint32_t s = 0; s < model->n_services; s++)
            if ((model->services[s].classes >> c & 1) &&
                model->services[s].latency_budget_us < query.budget_us)
                query.budget_us = model->services[s].latency_budget_us;
        SteerOrder order;
        steer_tiers(&query, build->tiers);
        steer_order(&query, &order);
        PlanEntry *entries = arena_new_array(build->arena, PlanEntry, order.n);
        if (entries == NULL)
            return ERROR_MEMORY;
        uint32_t left = PPM_ONE, share = 0;
        for (uint32_t i = 0; i < order.n; i++) {
            if (i < order.n_first) // a returning gateway takes its part, the next one the rest
                share = (uint32_t)((uint64_t)left * facts[order.gateways[i]].share_ppm / PPM_ONE);
            entries[i] = (PlanEntry){.gateway = order.gateways[i],
                                     .share_ppm = i < order.n_first ? share : 0};
            left -= entries[i].share_ppm;
        }
        if (order.n > 0)
            entries[0].share_ppm += left;
        build->plan->forward[c] = entries;
        build->plan->n_forward[c] = order.n;
    }
    return 0;
}

int plan_build(Arena *arena, const PlanInput *input, PlanOutput *ret_output)
{
    Build build = {.arena = arena, .input = input, .model = input->model};
    PlanOutput output = {0};
    build.plan = output.plan = arena_new_of(arena, Plan);
    if (build.plan == NULL)
        return ERROR_MEMORY;
    *build.plan = (Plan){.generation = input->model->generation,
                         .config_hash = input->model->config_hash,
                         .prefixes_digest = input->model->prefixes_digest,
                         .number = input->number,
                         .made = input->made,
                         .own = input->own,
                         .n_replicas = input->n_replicas,
                         .replicas = input->replicas,
                         .pick = input->model->pick};
    int r = fill_names(&build);
    if (r == 0)
        r = fill_routes(&build);
    if (r == 0)
        r = fill_loads(&build, &output);
    if (r == 0)
        r = fill_pins(&build);
    if (r == 0)
        r = fill_forward(&build);
    if (r < 0)
        return r;
    build.plan->fleet_digest = plan_fleet_digest(build.plan);
    output.local_digest = plan_local_digest(build.plan);
    *ret_output = output;
    return 0;
}
