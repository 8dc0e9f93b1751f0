// SPDX-License-Identifier: MIT
// sim_deployment: see sim_deployment.h. Everything that conf would accept may occur: one region,
// one cloud, no known latency, demand that no capacity carries.
#include "sim_deployment.h"

#include "attr.h"
#include "hash.h"
#include "rng.h"
#include "sim_model.h"

static uint32_t pick_below(Rng *rng, uint64_t bound)
{
    return (uint32_t)rng_below(rng, bound);
}

static bool make_regions(Arena *arena, Rng *rng, Model *model)
{
    ModelCloud *clouds = arena_new_array(arena, ModelCloud, model->n_clouds);
    ModelRegion *regions = arena_new_array(arena, ModelRegion, model->n_regions);
    if (clouds == NULL || regions == NULL)
        return false;
    for (uint32_t i = 0; i < model->n_clouds; i++)
        if ((clouds[i].name = arena_printf(arena, "cloud-%u", i)) == NULL)
            return false;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        regions[i] = (ModelRegion){
            .name = arena_printf(arena, "region-%u", i + model->generation % 3),
            .cloud = pick_below(rng, model->n_clouds),
            .origin = i + 1,
            .capacity_rps = 1 + pick_below(rng, rng_below(rng, 4) == 0 ? 10 : 5000),
            .address = arena_printf(arena, "127.9.%u.1", i),
            .edge_port = 8443,
            .peer_port = 8444,
            .replicas = 1 + pick_below(rng, 4),
            .egress_cost = (int64_t)rng_below(rng, 3) * 50000000,
        };
        if (regions[i].name == NULL || regions[i].address == NULL)
            return false;
    }
    model->clouds = clouds;
    model->regions = regions;
    return true;
}

static bool make_groups(Arena *arena, Rng *rng, Model *model)
{
    ModelGroup *groups = arena_new_array(arena, ModelGroup, model->n_groups);
    if (groups == NULL)
        return false;
    uint32_t left = PPM_ONE;
    for (uint32_t i = 0; i < model->n_groups; i++) {
        int64_t *latency = arena_new_array(arena, int64_t, model->n_regions);
        groups[i].name = arena_printf(arena, "group-%u", i);
        if (latency == NULL || groups[i].name == NULL)
            return false;
        for (uint32_t g = 0; g < model->n_regions; g++)
            latency[g] =
                rng_below(rng, 8) == 0 ? LATENCY_UNKNOWN : (int64_t)rng_below(rng, 250) * 1000;
        groups[i].latency_us = latency;
        groups[i].demand_ppm = i + 1 == model->n_groups ? left : pick_below(rng, left + 1);
        left -= groups[i].demand_ppm;
    }
    model->groups = groups;
    return true;
}

static bool make_services(Arena *arena, Rng *rng, Model *model)
{
    ModelService *services = arena_new_array(arena, ModelService, model->n_services);
    if (services == NULL)
        return false;
    for (uint32_t i = 0; i < model->n_services; i++) {
        services[i] = (ModelService){
            .name = arena_printf(arena, "service-%u", i),
            .classes = 1 + pick_below(rng, CLASS_MASK_ALL),
            .open = {rng_below(rng, 2) == 0, rng_below(rng, 2) == 0},
            .latency_budget_us = (int64_t)rng_below(rng, 30) * 1000,
        };
        if (services[i].name == NULL)
            return false;
    }
    model->services = services;
    return true;
}

const Model *sim_deployment(Arena *arena, uint64_t seed, uint32_t generation)
{
    Rng rng = rng_seeded(hash_mix(seed) + generation);
    Model *model = arena_memdup(arena, sim_model(), sizeof *model);
    if (model == NULL)
        return NULL;
    model->generation = generation;
    model->config_hash = rng_next(&rng);
    model->n_clouds = 1 + pick_below(&rng, 4);
    model->n_regions = 1 + pick_below(&rng, SIM_DEPLOYMENT_REGIONS);
    model->n_services = 1 + pick_below(&rng, 3);
    model->n_groups = 1 + pick_below(&rng, 5);
    ModelPrefix *prefixes =
        arena_memdup(arena, model->prefixes, model->n_prefixes * sizeof *prefixes);
    if (prefixes == NULL)
        return NULL;
    for (uint32_t i = 0; i < model->n_prefixes; i++)
        prefixes[i].group %= model->n_groups;
    model->prefixes = prefixes;
    model->prefixes_digest = rng_next(&rng);
    bool made = make_regions(arena, &rng, model) && make_groups(arena, &rng, model) &&
                make_services(arena, &rng, model);
    return made ? model : NULL;
}
