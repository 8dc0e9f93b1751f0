// SPDX-License-Identifier: MIT
// sim_scenario: the runner; see sim_scenario.h.
#include "sim_scenario.h"

#include <string.h>

#include "alloc.h"
#include "sim_expect.h"
#include "sim_fault_kind.h"
#include "sim_liveness.h"

#define MS NS_PER_MS
#define SETTLE_NS (30 * NS_PER_S) // two hold times, the steps of a return
#define FULL_CLIENTS_PPM 950000   // above it a fleet need not come to rest
#define WALL_EPOCH_NS (INT64_C(1700000000) * NS_PER_S)

const SimScenario *sim_scenario_at(size_t index)
{
    const struct {
        const SimScenario *rows;
        size_t n;
    } lists[] = {{SIM_SCENARIOS_VERDICT, SIM_N_VERDICT},
                 {SIM_SCENARIOS_DIRTY, SIM_N_DIRTY},
                 {SIM_SCENARIOS_LOAD, SIM_N_LOAD}};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        if (index < lists[i].n)
            return &lists[i].rows[index];
        index -= lists[i].n;
    }
    return NULL;
}

const SimScenario *sim_scenario_find(const char *name)
{
    const SimScenario *scenario;
    for (size_t i = 0; (scenario = sim_scenario_at(i)) != NULL; i++)
        if (strcmp(scenario->name, name) == 0)
            return scenario;
    return NULL;
}

size_t sim_scenario_n_faults(const SimScenario *scenario)
{
    size_t n = 0;
    while (n < SIM_MAX_FAULTS && scenario->faults[n].a != 0)
        n++;
    return n;
}

size_t sim_scenario_n_wishes(const SimScenario *scenario)
{
    size_t n = 0;
    while (n < SIM_MAX_WISHES && scenario->wishes[n].target != NULL)
        n++;
    return n;
}

size_t sim_scenario_n_expects(const SimScenario *scenario)
{
    size_t n = 0;
    while (n < SIM_MAX_EXPECTS && scenario->expects[n].who != 0)
        n++;
    return n;
}

typedef struct Run {
    const SimScenario *scenario;
    const SimRunOptions *options;
    SimFleet *fleet;
    SimFault *faults; // with real times
    size_t n_faults;
    size_t wishes; // made
    SimLooked looked;
    SimRunResult *result;
} Run;

// The scenario's faults with real times; the first one as often as it flaps.
static int make_faults(Run *run, Error *reterr)
{
    const SimScenario *scenario = run->scenario;
    size_t n = sim_scenario_n_faults(scenario), repeats = 1;
    if (scenario->flap_ms > 0)
        repeats = (size_t)(scenario->run_ms / scenario->flap_ms) + 1;
    SimFault *faults = alloc_zeroed(n + repeats, sizeof *faults);
    if (faults == NULL)
        return error_set(reterr, ERROR_MEMORY, "make faults");
    for (size_t i = 0; i < n; i++) {
        faults[i] = scenario->faults[i];
        faults[i].from_ns = sim_scenario_ns(scenario->faults[i].from_ns);
        faults[i].until_ns = sim_scenario_ns(scenario->faults[i].until_ns);
    }
    for (size_t i = 1; i < repeats; i++) {
        faults[n] = faults[0];
        faults[n].from_ns += (int64_t)i * scenario->flap_ms * MS;
        faults[n++].until_ns += (int64_t)i * scenario->flap_ms * MS;
    }
    run->faults = faults;
    run->n_faults = n;
    return 0;
}

static int64_t sooner(int64_t at_ns, int64_t now_ns, int64_t end_ns)
{
    return at_ns > now_ns && at_ns < end_ns ? at_ns : end_ns;
}

