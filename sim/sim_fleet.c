// SPDX-License-Identifier: MIT
// sim_fleet: see sim_fleet.h. The loop over events; a frozen agent's events wait until it goes on,
// its timers first, as libuv does after a stop.
#include "sim_fleet.h"

#include "alloc.h"
#include "sim_agent.h"
#include "sim_disk.h"

#define STEP_BYTES ((size_t)64 << 20)
#define START_SPREAD_NS (250 * NS_PER_MS)
#define TRAFFIC_EVERY_NS (100 * NS_PER_MS)

static int plan(SimFleet *fleet, SimEvent event, Error *reterr)
{
    int r = sim_heap_push(&fleet->heap, event);
    return r < 0 ? error_set(reterr, r, "plan an event") : 0;
}

// What happens at the edges of faults; all else is looked up when it matters.
int sim_fleet_plan_fault(SimFleet *fleet, const SimFault *fault, Error *reterr)
{
    int r = 0;
    for (uint32_t i = 0; i < fleet->model->n_regions && r >= 0; i++) {
        if ((fault->a >> i & 1) == 0)
            continue;
        if (fault->kind == FAULT_REFUSE)
            r = plan(fleet, (SimEvent){.at_ns = fault->from_ns, .kind = SIM_KILLED, .agent = i},
                     reterr);
        if (fault->kind == FAULT_OLD)
            r = plan(
                fleet,
                (SimEvent){.at_ns = fault->from_ns - fault->value, .kind = SIM_BACK_UP, .agent = i},
                reterr);
        if (r < 0 || (fault->kind != FAULT_RESTART && fault->kind != FAULT_OLD))
            continue;
        r = plan(fleet, (SimEvent){.at_ns = fault->from_ns, .kind = SIM_STOP, .agent = i}, reterr);
        if (r >= 0 && fault->until_ns != SIM_FOREVER)
            r = plan(fleet, (SimEvent){.at_ns = fault->until_ns, .kind = SIM_START, .agent = i},
                     reterr);
    }
    return r;
}

static uint32_t demand_of(const Model *model, uint32_t clients_ppm)
{
    uint64_t capacity_rps = 0;
    for (uint32_t i = 0; i < model->n_regions; i++)
        capacity_rps += model->regions[i].capacity_rps;
    return (uint32_t)(capacity_rps * clients_ppm / PPM_ONE);
}

int sim_fleet_new(const SimFleetOptions *options, SimFleet **ret_fleet, Error *reterr)
{
    SimFleet *fleet = alloc_zeroed(1, sizeof *fleet);
    if (fleet == NULL)
        return error_set(reterr, ERROR_MEMORY, "make a fleet");
    fleet->model = options->layout != NULL ? options->layout->model : sim_model();
    fleet->seed = options->seed;
    fleet->traffic_rps = options->traffic_rps;
    fleet->chaos_ppm = options->chaos_ppm;
    fleet->timeline = options->timeline;
    fleet->world = (SimWorld){
        .rtt_ns = options->layout != NULL     ? options->layout->rtt_ns
                  : options->around_the_world ? SIM_RTT_WORLD
                                              : SIM_RTT_GUIDE,
        .loss_ppm = options->loss_ppm,
        .faults = options->faults,
        .n_faults = options->n_faults,
        .rng = rng_seeded(options->seed),
    };
    sim_world_begin(&fleet->world);
    fleet->arena = arena_new(STEP_BYTES);
    int r = fleet->arena != NULL ? 0 : error_set(reterr, ERROR_MEMORY, "make a fleet");
    for (uint32_t i = 0; i < fleet->model->n_regions && r >= 0; i++) {
        SimAgent *agent = &fleet->agents[i];
        agent->mono_ns = (int64_t)rng_below(&fleet->world.rng, 1000000) * NS_PER_S;
        agent->wall_ns = (int64_t)rng_below(&fleet->world.rng, 20 * NS_PER_MS);
        int64_t at_ns = (int64_t)rng_below(&fleet->world.rng, START_SPREAD_NS);
        r = plan(fleet, (SimEvent){.at_ns = at_ns, .kind = SIM_START, .agent = i}, reterr);
        if (r >= 0 && fleet->traffic_rps > 0)
            r = plan(fleet, (SimEvent){.at_ns = at_ns, .kind = SIM_TRAFFIC, .agent = i}, reterr);
    }
    if (r >= 0 && options->clients_ppm > 0) {
        fleet->load.demand_rps = demand_of(fleet->model, options->clients_ppm);
        fleet->load.queued_probes = options->queued_probes;
        r = plan(fleet, (SimEvent){.at_ns = SIM_LOAD_START_NS, .kind = SIM_LOAD}, reterr);
    }
    for (size_t i = 0; i < options->n_faults && r >= 0; i++)
        r = sim_fleet_plan_fault(fleet, &options->faults[i], reterr);
    if (r < 0) {
        (void)sim_fleet_free(fleet);
        return r;
    }
    *ret_fleet = fleet;
    return 0;
}

