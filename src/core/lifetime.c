// SPDX-License-Identifier: MIT
// lifetime: begin and end of a core. A half-built one is freed by the same function.
#include <stdio.h>
#include <string.h>

#include "core_state.h"

#define ROWS_LIMIT ((size_t)256 << 20) // view rows of one report: at most the whole table
#define PLAN_LIMIT ((size_t)4 * BOUND_PLAN_BYTES)

static int copy_sockets(Core *core, const ModelRegion *region, const char *const *sockets,
                        uint32_t n)
{
    core->sockets = alloc_zeroed(n + 1, sizeof *core->sockets);
    core->replica_names = alloc_zeroed(n + 1, sizeof *core->replica_names);
    if (core->sockets == NULL || core->replica_names == NULL)
        return ERROR_MEMORY;
    size_t len = strlen(region->name) + sizeof "/4294967295";
    for (uint32_t i = 0; i < n; i++) {
        core->n_sockets = i + 1;
        core->sockets[i] = alloc_strdup(sockets[i]);
        core->replica_names[i] = alloc_zeroed(1, len);
        if (core->sockets[i] == NULL || core->replica_names[i] == NULL)
            return ERROR_MEMORY;
        (void)snprintf(core->replica_names[i], len, "%s/%u", region->name, (unsigned)i + 1);
    }
    return 0;
}

static int start(Core *core, const Model *model, const CoreOptions *options, uint32_t n_sockets,
                 Mono now, Wall wall)
{
    const ModelRegion *region = &model->regions[options->own];
    core->boot = options->boot;
    core->boot_at = now;
    core->plan = &core->slots[0];
    core->spare = &core->slots[1];
    core->rows = arena_new(ROWS_LIMIT);
    core->slots[0].arena = arena_new(PLAN_LIMIT);
    core->slots[1].arena = arena_new(PLAN_LIMIT);
    if (core->rows == NULL || core->slots[0].arena == NULL || core->slots[1].arena == NULL)
        return ERROR_MEMORY;
    int r = copy_sockets(core, region, options->replica_sockets, n_sockets);
    if (r == 0)
        r = tables_new(model, options->own,
                       n_sockets < region->replicas ? n_sockets : region->replicas, now,
                       options->seed, &core->tables);
    IntentSet *none = NULL;
    if (r == 0)
        r = intent_set_new(&none);
    if (r == 0)
        r = intent_set_with(none, options->intents, options->n_intents, wall, false,
                            &core->intents);
    if (r == 0 && core->intents == NULL)
        core->intents = none;
    else
        (void)intent_set_free(none);
    if (r < 0)
        return r;
    Self *self = &core->tables->live.self;
    const Intent *reset = intent_set_find(core->intents, INTENT_RESET_FLAPS, "fleet");
    self->reset_stamp = reset != NULL ? reset->stamp : 0; // there is nothing from before it here
    self->wall = wall;
    self->plan_number = options->first_plan;
    return planning_first(core, wall);
}

int core_new(const Model *model, const CoreOptions *options, Mono now, Wall wall, Core **ret_core,
             Error *reterr)
{
    uint32_t n = options->own < model->n_regions ? model->regions[options->own].replicas : 0;
    return lifetime_new(model, options, n, now, wall, ret_core, reterr);
}

int lifetime_new(const Model *model, const CoreOptions *options, uint32_t n_sockets, Mono now,
                 Wall wall, Core **ret_core, Error *reterr)
{
    if (options->own >= model->n_regions || model->n_regions > BOUND_REGIONS ||
        model->n_clouds > BOUND_CLOUDS)
        return error_set(reterr, ERROR_RANGE, "start core: model of %u regions, own is %u",
                         (unsigned)model->n_regions, (unsigned)options->own);
    Core *core = alloc_zeroed(1, sizeof *core);
    if (core == NULL)
        return error_set(reterr, ERROR_MEMORY, "start core: out of memory");
    int r = start(core, model, options, n_sockets, now, wall);
    if (r < 0) {
        (void)core_free(core);
        return error_set(reterr, r, "start core: %s", error_code_text(r));
    }
    *ret_core = core;
    return 0;
}

Core *core_free(Core *core)
{
    if (core == NULL)
        return NULL;
    for (uint32_t i = 0; i < core->n_sockets; i++) {
        free(core->sockets[i]);
        free(core->replica_names[i]);
    }
    free(core->sockets);
    free(core->replica_names);
    (void)arena_free(core->rows);
    (void)arena_free(core->slots[0].arena);
    (void)arena_free(core->slots[1].arena);
    (void)intent_set_free(core->intents);
    (void)tables_free(core->tables);
    free(core);
    return NULL;
}
