// SPDX-License-Identifier: MIT
// sim_detect: see sim_detect.h. Each trial is a fleet of its own: warmed up, then one gateway
// breaks at a random moment between two probes.
#include "sim_detect.h"

#include "alloc.h"
#include "sim_fleet.h"

#define WARM_UP_NS (10 * NS_PER_S)
#define GIVE_UP_NS (30 * NS_PER_S)

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool all_hold(const SimFleet *fleet, uint32_t mask)
{
    for (uint32_t i = 0; i < SIM_REGIONS; i++)
        if (fleet->agents[i].core != NULL && (fleet->agents[i].held & mask) != mask)
            return false;
    return true;
}

static int trial(SimBreak what, uint64_t seed, bool around_the_world, uint32_t loss_ppm,
                 int64_t *ret_took_ns, Error *reterr)
{
    Rng rng = rng_seeded(seed);
    uint32_t region = (uint32_t)rng_below(&rng, SIM_REGIONS);
    uint32_t mask = what == SIM_BREAK_CLOUD ? SIM_CLOUD(region / 2) : SIM_ONE(region);
    int64_t from_ns = WARM_UP_NS + (int64_t)rng_below(&rng, 250 * NS_PER_MS);
    static const SimFaultKind KINDS[] = {FAULT_REFUSE, FAULT_HANG, FAULT_DEAD, FAULT_DEAD};
    const SimFault faults[] = {
        {.kind = KINDS[what], .a = mask, .from_ns = from_ns, .until_ns = SIM_FOREVER},
        {.kind = FAULT_RESTART, .a = mask, .from_ns = from_ns, .until_ns = SIM_FOREVER},
    };
    const SimFleetOptions options = {.faults = faults,
                                     .n_faults = what < SIM_BREAK_REGION ? 1 : 2,
                                     .seed = seed,
                                     .around_the_world = around_the_world,
                                     .loss_ppm = loss_ppm};
    SimFleet *fleet;
    int r = sim_fleet_new(&options, &fleet, reterr);
    if (r < 0)
        return r;
    while (fleet->now_ns < from_ns && (r = sim_fleet_step(fleet, from_ns, reterr)) > 0)
        ;
    while (r >= 0 && !all_hold(fleet, mask) &&
           (r = sim_fleet_step(fleet, from_ns + GIVE_UP_NS, reterr)) > 0)
        ;
    *ret_took_ns = fleet->now_ns - from_ns;
    (void)sim_fleet_free(fleet);
    return r < 0 ? r : 0;
}

int sim_detect(SimBreak what, uint32_t trials, uint64_t seed, bool around_the_world,
               uint32_t loss_ppm, SimDetection *ret, Error *reterr)
{
    ASSERT(trials > 0 && trials <= SIM_DETECT_TRIALS_MAX);
    int64_t *took = alloc_zeroed(trials, sizeof *took);
    if (took == NULL)
        return error_set(reterr, ERROR_MEMORY, "trials");
    int r = 0;
    *ret = (SimDetection){.trials = trials};
    for (uint32_t i = 0; i < trials && r >= 0; i++) {
        r = trial(what, seed + i, around_the_world, loss_ppm, &took[i], reterr);
        ret->missed += took[i] >= GIVE_UP_NS;
    }
    qsort(took, trials, sizeof *took, by_size);
    ret->p50_ns = took[trials / 2];
    ret->p99_ns = took[trials - 1 - trials / 100];
    ret->max_ns = took[trials - 1];
    free(took);
    return r;
}