static int gateway_killed(SimFleet *fleet, uint32_t gateway, Error *reterr)
{
    int r = 0;
    for (uint32_t o = 0; o < fleet->model->n_regions && r >= 0; o++) {
        SimAgent *observer = &fleet->agents[o];
        if (observer->core != NULL && observer->kept[gateway])
            r = sim_agent_plan(
                fleet,
                (SimEvent){.at_ns = fleet->now_ns + fleet->world.rtt_ns[gateway][o] / 2 + NS_PER_MS,
                           .kind = SIM_IDLE_CLOSED,
                           .agent = o,
                           .peer = gateway,
                           .life = observer->life},
                reterr);
    }
    return r;
}

static int probe_answered(SimFleet *fleet, const SimEvent *event, Error *reterr)
{
    bool ok = event->answer == SIM_ANSWER_OK;
    fleet->agents[event->agent].kept[event->peer] = ok;
    return sim_agent_event(
        fleet, event->agent,
        (CoreEvent){.kind = ok ? CORE_EVENT_PROBE_ANSWERED : CORE_EVENT_PROBE_FAILED,
                    .id = event->id,
                    .gateway = event->peer},
        reterr);
}

static int replica_answered(SimFleet *fleet, const SimEvent *event, Error *reterr)
{
    bool up = sim_world_fault(&fleet->world, FAULT_REPLICA, event->agent, fleet->now_ns) == NULL;
    return sim_agent_event(fleet, event->agent,
                           (CoreEvent){.kind = CORE_EVENT_REPLICA,
                                       .id = event->id,
                                       .u.replica = {.replica = event->peer,
                                                     .answered = up,
                                                     .classes = up ? CLASS_MASK_ALL : 0}},
                           reterr);
}

// Users of the own region, whose requests pass no wide-area path.
static int traffic(SimFleet *fleet, const SimEvent *event, Error *reterr)
{
    SimEvent next = *event;
    next.at_ns += TRAFFIC_EVERY_NS;
    int r = plan(fleet, next, reterr);
    if (r < 0 || fleet->agents[event->agent].core == NULL ||
        sim_world_fault(&fleet->world, FAULT_FREEZE, event->agent, fleet->now_ns) != NULL)
        return r;
    uint32_t n = fleet->traffic_rps / 10;
    bool works = true;
    for (int kind = FAULT_REFUSE; kind <= FAULT_ERRORS; kind++)
        works = works && sim_world_fault(&fleet->world, (SimFaultKind)kind, event->agent,
                                         fleet->now_ns) == NULL;
    return sim_agent_event(
        fleet, event->agent,
        (CoreEvent){.kind = CORE_EVENT_EDGE,
                    .u.edge = {.gateway = event->agent,
                               .successes = works ? n : 0,
                               .failures = works ? 0 : n,
                               .any_success = works,
                               .success_sent =
                                   mono_add(sim_agent_mono(fleet, event->agent), -10 * NS_PER_MS),
                               .load_rps = works ? fleet->traffic_rps : 0}},
        reterr);
}

