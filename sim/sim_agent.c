// SPDX-License-Identifier: MIT
// sim_agent: see sim_agent.h. What a shell would do with an effect, in virtual time: follow the
// request through the world at once and bring the outcome back when it is due.
#include "sim_agent.h"

#include "hash.h"
#include "sim_disk.h"
#include "sim_lie.h"

#define WALL_EPOCH_NS (INT64_C(1700000000) * NS_PER_S)
#define REPORT_GIVE_UP_NS NS_PER_S // of the agent's HTTP client
#define REFUSED_PAUSE_NS (100 * NS_PER_MS)
#define REPLICA_NS NS_PER_MS

static Wall wall_of(const SimFleet *fleet, uint32_t agent)
{
    const SimFault *fault = sim_world_fault(&fleet->world, FAULT_CLOCK, agent, fleet->now_ns);
    return (Wall){WALL_EPOCH_NS + fleet->now_ns + fleet->agents[agent].wall_ns +
                  (fault != NULL ? fault->value : 0)};
}

int sim_agent_start(SimFleet *fleet, uint32_t agent, Error *reterr)
{
    SimAgent *a = &fleet->agents[agent];
    if (!a->restored)
        a->epoch = 1000 + a->life;
    a->restored = false;
    const CoreOptions options = {
        .own = agent,
        .seed = hash_mix(fleet->seed * SIM_REGIONS + agent + a->life),
        .boot = hash_mix(fleet->seed + a->life * 1000 + agent) | 1,
        .first_plan = a->epoch << 32 | 1,
        .replica_sockets = sim_model_sockets(),
        .intents = a->intents,
        .n_intents = a->n_intents,
    };
    int r = core_new(fleet->model, &options, sim_agent_mono(fleet, agent), wall_of(fleet, agent),
                     &a->core, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "start agent %u", agent);
    a->held = 0;
    for (uint32_t g = 0; g < fleet->model->n_regions; g++) {
        a->kept[g] = false;
        a->busy_until_ns[g] = 0;
    }
    r = sim_check_begin(&a->check, fleet->model, a->core, sim_agent_mono(fleet, agent),
                        &fleet->digests, reterr);
    if (r < 0)
        return r;
    return sim_agent_event(fleet, agent, (CoreEvent){.kind = CORE_EVENT_TICK}, reterr);
}

void sim_agent_stop(SimFleet *fleet, uint32_t agent)
{
    SimAgent *a = &fleet->agents[agent];
    a->core = core_free(a->core);
    a->life++;
    a->tick_at_ns = 0;
    a->held = 0;
}

static void digest_update(SimFleet *fleet, uint32_t agent, const CoreUpdate *update)
{
    if (fleet->brief && update->n_records == 0 && update->plan == NULL)
        return;
    uint64_t hash = hash_u64(hash_u64(fleet->digest, agent), (uint64_t)fleet->now_ns);
    for (uint32_t i = 0; i < update->n_records; i++) {
        hash = hash_u64(hash, update->records[i].kind);
        hash = hash_text(hash_text(hash, update->records[i].subject), update->records[i].facts);
    }
    for (uint32_t i = 0; i < update->n_effects; i++)
        hash = hash_u64(hash_u64(hash, update->effects[i].kind), update->effects[i].id);
    if (update->plan != NULL)
        hash = hash_u64(hash_u64(hash, update->plan->number), update->plan->fleet_digest);
    fleet->digest = hash;
}

static void timeline_add(SimFleet *fleet, uint32_t agent, const CoreUpdate *update)
{
    for (uint32_t i = 0; fleet->timeline != NULL && i < update->n_records; i++) {
        const Record *record = &update->records[i];
        buf_printf(fleet->timeline, "%9.3f  %-10s  %-34s  %-20s  %s\n",
                   (double)fleet->now_ns / (double)NS_PER_S, fleet->model->regions[agent].name,
                   record_kind_text(record->kind), record->subject, record->facts);
    }
}

static int plan_copy(SimFleet *fleet, SimEvent event, int64_t later_ns, Error *reterr)
{
    event.at_ns += later_ns;
    if (event.message != NULL) {
        event.message = sim_message_new(&fleet->messages, event.message->report);
        if (event.message == NULL)
            return error_set(reterr, ERROR_MEMORY, "copy a report");
    }
    int r = sim_heap_push(&fleet->heap, event);
    return r < 0 ? error_set(reterr, r, "plan an event") : 0;
}

