// SPDX-License-Identifier: MIT
// sim_world: see sim_world.h. TCP in rough: a lost packet comes again after the round trip and
// 200 ms, doubling; a SYN after 1, 3, 7 s; a TLS flight is three packets. Latency scatters by about
// a tenth. Traps: a one-way loss stops both directions of a connection; a hang still takes SYNs.
#include "sim_world.h"

#define TRIES 6
#define SLOW_PER_S 3 / 10 // a queue that grows by 0.3 s every second, and
#define DRAIN_PER_S 1 / 2 // shrinks by 0.5 s afterwards

#define MS NS_PER_MS
#define NEAR (8 * MS)
#define COAST (65 * MS)
SimRtt SIM_RTT_GUIDE = {
    {1 * MS, COAST, NEAR, COAST, NEAR, COAST}, {COAST, 1 * MS, COAST, NEAR, COAST, NEAR},
    {NEAR, COAST, 1 * MS, COAST, NEAR, COAST}, {COAST, NEAR, COAST, 1 * MS, COAST, NEAR},
    {NEAR, COAST, NEAR, COAST, 1 * MS, COAST}, {COAST, NEAR, COAST, NEAR, COAST, 1 * MS},
};
// Oregon, Virginia, Ireland, Oregon, Virginia, Singapore
SimRtt SIM_RTT_WORLD = {
    {1 * MS, 65 * MS, 140 * MS, 8 * MS, 65 * MS, 170 * MS},
    {65 * MS, 1 * MS, 80 * MS, 65 * MS, 8 * MS, 220 * MS},
    {140 * MS, 80 * MS, 1 * MS, 140 * MS, 80 * MS, 160 * MS},
    {8 * MS, 65 * MS, 140 * MS, 1 * MS, 65 * MS, 170 * MS},
    {65 * MS, 8 * MS, 80 * MS, 65 * MS, 1 * MS, 220 * MS},
    {170 * MS, 220 * MS, 160 * MS, 170 * MS, 220 * MS, 1 * MS},
};

static bool active(const SimFault *fault, int64_t t_ns)
{
    return t_ns >= fault->from_ns && t_ns < fault->until_ns;
}

void sim_world_begin(SimWorld *world)
{
    uint32_t there = 0;
    for (size_t i = 0; i < world->n_faults; i++)
        there |= 1U << world->faults[i].kind;
    world->absent = ~there;
}

const SimFault *sim_world_fault(const SimWorld *world, SimFaultKind kind, uint32_t region,
                                int64_t t_ns)
{
    if ((world->absent >> kind & 1) != 0)
        return NULL;
    for (size_t i = 0; i < world->n_faults; i++) {
        const SimFault *fault = &world->faults[i];
        if (fault->kind == kind && (fault->a >> region & 1) != 0 && active(fault, t_ns))
            return fault;
    }
    return NULL;
}

static bool lost(SimWorld *world, uint64_t ppm)
{
    return ppm > 0 && (ppm >= PPM_ONE || rng_below(&world->rng, PPM_ONE) < ppm);
}

static bool on_path(const SimFault *fault, uint32_t a, uint32_t b)
{
    return (fault->a >> a & 1 && fault->b >> b & 1) ||
           (fault->both && fault->a >> b & 1 && fault->b >> a & 1);
}

// All of `packets` arrive.
static bool passes(SimWorld *world, uint32_t a, uint32_t b, int64_t t_ns, int packets)
{
    if (a == b)
        return true;
    for (int i = 0; i < packets; i++)
        if (lost(world, world->loss_ppm))
            return false;
    for (size_t k = 0; (world->absent >> FAULT_LOSS & 1) == 0 && k < world->n_faults; k++) {
        const SimFault *fault = &world->faults[k];
        if (fault->kind != FAULT_LOSS || !active(fault, t_ns))
            continue;
        bool hit = on_path(fault, a, b);
        for (int i = 0; hit && i < packets; i++)
            if (lost(world, (uint64_t)fault->value))
                return false;
    }
    return true;
}

// Sum of four uniform draws: between -20 % and +20 %, mostly within 10 %.
static int64_t latency(SimWorld *world, uint32_t a, uint32_t b)
{
    int64_t rtt = world->rtt_ns[a][b], scatter = -200000;
    for (int i = 0; i < 4; i++)
        scatter += (int64_t)rng_below(&world->rng, 100001);
    return rtt + rtt / 1000 * scatter / 1000;
}

// What slow links add to one way from a to b.
static int64_t detour(SimWorld *world, uint32_t a, uint32_t b, int64_t t_ns)
{
    int64_t sum = 0;
    if ((world->absent >> FAULT_DELAY & 1) != 0 || a == b)
        return 0;
    for (size_t i = 0; i < world->n_faults; i++) {
        const SimFault *fault = &world->faults[i];
        if (fault->kind != FAULT_DELAY || !active(fault, t_ns) || !on_path(fault, a, b))
            continue;
        int64_t scatter = (int64_t)rng_below(&world->rng, (uint64_t)(2 * fault->jitter_ns) + 1);
        int64_t more = fault->value + scatter - fault->jitter_ns;
        sum += more > 0 ? more : 0;
    }
    return sum;
}