static int load(SimFleet *fleet, const SimEvent *event, Error *reterr)
{
    SimEvent next = *event;
    next.at_ns += SIM_LOAD_TICK_NS;
    int r = plan(fleet, next, reterr);
    return r < 0 ? r : sim_load_tick(fleet, reterr);
}

// Its outage, which brought back an old disk, ends now.
static bool restored_now(const SimFleet *fleet, uint32_t agent)
{
    for (size_t i = 0; i < fleet->world.n_faults; i++) {
        const SimFault *fault = &fleet->world.faults[i];
        if (fault->kind == FAULT_OLD && (fault->a >> agent & 1) != 0 &&
            fault->until_ns == fleet->now_ns)
            return true;
    }
    return false;
}

// Events that need no running agent.
static int world_event(SimFleet *fleet, const SimEvent *event, Error *reterr)
{
    SimAgent *agent = &fleet->agents[event->agent];
    switch (event->kind) {
    case SIM_KILLED:
        return gateway_killed(fleet, event->agent, reterr);
    case SIM_TRAFFIC:
        return traffic(fleet, event, reterr);
    case SIM_LOAD:
        return load(fleet, event, reterr);
    case SIM_BACK_UP:
        return sim_disk_back_up(agent, reterr);
    case SIM_STOP:
        if (agent->core != NULL)
            sim_agent_stop(fleet, event->agent);
        fleet->changed = true;
        return 0;
    default: // SIM_START
        fleet->changed = true;
        if (agent->core != NULL ||
            sim_world_fault(&fleet->world, FAULT_RESTART, event->agent, fleet->now_ns) != NULL ||
            sim_world_fault(&fleet->world, FAULT_OLD, event->agent, fleet->now_ns) != NULL)
            return 0;
        if (restored_now(fleet, event->agent)) {
            agent->restored = true;
            int r = sim_disk_restore(agent, reterr);
            if (r < 0)
                return r;
        }
        return sim_agent_start(fleet, event->agent, reterr);
    }
}

static int agent_event(SimFleet *fleet, const SimEvent *event, Error *reterr)
{
    SimAgent *agent = &fleet->agents[event->agent];
    switch (event->kind) {
    case SIM_TICK:
        if (event->at_ns < agent->tick_at_ns)
            return 0; // an earlier one did its work
        return sim_agent_event(fleet, event->agent, (CoreEvent){.kind = CORE_EVENT_TICK}, reterr);
    case SIM_PROBE_ANSWER:
        return probe_answered(fleet, event, reterr);
    case SIM_IDLE_CLOSED:
        agent->kept[event->peer] = false;
        return sim_agent_event(fleet, event->agent,
                               (CoreEvent){.kind = CORE_EVENT_IDLE_CLOSED, .gateway = event->peer},
                               reterr);
    case SIM_REQUEST:
        return sim_agent_report(fleet, event->agent, event->peer, event->message, event->other_ns,
                                reterr);
    case SIM_RESPONSE:
        return sim_agent_report(fleet, event->agent, event->peer, event->message, 0, reterr);
    default:
        return replica_answered(fleet, event, reterr);
    }
}

static bool is_apart(const SimFleet *fleet)
{
    const SimAgent *first = NULL;
    for (uint32_t i = 0; i < fleet->model->n_regions; i++) {
        const SimAgent *agent = &fleet->agents[i];
        if (agent->core == NULL || core_self_status(agent->core, sim_agent_mono(fleet, i)).alone)
            continue;
        if (first != NULL && first->held != agent->held)
            return true;
        first = agent;
    }
    return false;
}

static void advance_time(SimFleet *fleet, int64_t now_ns)
{
    if (fleet->changed)
        fleet->apart = is_apart(fleet);
    if (fleet->apart)
        fleet->apart_ns += now_ns - fleet->now_ns;
    fleet->now_ns = now_ns;
    fleet->changed = false;
}