static uint64_t chaos_of(const SimFleet *fleet, uint32_t agent)
{
    const SimFault *fault = sim_world_fault(&fleet->world, FAULT_CHAOS, agent, fleet->now_ns);
    return fault != NULL ? (uint64_t)fault->value : fleet->chaos_ppm;
}

int sim_agent_plan(SimFleet *fleet, SimEvent event, Error *reterr)
{
    Rng *rng = &fleet->world.rng;
    uint64_t chaos_ppm = chaos_of(fleet, event.agent);
    if (chaos_ppm > 0 && rng_below(rng, PPM_ONE) < chaos_ppm) {
        int64_t later_ns = (int64_t)rng_below(rng, 7 * NS_PER_S);
        switch (rng_below(rng, 3)) {
        case 0:
            sim_message_release(&fleet->messages, event.message);
            return 0;
        case 1:
            event.at_ns += later_ns;
            break;
        default: {
            int r = plan_copy(fleet, event, later_ns, reterr);
            if (r < 0)
                return r;
        }
        }
    }
    int r = sim_heap_push(&fleet->heap, event);
    return r < 0 ? error_set(reterr, r, "plan an event") : 0;
}

static int run_probe(SimFleet *fleet, uint32_t agent, const CoreEffect *effect, Error *reterr)
{
    SimAgent *a = &fleet->agents[agent];
    if (effect->gateway >= fleet->model->n_regions)
        return error_set(reterr, ERROR_NOT_HELD, "probe of gateway %u", effect->gateway);
    int64_t at_ns = fleet->now_ns;
    SimAnswer answer = sim_world_probe(&fleet->world, agent, effect->gateway,
                                       a->kept[effect->gateway], effect->hedge_ns, &at_ns);
    if (answer == SIM_ANSWER_NONE || at_ns - fleet->now_ns > effect->give_up_ns)
        return 0;
    return sim_agent_plan(fleet,
                          (SimEvent){.at_ns = at_ns,
                                     .kind = SIM_PROBE_ANSWER,
                                     .agent = agent,
                                     .peer = effect->gateway,
                                     .life = a->life,
                                     .id = effect->id,
                                     .answer = (int)answer},
                          reterr);
}

static SimMessage *report_for(SimFleet *fleet, uint32_t agent, uint32_t peer)
{
    SimMessage *message = sim_message_take(&fleet->messages);
    if (message != NULL &&
        core_report(fleet->agents[agent].core, message->arena, peer, sim_agent_mono(fleet, agent),
                    wall_of(fleet, agent), &message->report) < 0) {
        sim_message_release(&fleet->messages, message);
        message = NULL;
    }
    const SimFault *lie = sim_world_fault(&fleet->world, FAULT_LIE, agent, fleet->now_ns);
    if (message != NULL && lie != NULL)
        sim_lie(lie, fleet->model, message->report, &fleet->world.rng);
    return message;
}

static int64_t lag_of(const SimFleet *fleet, uint32_t agent)
{
    const SimFault *fault = sim_world_fault(&fleet->world, FAULT_LAG, agent, fleet->now_ns);
    return fault != NULL ? fault->value : 0;
}

static int run_report(SimFleet *fleet, uint32_t agent, uint32_t peer, Error *reterr)
{
    SimAgent *a = &fleet->agents[agent];
    if (peer >= fleet->model->n_regions || peer == agent)
        return error_set(reterr, ERROR_NOT_HELD, "report to region %u", peer);
    if (a->busy_until_ns[peer] > fleet->now_ns)
        return 0;
    int64_t at_ns = fleet->now_ns;
    SimAnswer answer = sim_world_kept(&fleet->world, agent, peer, &at_ns);
    if (answer == SIM_ANSWER_REFUSED) {
        a->busy_until_ns[peer] = at_ns + REFUSED_PAUSE_NS;
        return 0;
    }
    if (answer != SIM_ANSWER_OK || at_ns - fleet->now_ns > REPORT_GIVE_UP_NS) {
        a->busy_until_ns[peer] = fleet->now_ns + REPORT_GIVE_UP_NS;
        return 0;
    }
    at_ns += lag_of(fleet, agent);
    a->busy_until_ns[peer] = at_ns;
    SimMessage *message = report_for(fleet, agent, peer);
    if (message == NULL)
        return error_set(reterr, ERROR_MEMORY, "make a report");
    return sim_agent_plan(fleet,
                          (SimEvent){.at_ns = at_ns - fleet->world.rtt_ns[agent][peer] / 2,
                                     .kind = SIM_REQUEST,
                                     .agent = peer,
                                     .peer = agent,
                                     .other_ns = at_ns,
                                     .message = message},
                          reterr);
}

