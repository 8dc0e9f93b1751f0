// SPDX-License-Identifier: MIT
// sim_load: see sim_load.h. The wait at a gateway is what stands before it plus that of a queue
// with even service times (M/D/1: half of rho / (1 - rho) service times).
#include "sim_load.h"

#include "sim_agent.h"

#define MILLI UINT64_C(1000)
#define TICKS_PER_S (NS_PER_S / SIM_LOAD_TICK_NS)
#define QUEUE_NS (500 * NS_PER_MS) // what an edge lets wait at most; beyond it answers 503
#define SERVICE_NS (10 * NS_PER_MS)
#define RHO_MAX_PPM 990000

// Takes connections and answers.
static bool works(const SimFleet *fleet, uint32_t gateway)
{
    static const SimFaultKind KINDS[] = {FAULT_REFUSE, FAULT_HANG, FAULT_DEAD};
    for (size_t i = 0; i < ARRAY_SIZE(KINDS); i++)
        if (sim_world_fault(&fleet->world, KINDS[i], gateway, fleet->now_ns) != NULL)
            return false;
    return true;
}

static void read_plan(SimFleet *fleet, uint32_t region)
{
    const SimAgent *agent = &fleet->agents[region];
    SimReader *reader = &fleet->load.readers[region];
    if (agent->core == NULL ||
        sim_world_fault(&fleet->world, FAULT_STALE, region, fleet->now_ns) != NULL)
        return; // it keeps the last good one
    const Plan *plan = core_plan(agent->core);
    if (plan->number == reader->number)
        return;
    reader->number = plan->number;
    for (uint32_t k = 0; k < plan->n_groups && k < SIM_REGIONS_MAX; k++) {
        const PlanRoute *route = plan_route(plan, 0, SERVICE_CLASS_READ, k);
        reader->n[k] = route->n_entries < SIM_REGIONS_MAX ? route->n_entries : SIM_REGIONS_MAX;
        for (uint32_t i = 0; i < reader->n[k]; i++)
            reader->entries[k][i] = route->entries[i];
    }
    uint32_t n = plan->n_forward[SERVICE_CLASS_READ];
    reader->n_forward = n < SIM_REGIONS_MAX ? n : SIM_REGIONS_MAX;
    for (uint32_t i = 0; i < reader->n_forward; i++)
        reader->forward[i] = plan->forward[SERVICE_CLASS_READ][i];
}

typedef struct Tick {
    uint64_t demand, failed, retried, shed;
    bool works[SIM_REGIONS_MAX];
} Tick;

// The next entry that a client tries: the first of another cloud than the one that failed, or else
// the first other one.
static int second_try(const SimFleet *fleet, const SimReader *reader, uint32_t group,
                      uint32_t failed)
{
    int other = -1;
    for (uint32_t i = 0; i < reader->n[group]; i++) {
        uint32_t g = reader->entries[group][i].gateway;
        if (g == failed)
            continue;
        if (fleet->model->regions[g].cloud != fleet->model->regions[failed].cloud)
            return (int)g;
        if (other < 0)
            other = (int)g;
    }
    return other;
}

static void hand_out(SimFleet *fleet, Tick *tick, const SimReader *reader, uint32_t group,
                     uint64_t amount)
{
    SimEndpoint *ends = fleet->load.ends;
    uint64_t left = amount;
    for (uint32_t i = 0; i < reader->n[group]; i++) {
        const PlanEntry *entry = &reader->entries[group][i];
        bool last = i + 1 == reader->n[group];
        uint64_t part = last ? left : amount * entry->share_ppm / PPM_ONE;
        if (part > left)
            part = left;
        left -= part;
        uint32_t g = entry->gateway;
        if (part == 0)
            continue;
        if (!tick->works[g]) {
            int second = second_try(fleet, reader, group, g);
            tick->retried += part;
            if (second < 0 || !tick->works[second]) {
                tick->failed += part;
                continue;
            }
            g = (uint32_t)second;
        }
        ends[g].offered += part;
    }
}

// Every group asks the DNS of every region that answers, alike.
static void spread_demand(SimFleet *fleet, Tick *tick)
{
    const Model *model = fleet->model;
    const SimReader *readers[SIM_REGIONS_MAX];
    uint32_t n = 0;
    for (uint32_t r = 0; r < model->n_regions; r++) {
        bool answers = sim_world_fault(&fleet->world, FAULT_DEAD, r, fleet->now_ns) == NULL;
        if (answers && fleet->load.readers[r].number != 0)
            readers[n++] = &fleet->load.readers[r];
    }
    for (uint32_t k = 0; k < model->n_groups && k < SIM_REGIONS_MAX; k++) {
        uint64_t amount = (uint64_t)fleet->load.demand_rps * MILLI / TICKS_PER_S *
                          model->groups[k].demand_ppm / PPM_ONE;
        tick->demand += amount;
        if (n == 0)
            tick->failed += amount;
        for (uint32_t i = 0; i < n; i++)
            hand_out(fleet, tick, readers[i], k, amount / n + (i == 0 ? amount % n : 0));
    }
}

