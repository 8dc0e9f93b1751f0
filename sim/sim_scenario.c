// SPDX-License-Identifier: MIT
// sim_scenario: the runner; see sim_scenario.h. Expectations are looked at whenever a verdict or a
// plan changes and when a window begins: between those moments nothing can differ. A scenario that
// never looked at anything fails.
#include "sim_scenario.h"

#include <string.h>

#include "alloc.h"

#define MS NS_PER_MS
#define SETTLE_NS (30 * NS_PER_S) // two hold times, the steps of a return

const SimScenario *sim_scenario_find(const char *name)
{
    for (size_t i = 0; i < SIM_N_SCENARIOS; i++)
        if (strcmp(SIM_SCENARIOS[i].name, name) == 0)
            return &SIM_SCENARIOS[i];
    return NULL;
}

static int64_t shifted(int64_t ms)
{
    return ms >= SIM_FOREVER / MS - SIM_WARM_UP_MS ? SIM_FOREVER : (ms + SIM_WARM_UP_MS) * MS;
}

// The scenario's faults with real times; the first one as often as it flaps.
static int make_faults(const SimScenario *scenario, SimFault **ret_faults, size_t *ret_n)
{
    size_t n = 0, repeats = 1;
    while (n < SIM_MAX_FAULTS && scenario->faults[n].a != 0)
        n++;
    if (scenario->flap_ms > 0)
        repeats = (size_t)(scenario->run_ms / scenario->flap_ms) + 1;
    SimFault *faults = alloc_zeroed(n + repeats, sizeof *faults);
    if (faults == NULL)
        return ERROR_MEMORY;
    for (size_t i = 0; i < n; i++) {
        faults[i] = scenario->faults[i];
        faults[i].from_ns = shifted(scenario->faults[i].from_ns);
        faults[i].until_ns = shifted(scenario->faults[i].until_ns);
    }
    for (size_t i = 1; i < repeats; i++) {
        faults[n] = faults[0];
        faults[n].from_ns += (int64_t)i * scenario->flap_ms * MS;
        faults[n++].until_ns += (int64_t)i * scenario->flap_ms * MS;
    }
    *ret_faults = faults;
    *ret_n = n;
    return 0;
}

static int check_last(const SimFleet *fleet, uint32_t i, uint32_t last, Error *reterr)
{
    const Plan *plan = core_plan(fleet->agents[i].core);
    for (uint32_t k = 0; k < plan->n_routes; k++)
        if ((last >> plan->routes[k].entries[0].gateway & 1) != 0)
            return error_set(reterr, ERROR_NOT_HELD,
                             "gateway %u stands first in a route of agent %u",
                             plan->routes[k].entries[0].gateway, i);
    return 0;
}

// What was looked at in each window, and by whom a `once` was met.
typedef struct Looked {
    uint32_t windows, met[SIM_MAX_EXPECTS];
} Looked;

static void note_met(const SimFleet *fleet, const SimExpect *expect, uint32_t *met)
{
    for (uint32_t i = 0; i < fleet->model->n_regions; i++)
        if ((fleet->agents[i].held & expect->held) == expect->held)
            *met |= SIM_ONE(i);
}

