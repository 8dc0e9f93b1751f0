// SPDX-License-Identifier: MIT
// sim_fault_model: see sim_fault_model.h.
#include "sim_fault_model.h"

#include "attr.h"
#include "hash.h"

#define HOUR_NS (3600 * NS_PER_S)
#define LN2_Q32 UINT64_C(2977044472)

typedef enum Scope { SCOPE_REGION, SCOPE_LINK, SCOPE_FLEET, SCOPE_CLOUD } Scope;

static const struct {
    const char *name;
    Scope scope;
    uint32_t per_1000_hours; // of each
    int64_t mean_ns;
    int64_t value;
} KINDS[TROUBLE_MAX] = {
    [TROUBLE_UPLINK_BURST] = {"uplink burst", SCOPE_REGION, 500, 2 * NS_PER_S, PPM_ONE / 2},
    [TROUBLE_LINK_BURST] = {"link burst", SCOPE_LINK, 500, 3 * NS_PER_S, PPM_ONE / 10 * 7},
    [TROUBLE_UPLINK_OUTAGE] = {"uplink outage", SCOPE_REGION, 50, 20 * NS_PER_S, PPM_ONE},
    [TROUBLE_LINK_SLOW] = {"link slow", SCOPE_LINK, 200, 30 * NS_PER_S, 0},
    [TROUBLE_TRANSIT] = {"transit cut", SCOPE_FLEET, 20, 30 * NS_PER_S, PPM_ONE},
    [TROUBLE_CLOUD_ALONE] = {"cloud cut off", SCOPE_CLOUD, 10, 20 * NS_PER_S, PPM_ONE},
    [TROUBLE_CLOUD_PAIR] = {"cloud pair", SCOPE_CLOUD, 50, 10 * NS_PER_S, PPM_ONE / 10 * 9},
    [TROUBLE_AGENT_FROZEN] = {"agent frozen", SCOPE_REGION, 100, 3 * NS_PER_S, 0},
    [TROUBLE_AGENT_RESTART] = {"agent restart", SCOPE_REGION, 100, 2 * NS_PER_S, 0},
    [TROUBLE_GATEWAY_RESTART] = {"gateway restart", SCOPE_REGION, 100, 200 * NS_PER_MS, 0},
};

const char *sim_trouble_name(SimTroubleKind kind)
{
    return KINDS[kind].name;
}

// -log2(u / 2^64) with 24 bits behind the point, one after another by squaring.
static uint64_t minus_log2_q24(uint64_t u)
{
    uint32_t zeros = (uint32_t)__builtin_clzll(u | 1);
    uint64_t mantissa = u << zeros >> 32, fraction = 0; // 2^31 is one
    for (int i = 0; i < 24; i++) {
        uint64_t square = mantissa * mantissa; // 2^62 is one
        uint64_t bit = square >> 63;
        mantissa = square >> (31 + bit);
        fraction = fraction << 1 | bit;
    }
    return ((uint64_t)(zeros + 1) << 24) - fraction;
}

int64_t sim_exponential_ns(Rng *rng, int64_t mean_ns)
{
    uint64_t factor_q16 = minus_log2_q24(rng_next(rng)) * LN2_Q32 >> 40;
    uint64_t us = (uint64_t)(mean_ns / NS_PER_US) * factor_q16 >> 16;
    return (int64_t)us * NS_PER_US;
}

static void draw(SimFaultModel *model, SimTroubleSource *source, int64_t after_ns)
{
    int64_t gap_ns = HOUR_NS / (KINDS[source->next.kind].per_1000_hours * model->times) * 1000;
    source->next.from_ns = after_ns + sim_exponential_ns(&source->rng, gap_ns);
    source->next.until_ns = source->next.from_ns + NS_PER_US +
                            sim_exponential_ns(&source->rng, KINDS[source->next.kind].mean_ns);
}