// An edge without replicas hands on to one other gateway, by the shares of its plan.
static void forward(SimFleet *fleet, Tick *tick)
{
    SimEndpoint *ends = fleet->load.ends;
    for (uint32_t g = 0; g < fleet->model->n_regions; g++) {
        const SimReader *reader = &fleet->load.readers[g];
        if (ends[g].offered == 0 ||
            sim_world_fault(&fleet->world, FAULT_REPLICA, g, fleet->now_ns) == NULL)
            continue;
        uint64_t amount = ends[g].offered, left = amount;
        ends[g].offered = 0;
        for (uint32_t i = 0; i < reader->n_forward; i++) {
            const PlanEntry *entry = &reader->forward[i];
            uint64_t part = amount * entry->share_ppm / PPM_ONE;
            if (part > left || i + 1 == reader->n_forward)
                part = left;
            if (!tick->works[entry->gateway])
                continue;
            left -= part;
            ends[entry->gateway].forwarded += part;
        }
        tick->failed += left;
    }
}

static uint64_t error_ppm(const SimFleet *fleet, uint32_t gateway)
{
    const SimFault *all = sim_world_fault(&fleet->world, FAULT_ERRORS, gateway, fleet->now_ns);
    const SimFault *users = sim_world_fault(&fleet->world, FAULT_USERS, gateway, fleet->now_ns);
    uint64_t ppm = users != NULL ? (uint64_t)users->value : 0;
    if (all != NULL)
        ppm = all->value == 0 ? PPM_ONE : (uint64_t)all->value;
    return ppm < PPM_ONE ? ppm : PPM_ONE;
}

static int64_t wait_of(const SimEndpoint *end, uint64_t capacity_rps)
{
    uint64_t rho_ppm = (uint64_t)end->offered_rps * PPM_ONE / capacity_rps;
    if (rho_ppm > RHO_MAX_PPM)
        rho_ppm = RHO_MAX_PPM;
    uint64_t slot_ns = (uint64_t)NS_PER_S / capacity_rps;
    uint64_t random_ns = slot_ns * rho_ppm / (2 * (PPM_ONE - rho_ppm));
    return (int64_t)(end->backlog * (uint64_t)NS_PER_S / (capacity_rps * MILLI) + random_ns);
}

// The queue of one gateway for a tick, and what its agent hears of it.
static int serve(SimFleet *fleet, Tick *tick, uint32_t gateway, Error *reterr)
{
    SimEndpoint *end = &fleet->load.ends[gateway];
    uint64_t capacity_rps = fleet->model->regions[gateway].capacity_rps;
    uint64_t can = capacity_rps * MILLI / TICKS_PER_S;
    uint64_t most = capacity_rps * MILLI / (uint64_t)(NS_PER_S / QUEUE_NS);
    uint64_t arrived = end->offered + end->forwarded, room = most + can - end->backlog;
    uint64_t shed = arrived > room ? arrived - room : 0;
    uint64_t work = end->backlog + arrived - shed, served = work < can ? work : can;
    if (!tick->works[gateway]) {
        tick->failed += end->backlog; // what waits in a dead gateway
        work = served = 0;
    }
    uint64_t wrong = served * error_ppm(fleet, gateway) / PPM_ONE;
    end->backlog = work - served;
    end->offered_rps = (uint32_t)(arrived * TICKS_PER_S / MILLI);
    end->shed_rps = (uint32_t)(shed * TICKS_PER_S / MILLI);
    end->wait_ns = SERVICE_NS + wait_of(end, capacity_rps);
    end->answered_rest += served - wrong;
    end->failed_rest += wrong;
    tick->shed += shed;
    tick->failed += wrong;
    uint64_t load_ppm = end->offered_rps * UINT64_C(1000000) / capacity_rps;
    if (tick->works[gateway] && load_ppm > fleet->load.load_ppm)
        fleet->load.load_ppm = (uint32_t)load_ppm;
    if (tick->works[gateway] && end->wait_ns > fleet->load.worst_wait_ns)
        fleet->load.worst_wait_ns = end->wait_ns;
    fleet->world.queue_ns[gateway] = fleet->load.queued_probes ? end->wait_ns : 0;
    end->offered = end->forwarded = 0;
    if (fleet->agents[gateway].core == NULL ||
        sim_world_fault(&fleet->world, FAULT_FREEZE, gateway, fleet->now_ns) != NULL)
        return 0;
    uint32_t successes = (uint32_t)(end->answered_rest / MILLI);
    uint32_t failures = (uint32_t)(end->failed_rest / MILLI);
    end->answered_rest %= MILLI;
    end->failed_rest %= MILLI;
    return sim_agent_event(
        fleet, gateway,
        (CoreEvent){
            .kind = CORE_EVENT_EDGE,
            .u.edge = {.gateway = gateway,
                       .successes = successes,
                       .failures = failures,
                       .any_success = successes > 0,
                       .success_sent = mono_add(sim_agent_mono(fleet, gateway), -end->wait_ns),
                       .load_rps = end->offered_rps}},
        reterr);
}

int sim_load_tick(SimFleet *fleet, Error *reterr)
{
    SimLoad *load = &fleet->load;
    Tick tick = {0};
    load->ticks++;
    load->load_ppm = 0;
    load->worst_wait_ns = 0;
    for (uint32_t r = 0; r < fleet->model->n_regions; r++) {
        tick.works[r] = works(fleet, r);
        read_plan(fleet, r);
    }
    spread_demand(fleet, &tick);
    forward(fleet, &tick);
    int r = 0;
    for (uint32_t g = 0; g < fleet->model->n_regions && r >= 0; g++)
        r = serve(fleet, &tick, g, reterr);
    uint64_t demand = tick.demand > 0 ? tick.demand : 1;
    load->shed_ppm = (uint32_t)(tick.shed * PPM_ONE / demand);
    load->failed_ppm = (uint32_t)(tick.failed * PPM_ONE / demand);
    load->retried_ppm = (uint32_t)(tick.retried * PPM_ONE / demand);
    return r;
}
