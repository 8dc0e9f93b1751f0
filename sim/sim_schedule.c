// SPDX-License-Identifier: MIT
// sim_schedule: see sim_schedule.h.
#include "sim_schedule.h"

#include "hash.h"

#define FAULTS_MAX 12
#define MS NS_PER_MS

static int64_t below(Rng *rng, int64_t bound)
{
    return (int64_t)rng_below(rng, (uint64_t)bound);
}

static bool one_in(Rng *rng, uint64_t n)
{
    return rng_below(rng, n) == 0;
}

static uint32_t some_regions(Rng *rng, const Model *model)
{
    uint32_t mask = SIM_ONE(rng_below(rng, model->n_regions));
    if (one_in(rng, 4))
        mask |= SIM_ONE(rng_below(rng, model->n_regions));
    if (one_in(rng, 4)) {
        uint32_t cloud = (uint32_t)rng_below(rng, model->n_clouds);
        mask = 0;
        for (uint32_t i = 0; i < model->n_regions; i++)
            mask |= model->regions[i].cloud == cloud ? SIM_ONE(i) : 0;
    }
    if (one_in(rng, 16))
        mask = (uint32_t)rng_below(rng, sim_world_all(model)) + 1;
    return mask;
}

static int64_t some_value(Rng *rng, SimFault *fault)
{
    switch (fault->kind) {
    case FAULT_LOSS:
        return one_in(rng, 2) ? PPM_ONE : 1 + below(rng, PPM_ONE);
    case FAULT_SLOW:
        return (1 + below(rng, 10000)) * MS;
    case FAULT_CLOCK: {
        int64_t off_ms = 1 + below(rng, 600000);
        return (one_in(rng, 2) ? off_ms : -off_ms) * MS;
    }
    case FAULT_ERRORS:
        return one_in(rng, 2) ? 0 : 1 + below(rng, PPM_ONE);
    case FAULT_USERS:
        return 1 + below(rng, PPM_ONE);
    case FAULT_DELAY:
        return (1 + below(rng, 500)) * MS;
    case FAULT_LIE:
        return below(rng, SIM_LIE_MAX);
    case FAULT_LAG:
        return (1 + below(rng, 10000)) * MS;
    case FAULT_OLD:
        return (1 + below(rng, 15000)) * MS;
    case FAULT_CHAOS:
        return 1 + below(rng, 200000);
    case FAULT_PROBE_LOSS:
        return 1 + below(rng, 500000);
    default:
        return 0;
    }
}

SimFault sim_schedule_fault(Rng *rng, const Model *model)
{
    static const int64_t LENGTHS_MS[] = {200, 2000, 8000, 30000};
    int64_t from_ms = below(rng, SIM_SCHEDULE_MS - 1);
    int64_t until_ms = from_ms + 1 + below(rng, LENGTHS_MS[rng_below(rng, ARRAY_SIZE(LENGTHS_MS))]);
    SimFault fault = {
        .kind = (SimFaultKind)rng_below(rng, FAULT_MAX),
        .a = some_regions(rng, model),
        .from_ns = from_ms,
        .until_ns = until_ms < SIM_SCHEDULE_MS ? until_ms : SIM_SCHEDULE_MS,
    };
    fault.value = some_value(rng, &fault);
    if (fault.kind == FAULT_LOSS || fault.kind == FAULT_DELAY || fault.kind == FAULT_LIE)
        fault.b = one_in(rng, 2) ? sim_world_all(model) : some_regions(rng, model);
    if (fault.kind == FAULT_LOSS || fault.kind == FAULT_DELAY)
        fault.both = one_in(rng, 2);
    if (fault.kind == FAULT_DELAY)
        fault.jitter_ns = below(rng, fault.value / MS + 1) * MS;
    return fault;
}

static SimWish some_wish(Rng *rng, const Model *model, int64_t at_ms)
{
    static const char *const TARGETS[] = {"region:us-west-2", "cloud:azure", "region:us-east1",
                                          "cloud:aws",        "fleet",       "region:us-east-1"};
    static const IntentKind KINDS[] = {INTENT_DRAIN, INTENT_NEVER,       INTENT_WEIGHT,
                                       INTENT_DRAIN, INTENT_RESET_FLAPS, INTENT_RELEASE};
    size_t i = (size_t)rng_below(rng, ARRAY_SIZE(TARGETS));
    SimWish wish = {
        .at_ms = at_ms,
        .agent = (uint32_t)rng_below(rng, model->n_regions),
        .kind = KINDS[i],
        .target = TARGETS[i],
        .region = "",
        .weight_ppm = KINDS[i] == INTENT_WEIGHT ? 1 + (uint32_t)rng_below(rng, PPM_ONE) : 0,
    };
    if (wish.kind == INTENT_DRAIN || wish.kind == INTENT_NEVER || wish.kind == INTENT_WEIGHT)
        wish.for_ms = SIM_SCHEDULE_MS - at_ms;
    return wish;
}

void sim_schedule_make(uint64_t seed, const char *name, SimScenario *ret_scenario)
{
    Rng rng = rng_seeded(hash_mix(seed));
    static const char *const LAYOUTS[] = {NULL, "world", NULL, "world", "twelve"};
    SimScenario scenario = {
        .name = name,
        .text = "found by a search",
        .layout = LAYOUTS[rng_below(&rng, ARRAY_SIZE(LAYOUTS))],
        .run_ms = SIM_SCHEDULE_MS,
        .traffic_rps = one_in(&rng, 3) ? (uint32_t)rng_below(&rng, 1000) : 0,
        .live = true,
    };
    if (scenario.traffic_rps == 0 && one_in(&rng, 2))
        scenario.clients_ppm = 10000 * (uint32_t)(20 + rng_below(&rng, 60));
    const char *layout = scenario.layout != NULL ? scenario.layout : "guide";
    const Model *model = sim_layout_find(layout)->model;
    size_t n_faults = 1 + (size_t)rng_below(&rng, FAULTS_MAX);
    for (size_t i = 0; i < n_faults; i++)
        scenario.faults[i] = sim_schedule_fault(&rng, model);
    size_t n_wishes = one_in(&rng, 2) ? (size_t)rng_below(&rng, SIM_MAX_WISHES) : 0;
    int64_t at_ms = 0;
    for (size_t i = 0; i < n_wishes; i++) {
        at_ms += 1 + below(&rng, SIM_SCHEDULE_MS / SIM_MAX_WISHES - 1);
        scenario.wishes[i] = some_wish(&rng, model, at_ms);
    }
    *ret_scenario = scenario;
}
