// SPDX-License-Identifier: MIT
// sim_random: random faults on a whole fleet; see sim_random.h. A round is a minute of faults, then
// none, until the fleet is calm again: that it gets there is part of what is tested (no verdict
// survives its reason, no two agents stay apart).
#include "sim_random.h"

#include "hash.h"
#include "sim_schedule.h"

#define FAULTS_MAX 12
#define FAULT_TIME_NS (60 * NS_PER_S)
// Longest hold, then up time, return steps and some slack.
#define CALM_TIME_NS (FAULT_TIME_NS + 360 * NS_PER_S)
#define CALM_STEP_NS (5 * NS_PER_S)

static int64_t below(Rng *rng, int64_t bound)
{
    return (int64_t)rng_below(rng, (uint64_t)bound);
}

static SimFault some_fault(Rng *rng)
{
    SimFault fault = sim_schedule_fault(rng, sim_model());
    fault.from_ns *= NS_PER_MS;
    fault.until_ns *= NS_PER_MS;
    if (fault.kind == FAULT_OLD && fault.value > fault.from_ns)
        fault.value = fault.from_ns; // no disk is older than the fleet
    return fault;
}

static const Intent *some_intent(Rng *rng, Mono now, Intent *intent)
{
    static const char *const TARGETS[] = {"region:us-west-2", "cloud:azure", "region:us-east1",
                                          "cloud:aws",        "fleet",       "prefix:10.0.0.0/8"};
    static const IntentKind KINDS[] = {INTENT_DRAIN, INTENT_NEVER,       INTENT_WEIGHT,
                                       INTENT_DRAIN, INTENT_RESET_FLAPS, INTENT_PIN};
    size_t i = (size_t)rng_below(rng, ARRAY_SIZE(TARGETS));
    IntentKind kind = i < 2 ? (IntentKind)rng_below(rng, 2) : KINDS[i];
    int64_t wall_ns = INT64_C(1700000000) * NS_PER_S + now.ns;
    *intent = (Intent){
        .kind = kind,
        .target = TARGETS[i],
        .region = kind == INTENT_PIN ? "eastus" : "",
        .value_ppm = kind == INTENT_WEIGHT ? (uint32_t)rng_below(rng, PPM_ONE) : 0,
        .author = "sim",
        .reason = "random",
        .stamp = (wall_ns / 1000) << 8 | 1,
        .created = {wall_ns},
        .expires = {INT64_C(1700000000) * NS_PER_S + FAULT_TIME_NS},
    };
    if (kind == INTENT_RESET_FLAPS || rng_below(rng, 4) == 0)
        intent->kind = kind == INTENT_RESET_FLAPS ? kind : INTENT_RELEASE;
    return intent;
}

static int run_round(SimFleet *fleet, Rng *rng, Error *reterr)
{
    int64_t wish_ns = below(rng, 40 * NS_PER_S);
    int r;
    while ((r = sim_fleet_step(fleet, FAULT_TIME_NS, reterr)) > 0) {
        if (fleet->now_ns < wish_ns)
            continue;
        Intent intent;
        wish_ns += below(rng, 40 * NS_PER_S) + 1;
        uint32_t agent = (uint32_t)rng_below(rng, SIM_REGIONS);
        const Intent *wish = some_intent(rng, (Mono){fleet->now_ns}, &intent);
        r = sim_fleet_intent(fleet, agent, wish, reterr);
        if (r < 0)
            return r;
    }
    fleet->chaos_ppm = 0;
    for (int64_t end_ns = FAULT_TIME_NS; r >= 0 && end_ns < CALM_TIME_NS;) {
        end_ns += CALM_STEP_NS;
        while ((r = sim_fleet_step(fleet, end_ns, reterr)) > 0)
            ;
        if (r == 0 && sim_fleet_check_calm(fleet, NULL) == 0)
            return 0;
    }
    return r < 0 ? r : sim_fleet_check_calm(fleet, reterr);
}

static int one_round(uint64_t seed, Buf *timeline, SimRandomResult *result, Error *reterr)
{
    Rng rng = rng_seeded(seed);
    SimFault faults[FAULTS_MAX];
    size_t n = (size_t)rng_below(&rng, FAULTS_MAX) + 1;
    for (size_t i = 0; i < n; i++)
        faults[i] = some_fault(&rng);
    const SimFleetOptions options = {
        .faults = faults,
        .n_faults = n,
        .seed = seed,
        .around_the_world = rng_below(&rng, 2) == 0,
        .loss_ppm = rng_below(&rng, 2) == 0 ? 1000 : 0,
        .traffic_rps = rng_below(&rng, 3) == 0 ? (uint32_t)rng_below(&rng, 2000) : 0,
        .timeline = timeline,
        .chaos_ppm = rng_below(&rng, 2) == 0 ? (uint32_t)rng_below(&rng, 100000) : 0,
    };
    SimFleet *fleet;
    int r = sim_fleet_new(&options, &fleet, reterr);
    if (r < 0)
        return r;
    r = run_round(fleet, &rng, reterr);
    result->events += fleet->steps;
    for (uint32_t i = 0; i < SIM_REGIONS; i++)
        result->verdicts += fleet->agents[i].transitions;
    result->digest = hash_u64(result->digest, fleet->digest);
    (void)sim_fleet_free(fleet);
    return r;
}

int sim_random_fleet(uint64_t seed, uint64_t events, Buf *timeline, SimRandomResult *result,
                     Error *reterr)
{
    *result = (SimRandomResult){.digest = HASH_SEED};
    while (result->events < events) {
        result->bad_seed = seed + result->rounds++;
        int r = one_round(result->bad_seed, timeline, result, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}