static int64_t delay(const SimWorld *world, uint32_t gateway, int64_t t_ns)
{
    int64_t worst = world->queue_ns[gateway];
    for (size_t i = 0; (world->absent >> FAULT_SLOW & 1) == 0 && i < world->n_faults; i++) {
        const SimFault *fault = &world->faults[i];
        if (fault->kind != FAULT_SLOW || (fault->a >> gateway & 1) == 0 || t_ns < fault->from_ns)
            continue;
        int64_t end = t_ns < fault->until_ns ? t_ns : fault->until_ns;
        int64_t grown = (end - fault->from_ns) * SLOW_PER_S;
        if (grown > fault->value)
            grown = fault->value;
        grown -= (t_ns - end) * DRAIN_PER_S;
        worst = grown > worst ? grown : worst;
    }
    return worst;
}

typedef struct Stage {
    int packets_out, packets_back;
    int64_t rto_ns;
    bool by_kernel; // answered even by a stopped process
    bool work;      // the request itself
} Stage;

static bool spoiled(SimWorld *world, uint32_t gateway, int64_t t_ns)
{
    const SimFault *fault = sim_world_fault(world, FAULT_ERRORS, gateway, t_ns);
    return fault != NULL && (fault->value == 0 || lost(world, (uint64_t)fault->value));
}

static SimAnswer stage(SimWorld *world, uint32_t a, uint32_t b, int64_t *at_ns, Stage s)
{
    for (int k = 0; k < TRIES; k++) {
        int64_t rtt = latency(world, a, b);
        if (passes(world, a, b, *at_ns, s.packets_out)) {
            int64_t there = *at_ns + rtt / 2 + detour(world, a, b, *at_ns);
            if (sim_world_fault(world, FAULT_DEAD, b, there) != NULL)
                return SIM_ANSWER_NONE;
            if (sim_world_fault(world, FAULT_REFUSE, b, there) != NULL) {
                *at_ns = there + rtt / 2 + detour(world, b, a, there);
                return SIM_ANSWER_REFUSED;
            }
            if (!s.by_kernel && sim_world_fault(world, FAULT_HANG, b, there) != NULL)
                return SIM_ANSWER_NONE;
            int64_t done = there + (s.work ? delay(world, b, there) : 0);
            bool bad = s.work && spoiled(world, b, done);
            if (passes(world, b, a, done, s.packets_back)) {
                *at_ns = done + rtt / 2 + detour(world, b, a, done);
                return bad ? SIM_ANSWER_BAD : SIM_ANSWER_OK;
            }
        }
        *at_ns += s.rto_ns;
        s.rto_ns *= 2;
    }
    return SIM_ANSWER_NONE;
}

SimAnswer sim_world_kept(SimWorld *world, uint32_t a, uint32_t b, int64_t *at_ns)
{
    int64_t rtt = world->rtt_ns[a][b];
    return stage(
        world, a, b, at_ns,
        (Stage){.packets_out = 1, .packets_back = 1, .rto_ns = rtt + 200 * MS, .work = true});
}

SimAnswer sim_world_fresh(SimWorld *world, uint32_t a, uint32_t b, int64_t *at_ns)
{
    int64_t rtt = world->rtt_ns[a][b];
    const Stage stages[] = {
        {.packets_out = 1, .packets_back = 1, .rto_ns = NS_PER_S, .by_kernel = true},
        {.packets_out = 1, .packets_back = 3, .rto_ns = 2 * rtt + 200 * MS},
        {.packets_out = 2, .packets_back = 1, .rto_ns = rtt + 200 * MS, .work = true},
    };
    SimAnswer answer = SIM_ANSWER_OK;
    for (size_t i = 0; i < sizeof stages / sizeof stages[0] && answer == SIM_ANSWER_OK; i++)
        answer = stage(world, a, b, at_ns, stages[i]);
    return answer;
}

static SimAnswer wrong_for_probes(const SimWorld *world, uint32_t gateway, int64_t at_ns,
                                  SimAnswer answer)
{
    bool wrong = sim_world_fault(world, FAULT_PROBES, gateway, at_ns) != NULL;
    return wrong && answer == SIM_ANSWER_OK ? SIM_ANSWER_BAD : answer;
}

SimAnswer sim_world_probe(SimWorld *world, uint32_t a, uint32_t b, bool kept, int64_t hedge_ns,
                          int64_t *at_ns)
{
    int64_t sent = *at_ns;
    const SimFault *nowhere = sim_world_fault(world, FAULT_PROBE_LOSS, a, sent);
    if (nowhere != NULL && lost(world, (uint64_t)nowhere->value))
        return SIM_ANSWER_NONE;
    SimAnswer answer = kept ? sim_world_kept(world, a, b, at_ns) : SIM_ANSWER_REFUSED;
    if (answer == SIM_ANSWER_REFUSED)
        answer = sim_world_fresh(world, a, b, at_ns);
    if (answer != SIM_ANSWER_NONE && *at_ns <= sent + hedge_ns)
        return wrong_for_probes(world, b, *at_ns, answer);
    int64_t hedged = sent + hedge_ns;
    SimAnswer second = sim_world_fresh(world, a, b, &hedged);
    if (second != SIM_ANSWER_NONE && (answer == SIM_ANSWER_NONE || hedged < *at_ns)) {
        *at_ns = hedged;
        answer = second;
    }
    return wrong_for_probes(world, b, *at_ns, answer);
}