static int run_effect(SimFleet *fleet, uint32_t agent, const CoreEffect *effect, Error *reterr)
{
    switch (effect->kind) {
    case CORE_EFFECT_PROBE:
        return run_probe(fleet, agent, effect, reterr);
    case CORE_EFFECT_REPORT:
        return run_report(fleet, agent, effect->gateway, reterr);
    case CORE_EFFECT_REPLICA:
        return sim_agent_plan(fleet,
                              (SimEvent){.at_ns = fleet->now_ns + REPLICA_NS,
                                         .kind = SIM_REPLICA,
                                         .agent = agent,
                                         .peer = effect->gateway,
                                         .life = fleet->agents[agent].life,
                                         .id = effect->id},
                              reterr);
    case CORE_EFFECT_KEEP_INTENTS:
        return sim_disk_keep(&fleet->agents[agent], reterr);
    }
    return error_set(reterr, ERROR_NOT_HELD, "unknown effect %d", (int)effect->kind);
}

// Timers have milliseconds, as libuv's do.
static int plan_tick(SimFleet *fleet, uint32_t agent, Error *reterr)
{
    SimAgent *a = &fleet->agents[agent];
    int64_t wake_ns = core_next_wake(a->core).ns;
    if (wake_ns == MONO_NEVER.ns)
        return error_set(reterr, ERROR_NOT_HELD, "agent %u never wants to wake", agent);
    int64_t wait_ns = mono_since((Mono){wake_ns}, sim_agent_mono(fleet, agent));
    int64_t at_ns = fleet->now_ns + (wait_ns > NS_PER_MS ? wait_ns : NS_PER_MS);
    if (a->tick_at_ns > fleet->now_ns && a->tick_at_ns <= at_ns)
        return 0;
    a->tick_at_ns = at_ns;
    return sim_heap_push(
        &fleet->heap,
        (SimEvent){.at_ns = at_ns, .kind = SIM_TICK, .agent = agent, .life = a->life});
}

int sim_agent_event(SimFleet *fleet, uint32_t agent, CoreEvent event, Error *reterr)
{
    SimAgent *a = &fleet->agents[agent];
    event.now = sim_agent_mono(fleet, agent);
    event.wall = wall_of(fleet, agent);
    arena_reset(fleet->arena);
    CoreUpdate update;
    int r = core_step(a->core, fleet->arena, &event, &update, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "step agent %u", agent);
    fleet->steps++;
    r = sim_check_step(&a->check, fleet->model, a->core, fleet->arena, event.now, &update,
                       &fleet->digests, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "agent %u at %.3f s", agent,
                          (double)fleet->now_ns / (double)NS_PER_S);
    digest_update(fleet, agent, &update);
    timeline_add(fleet, agent, &update);
    uint32_t held = (uint32_t)a->check.held;
    a->transitions += (uint32_t)__builtin_popcount(held ^ a->held);
    fleet->changed = fleet->changed || held != a->held || update.plan != NULL ||
                     a->slow != (uint32_t)a->check.slow;
    a->held = held;
    a->slow = (uint32_t)a->check.slow;
    for (uint32_t i = 0; i < update.n_effects && r >= 0; i++)
        r = run_effect(fleet, agent, &update.effects[i], reterr);
    return r < 0 ? r : plan_tick(fleet, agent, reterr);
}

int sim_agent_report(SimFleet *fleet, uint32_t agent, uint32_t peer, const SimMessage *message,
                     int64_t response_ns, Error *reterr)
{
    int r = sim_agent_event(
        fleet, agent, (CoreEvent){.kind = CORE_EVENT_REPORT, .u.report = message->report}, reterr);
    if (r < 0 || response_ns == 0)
        return r;
    SimMessage *response = report_for(fleet, agent, peer);
    if (response == NULL)
        return error_set(reterr, ERROR_MEMORY, "answer a report");
    if (response_ns < fleet->now_ns)
        response_ns = fleet->now_ns;
    response_ns += lag_of(fleet, agent);
    return sim_agent_plan(fleet,
                          (SimEvent){.at_ns = response_ns,
                                     .kind = SIM_RESPONSE,
                                     .agent = peer,
                                     .peer = agent,
                                     .life = fleet->agents[peer].life,
                                     .message = response},
                          reterr);
}
