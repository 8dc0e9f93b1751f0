// SPDX-License-Identifier: MIT
// planning: gathers the facts, and makes a plan when they differ from those of the last one. A plan
// is emitted only when its contents differ; its number rises then.
#include <inttypes.h>
#include <string.h>

#include "core_state.h"
#include "hash.h"

#define OVERLOAD_SHARE_PPM (PPM_ONE / 2)

static void fill_facts(const Tables *tables, uint32_t gateway, Mono now, GatewayFacts *facts)
{
    const ModelHealth *health = &tables->model->health;
    const Verdict *verdict = &tables->live.verdicts[gateway];
    // After a first hold time the others report what they took over.
    bool gone = verdict->held && mono_since(now, verdict->since) >= health->hold_ns;
    if (verdict->held)
        facts->state = HEALTH_DOWN;
    else if (verdict->suspect)
        facts->state = HEALTH_SUSPECT;
    else // one plan when all are known rather than one for each that answers first
        facts->state = verdict->seen_up && tables->live.self.settled ? HEALTH_UP : HEALTH_UNKNOWN;
    // Of a region that is silent and held an agent that just started knows neither classes nor how
    // it came to be held: constants, so that all agents have the same facts.
    bool silent = verdict->held && !view_fresh(tables, gateway, now);
    facts->classes = silent ? CLASS_MASK_ALL : gateway_classes(tables, gateway);
    facts->share_ppm =
        verdict->held ? health->return_steps_ppm[0] : verdict_share_ppm(verdict, health);
    facts->capacity_rps = tables->model->regions[gateway].capacity_rps;
    facts->load_rps = gone ? 0 : gateway_load_rps(tables, gateway);
    facts->own_rtt_us =
        gateway != tables->own ? path_rtt_floor_us(&tables->live.paths[gateway]) : 0;
    facts->own_down =
        gateway != tables->own && tables_votes(tables, tables->own)[gateway].vote == VOTE_DOWN;
}

// Probes hear nothing of a gateway that answers after 5 s, as of one that hangs. What tells them
// apart are the requests of users: here or there one of them succeeded lately.
static bool still_serves(const Tables *tables, uint32_t gateway, Mono now)
{
    Tally tally;
    views_tally(tables, &tables->fresh, gateway, &tally);
    return mono_since(now, tally.newest_success) <= 2 * tables->model->health.slow_ns;
}

// Held because its answers come too late, and the others could not carry its load: a slow answer is
// better than none. It keeps half its share. What is drained is no room for others, what refuses
// connections is not slow (path.c), and the load of a dead agent is in the others' loads already.
static void keep_overloaded(const Tables *tables, const IntentSet *intents, Mono now, Wall wall,
                            GatewayFacts *facts)
{
    uint32_t n = tables->model->n_regions;
    for (uint32_t g = 0; g < n; g++) {
        const Verdict *verdict = &tables->live.verdicts[g];
        if (!verdict->held || !verdict->slow || facts[g].state != HEALTH_DOWN)
            continue;
        if (view_fresh(tables, g, now))
            facts[g].load_rps = gateway_load_rps(tables, g);
        if (!still_serves(tables, g, now) || capacity_fits_without(facts, n, g))
            continue;
        facts[g].state = HEALTH_UP;
        facts[g].share_ppm = OVERLOAD_SHARE_PPM;
        wishes_apply(tables->model, intents, wall, g, &facts[g]);
    }
}

void planning_facts(const Tables *tables, const IntentSet *intents, Mono now, Wall wall,
                    GatewayFacts *ret_facts)
{
    memset(ret_facts, 0, tables->model->n_regions * sizeof *ret_facts); // padding too
    for (uint32_t g = 0; g < tables->model->n_regions; g++) {
        fill_facts(tables, g, now, &ret_facts[g]);
        wishes_apply(tables->model, intents, wall, g, &ret_facts[g]);
    }
    keep_overloaded(tables, intents, now, wall, ret_facts);
}

static uint32_t replica_classes(const Tables *tables, const Replica *replica)
{
    if (replica->state != HEALTH_UP)
        return 0;
    return tables->live.self.clock_refused ? replica->classes & ~CLASS_MASK_WRITE
                                           : replica->classes;
}

// Withdrawn ones go last: better than nothing, and worse than any other region.
static HealthState replica_state(const Tables *tables, const Replica *replica)
{
    return replica->state == HEALTH_UP && tables->live.self.withdrawn ? HEALTH_SUSPECT
                                                                      : replica->state;
}

