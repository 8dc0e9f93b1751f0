// SPDX-License-Identifier: MIT
// sim_hours: see sim_hours.h.
#include "sim_hours.h"

#include <string.h>

#include "alloc.h"
#include "hash.h"

#define AHEAD_NS (400 * NS_PER_MS) // so long before it begins a trouble is known to the world
#define TAIL_NS (400 * NS_PER_MS)  // after its end
#define SETTLED_NS (4 * NS_PER_S)  // after the beginning of a slow link
#define WARM_UP_NS (6 * NS_PER_S)  // of a new fleet
#define TRY_NS (150 * NS_PER_MS)   // between two looks whether the fleet is quiet
#define JUMP_MIN_NS (300 * NS_PER_MS)
#define LONE_NS (5 * NS_PER_S) // nothing else breaks so long before and after
#define PARTS 64
#define PATHS (SIM_REGIONS * (SIM_REGIONS - 1))
#define WORLD_BEGINS_NS (60 * NS_PER_S)

typedef struct Run {
    const SimHoursOptions *options;
    SimHoursResult *result;
    SimFleet *fleet;
    SimFaultModel model;
    SimJudge judge;
    SimFault parts[PARTS]; // of the world
    size_t n_parts;
    Rng rng;
    int64_t end_ns, quiet_ns, try_ns;
    int64_t refused_ns; // end of the last time that a gateway refused
    Buf episode;
} Run;

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t now_of(const Run *run)
{
    return run->fleet->now_ns;
}

static void tell_world(Run *run)
{
    run->fleet->world.faults = run->parts;
    run->fleet->world.n_faults = run->n_parts;
    sim_world_begin(&run->fleet->world);
}

static int add_part(Run *run, const SimFault *part, Error *reterr)
{
    if (run->n_parts == PARTS)
        return error_set(reterr, ERROR_LIMIT, "more than %d faults at once", PARTS);
    run->parts[run->n_parts++] = *part;
    if (part->kind != FAULT_DELAY)
        run->quiet_ns = later(run->quiet_ns, part->until_ns + TAIL_NS);
    if (part->kind == FAULT_REFUSE)
        run->refused_ns = later(run->refused_ns, part->until_ns);
    return sim_fleet_plan_fault(run->fleet, part, reterr);
}

// Troubles that begin soon become part of the world, those that are over leave it.
static int update_world(Run *run, Error *reterr)
{
    size_t kept = 0, before = run->n_parts;
    for (size_t i = 0; i < run->n_parts; i++) {
        if (run->parts[i].until_ns > now_of(run))
            run->parts[kept++] = run->parts[i];
        else
            run->quiet_ns = later(run->quiet_ns, run->parts[i].until_ns + TAIL_NS);
    }
    run->n_parts = kept;
    bool changed = kept != before;
    for (;;) {
        const SimTrouble *next = sim_fault_model_next(&run->model);
        if (next->from_ns > now_of(run) + AHEAD_NS)
            break;
        SimFault parts[SIM_TROUBLE_PARTS];
        size_t n = sim_trouble_parts(next, &run->fleet->world, parts);
        sim_judge_trouble(&run->judge, next);
        for (size_t i = 0; i < n; i++) {
            int r = add_part(run, &parts[i], reterr);
            if (r < 0)
                return r;
        }
        sim_fault_model_take(&run->model);
        changed = true;
    }
    if (changed)
        tell_world(run);
    return 0;
}

static bool is_of_a_link(const SimTrouble *trouble)
{
    return trouble->kind == TROUBLE_LINK_BURST || trouble->kind == TROUBLE_LINK_SLOW;
}

// The fleet is quiet: leaves out troubles of one link with nothing else near, but one in so many.
static void leave_out_lone_links(Run *run)
{
    const uint32_t every = run->options->lone_links_every;
    int64_t free_from_ns = now_of(run);
    while (every > 1 && run->n_parts == 0) {
        const SimTrouble next = *sim_fault_model_next(&run->model);
        SimFaultModel after = run->model;
        sim_fault_model_take(&after);
        if (!is_of_a_link(&next) || next.from_ns >= run->end_ns ||
            next.from_ns < free_from_ns + LONE_NS ||
            sim_fault_model_next(&after)->from_ns < next.until_ns + LONE_NS ||
            hash_mix((uint64_t)next.from_ns) % every == 0)
            return;
        sim_judge_trouble(&run->judge, &next);
        run->result->left_out[next.kind == TROUBLE_LINK_SLOW]++;
        run->model = after;
        free_from_ns = next.until_ns;
    }
}

// When the world stops being the same, as far as it is known.
static int64_t next_change(const Run *run)
{
    int64_t at_ns = earlier(sim_fault_model_next(&run->model)->from_ns - AHEAD_NS, run->end_ns);
    for (size_t i = 0; i < run->n_parts; i++)
        at_ns = earlier(at_ns, run->parts[i].until_ns - AHEAD_NS);
    return at_ns;
}

