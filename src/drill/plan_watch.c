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

bool plan_is_full(const Plan *plan, const char **ret_region)
{
    for (uint32_t i = 0; i < plan->n_gateways; i++) {
        const PlanGateway *gateway = &plan->gateways[i];
        if (gateway->state == HEALTH_UP && gateway->share_ppm == PPM_ONE)
            continue;
        if (ret_region != NULL)
            *ret_region = gateway->region;
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

static void judge(const Plan *plan, const char *const *targets, uint32_t n, PlanSight *sight)
{
    const char *region = "";
    sight->number = plan->number;
    sight->in_front = plan_in_front(plan, targets, n);
    sight->full = plan_is_full(plan, &region);
    sight->not_full[0] = '\0';
    for (uint32_t i = 0; !sight->full && i < plan->n_gateways; i++) {
        const PlanGateway *gateway = &plan->gateways[i];
        static const char *const STATES[HEALTH_MAX] = {"unknown", "returning", "suspect",
                                                       "down",    "drained",   "never"};
        if (strcmp(gateway->region, region) == 0)
            (void)snprintf(sight->not_full, sizeof sight->not_full, "%.40s is %s", region,
                           STATES[gateway->state]);
    }
}

bool plan_watch(const char *dir, const char *region, const char *const *targets, uint32_t n,
                PlanSight *sight)
{
    PlanNow now;
    if (!read_now(dir, region, &now))
        return false;
    sight->heartbeat_ns = now.heartbeat.ns;
    if (now.number == sight->number)
        return true;
    char name[64];
    (void)snprintf(name, sizeof name, "plan/" PLAN_FILE_NAME, now.number);
    LayoutPath path = layout_region(dir, region, name);
    char *bytes CLEANUP(free_textp) = NULL;
    size_t len;
    Arena *arena CLEANUP(arena_freep) = arena_new(BOUND_PLAN_BYTES);
    const Plan *plan;
    if (arena == NULL || files_read(path.text, BOUND_PLAN_BYTES, &bytes, &len, NULL) < 0 ||
        plan_file_decode(bytes, len, arena, &plan, NULL) < 0)
        return false;
    judge(plan, targets, n, sight);
    return true;
}
