// SPDX-License-Identifier: MIT
// sim_expect: see sim_expect.h.
#include "sim_expect.h"

#define MS NS_PER_MS

int64_t sim_scenario_ns(int64_t ms)
{
    return ms >= SIM_FOREVER / MS - SIM_WARM_UP_MS ? SIM_FOREVER : (ms + SIM_WARM_UP_MS) * MS;
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

static void note_met(const SimFleet *fleet, const SimExpect *expect, uint32_t *met)
{
    for (uint32_t i = 0; i < fleet->model->n_regions; i++)
        if ((fleet->agents[i].held & expect->held) == expect->held)
            *met |= SIM_ONE(i);
}

static int check_agents(const SimFleet *fleet, const SimExpect *expect, Error *reterr)
{
    uint32_t first = SIM_REGIONS_MAX;
    uint32_t care = expect->care != 0 ? expect->care : sim_world_all(fleet->model);
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
        if (first == SIM_REGIONS_MAX)
            first = i;
        if (expect->agree && core_plan(agent->core)->fleet_digest !=
                                 core_plan(fleet->agents[first].core)->fleet_digest)
            return error_set(reterr, ERROR_NOT_HELD, "agents %u and %u have other fleet parts",
                             first, i);
    }
    return 0;
}

static int check_load(const SimLoad *load, const SimExpect *expect, Error *reterr)
{
    const struct {
        const char *what;
        uint32_t is, most;
    } rows[] = {{"load of the fullest gateway", load->load_ppm, expect->max_load_ppm},
                {"share of requests shed", load->shed_ppm, expect->max_shed_ppm},
                {"share of requests failed", load->failed_ppm, expect->max_failed_ppm}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].most > 0 && rows[i].is > rows[i].most)
            return error_set(reterr, ERROR_NOT_HELD, "%s %u ppm, at most %u", rows[i].what,
                             rows[i].is, rows[i].most);
    return 0;
}

// How long each agent held each gateway this time, and the time before.
static void note_lengths(const SimFleet *fleet, SimLooked *looked)
{
    for (uint32_t i = 0; i < fleet->model->n_regions; i++) {
        uint32_t now = fleet->agents[i].held, changed = now ^ looked->held[i];
        for (uint32_t g = 0; changed != 0 && g < fleet->model->n_regions; g++) {
            if ((changed >> g & 1) == 0)
                continue;
            if ((now >> g & 1) != 0) {
                looked->since_ns[i][g] = fleet->now_ns;
                continue;
            }
            int64_t length_ns = fleet->now_ns - looked->since_ns[i][g];
            if (length_ns <= looked->length_ns[i][g])
                looked->shrunk |= SIM_ONE(i);
            looked->length_ns[i][g] = length_ns;
        }
        looked->held[i] = now;
    }
}

int sim_expect_step(const SimFleet *fleet, const SimScenario *scenario, int64_t from_ns,
                    SimLooked *looked, Error *reterr)
{
    looked->apart_ns = fleet->apart ? looked->apart_ns + fleet->now_ns - from_ns : 0;
    if (looked->apart_ns > looked->longest_apart_ns)
        looked->longest_apart_ns = looked->apart_ns;
    bool loaded = fleet->load.ticks != looked->load_ticks;
    looked->load_ticks = fleet->load.ticks;
    if (fleet->changed)
        note_lengths(fleet, looked);
    for (size_t i = 0; i < sim_scenario_n_expects(scenario); i++) {
        const SimExpect *expect = &scenario->expects[i];
        int64_t begin = sim_scenario_ns(expect->from_ms), end = sim_scenario_ns(expect->until_ms);
        bool begins = begin > from_ns && begin <= fleet->now_ns;
        if (fleet->now_ns < begin || fleet->now_ns >= end || !(fleet->changed || begins || loaded))
            continue;
        looked->windows |= 1U << i;
        note_met(fleet, expect, &looked->met[i]);
        int r = 0;
        if (!expect->once && (fleet->changed || begins))
            r = check_agents(fleet, expect, reterr);
        if (r >= 0 && loaded)
            r = check_load(&fleet->load, expect, reterr);
        int64_t after_ms = fleet->now_ns / MS - SIM_WARM_UP_MS;
        if (r < 0)
            return error_wrap(reterr, r, "%s, %.3f s after the fault, expectation %zu",
                              scenario->name, (double)after_ms / 1000, i);
    }
    return 0;
}

static int check_totals(const SimFleet *fleet, const SimScenario *scenario, size_t i,
                        const SimLooked *looked, Error *reterr)
{
    const SimExpect *expect = &scenario->expects[i];
    if ((looked->windows >> i & 1) == 0)
        return error_set(reterr, ERROR_NOT_HELD, "%s: expectation %zu was never looked at",
                         scenario->name, i);
    if (expect->once && (looked->met[i] & expect->who) != expect->who)
        return error_set(reterr, ERROR_NOT_HELD, "%s: only agents 0x%02x ever held 0x%02x",
                         scenario->name, looked->met[i], expect->held);
    if (expect->max_apart_ms > 0 && looked->longest_apart_ns > expect->max_apart_ms * MS)
        return error_set(reterr, ERROR_NOT_HELD, "%s: agents disagreed for %lld ms", scenario->name,
                         (long long)(looked->longest_apart_ns / MS));
    if (expect->growing && (looked->shrunk & expect->who) != 0)
        return error_set(reterr, ERROR_NOT_HELD,
                         "%s: agents 0x%02x held a gateway no longer than the time before",
                         scenario->name, looked->shrunk & expect->who);
    for (uint32_t a = 0; a < fleet->model->n_regions; a++)
        if (expect->max_transitions > 0 && fleet->agents[a].transitions > expect->max_transitions)
            return error_set(reterr, ERROR_NOT_HELD, "%s: agent %u changed %u times, at most %u",
                             scenario->name, a, fleet->agents[a].transitions,
                             expect->max_transitions);
    return 0;
}

int sim_expect_end(const SimFleet *fleet, const SimScenario *scenario, const SimLooked *looked,
                   Error *reterr)
{
    size_t n = sim_scenario_n_expects(scenario);
    for (size_t i = 0; i < n; i++) {
        int r = check_totals(fleet, scenario, i, looked, reterr);
        if (r < 0)
            return r;
    }
    if (n == 0 && !scenario->live && !scenario->calm_at_end)
        return error_set(reterr, ERROR_NOT_HELD, "%s expects nothing", scenario->name);
    return scenario->calm_at_end ? sim_fleet_check_calm(fleet, reterr) : 0;
}
