// SPDX-License-Identifier: MIT
// core: one event in, one update out. A step is: save, take the event in, advance everything whose
// time has come, judge, plan; at its end it is committed as a whole or rolled back as a whole.
#include "core.h"

#include "core_state.h"

// Whether the event names something that exists. Late events may come from before a CONFIG event.
static bool is_known(const Tables *tables, const CoreEvent *event)
{
    switch (event->kind) {
    case CORE_EVENT_PROBE_ANSWERED:
    case CORE_EVENT_PROBE_FAILED:
    case CORE_EVENT_IDLE_CLOSED:
        return event->gateway < tables->model->n_regions;
    case CORE_EVENT_EDGE:
        return event->u.edge.gateway < tables->model->n_regions;
    case CORE_EVENT_REPLICA:
        return event->u.replica.replica < tables->n_replicas;
    default:
        return true;
    }
}

// The tables of a new model, with all that both models have in common.
static int take_config(Step *step, const Model *model, Error *reterr)
{
    const Tables *from = step->tables;
    const char *own_name = from->model->regions[from->own].name;
    int own = model_find_region(model, own_name);
    if (own < 0)
        return error_set(reterr, ERROR_NOT_FOUND, "new configuration: region '%s' is missing",
                         own_name);
    if (model->n_regions > BOUND_REGIONS || model->n_clouds > BOUND_CLOUDS)
        return error_set(reterr, ERROR_LIMIT, "new configuration: too many regions or clouds");
    // Replicas beyond those that this agent was started with have no socket yet.
    uint32_t replicas = model->regions[own].replicas;
    replicas = replicas < step->core->n_sockets ? replicas : step->core->n_sockets;
    Tables *tables;
    if (tables_new(model, (uint32_t)own, replicas, step->now, 0, &tables) < 0)
        return error_set(reterr, ERROR_MEMORY, "new configuration: out of memory");
    tables_carry(tables, from);
    step->tables = tables;
    step->state = &tables->live;
    step->model = model;
    step_record(step, RECORD_CONFIG_CHANGED, "config",
                arena_printf(step->arena, "generation %u, %016llx", (unsigned)model->generation,
                             (unsigned long long)model->config_hash));
    return 0;
}

static int take_event(Step *step, const CoreEvent *event, Error *reterr)
{
    if (!is_known(step->tables, event))
        return 0;
    switch (event->kind) {
    case CORE_EVENT_TICK:
        return 0;
    case CORE_EVENT_PROBE_ANSWERED:
    case CORE_EVENT_PROBE_FAILED:
    case CORE_EVENT_IDLE_CLOSED:
        probing_event(step, event);
        return 0;
    case CORE_EVENT_REPORT:
        report_absorb(step, event->u.report);
        wishes_absorb(step, event->u.report);
        return 0;
    case CORE_EVENT_EDGE:
        probing_edge(step, &event->u.edge);
        return 0;
    case CORE_EVENT_REPLICA:
        replicas_event(step, event);
        return 0;
    case CORE_EVENT_INTENT:
        return wishes_event(step, event->u.intent, reterr);
    case CORE_EVENT_CONFIG:
        return take_config(step, event->u.model, reterr);
    default:
        return error_set(reterr, ERROR_RANGE, "step: unknown kind of event '%d'", (int)event->kind);
    }
}

static bool verdicts_differ_from_table(const Step *step)
{
    const ViewVote *votes = tables_votes(step->tables, step->tables->own);
    const View *view = &step->state->views[step->tables->own];
    for (uint32_t g = 0; g < step->model->n_regions; g++)
        if (votes[g].held != step->state->verdicts[g].held)
            return true;
    return view->alone != step->state->self.alone;
}

static void advance(Step *step)
{
    probing_advance(step);
    replicas_advance(step);
    clock_advance(step);
    withdraw_advance(step);
    classes_advance(step);
    load_advance(step);
    wishes_advance(step);
    views_refresh_own(step);
    verdicts_advance(step);
    if (verdicts_differ_from_table(step))
        views_refresh_own(step);
    reports_advance(step);
    planning_advance(step);
}

static void roll_back(Step *step)
{
    Core *core = step->core;
    if (step->intents != core->intents)
        (void)intent_set_free(step->intents);
    if (step->tables != core->tables)
        (void)tables_free(step->tables);
    tables_restore(core->tables);
    report_restore_rows(core);
}

static void commit(Step *step)
{
    Core *core = step->core;
    if (step->intents != core->intents) {
        (void)intent_set_free(core->intents);
        core->intents = step->intents;
    }
    if (step->facts_changed) {
        GatewayFacts *facts = step->tables->facts;
        step->tables->facts = step->tables->scratch;
        step->tables->scratch = facts;
    }
    if (step->plan_made) {
        PlanSlot *slot = core->spare;
        core->spare = core->plan;
        core->plan = slot;
    }
    if (step->tables != core->tables) {
        (void)tables_free(core->tables);
        core->tables = step->tables;
    }
}

int core_step(Core *core, Arena *arena, const CoreEvent *event, CoreUpdate *ret_update,
              Error *reterr)
{
    Tables *tables = core->tables;
    Step step = {.core = core,
                 .tables = tables,
                 .state = &tables->live,
                 .model = tables->model,
                 .arena = arena,
                 .now = mono_max(event->now, tables->live.self.now),
                 .wall = event->wall,
                 .intents = core->intents};
    tables_save(tables, event->kind == CORE_EVENT_REPORT);
    core->saved_rows = NULL;
    arena_reset(core->rows);
    Self *self = &tables->live.self;
    self->wall = self->clock_refused ? wall_add(step.wall, self->clock_offset_ns) : step.wall;
    probing_loop_gap(&step);
    int r = take_event(&step, event, reterr);
    Plan *plan = NULL;
    if (r == 0) {
        step.state->self.now = step.now;
        advance(&step);
        if (step.plan_changed && !step.failed)
            plan = plan_clone(arena, step.plan);
        if (step.failed || (step.plan_changed && plan == NULL))
            r = error_set(reterr, ERROR_MEMORY, "step: out of memory");
    }
    if (r < 0) {
        roll_back(&step);
        return r;
    }
    commit(&step);
    *ret_update = (CoreUpdate){.n_effects = step.n_effects,
                               .n_records = step.n_records,
                               .effects = step.effects,
                               .records = step.records,
                               .plan = plan};
    return 0;
}

Mono core_next_wake(const Core *core)
{
    const Tables *tables = core->tables;
    const Self *self = &tables->live.self;
    Mono wake = mono_min(self->report_due, self->push_due);
    for (uint32_t g = 0; g < tables->model->n_regions; g++)
        wake = mono_min(wake, path_wake(&tables->live.paths[g], &tables->model->health, self->now));
    for (uint32_t i = 0; i < tables->n_replicas; i++) {
        const Replica *replica = &tables->live.replicas[i];
        wake = mono_min(wake, replica->id != 0 ? replica->deadline : replica->next);
    }
    return wake;
}

const Plan *core_plan(const Core *core)
{
    return core->plan->plan;
}

uint32_t core_intents(const Core *core, const Intent **ret_intents)
{
    *ret_intents = core->intents->items;
    return core->intents->n;
}