static bool world_is_quiet(const Run *run)
{
    if (now_of(run) < run->quiet_ns)
        return false;
    for (size_t i = 0; i < run->n_parts; i++) // slow links only
        if (now_of(run) < run->parts[i].from_ns + SETTLED_NS)
            return false;
    return true;
}

static bool gateways_are_well(const Run *run, uint32_t agent)
{
    const Core *core = run->fleet->agents[agent].core;
    Mono now = sim_agent_mono(run->fleet, agent);
    const Plan *plan = core_plan(core);
    for (uint32_t g = 0; g < SIM_REGIONS; g++)
        if (plan->gateways[g].state != HEALTH_UP || plan->gateways[g].share_ppm != PPM_ONE)
            return false;
    arena_reset(run->fleet->arena);
    for (uint32_t g = 0; g < SIM_REGIONS; g++) {
        CoreGatewayStatus status;
        if (core_gateway_status(core, run->fleet->arena, g, now, &status) < 0 || status.held ||
            status.up != SIM_REGIONS || status.own_streak != 0 || status.slow)
            return false;
    }
    return true;
}

static bool fleet_is_quiet(const Run *run)
{
    for (uint32_t i = 0; i < SIM_REGIONS; i++) {
        const SimAgent *agent = &run->fleet->agents[i];
        if (agent->core == NULL || agent->held != 0)
            return false;
        CoreSelfStatus self = core_self_status(agent->core, sim_agent_mono(run->fleet, i));
        if (self.sick || self.alone || self.fresh != SIM_REGIONS)
            return false;
    }
    for (uint32_t i = 0; i < SIM_REGIONS; i++)
        if (!gateways_are_well(run, i))
            return false;
    return true;
}

static void leave_fleet(Run *run)
{
    run->result->steps += run->fleet->steps;
    run->result->digest = hash_u64(run->result->digest, run->fleet->digest);
    run->fleet = sim_fleet_free(run->fleet);
}

static int enter_fleet(Run *run, int64_t at_ns, Error *reterr)
{
    const SimFleetOptions options = {
        .seed = hash_mix(hash_u64(run->options->seed, ++run->result->fleets)),
        .around_the_world = run->options->around_the_world,
        .loss_ppm = SIM_MODEL_LOSS_PPM,
        .timeline = run->options->timeline != NULL ? &run->episode : NULL,
    };
    int r = sim_fleet_new(&options, &run->fleet, reterr);
    if (r < 0)
        return r;
    run->fleet->brief = true;
    sim_fleet_shift(run->fleet, at_ns);
    tell_world(run);
    run->judge.changed_ns = run->refused_ns = INT64_MIN;
    run->try_ns = at_ns + WARM_UP_NS;
    return 0;
}

// One probe of some path loses its first two attempts: nothing gets through in one direction for as
// long as it takes for that, once, wherever in the interval it is sent.
static int lose_a_probe(Run *run, Error *reterr)
{
    uint32_t path = (uint32_t)rng_below(&run->rng, PATHS);
    uint32_t a = path / (SIM_REGIONS - 1), b = path % (SIM_REGIONS - 1);
    b += b >= a;
    const ModelHealth *health = &run->fleet->model->health;
    int64_t from_ns = now_of(run) + AHEAD_NS / 2;
    int64_t again_ns = run->fleet->world.rtt_ns[a][b] + 200 * NS_PER_MS;
    const SimFault part = {.kind = FAULT_LOSS,
                           .a = SIM_ONE(a),
                           .b = SIM_ONE(b),
                           .from_ns = from_ns,
                           .until_ns = from_ns + again_ns + health->probe_interval_ns / 10 * 11,
                           .value = PPM_ONE};
    int r = add_part(run, &part, reterr);
    tell_world(run);
    return r;
}

// Mean time until a probe of any path loses its first two attempts.
static int64_t lost_probe_mean_ns(const Run *run)
{
    const uint64_t loss = SIM_MODEL_LOSS_PPM;
    uint64_t attempt_ppm = 2 * loss - loss * loss / PPM_ONE; // there or back
    uint64_t probes = (uint64_t)PPM_ONE * PPM_ONE / (attempt_ppm * attempt_ppm);
    return run->fleet->model->health.probe_interval_ns / PATHS * (int64_t)probes;
}

// What the agents remember would be forgotten at that time.
static bool outlives_memory(const Run *run, int64_t at_ns)
{
    const ModelHealth *health = &run->fleet->model->health;
    bool flaps =
        run->judge.changed_ns != INT64_MIN && at_ns - run->judge.changed_ns > health->forgive_ns;
    return flaps || (run->refused_ns != INT64_MIN && at_ns - run->refused_ns > 60 * NS_PER_S);
}

