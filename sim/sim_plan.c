// SPDX-License-Identifier: MIT
// sim_plan: see sim_plan.h. Field by field, since structs have padding.
#include "sim_plan.h"

#include "hash.h"

static uint64_t text(uint64_t hash, const char *value)
{
    return hash_text(hash, value != NULL ? value : "");
}

static uint64_t entries(uint64_t hash, const PlanEntry *list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        hash = hash_u64(hash_u64(hash, list[i].gateway), list[i].share_ppm);
    return hash_u64(hash, n);
}

static uint64_t gateway(uint64_t hash, const PlanGateway *g)
{
    hash = text(text(text(hash, g->region), g->cloud), g->address);
    const uint64_t numbers[] = {g->edge_port, g->peer_port,    g->state,   g->classes,
                                g->share_ppm, g->capacity_rps, g->load_ppm};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        hash = hash_u64(hash, numbers[i]);
    return hash;
}

uint64_t sim_plan_fleet_content(const Plan *plan)
{
    uint64_t hash = hash_u64(HASH_SEED, plan->generation);
    hash = hash_u64(hash_u64(hash, plan->config_hash), plan->prefixes_digest);
    for (uint32_t i = 0; i < plan->n_gateways; i++)
        hash = gateway(hash, &plan->gateways[i]);
    for (uint32_t i = 0; i < plan->n_services; i++) {
        hash = text(hash, plan->services[i].name);
        for (int c = 0; c < SERVICE_CLASS_MAX; c++)
            hash = hash_u64(hash, plan->services[i].open[c]);
    }
    for (uint32_t i = 0; i < plan->n_groups; i++)
        hash = text(hash, plan->groups[i]);
    for (uint32_t i = 0; i < plan->n_routes; i++) {
        const PlanRoute *route = &plan->routes[i];
        hash = hash_u64(hash_u64(hash_u64(hash, route->service), route->class_), route->group);
        hash = entries(hash, route->entries, route->n_entries);
    }
    for (uint32_t i = 0; i < plan->n_pins; i++) {
        const PlanPin *pin = &plan->pins[i];
        hash = hash_bytes(hash, pin->prefix.ip.bytes, sizeof pin->prefix.ip.bytes);
        hash = hash_u64(hash_u64(hash, pin->prefix.bits), pin->gateway);
    }
    return hash;
}

uint64_t sim_plan_local_content(const Plan *plan)
{
    uint64_t hash = hash_u64(hash_u64(HASH_SEED, plan->number), plan->own);
    hash = hash_u64(hash, (uint64_t)plan->made.ns);
    for (uint32_t i = 0; i < plan->n_replicas; i++) {
        const PlanReplica *replica = &plan->replicas[i];
        hash = text(text(hash, replica->name), replica->socket);
        hash =
            hash_u64(hash_u64(hash_u64(hash, replica->state), replica->classes), replica->weight);
    }
    for (int c = 0; c < SERVICE_CLASS_MAX; c++)
        hash = entries(hash, plan->forward[c], plan->n_forward[c]);
    return hash;
}
