// SPDX-License-Identifier: MIT
// plan_check: see plan_check.h. One function per part of the plan.
#include "plan_check.h"

#include <inttypes.h>
#include <string.h>

#include "bounds.h"

static int check_count(const char *what, uint32_t n, uint32_t min, uint32_t max, Error *reterr)
{
    if (n < min)
        return error_set(reterr, ERROR_RANGE, "plan: %" PRIu32 " %s, at least %" PRIu32, n, what,
                         min);
    if (n > max)
        return error_set(reterr, ERROR_LIMIT, "plan: %" PRIu32 " %s, at most %" PRIu32, n, what,
                         max);
    return 0;
}

static int check_text(const char *what, const char *text, size_t max, Error *reterr)
{
    size_t len = strlen(text);
    if (len == 0)
        return error_set(reterr, ERROR_RANGE, "plan: %s is empty", what);
    if (len > max)
        return error_set(reterr, ERROR_LIMIT, "plan: %s has %zu bytes, at most %zu", what, len,
                         max);
    return 0;
}

static int check_gateway(const PlanGateway *gateway, Error *reterr)
{
    int r;
    if ((r = check_text("a gateway's region", gateway->region, BOUND_NAME, reterr)) < 0 ||
        (r = check_text("a gateway's cloud", gateway->cloud, BOUND_NAME, reterr)) < 0 ||
        (r = check_text("a gateway's address", gateway->address, BOUND_TEXT, reterr)) < 0)
        return r;
    if (gateway->state >= HEALTH_MAX)
        return error_set(reterr, ERROR_RANGE, "plan: gateway '%s' has state '%d'", gateway->region,
                         (int)gateway->state);
    if ((gateway->classes & ~CLASS_MASK_ALL) != 0)
        return error_set(reterr, ERROR_RANGE, "plan: gateway '%s' has classes '0x%" PRIx32 "'",
                         gateway->region, gateway->classes);
    if (gateway->share_ppm > PPM_ONE)
        return error_set(reterr, ERROR_RANGE, "plan: gateway '%s' has share '%" PRIu32 "'",
                         gateway->region, gateway->share_ppm);
    if (gateway->edge_port == 0 || gateway->peer_port == 0)
        return error_set(reterr, ERROR_RANGE, "plan: gateway '%s' has port '0'", gateway->region);
    return 0;
}

static int check_entries(const Plan *plan, const char *what, const PlanEntry *entries, uint32_t n,
                         uint64_t *ret_sum, Error *reterr)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (entries[i].gateway >= plan->n_gateways)
            return error_set(reterr, ERROR_RANGE,
                             "plan: %s names gateway '%" PRIu32 "' of %" PRIu32, what,
                             entries[i].gateway, plan->n_gateways);
        if (entries[i].share_ppm > PPM_ONE)
            return error_set(reterr, ERROR_RANGE, "plan: %s has share '%" PRIu32 "'", what,
                             entries[i].share_ppm);
        for (uint32_t j = 0; j < i; j++) {
            if (entries[j].gateway == entries[i].gateway)
                return error_set(reterr, ERROR_RANGE, "plan: %s names gateway '%" PRIu32 "' twice",
                                 what, entries[i].gateway);
        }
        sum += entries[i].share_ppm;
    }
    *ret_sum = sum;
    return 0;
}

static int check_route(const Plan *plan, uint32_t index, Error *reterr)
{
    const PlanRoute *route = &plan->routes[index];
    if (route->group != index % plan->n_groups ||
        route->class_ != index / plan->n_groups % SERVICE_CLASS_MAX ||
        route->service != index / plan->n_groups / SERVICE_CLASS_MAX)
        return error_set(reterr, ERROR_RANGE, "plan: route %" PRIu32 " is in the wrong place",
                         index);
    int r = check_count("entries in a route", route->n_entries, 1, BOUND_ORDER, reterr);
    if (r < 0)
        return r;
    uint64_t sum;
    if ((r = check_entries(plan, "a route", route->entries, route->n_entries, &sum, reterr)) < 0)
        return r;
    if (sum != PPM_ONE)
        return error_set(reterr, ERROR_RANGE,
                         "plan: the shares of route %" PRIu32 " sum to '%" PRIu64 "', not %u",
                         index, sum, PPM_ONE);
    return 0;
}