int sim_fleet_step(SimFleet *fleet, int64_t end_ns, Error *reterr)
{
    if (fleet->heap.n == 0 || fleet->heap.events[0].at_ns >= end_ns) {
        advance_time(fleet, end_ns);
        return 0;
    }
    SimEvent event;
    (void)sim_heap_pop(&fleet->heap, &event);
    advance_time(fleet, event.at_ns);
    if (event.kind >= SIM_STOP) {
        int r = world_event(fleet, &event, reterr);
        return r < 0 ? r : 1;
    }
    const SimFault *frozen = sim_world_fault(&fleet->world, FAULT_FREEZE, event.agent, event.at_ns);
    const SimAgent *agent = &fleet->agents[event.agent];
    if (frozen != NULL) {
        event.at_ns = frozen->until_ns + (event.kind == SIM_TICK ? 0 : NS_PER_US);
        if (event.kind == SIM_TICK && agent->life == event.life)
            fleet->agents[event.agent].tick_at_ns = event.at_ns;
        int r = plan(fleet, event, reterr);
        return r < 0 ? r : 1;
    }
    bool for_it = event.kind == SIM_REQUEST || event.life == agent->life;
    int r = agent->core != NULL && for_it ? agent_event(fleet, &event, reterr) : 0;
    sim_message_release(&fleet->messages, event.message);
    return r < 0 ? r : 1;
}

int sim_fleet_intent(SimFleet *fleet, uint32_t agent, const Intent *intent, Error *reterr)
{
    if (fleet->agents[agent].core == NULL)
        return 0;
    return sim_agent_event(fleet, agent, (CoreEvent){.kind = CORE_EVENT_INTENT, .u.intent = intent},
                           reterr);
}

void sim_fleet_shift(SimFleet *fleet, int64_t by_ns)
{
    fleet->now_ns += by_ns;
    for (size_t i = 0; i < fleet->heap.n; i++) {
        fleet->heap.events[i].at_ns += by_ns;
        fleet->heap.events[i].other_ns += by_ns;
    }
    for (uint32_t i = 0; i < fleet->model->n_regions; i++) {
        SimAgent *agent = &fleet->agents[i];
        agent->mono_ns -= by_ns;
        agent->wall_ns -= by_ns;
        agent->tick_at_ns += by_ns;
        for (uint32_t peer = 0; peer < fleet->model->n_regions; peer++)
            agent->busy_until_ns[peer] += by_ns;
    }
}

int sim_fleet_check_calm(const SimFleet *fleet, Error *reterr)
{
    const Plan *first = NULL;
    for (uint32_t i = 0; i < fleet->model->n_regions; i++) {
        const SimAgent *agent = &fleet->agents[i];
        if (agent->core == NULL)
            return error_set(reterr, ERROR_NOT_HELD, "agent %u does not run", i);
        const Plan *plan_now = core_plan(agent->core);
        if (agent->held != 0)
            return error_set(reterr, ERROR_NOT_HELD, "agent %u still holds 0x%02x", i, agent->held);
        for (uint32_t g = 0; g < plan_now->n_gateways; g++)
            if (plan_now->gateways[g].state != HEALTH_UP ||
                plan_now->gateways[g].share_ppm != PPM_ONE)
                return error_set(reterr, ERROR_NOT_HELD, "agent %u has gateway %u %s with %u ppm",
                                 i, g, health_state_name(plan_now->gateways[g].state),
                                 plan_now->gateways[g].share_ppm);
        if (first == NULL)
            first = plan_now;
        if (plan_now->fleet_digest != first->fleet_digest)
            return error_set(reterr, ERROR_NOT_HELD,
                             "invariant 5: agents 0 and %u have other fleet parts", i);
        int r = sim_check_same_way(fleet->model, first, plan_now, fleet->seed, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

SimFleet *sim_fleet_free(SimFleet *fleet)
{
    if (fleet == NULL)
        return NULL;
    for (uint32_t i = 0; i < fleet->model->n_regions; i++) {
        (void)core_free(fleet->agents[i].core);
        sim_disk_done(&fleet->agents[i]);
    }
    for (size_t i = 0; i < fleet->heap.n; i++)
        sim_message_release(&fleet->messages, fleet->heap.events[i].message);
    sim_heap_done(&fleet->heap);
    sim_messages_done(&fleet->messages);
    (void)arena_free(fleet->arena);
    free(fleet);
    return NULL;
}