static void add_source(SimFaultModel *model, uint64_t seed, int64_t start_ns, SimTroubleKind kind,
                       uint32_t a, uint32_t b)
{
    ASSERT(model->n_sources < SIM_TROUBLE_SOURCES);
    SimTroubleSource *source = &model->sources[model->n_sources++];
    uint64_t own = hash_u64(hash_u64(hash_u64(seed, kind), a), b);
    *source = (SimTroubleSource){.rng = rng_seeded(hash_mix(own)),
                                 .next = {.kind = kind, .a = a, .b = b}};
    draw(model, source, start_ns);
}

void sim_fault_model_begin(SimFaultModel *model, uint32_t times, uint64_t seed, int64_t start_ns)
{
    *model = (SimFaultModel){.times = times};
    for (int k = 0; k < TROUBLE_MAX; k++) {
        SimTroubleKind kind = (SimTroubleKind)k;
        switch (KINDS[k].scope) {
        case SCOPE_REGION:
            for (uint32_t a = 0; a < SIM_REGIONS; a++)
                add_source(model, seed, start_ns, kind, a, 0);
            break;
        case SCOPE_LINK:
            for (uint32_t a = 0; a < SIM_REGIONS; a++)
                for (uint32_t b = a + 1; b < SIM_REGIONS; b++)
                    add_source(model, seed, start_ns, kind, a, b);
            break;
        case SCOPE_CLOUD:
            for (uint32_t a = 0; a < 3; a++)
                add_source(model, seed, start_ns, kind, a, (a + 1) % 3);
            break;
        case SCOPE_FLEET:
            add_source(model, seed, start_ns, kind, 0, 0);
            break;
        }
    }
}

static const SimTroubleSource *earliest(const SimFaultModel *model)
{
    const SimTroubleSource *first = &model->sources[0];
    for (uint32_t i = 1; i < model->n_sources; i++)
        if (model->sources[i].next.from_ns < first->next.from_ns)
            first = &model->sources[i];
    return first;
}

const SimTrouble *sim_fault_model_next(const SimFaultModel *model)
{
    return &earliest(model)->next;
}

void sim_fault_model_take(SimFaultModel *model)
{
    SimTroubleSource *source = &model->sources[earliest(model) - model->sources];
    draw(model, source, source->next.until_ns);
}

size_t sim_trouble_parts(const SimTrouble *trouble, const SimWorld *world,
                         SimFault ret_parts[SIM_TROUBLE_PARTS])
{
    SimFault fault = {.kind = FAULT_LOSS,
                      .a = SIM_ONE(trouble->a),
                      .b = SIM_ONE(trouble->b),
                      .both = true,
                      .from_ns = trouble->from_ns,
                      .until_ns = trouble->until_ns,
                      .value = KINDS[trouble->kind].value};
    size_t n = 1;
    switch (trouble->kind) {
    case TROUBLE_LINK_SLOW: // twice the round trip more each way: five times in all
        fault.kind = FAULT_DELAY;
        fault.value = 2 * world->rtt_ns[trouble->a][trouble->b];
        break;
    case TROUBLE_UPLINK_BURST:
    case TROUBLE_UPLINK_OUTAGE:
        fault.b = SIM_ALL & ~SIM_ONE(trouble->a);
        break;
    case TROUBLE_TRANSIT:
        fault.a = SIM_CLOUD(0);
        fault.b = SIM_CLOUD(1) | SIM_CLOUD(2);
        ret_parts[n] = fault;
        ret_parts[n].a = SIM_CLOUD(1);
        ret_parts[n++].b = SIM_CLOUD(2);
        break;
    case TROUBLE_CLOUD_ALONE:
        fault.a = SIM_CLOUD(trouble->a);
        fault.b = SIM_ALL & ~SIM_CLOUD(trouble->a);
        break;
    case TROUBLE_CLOUD_PAIR:
        fault.a = SIM_CLOUD(trouble->a);
        fault.b = SIM_CLOUD(trouble->b);
        break;
    case TROUBLE_AGENT_FROZEN:
        fault.kind = FAULT_FREEZE;
        break;
    case TROUBLE_AGENT_RESTART:
        fault.kind = FAULT_RESTART;
        break;
    case TROUBLE_GATEWAY_RESTART:
        fault.kind = FAULT_REFUSE;
        break;
    default: // LINK_BURST
        break;
    }
    ret_parts[0] = fault;
    return n;
}
