// SPDX-License-Identifier: MIT
// errors: removal of a gateway that answers probes and fails requests (the guide's 5 %), and
// shedding for slow ones. Evidence is pooled over the fresh observers without the worst one, so
// that no single observer can condemn. These removals are of live capacity: they have a speed limit
// and a floor, and never happen while the rest of the fleet fails alike or could not carry the
// load.
#include <inttypes.h>

#include "core_state.h"

#define BUCKETS_MIN 3 // errors come in bursts, and the binomial test does not know that
#define SHED_CLEAR_NS (5 * NS_PER_S)
#define SHED_RETURN_STEP (RETURN_STEPS - 2)

typedef struct Pool {
    uint64_t n, k;
    uint32_t buckets; // the most that one observer saw
    uint32_t clouds;
    uint32_t failing, failing_clouds; // observers above the limit by themselves, the worst too
} Pool;

static const ErrorWindow *window_of(const ViewVote *vote, bool is_long)
{
    return is_long ? &vote->long_window : &vote->short_window;
}

static bool counts(const Tables *tables, uint32_t observer, Mono now)
{
    return view_fresh(tables, observer, now) && !tables->live.views[observer].sick;
}

// Without the observer that saw most failures, and without sick ones: their failures are their own.
static Pool pool(const Tables *tables, uint32_t gateway, bool is_long, Mono now)
{
    const Model *model = tables->model;
    const uint32_t limit_ppm = model->health.error_rate_ppm;
    uint32_t worst = model->n_regions, worst_k = 0;
    for (uint32_t o = 0; o < model->n_regions; o++) {
        uint32_t k = window_of(&tables_votes(tables, o)[gateway], is_long)->k;
        if (counts(tables, o, now) && (worst == model->n_regions || k > worst_k)) {
            worst = o;
            worst_k = k;
        }
    }
    Pool sum = {0};
    for (uint32_t o = 0; o < model->n_regions; o++) {
        if (!counts(tables, o, now))
            continue;
        const ErrorWindow *window = window_of(&tables_votes(tables, o)[gateway], is_long);
        if (window->k > 0 && (uint64_t)window->k * PPM_ONE >= (uint64_t)window->n * limit_ppm) {
            sum.failing++;
            sum.failing_clouds |= UINT32_C(1) << model->regions[o].cloud;
        }
        if (o == worst)
            continue;
        sum.n += window->n;
        sum.k += window->k;
        if (window->buckets > sum.buckets)
            sum.buckets = window->buckets;
        if (window->k > 0)
            sum.clouds |= UINT32_C(1) << model->regions[o].cloud;
    }
    return sum;
}

static bool fails(const Tables *tables, const Pool *sum)
{
    return sum->buckets >= BUCKETS_MIN && views_count_clouds(sum->clouds) >= 2 &&
           error_rate_fails(sum->n, sum->k, tables->model->health.error_rate_ppm);
}

// Ratios alone may hide that only two observers see any failure: then it is their paths. As many as
// a verdict needs must see it, and only time since the last change of the verdict is looked at:
// what was before it, also before this agent could know of it, has been judged.
static bool window_fails(const Tables *tables, uint32_t gateway, bool is_long, Mono now)
{
    const Self *self = &tables->live.self;
    int64_t length_ns = (is_long ? WINDOW_LONG : WINDOW_SHORT) * NS_PER_S;
    Mono from = mono_max(tables->live.verdicts[gateway].last_change, self->together_at);
    if (self->alone || mono_since(now, from) < length_ns)
        return false;
    Pool sum = pool(tables, gateway, is_long, now);
    return fails(tables, &sum) && sum.failing >= quorum_min_votes(tables->model) &&
           views_count_clouds(sum.failing_clouds) >= 2;
}

static bool errors_fail(const Tables *tables, uint32_t gateway, Mono now)
{
    return window_fails(tables, gateway, false, now) || window_fails(tables, gateway, true, now);
}