// The next moment at which something is to be looked at, done or told.
static int64_t next_stop(const Run *run, int64_t end_ns)
{
    const SimScenario *scenario = run->scenario;
    int64_t now_ns = run->fleet->now_ns;
    for (size_t i = 0; i < sim_scenario_n_expects(scenario); i++)
        end_ns = sooner(sim_scenario_ns(scenario->expects[i].from_ms), now_ns, end_ns);
    for (size_t i = run->wishes; i < sim_scenario_n_wishes(scenario); i++)
        end_ns = sooner(sim_scenario_ns(scenario->wishes[i].at_ms), now_ns, end_ns);
    for (size_t i = 0; run->options->timeline != NULL && i < run->n_faults; i++) {
        end_ns = sooner(run->faults[i].from_ns, now_ns, end_ns);
        end_ns = sooner(run->faults[i].until_ns, now_ns, end_ns);
    }
    return end_ns;
}

static void tell_faults(const Run *run, int64_t from_ns)
{
    const SimFleet *fleet = run->fleet;
    Buf *timeline = run->options->timeline;
    for (size_t i = 0; timeline != NULL && i < run->n_faults; i++) {
        const SimFault *fault = &run->faults[i];
        for (int end = 0; end < 2; end++) {
            int64_t at_ns = end ? fault->until_ns : fault->from_ns;
            if (at_ns <= from_ns || at_ns > fleet->now_ns)
                continue;
            buf_printf(timeline, "%9.3f  %-10s  %-34s  ", (double)at_ns / (double)NS_PER_S, "--",
                       end ? "fault ends" : "fault begins");
            sim_fault_tell(fault, fleet->model, timeline);
            buf_add_char(timeline, '\n');
        }
    }
}

static int make_wishes(Run *run, Error *reterr)
{
    const SimScenario *scenario = run->scenario;
    size_t n = sim_scenario_n_wishes(scenario);
    for (; run->wishes < n; run->wishes++) {
        const SimWish *wish = &scenario->wishes[run->wishes];
        if (sim_scenario_ns(wish->at_ms) > run->fleet->now_ns)
            return 0; // they stand in the order of their times
        int64_t wall_ns = WALL_EPOCH_NS + run->fleet->now_ns;
        const Intent intent = {
            .kind = wish->kind,
            .target = wish->target,
            .region = wish->region != NULL ? wish->region : "",
            .value_ppm = wish->weight_ppm,
            .author = "sim",
            .reason = scenario->name,
            .stamp = (wall_ns / NS_PER_US) << 8 | (wish->agent + 1),
            .created = {wall_ns},
            .expires = {wish->for_ms > 0 ? wall_ns + wish->for_ms * MS : INT64_MAX},
        };
        int r = sim_fleet_intent(run->fleet, wish->agent, &intent, reterr);
        if (r < 0)
            return error_wrap(reterr, r, "wish %zu", run->wishes);
    }
    return 0;
}

static bool is_young(const SimFleet *fleet, int64_t at_ns)
{
    return at_ns > fleet->now_ns - SETTLE_NS;
}