static void show_episode(Run *run)
{
    if (run->judge.wrong && run->options->timeline != NULL)
        buf_printf(run->options->timeline, "%s\n", buf_text(&run->episode));
    run->judge.wrong = false;
    buf_clear(&run->episode);
}

static int jump(Run *run, Error *reterr)
{
    leave_out_lone_links(run);
    int64_t lost_ns = now_of(run) + sim_exponential_ns(&run->rng, lost_probe_mean_ns(run));
    int64_t change_ns = next_change(run), to_ns = earlier(change_ns, lost_ns);
    run->try_ns = now_of(run) + TRY_NS;
    if (to_ns - now_of(run) < JUMP_MIN_NS)
        return 0;
    show_episode(run);
    run->result->jumps++;
    if (outlives_memory(run, change_ns) && change_ns - now_of(run) > WARM_UP_NS + TAIL_NS) {
        run->result->simulated_ns -= change_ns - WARM_UP_NS - now_of(run);
        leave_fleet(run);
        return enter_fleet(run, change_ns - WARM_UP_NS, reterr);
    }
    run->result->simulated_ns -= to_ns - now_of(run);
    sim_fleet_shift(run->fleet, to_ns - now_of(run));
    run->try_ns = to_ns + TRY_NS;
    return lost_ns < change_ns ? lose_a_probe(run, reterr) : 0;
}

static int advance(Run *run, Error *reterr)
{
    int64_t stop_ns = earlier(sim_fault_model_next(&run->model)->from_ns - AHEAD_NS, run->end_ns);
    stop_ns = earlier(stop_ns, sim_judge_next(&run->judge));
    if (run->try_ns > now_of(run))
        stop_ns = earlier(stop_ns, run->try_ns);
    stop_ns = later(stop_ns, now_of(run) + 1);
    int r;
    do {
        r = sim_fleet_step(run->fleet, stop_ns, reterr);
        if (run->fleet->changed || r == 0)
            sim_judge_look(&run->judge, run->fleet);
    } while (r > 0);
    return r;
}

static int run_all(Run *run, Error *reterr)
{
    while (now_of(run) < run->end_ns) {
        int r = update_world(run, reterr);
        if (r == 0)
            r = advance(run, reterr);
        if (r == 0 && now_of(run) >= run->try_ns && !run->options->in_full) {
            run->try_ns = now_of(run) + TRY_NS;
            if (world_is_quiet(run) && fleet_is_quiet(run))
                r = jump(run, reterr);
        }
        if (r < 0)
            return r;
    }
    show_episode(run);
    return 0;
}

int sim_hours_run(const SimHoursOptions *options, SimHoursResult *ret_result, Error *reterr)
{
    *ret_result = (SimHoursResult){
        .length_ns = options->length_ns, .simulated_ns = options->length_ns, .digest = HASH_SEED};
    Run *run = alloc_zeroed(1, sizeof *run);
    if (run == NULL)
        return error_set(reterr, ERROR_MEMORY, "a stretch of hours");
    run->options = options;
    run->result = ret_result;
    run->rng = rng_seeded(hash_mix(options->seed + 1));
    run->end_ns = WORLD_BEGINS_NS + options->length_ns;
    run->episode = BUF_INIT(256U << 20);
    sim_fault_model_begin(&run->model, options->times, options->seed, WORLD_BEGINS_NS);
    sim_judge_begin(&run->judge, &ret_result->tally,
                    options->timeline != NULL ? &run->episode : NULL);
    int r = enter_fleet(run, WORLD_BEGINS_NS - WARM_UP_NS, reterr);
    if (r == 0)
        r = run_all(run, reterr);
    if (r < 0 && options->timeline != NULL)
        buf_printf(options->timeline, "%s\n", buf_text(&run->episode));
    if (run->fleet != NULL)
        leave_fleet(run);
    buf_done(&run->episode);
    free(run);
    return r;
}

void sim_hours_add(SimHoursResult *sum, const SimHoursResult *more)
{
    for (int i = 0; i < TROUBLE_MAX; i++)
        sum->tally.troubles[i] += more->tally.troubles[i];
    for (int i = 0; i < SIM_VERDICT_MAX; i++)
        sum->tally.verdicts[i] += more->tally.verdicts[i];
    sum->tally.joined += more->tally.joined;
    sum->tally.watched += more->tally.watched;
    sum->tally.missed += more->tally.missed;
    for (int i = 0; i < SIM_SILENCE_MAX; i++)
        for (int k = 0; k < SIM_JUDGE_BINS; k++)
            sum->tally.took[i][k] += more->tally.took[i][k];
    sum->length_ns += more->length_ns;
    sum->simulated_ns += more->simulated_ns;
    sum->steps += more->steps;
    sum->jumps += more->jumps;
    sum->fleets += more->fleets;
    for (int i = 0; i < 2; i++)
        sum->left_out[i] += more->left_out[i];
    sum->digest += more->digest; // in any order
}