static int check_one(const SimFleet *fleet, const SimExpect *expect, Error *reterr)
{
    uint32_t care =
        expect->care != 0 ? expect->care : (uint32_t)(UINT64_C(1) << fleet->model->n_regions) - 1;
    for (uint32_t i = 0; i < fleet->model->n_regions; i++) {
        const SimAgent *agent = &fleet->agents[i];
        if ((expect->who >> i & 1) == 0 || agent->core == NULL ||
            sim_world_fault(&fleet->world, FAULT_FREEZE, i, fleet->now_ns) != NULL)
            continue;
        if ((agent->held & care) != expect->held)
            return error_set(reterr, ERROR_NOT_HELD, "agent %u holds 0x%02x, expected 0x%02x", i,
                             agent->held & care, expect->held);
        if ((agent->slow & expect->slow) != expect->slow)
            return error_set(reterr, ERROR_NOT_HELD, "agent %u calls 0x%02x slow, expected 0x%02x",
                             i, agent->slow, expect->slow);
        int r = check_last(fleet, i, expect->last, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_windows(const SimFleet *fleet, const SimScenario *scenario, int64_t from_ns,
                         Looked *looked, Error *reterr)
{
    for (size_t i = 0; i < SIM_MAX_EXPECTS && scenario->expects[i].who != 0; i++) {
        const SimExpect *expect = &scenario->expects[i];
        int64_t begin = shifted(expect->from_ms), end = shifted(expect->until_ms);
        bool begins = begin > from_ns && begin <= fleet->now_ns;
        if (fleet->now_ns < begin || fleet->now_ns >= end || !(fleet->changed || begins))
            continue;
        looked->windows |= 1U << i;
        note_met(fleet, expect, &looked->met[i]);
        int r = expect->once ? 0 : check_one(fleet, expect, reterr);
        int64_t after_ms = fleet->now_ns / MS - SIM_WARM_UP_MS;
        if (r < 0)
            return error_wrap(reterr, r, "%s, %.3f s after the fault, expectation %zu",
                              scenario->name, (double)after_ms / 1000, i);
    }
    return 0;
}

// The next moment at which a window begins, so that the run stops there.
static int64_t next_begin(const SimScenario *scenario, int64_t now_ns, int64_t end_ns)
{
    for (size_t i = 0; i < SIM_MAX_EXPECTS && scenario->expects[i].who != 0; i++) {
        int64_t begin = shifted(scenario->expects[i].from_ms);
        if (begin > now_ns && begin < end_ns)
            end_ns = begin;
    }
    return end_ns;
}

// Some time after the last fault began or ended, all agents that are not alone have one fleet part.
static int check_agreement(const SimFleet *fleet, const SimFault *faults, size_t n, Error *reterr)
{
    const Plan *first = NULL;
    for (size_t i = 0; i < n; i++)
        if ((faults[i].from_ns < fleet->now_ns && faults[i].from_ns > fleet->now_ns - SETTLE_NS) ||
            (faults[i].until_ns < SIM_FOREVER && faults[i].until_ns > fleet->now_ns - SETTLE_NS))
            return 0;
    for (uint32_t i = 0; i < fleet->model->n_regions; i++) {
        const SimAgent *agent = &fleet->agents[i];
        if (agent->core == NULL || core_self_status(agent->core, sim_agent_mono(fleet, i)).alone)
            continue;
        const Plan *plan = core_plan(agent->core);
        if (first == NULL)
            first = plan;
        if (plan->fleet_digest != first->fleet_digest)
            return error_set(reterr, ERROR_NOT_HELD,
                             "invariant 5: agents %u and %u have other fleet parts at the end",
                             first->own, i);
    }
    return 0;
}

static int check_end(const SimFleet *fleet, const SimScenario *scenario, const Looked *looked,
                     Error *reterr)
{
    for (size_t i = 0; i < SIM_MAX_EXPECTS && scenario->expects[i].who != 0; i++) {
        const SimExpect *expect = &scenario->expects[i];
        if ((looked->windows >> i & 1) == 0)
            return error_set(reterr, ERROR_NOT_HELD, "%s: expectation %zu was never looked at",
                             scenario->name, i);
        if (expect->once && (looked->met[i] & expect->who) != expect->who)
            return error_set(reterr, ERROR_NOT_HELD, "%s: only agents 0x%02x ever held 0x%02x",
                             scenario->name, looked->met[i], expect->held);
        if (expect->max_apart_ms > 0 && fleet->apart_ns > expect->max_apart_ms * MS)
            return error_set(reterr, ERROR_NOT_HELD, "%s: agents disagreed for %lld ms",
                             scenario->name, (long long)(fleet->apart_ns / MS));
        for (uint32_t a = 0; a < fleet->model->n_regions; a++)
            if (expect->max_transitions > 0 &&
                fleet->agents[a].transitions > expect->max_transitions)
                return error_set(reterr, ERROR_NOT_HELD,
                                 "%s: agent %u changed %u times, at most %u", scenario->name, a,
                                 fleet->agents[a].transitions, expect->max_transitions);
    }
    if (looked->windows == 0)
        return error_set(reterr, ERROR_NOT_HELD, "%s expects nothing", scenario->name);
    return scenario->calm_at_end ? sim_fleet_check_calm(fleet, reterr) : 0;
}

static int run(SimFleet *fleet, const SimScenario *scenario, Error *reterr)
{
    const int64_t end_ns = shifted(scenario->run_ms);
    Looked looked = {0};
    int r = 1;
    while (r >= 0 && fleet->now_ns < end_ns) {
        int64_t from_ns = fleet->now_ns;
        r = sim_fleet_step(fleet, next_begin(scenario, from_ns, end_ns), reterr);
        if (r >= 0 && fleet->now_ns < end_ns)
            r = check_windows(fleet, scenario, from_ns, &looked, reterr);
    }
    return r < 0 ? r : check_end(fleet, scenario, &looked, reterr);
}

int sim_scenario_run(const SimScenario *scenario, uint64_t seed, bool around_the_world,
                     Buf *timeline, uint64_t *ret_digest, Error *reterr)
{
    SimFault *faults;
    size_t n;
    SimFleet *fleet;
    int r = make_faults(scenario, &faults, &n);
    if (r < 0)
        return error_set(reterr, r, "make faults");
    const SimFleetOptions options = {.faults = faults,
                                     .n_faults = n,
                                     .seed = seed,
                                     .around_the_world = around_the_world,
                                     .loss_ppm = 1000,
                                     .traffic_rps = scenario->traffic_rps,
                                     .timeline = timeline};
    r = sim_fleet_new(&options, &fleet, reterr);
    if (r >= 0) {
        r = run(fleet, scenario, reterr);
        *ret_digest = fleet->digest;
        if (r >= 0)
            r = check_agreement(fleet, faults, n, reterr);
        (void)sim_fleet_free(fleet);
    }
    free(faults);
    return r;
}
