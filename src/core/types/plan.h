// SPDX-License-Identifier: MIT
// plan: the immutable answer to "for each service, class and client group: which gateways, in which
// order and share" (contracts section 6). Plain data, filled by the core, encoded by
// wire/plan_file.
//
//   fleet part: gateways, services, groups, routes, entries, pins; the same in every region for
//               the same facts (fleet_digest says so)
//   local part: number, own region, own replicas, own forward orders, limits
//
// Order within a route: live gateways first, nearest first; then drained; then those held down
// (last resort). `never` is left out. A plan is never empty: every route has at least one entry.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "instant.h"
#include "ip.h"
#include "model.h"

typedef enum HealthState {
    HEALTH_UNKNOWN,
    HEALTH_UP,
    HEALTH_SUSPECT, // replicas, and gateways without a verdict that go last all the same
    HEALTH_DOWN,
    HEALTH_DRAINED,
    HEALTH_NEVER,
    HEALTH_MAX,
} HealthState;

typedef struct PlanGateway {
    const char *region, *cloud;
    const char *address;
    uint16_t edge_port, peer_port;
    HealthState state;
    uint32_t classes;   // mask per fleet: what the region says it can serve (all services ANDed)
    uint32_t share_ppm; // of its normal share, while it returns or is weighted: PPM_ONE is all
    uint32_t capacity_rps;
    uint32_t load_ppm; // projected load of its capacity under this plan
} PlanGateway;

typedef struct PlanService {
    const char *name;
    bool open[SERVICE_CLASS_MAX];
} PlanService;

typedef struct PlanEntry {
    uint32_t gateway;   // index
    uint32_t share_ppm; // of the group's load that starts here; the route's shares sum to PPM_ONE
} PlanEntry;

typedef struct PlanRoute {
    uint32_t service, class_, group;
    uint32_t n_entries; // 1..BOUND_ORDER
    const PlanEntry *entries;
} PlanRoute;

typedef struct PlanPin {
    IpPrefix prefix;
    uint32_t gateway;
} PlanPin;

typedef struct PlanReplica {
    const char *name;   // "us-west-2/1"
    const char *socket; // absolute path of its UNIX socket
    HealthState state;
    uint32_t classes;
    uint32_t weight; // relative, > 0
} PlanReplica;

typedef struct Plan {
    // fleet part
    uint32_t generation;
    uint64_t config_hash;
    uint64_t prefixes_digest;
    uint64_t fleet_digest; // hash of everything in the fleet part
    uint32_t n_gateways, n_services, n_groups, n_routes, n_pins;
    const PlanGateway *gateways;
    const PlanService *services;
    const char *const *groups; // names
    const PlanRoute *routes;   // index: (service * SERVICE_CLASS_MAX + class) * n_groups + group
    const PlanPin *pins;
    // local part
    uint64_t number; // epoch << 32 | counter
    Wall made;
    uint32_t own; // index of the own gateway
    uint32_t n_replicas;
    const PlanReplica *replicas;
    // Where this edge forwards what its replicas cannot serve, per class; never the own gateway.
    uint32_t n_forward[SERVICE_CLASS_MAX];
    const PlanEntry *forward[SERVICE_CLASS_MAX];
    ModelPick pick;
} Plan;

const char *health_state_name(HealthState state); // "up"
const PlanRoute *plan_route(const Plan *plan, uint32_t service, uint32_t class_, uint32_t group);
