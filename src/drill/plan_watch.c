// SPDX-License-Identifier: MIT
// plan_watch: see plan_watch.h. A torn or half-written file is simply not seen yet.
#include "plan_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "bounds.h"
#include "files.h"
#include "layout.h"
#include "plan_file.h"

static bool is_one_of(const char *name, const char *const *names, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

bool plan_in_front(const Plan *plan, const char *const *regions, uint32_t n)
{
    for (uint32_t i = 0; i < plan->n_routes; i++) {
        const PlanRoute *route = &plan->routes[i];
        for (uint32_t k = 0; k < route->n_entries; k++) {
            const PlanEntry *entry = &route->entries[k];
            if ((k == 0 || entry->share_ppm > 0) &&
                is_one_of(plan->gateways[entry->gateway].region, regions, n))
                return true;
        }
    }
    return false;
}

bool plan_is_full(const Plan *plan, uint32_t *ret_gateway)
{
    for (uint32_t i = 0; i < plan->n_gateways; i++) {
        const PlanGateway *gateway = &plan->gateways[i];
        if (gateway->state == HEALTH_UP && gateway->share_ppm == PPM_ONE &&
            (gateway->classes & CLASS_MASK_ALL) == CLASS_MASK_ALL)
            continue;
        *ret_gateway = i;
        return false;
    }
    return true;
}

static bool read_now(const char *dir, const char *region, PlanNow *ret_now)
{
    LayoutPath path = layout_region(dir, region, "plan/" PLAN_NOW_NAME);
    char *bytes CLEANUP(free_textp) = NULL;
    size_t len;
    return files_read(path.text, PLAN_NOW_BYTES, &bytes, &len, NULL) == 0 &&
           plan_now_decode(bytes, len, ret_now, NULL) == 0;
}

static const char *why_not_full(const PlanGateway *gateway)
{
    static const char *const STATES[HEALTH_MAX] = {"unknown", "returning", "suspect",
                                                   "down",    "drained",   "never"};
    return gateway->state == HEALTH_UP && gateway->share_ppm == PPM_ONE ? "without a class"
                                                                        : STATES[gateway->state];
}

static void judge(const PlanWatch *watch, const Plan *plan, PlanSight *sight)
{
    uint32_t gateway = 0;
    sight->number = plan->number;
    sight->in_front = plan_in_front(plan, watch->targets, watch->n_targets);
    sight->full = plan_is_full(plan, &gateway);
    sight->not_full[0] = '\0';
    if (!sight->full)
        (void)snprintf(sight->not_full, sizeof sight->not_full, "%.40s is %s",
                       plan->gateways[gateway].region, why_not_full(&plan->gateways[gateway]));
}

// Memory that runs out here loses an observation, not the drill; the list then says that it is
// full.
static void remember(const PlanWatch *watch, uint32_t observer, Mono now, const Plan *plan)
{
    int r = timeline_digest(watch->timeline, now, observer, plan->fleet_digest);
    for (uint32_t i = 0; r == 0 && i < plan->n_gateways; i++) {
        int gateway = model_find_region(watch->model, plan->gateways[i].region);
        if (gateway >= 0)
            r = timeline_gateway(watch->timeline, now, observer, (uint32_t)gateway,
                                 plan->gateways[i].state, plan->gateways[i].classes);
    }
    watch->timeline->full |= r < 0;
}

bool plan_watch(const PlanWatch *watch, uint32_t region, Mono at, PlanSight *sight)
{
    PlanNow now;
    const char *region_name = watch->model->regions[region].name;
    if (!read_now(watch->dir, region_name, &now))
        return false;
    sight->heartbeat_ns = now.heartbeat.ns;
    if (now.number == sight->number)
        return true;
    char name[64];
    (void)snprintf(name, sizeof name, "plan/" PLAN_FILE_NAME, now.number);
    LayoutPath path = layout_region(watch->dir, region_name, name);
    char *bytes CLEANUP(free_textp) = NULL;
    size_t len;
    Arena *arena CLEANUP(arena_freep) = arena_new(BOUND_PLAN_BYTES);
    const Plan *plan;
    if (arena == NULL || files_read(path.text, BOUND_PLAN_BYTES, &bytes, &len, NULL) < 0 ||
        plan_file_decode(bytes, len, arena, &plan, NULL) < 0)
        return false;
    judge(watch, plan, sight);
    if (watch->timeline != NULL)
        remember(watch, region, at, plan);
    return true;
}
