// SPDX-License-Identifier: MIT
// plan_effects: see plan_effects.h. The first plan of a core counts unknown gateways as up, so no
// probes have to be made up.
#include "plan_effects.h"

#include <string.h>

#include "bounds.h"
#include "core.h"

typedef struct Shares {
    Core *core;
    const Plan *plan;
} Shares;

static void shares_done(Shares *shares)
{
    shares->core = core_free(shares->core);
}

static int make(const Model *model, Shares *ret_shares, Error *reterr)
{
    const char *sockets[BOUND_REPLICAS]; // no one connects to them
    for (size_t i = 0; i < BOUND_REPLICAS; i++)
        sockets[i] = "/replica";
    const CoreOptions options = {.seed = 1, .boot = 1, .first_plan = 1, .replica_sockets = sockets};
    int r = core_new(model, &options, (Mono){0}, (Wall){0}, &ret_shares->core, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "plan");
    ret_shares->plan = core_plan(ret_shares->core);
    return 0;
}

static int find_group(const Plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->n_groups; i++)
        if (strcmp(plan->groups[i], name) == 0)
            return (int)i;
    return -1;
}

static uint32_t share_of(const Plan *plan, const PlanRoute *route, const char *region)
{
    for (uint32_t i = 0; route != NULL && i < route->n_entries; i++)
        if (strcmp(plan->gateways[route->entries[i].gateway].region, region) == 0)
            return route->entries[i].share_ppm;
    return 0;
}

static bool print_moves(const char *group, const Plan *old, const PlanRoute *before,
                        const Plan *new, const PlanRoute *after, FILE *file)
{
    bool any = false;
    for (uint32_t pass = 0; pass < 2; pass++) {
        const Plan *plan = pass == 0 ? new : old;
        for (uint32_t i = 0; i < plan->n_gateways; i++) {
            const char *region = plan->gateways[i].region;
            uint32_t was = share_of(old, before, region), is = share_of(new, after, region);
            bool told = false;
            for (uint32_t k = 0; pass == 1 && k < new->n_gateways; k++)
                told = told || strcmp(new->gateways[k].region, region) == 0;
            if (was == is || told)
                continue;
            (void)fprintf(file, "  clients %-24s %-14s %3u.%u %% -> %3u.%u %%\n", group, region,
                          was / 10000, was / 1000 % 10, is / 10000, is / 1000 % 10);
            any = true;
        }
    }
    return any;
}

int plan_effects_print(const Model *from, const Model *to, FILE *file, Error *reterr)
{
    Shares old CLEANUP(shares_done) = {0}, new CLEANUP(shares_done) = {0};
    int r = make(from, &old, reterr);
    if (r == 0)
        r = make(to, &new, reterr);
    if (r < 0)
        return r;
    ASSERT(old.plan != NULL && new.plan != NULL);
    (void)fprintf(file,
                  "\nEffect on the plan with every gateway up (class read, first service):\n");
    bool any = false;
    for (uint32_t g = 0; g < new.plan->n_groups; g++) {
        int was = find_group(old.plan, new.plan->groups[g]);
        const PlanRoute *before =
            was < 0 ? NULL : plan_route(old.plan, 0, SERVICE_CLASS_READ, (uint32_t)was);
        any = print_moves(new.plan->groups[g], old.plan, before, new.plan,
                          plan_route(new.plan, 0, SERVICE_CLASS_READ, g), file) ||
              any;
    }
    if (!any)
        (void)fprintf(file, "  none\n");
    return 0;
}
