// SPDX-License-Identifier: MIT
// sim_shrink: see sim_shrink.h. Delta debugging: halves of the faults first, then single ones, then
// what is left of each. Every candidate is smaller than what it comes from, so it ends.
#include "sim_shrink.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define RUNS_MAX 3000
#define MS NS_PER_MS

void sim_shrink_class(const char *problem, char ret_class[SIM_CLASS_MAX])
{
    const char *invariant = strstr(problem, "invariant ");
    size_t len = 0;
    if (invariant != NULL) {
        problem = invariant;
        len = strlen("invariant 1");
    } else {
        while (problem[len] != '\0' && !isdigit((unsigned char)problem[len]))
            len++;
    }
    (void)snprintf(ret_class, SIM_CLASS_MAX, "%.*s",
                   (int)(len < SIM_CLASS_MAX ? len : SIM_CLASS_MAX - 1), problem);
}

void sim_shrink_begin(SimShrink *shrink, const SimScenario *scenario, const SimRunOptions *options,
                      const char *problem)
{
    *shrink = (SimShrink){.best = *scenario, .options = *options};
    shrink->options.timeline = NULL;
    sim_shrink_class(problem, shrink->broken);
}

static void drop_faults(SimScenario *scenario, size_t from, size_t n)
{
    size_t all = sim_scenario_n_faults(scenario);
    for (size_t i = from; i + n < all; i++)
        scenario->faults[i] = scenario->faults[i + n];
    for (size_t i = all - n; i < all; i++)
        scenario->faults[i] = (SimFault){0};
}

// The ways to make it smaller: each turns `at` into a candidate; false: `at` is beyond the last.
// What it makes may be equal to what is there; such a candidate costs no run.

static bool halves(SimScenario *scenario, uint32_t at)
{
    size_t n = sim_scenario_n_faults(scenario);
    uint32_t parts = 2; // at: part 0, 1 of 2, then 0 .. 3 of 4
    while (at >= parts) {
        at -= parts;
        parts *= 2;
        if (parts > 8)
            return false;
    }
    size_t size = (n + parts - 1) / parts;
    if (size < 2 || at * size >= n)
        return true;
    drop_faults(scenario, at * size, at * size + size < n ? size : n - at * size);
    return true;
}

static bool single(SimScenario *scenario, uint32_t at)
{
    size_t n = sim_scenario_n_faults(scenario);
    if (at >= n)
        return false;
    drop_faults(scenario, n - 1 - at, 1); // from the end: the others keep their places
    return true;
}

static bool wishes(SimScenario *scenario, uint32_t at)
{
    size_t n = sim_scenario_n_wishes(scenario);
    if (at >= n)
        return false;
    for (size_t i = n - 1 - at; i + 1 < n; i++)
        scenario->wishes[i] = scenario->wishes[i + 1];
    scenario->wishes[n - 1] = (SimWish){0};
    return true;
}

// Only a layout with the same regions can be exchanged.
static bool surroundings(SimScenario *scenario, uint32_t at)
{
    switch (at) {
    case 0:
        scenario->clients_ppm = 0;
        return true;
    case 1:
        scenario->traffic_rps = 0;
        return true;
    case 2:
        if (scenario->layout != NULL && strcmp(scenario->layout, "world") == 0)
            scenario->layout = NULL;
        return true;
    case 3:
        scenario->flap_ms = 0;
        return true;
    default:
        return false;
    }
}

static bool masks(SimScenario *scenario, uint32_t at)
{
    uint32_t fault = at / (2 * SIM_REGIONS_MAX), bit = at % (2 * SIM_REGIONS_MAX);
    if (fault >= sim_scenario_n_faults(scenario))
        return false;
    SimFault *one = &scenario->faults[fault];
    uint32_t *mask = bit < SIM_REGIONS_MAX ? &one->a : &one->b;
    uint32_t less = *mask & ~SIM_ONE(bit % SIM_REGIONS_MAX);
    if (less != 0)
        *mask = less;
    return true;
}

static int64_t rounded(int64_t ms)
{
    int64_t unit = ms >= 1000 ? 1000 : ms >= 100 ? 100 : ms >= 10 ? 10 : 1;
    return ms / unit * unit;
}

static bool times(SimScenario *scenario, uint32_t at)
{
    enum { STEPS = 8 };
    uint32_t fault = at / STEPS;
    if (fault >= sim_scenario_n_faults(scenario))
        return false;
    SimFault *one = &scenario->faults[fault];
    int64_t length = one->until_ns - one->from_ns;
    switch (at % STEPS) {
    case 0: // ends earlier, by a half or a quarter
        one->until_ns -= length / 2;
        break;
    case 1:
        one->until_ns -= length / 4;
        break;
    case 2: // begins later
        one->from_ns += length / 2;
        break;
    case 3:
        one->from_ns += length / 4;
        break;
    case 4: // round numbers
        if (rounded(one->until_ns) > one->from_ns)
            one->until_ns = rounded(one->until_ns);
        break;
    case 5:
        if (one->from_ns > 0)
            one->from_ns = rounded(one->from_ns);
        break;
    case 6: // weaker
        if (one->value > 1 && one->kind != FAULT_LIE && one->kind != FAULT_ERRORS)
            one->value = one->value >= 2 * MS ? one->value / 2 / MS * MS : one->value / 2 + 1;
        if (one->jitter_ns > one->value)
            one->jitter_ns = one->value;
        break;
    default:
        one->both = false;
        one->jitter_ns = 0;
        break;
    }
    return true;
}

typedef bool Way(SimScenario *scenario, uint32_t at);
static Way *const WAYS[] = {halves, single, wishes, surroundings, masks, times};

static bool is_same(const SimScenario *a, const SimScenario *b)
{
    for (size_t i = 0; i < SIM_MAX_FAULTS; i++) {
        const SimFault *x = &a->faults[i], *y = &b->faults[i];
        if (x->kind != y->kind || x->a != y->a || x->b != y->b || x->both != y->both ||
            x->from_ns != y->from_ns || x->until_ns != y->until_ns || x->value != y->value ||
            x->jitter_ns != y->jitter_ns)
            return false;
    }
    return a->clients_ppm == b->clients_ppm && a->traffic_rps == b->traffic_rps &&
           a->layout == b->layout && a->flap_ms == b->flap_ms &&
           sim_scenario_n_wishes(a) == sim_scenario_n_wishes(b);
}

static bool breaks(SimShrink *shrink, const SimScenario *candidate)
{
    SimRunResult result;
    Error err = ERROR_INIT;
    char broken[SIM_CLASS_MAX] = "";
    shrink->runs++;
    if (sim_scenario_run(candidate, &shrink->options, &result, &err) < 0)
        sim_shrink_class(error_text(&err), broken);
    error_done(&err);
    return strcmp(broken, shrink->broken) == 0;
}

int sim_shrink_step(SimShrink *shrink)
{
    for (;;) {
        SimScenario candidate = shrink->best;
        if (shrink->runs >= RUNS_MAX)
            return 0;
        if (!WAYS[shrink->way](&candidate, shrink->at)) {
            shrink->at = 0;
            if (++shrink->way < ARRAY_SIZE(WAYS))
                continue;
            if (!shrink->changed)
                return 0;
            shrink->changed = false;
            shrink->way = 0;
            continue;
        }
        shrink->at++;
        if (is_same(&candidate, &shrink->best))
            continue;
        if (breaks(shrink, &candidate)) {
            shrink->best = candidate;
            shrink->changed = true;
            shrink->kept++;
            if (shrink->way != 0)
                shrink->at--; // the same place may become smaller still
        }
        return 1;
    }
}