// Some time after the last fault or wish began or ended, all agents that are not alone have one
// fleet part.
static int check_agreement(const Run *run, Error *reterr)
{
    const SimFleet *fleet = run->fleet;
    const Plan *first = NULL;
    for (size_t i = 0; i < run->n_faults; i++) {
        const SimFault *fault = &run->faults[i];
        if ((fault->from_ns < fleet->now_ns && is_young(fleet, fault->from_ns)) ||
            (fault->until_ns < SIM_FOREVER && is_young(fleet, fault->until_ns)))
            return 0;
    }
    for (size_t i = 0; i < sim_scenario_n_wishes(run->scenario); i++) {
        const SimWish *wish = &run->scenario->wishes[i];
        if (is_young(fleet, sim_scenario_ns(wish->at_ms)) ||
            is_young(fleet, sim_scenario_ns(wish->at_ms + wish->for_ms)))
            return 0;
    }
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

// When everything that was done to the fleet is over; SIM_FOREVER if it never is.
static int64_t last_end(const Run *run)
{
    int64_t end_ns = 0;
    for (size_t i = 0; i < run->n_faults; i++) {
        const SimFault *fault = &run->faults[i];
        if (fault->until_ns == SIM_FOREVER)
            return SIM_FOREVER;
        int64_t tail_ns = fault->kind == FAULT_SLOW ? 2 * fault->value : 0; // see sim_world.c
        if (fault->until_ns + tail_ns > end_ns)
            end_ns = fault->until_ns + tail_ns;
    }
    for (size_t i = 0; i < sim_scenario_n_wishes(run->scenario); i++) {
        const SimWish *wish = &run->scenario->wishes[i];
        bool passing = wish->kind == INTENT_RELEASE || wish->kind == INTENT_RESET_FLAPS;
        if (wish->for_ms == 0 && !passing)
            return SIM_FOREVER;
        if (sim_scenario_ns(wish->at_ms + wish->for_ms) > end_ns)
            end_ns = sim_scenario_ns(wish->at_ms + wish->for_ms);
    }
    return end_ns;
}

static void note_peaks(Run *run)
{
    const SimLoad *load = &run->fleet->load;
    SimRunResult *result = run->result;
    if (load->demand_rps == 0 || run->fleet->now_ns < SIM_WARM_UP_MS * MS)
        return;
    if (load->load_ppm > result->peak_load_ppm)
        result->peak_load_ppm = load->load_ppm;
    if (load->shed_ppm > result->peak_shed_ppm)
        result->peak_shed_ppm = load->shed_ppm;
    if (load->failed_ppm > result->peak_failed_ppm)
        result->peak_failed_ppm = load->failed_ppm;
}

static int run_all(Run *run, Error *reterr)
{
    SimFleet *fleet = run->fleet;
    const SimScenario *scenario = run->scenario;
    const int64_t end_ns = sim_scenario_ns(scenario->run_ms);
    int r = 1;
    while (r >= 0 && fleet->now_ns < end_ns) {
        int64_t from_ns = fleet->now_ns;
        r = sim_fleet_step(fleet, next_stop(run, end_ns), reterr);
        tell_faults(run, from_ns);
        note_peaks(run);
        if (r >= 0 && fleet->now_ns < end_ns)
            r = sim_expect_step(fleet, scenario, from_ns, &run->looked, reterr);
        if (r >= 0 && run->options->invariant != NULL)
            r = run->options->invariant(fleet, reterr);
        if (r >= 0 && run->wishes < SIM_MAX_WISHES)
            r = make_wishes(run, reterr);
    }
    if (r >= 0)
        r = sim_expect_end(fleet, scenario, &run->looked, reterr);
    if (r >= 0)
        r = check_agreement(run, reterr);
    int64_t healed_ns = last_end(run);
    bool live =
        scenario->live && healed_ns != SIM_FOREVER && scenario->clients_ppm < FULL_CLIENTS_PPM;
    return r >= 0 && live ? sim_liveness(fleet, healed_ns, reterr) : r;
}

static const SimLayout *layout_of(const SimScenario *scenario)
{
    if (scenario->own != NULL || scenario->layout == NULL)
        return scenario->own;
    return sim_layout_find(scenario->layout);
}

int sim_scenario_run(const SimScenario *scenario, const SimRunOptions *options,
                     SimRunResult *ret_result, Error *reterr)
{
    *ret_result = (SimRunResult){0};
    Run run = {.scenario = scenario, .options = options, .result = ret_result};
    int r = make_faults(&run, reterr);
    if (r < 0)
        return r;
    const SimFleetOptions fleet_options = {.faults = run.faults,
                                           .n_faults = run.n_faults,
                                           .seed = options->seed,
                                           .layout = layout_of(scenario),
                                           .around_the_world = options->around_the_world,
                                           .loss_ppm = SIM_LOSS_PPM,
                                           .traffic_rps = scenario->traffic_rps,
                                           .clients_ppm = scenario->clients_ppm,
                                           .queued_probes = scenario->queued_probes,
                                           .timeline = options->timeline};
    r = sim_fleet_new(&fleet_options, &run.fleet, reterr);
    if (r >= 0) {
        r = run_all(&run, reterr);
        ret_result->digest = run.fleet->digest;
        ret_result->steps = run.fleet->steps;
        ret_result->virtual_ns = run.fleet->now_ns;
        ret_result->apart_ns = run.fleet->apart_ns;
        for (uint32_t i = 0; i < run.fleet->model->n_regions; i++)
            ret_result->transitions += run.fleet->agents[i].transitions;
        (void)sim_fleet_free(run.fleet);
    }
    free(run.faults);
    return r < 0 ? r : 0;
}