// The rest of the fleet, taken as one gateway, fails the same test: the fault is not this one's.
static bool rest_fails(const Tables *tables, uint32_t gateway, Mono now)
{
    for (int is_long = 0; is_long < 2; is_long++) {
        Pool rest = {0};
        for (uint32_t g = 0; g < tables->model->n_regions; g++) {
            if (g == gateway || tables->live.verdicts[g].held)
                continue;
            Pool one = pool(tables, g, is_long, now);
            rest.n += one.n;
            rest.k += one.k;
            rest.clouds |= one.clouds;
            if (one.buckets > rest.buckets)
                rest.buckets = one.buckets;
        }
        if (fails(tables, &rest))
            return true;
    }
    return false;
}

// Speed limit and floor for taking live capacity away. A gateway that fails again while it returns
// goes without: its share was not back yet.
static bool allowed(Step *step, uint32_t gateway)
{
    const ModelHealth *health = &step->model->health;
    Verdict *verdict = &step->state->verdicts[gateway];
    uint32_t out = 0;
    for (uint32_t g = 0; g < step->model->n_regions; g++)
        out += g != gateway && (step->state->verdicts[g].held || step->state->verdicts[g].shed);
    uint64_t after = (uint64_t)(out + 1) * PPM_ONE;
    bool floor = after > (uint64_t)health->removal_floor_ppm * step->model->n_regions;
    bool soon = mono_since(step->now, step->state->self.removed_at) < health->removal_gap_ns;
    if (!floor && (!soon || verdict->step < RETURN_STEPS - 1))
        return true;
    if (!verdict->limited)
        step_record(step, RECORD_VERDICT_LIMITED, step_gateway(step, gateway),
                    floor ? "too many gateways are out already"
                          : "another one was removed a moment ago");
    verdict->limited = true;
    return false;
}

static void shed(Step *step, uint32_t gateway, RecordKind kind, const char *facts)
{
    Verdict *verdict = &step->state->verdicts[gateway];
    verdict->shed_ok = MONO_NEVER;
    if (verdict->shed || !allowed(step, gateway))
        return;
    verdict->shed = true;
    verdict->limited = false;
    step->state->self.removed_at = step->now;
    step_record(step, kind, step_gateway(step, gateway), facts);
}

static bool fits_without(const Step *step, uint32_t gateway)
{
    const Tables *tables = step->tables;
    planning_facts(tables, step->intents, step->now, step->state->self.wall, tables->scratch);
    return capacity_fits_without(tables->scratch, tables->model->n_regions, gateway);
}

static void fail(Step *step, uint32_t gateway)
{
    Verdict *verdict = &step->state->verdicts[gateway];
    Pool young = pool(step->tables, gateway, false, step->now);
    const char *facts = arena_printf(
        step->arena, "%" PRIu64 " of %" PRIu64 " failed in 10 s without the worst observer",
        young.k, young.n);
    if (!verdict->failing)
        step_record(step, RECORD_ERROR_RATE, step_gateway(step, gateway), facts);
    verdict->failing = true;
    if (rest_fails(step->tables, gateway, step->now) || !fits_without(step, gateway)) {
        shed(step, gateway, RECORD_OVERLOAD, "errors, but the others fail too or have no room");
    } else if (allowed(step, gateway)) {
        step->state->self.removed_at = step->now;
        verdict_hold(step, gateway, VERDICT_CAUSE_ERRORS, facts);
    }
}

static void calm_down(Step *step, Verdict *verdict)
{
    verdict->failing = verdict->limited = false;
    if (!verdict->shed)
        return;
    if (verdict->shed_ok.ns == INT64_MAX)
        verdict->shed_ok = step->now;
    if (mono_since(step->now, verdict->shed_ok) < SHED_CLEAR_NS)
        return;
    verdict->shed = false; // half its share for one more step, then all of it
    if (verdict->step > SHED_RETURN_STEP) {
        verdict->step = SHED_RETURN_STEP;
        verdict->step_at = step->now;
    }
}

void errors_advance(Step *step, uint32_t gateway, const Tally *tally)
{
    Verdict *verdict = &step->state->verdicts[gateway];
    if (errors_fail(step->tables, gateway, step->now))
        fail(step, gateway);
    else if (verdict->slow && mono_since(step->now, verdict->slow_since) >=
                                  step->model->health.span_soft_ns) // a short pause is nothing
        shed(step, gateway, RECORD_SLOW,
             arena_printf(step->arena, "late for %" PRIu32 " of %" PRIu32 " observers", tally->slow,
                          tally->fresh));
    else
        calm_down(step, verdict);
}
