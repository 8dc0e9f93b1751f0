// SPDX-License-Identifier: MIT
// plan_digest: digests over the two parts of a plan, by value and name, and a copy of a plan.
#include "hash.h"
#include "plans.h"

static uint64_t add_gateway(uint64_t hash, const PlanGateway *gateway)
{
    hash = hash_text(hash, gateway->region);
    hash = hash_text(hash, gateway->cloud);
    hash = hash_text(hash, gateway->address);
    hash = hash_u64(hash, (uint64_t)gateway->edge_port << 16 | gateway->peer_port);
    hash = hash_u64(hash, (uint64_t)gateway->state << 32 | gateway->classes);
    hash = hash_u64(hash, (uint64_t)gateway->share_ppm << 32 | gateway->load_ppm);
    return hash_u64(hash, gateway->capacity_rps);
}

static uint64_t add_entries(uint64_t hash, const PlanEntry *entries, uint32_t n)
{
    hash = hash_u64(hash, n);
    for (uint32_t i = 0; i < n; i++)
        hash = hash_u64(hash, (uint64_t)entries[i].gateway << 32 | entries[i].share_ppm);
    return hash;
}

uint64_t plan_fleet_digest(const Plan *plan)
{
    uint64_t hash = hash_u64(HASH_SEED, plan->generation);
    hash = hash_u64(hash, plan->config_hash);
    hash = hash_u64(hash, plan->prefixes_digest);
    hash = hash_u64(hash, (uint64_t)plan->n_gateways << 32 | plan->n_services);
    hash = hash_u64(hash, (uint64_t)plan->n_groups << 32 | plan->n_pins);
    for (uint32_t i = 0; i < plan->n_gateways; i++)
        hash = add_gateway(hash, &plan->gateways[i]);
    for (uint32_t i = 0; i < plan->n_services; i++) {
        hash = hash_text(hash, plan->services[i].name);
        for (int c = 0; c < SERVICE_CLASS_MAX; c++)
            hash = hash_u64(hash, plan->services[i].open[c]);
    }
    for (uint32_t i = 0; i < plan->n_groups; i++)
        hash = hash_text(hash, plan->groups[i]);
    for (uint32_t i = 0; i < plan->n_routes; i++)
        hash = add_entries(hash, plan->routes[i].entries, plan->routes[i].n_entries);
    for (uint32_t i = 0; i < plan->n_pins; i++) {
        const PlanPin *pin = &plan->pins[i];
        hash = hash_bytes(hash, pin->prefix.ip.bytes, sizeof pin->prefix.ip.bytes);
        hash = hash_u64(hash, (uint64_t)pin->prefix.bits << 32 | pin->gateway);
    }
    return hash_mix(hash);
}

uint64_t plan_local_digest(const Plan *plan)
{
    uint64_t hash = hash_u64(HASH_SEED, plan->own);
    for (uint32_t i = 0; i < plan->n_replicas; i++) {
        const PlanReplica *replica = &plan->replicas[i];
        hash = hash_text(hash, replica->name);
        hash = hash_text(hash, replica->socket);
        hash = hash_u64(hash, (uint64_t)replica->state << 32 | replica->classes);
        hash = hash_u64(hash, replica->weight);
    }
    for (int c = 0; c < SERVICE_CLASS_MAX; c++)
        hash = add_entries(hash, plan->forward[c], plan->n_forward[c]);
    const ModelPick *pick = &plan->pick;
    hash = hash_u64(hash, (uint64_t)pick->eject_failures << 32 | pick->stall_inflight);
    hash = hash_u64(hash, (uint64_t)pick->eject_ns);
    hash = hash_u64(hash, (uint64_t)pick->eject_max_ns);
    hash = hash_u64(hash, (uint64_t)pick->stall_ns);
    hash = hash_u64(hash, (uint64_t)pick->stall_min_rps << 32 | pick->retry_burst);
    return hash_mix(hash_u64(hash, pick->retry_budget_ppm));
}

Plan *plan_clone(Arena *arena, const Plan *plan)
{
    Plan *copy = arena_memdup(arena, plan, sizeof *plan);
    PlanRoute *routes = arena_memdup(arena, plan->routes, plan->n_routes * sizeof *routes);
    if (copy == NULL || routes == NULL)
        return NULL;
    for (uint32_t i = 0; i < plan->n_routes; i++) {
        routes[i].entries = arena_memdup(arena, plan->routes[i].entries,
                                         plan->routes[i].n_entries * sizeof(PlanEntry));
        if (routes[i].entries == NULL)
            return NULL;
    }
    copy->routes = routes;
    copy->gateways = arena_memdup(arena, plan->gateways, plan->n_gateways * sizeof(PlanGateway));
    copy->services = arena_memdup(arena, plan->services, plan->n_services * sizeof(PlanService));
    copy->groups = arena_memdup(arena, plan->groups, plan->n_groups * sizeof *plan->groups);
    copy->pins = arena_memdup(arena, plan->pins, plan->n_pins * sizeof(PlanPin));
    copy->replicas = arena_memdup(arena, plan->replicas, plan->n_replicas * sizeof(PlanReplica));
    if (copy->gateways == NULL || copy->services == NULL || copy->groups == NULL ||
        copy->pins == NULL || copy->replicas == NULL)
        return NULL;
    for (int c = 0; c < SERVICE_CLASS_MAX; c++) {
        copy->forward[c] =
            arena_memdup(arena, plan->forward[c], plan->n_forward[c] * sizeof(PlanEntry));
        if (copy->forward[c] == NULL)
            return NULL;
    }
    return copy;
}