static int check_fleet_part(const Plan *plan, Error *reterr)
{
    int r;
    if ((r = check_count("gateways", plan->n_gateways, 1, BOUND_REGIONS, reterr)) < 0 ||
        (r = check_count("services", plan->n_services, 1, BOUND_SERVICES, reterr)) < 0 ||
        (r = check_count("client groups", plan->n_groups, 1, BOUND_GROUPS, reterr)) < 0 ||
        (r = check_count("pins", plan->n_pins, 0, BOUND_INTENTS, reterr)) < 0)
        return r;
    if (plan->n_routes != plan->n_services * SERVICE_CLASS_MAX * plan->n_groups)
        return error_set(reterr, ERROR_RANGE,
                         "plan: %" PRIu32 " routes for %" PRIu32 " services and %" PRIu32
                         " client groups",
                         plan->n_routes, plan->n_services, plan->n_groups);
    for (uint32_t i = 0; i < plan->n_gateways; i++) {
        if ((r = check_gateway(&plan->gateways[i], reterr)) < 0)
            return r;
    }
    for (uint32_t i = 0; i < plan->n_services; i++) {
        if ((r = check_text("a service's name", plan->services[i].name, BOUND_NAME, reterr)) < 0)
            return r;
    }
    for (uint32_t i = 0; i < plan->n_groups; i++) {
        if ((r = check_text("a client group's name", plan->groups[i], BOUND_NAME, reterr)) < 0)
            return r;
    }
    for (uint32_t i = 0; i < plan->n_routes; i++) {
        if ((r = check_route(plan, i, reterr)) < 0)
            return r;
    }
    for (uint32_t i = 0; i < plan->n_pins; i++) {
        const PlanPin *pin = &plan->pins[i];
        Ip masked = ip_masked(pin->prefix.ip, pin->prefix.bits);
        if (pin->gateway >= plan->n_gateways || pin->prefix.bits > 128 ||
            memcmp(&masked, &pin->prefix.ip, sizeof masked) != 0)
            return error_set(reterr, ERROR_RANGE,
                             "plan: pin %" PRIu32 " is not a prefix and a gateway", i);
    }
    return 0;
}

static int check_replica(const PlanReplica *replica, Error *reterr)
{
    int r;
    if ((r = check_text("a replica's name", replica->name, BOUND_TEXT, reterr)) < 0 ||
        (r = check_text("a replica's socket", replica->socket, BOUND_PATH, reterr)) < 0)
        return r;
    if (replica->state >= HEALTH_MAX || (replica->classes & ~CLASS_MASK_ALL) != 0 ||
        replica->weight == 0)
        return error_set(reterr, ERROR_RANGE,
                         "plan: replica '%s' has state '%d', classes '0x%" PRIx32
                         "', weight '%" PRIu32 "'",
                         replica->name, (int)replica->state, replica->classes, replica->weight);
    return 0;
}

static int check_local_part(const Plan *plan, Error *reterr)
{
    if (plan->number == 0)
        return error_set(reterr, ERROR_RANGE, "plan: number is '0'");
    if (plan->own >= plan->n_gateways)
        return error_set(reterr, ERROR_RANGE, "plan: own gateway is '%" PRIu32 "' of %" PRIu32,
                         plan->own, plan->n_gateways);
    int r = check_count("replicas", plan->n_replicas, 0, BOUND_REPLICAS, reterr);
    for (uint32_t i = 0; r >= 0 && i < plan->n_replicas; i++)
        r = check_replica(&plan->replicas[i], reterr);
    for (uint32_t class_ = 0; r >= 0 && class_ < SERVICE_CLASS_MAX; class_++) {
        uint32_t n = plan->n_forward[class_];
        uint64_t sum;
        if ((r = check_count("forward entries", n, 0, BOUND_ORDER, reterr)) < 0 ||
            (r = check_entries(plan, "a forward order", plan->forward[class_], n, &sum, reterr)) <
                0)
            break;
        for (uint32_t i = 0; i < n; i++) {
            if (plan->forward[class_][i].gateway == plan->own)
                return error_set(reterr, ERROR_RANGE, "plan: forwards to its own gateway");
        }
    }
    if (r < 0)
        return r;
    const ModelPick *pick = &plan->pick;
    if (pick->eject_ns < 0 || pick->eject_max_ns < 0 || pick->stall_ns < 0 ||
        pick->retry_budget_ppm > PPM_ONE)
        return error_set(reterr, ERROR_RANGE, "plan: rules of pick are out of range");
    return 0;
}

int plan_check(const Plan *plan, Error *reterr)
{
    int r = check_fleet_part(plan, reterr);
    return r < 0 ? r : check_local_part(plan, reterr);
}