static uint64_t inputs_hash(const Tables *tables, const IntentSet *intents, Wall wall)
{
    uint64_t hash = wishes_hash(intents, wall);
    for (uint32_t i = 0; i < tables->n_replicas; i++) {
        const Replica *replica = &tables->live.replicas[i];
        hash = hash_u64(hash, (uint64_t)replica_state(tables, replica) << 32 |
                                  replica_classes(tables, replica));
    }
    return hash;
}

static int make(Core *core, Tables *tables, const IntentSet *intents, const GatewayFacts *facts,
                Wall wall, Wall made, PlanOutput *ret_output)
{
    PlanSlot *slot = core->spare;
    arena_reset(slot->arena);
    slot->plan = NULL;
    PlanReplica *replicas = arena_new_array(slot->arena, PlanReplica, tables->n_replicas);
    if (replicas == NULL)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < tables->n_replicas; i++)
        replicas[i] = (PlanReplica){.name = core->replica_names[i],
                                    .socket = core->sockets[i],
                                    .state = replica_state(tables, &tables->live.replicas[i]),
                                    .classes = replica_classes(tables, &tables->live.replicas[i]),
                                    .weight = 1};
    PlanInput input = {.model = tables->model,
                       .facts = facts,
                       .intents = intents,
                       .wall = wall,
                       .own = tables->own,
                       .n_replicas = tables->n_replicas,
                       .replicas = replicas,
                       .number = tables->live.self.plan_number,
                       .made = made};
    int r = plan_build(slot->arena, &input, ret_output);
    if (r < 0)
        return r;
    slot->plan = ret_output->plan;
    slot->local_digest = ret_output->local_digest;
    return 0;
}

int planning_first(Core *core, Wall wall)
{
    Tables *tables = core->tables;
    PlanOutput output;
    planning_facts(tables, core->intents, core->boot_at, wall, tables->facts);
    tables->live.self.plan_inputs = inputs_hash(tables, core->intents, wall);
    int r = make(core, tables, core->intents, tables->facts, wall, wall, &output);
    if (r < 0)
        return r;
    tables->live.self.plan_number++;
    PlanSlot *slot = core->spare;
    core->spare = core->plan;
    core->plan = slot;
    return 0;
}

// The facts of the last plan give the last plan.
int planning_again(Core *core, uint64_t number, Wall made)
{
    Tables *tables = core->tables;
    Self *self = &tables->live.self;
    uint64_t next = self->plan_number;
    PlanOutput output;
    self->plan_number = number;
    int r = make(core, tables, core->intents, tables->facts, self->wall, made, &output);
    self->plan_number = next;
    if (r < 0)
        return r;
    PlanSlot *slot = core->spare;
    core->spare = core->plan;
    core->plan = slot;
    return 0;
}

static void record_load(Step *step, const PlanOutput *output)
{
    Self *self = &step->state->self;
    if (output->spilled && !self->spilling)
        step_record(step, RECORD_SPILL, "plan", "a gateway is full: the next ones take the rest");
    if (output->overloaded && !self->overloaded)
        step_record(step, RECORD_OVERLOAD, "plan", "more load than capacity in the fleet");
    self->spilling = output->spilled;
    self->overloaded = output->overloaded;
}

static void record_plan(Step *step, const Plan *plan)
{
    step_record(step, RECORD_PLAN_MADE, "plan",
                arena_printf(step->arena, "number %" PRIu64 ", fleet part %016" PRIx64,
                             plan->number, plan->fleet_digest));
}

void planning_advance(Step *step)
{
    Core *core = step->core;
    Tables *tables = step->tables;
    Self *self = &step->state->self;
    if (step->failed)
        return;
    size_t bytes = step->model->n_regions * sizeof *tables->facts;
    planning_facts(tables, step->intents, step->now, self->wall, tables->scratch);
    uint64_t inputs = inputs_hash(tables, step->intents, self->wall);
    bool same_model = tables == core->tables; // else a new configuration is being taken in
    if (same_model && inputs == self->plan_inputs &&
        memcmp(tables->facts, tables->scratch, bytes) == 0) {
        if (self->plan_emitted)
            return;
        self->plan_emitted = step->plan_changed = true; // the first one, as core_new made it
        step->plan = core->plan->plan;
        record_plan(step, step->plan);
        return;
    }
    PlanOutput output;
    if (make(core, tables, step->intents, tables->scratch, self->wall, step->wall, &output) < 0) {
        step->failed = true;
        return;
    }
    self->plan_inputs = inputs;
    step->facts_changed = true;
    record_load(step, &output);
    const PlanSlot *last = core->plan;
    if (same_model && self->plan_emitted && output.plan->fleet_digest == last->plan->fleet_digest &&
        output.local_digest == last->local_digest)
        return;
    self->plan_number++;
    self->plan_emitted = true;
    step->plan_changed = step->plan_made = true;
    step->plan = output.plan;
    record_plan(step, output.plan);
}
