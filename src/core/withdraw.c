// SPDX-License-Identifier: MIT
// withdraw: a region whose replicas answer their health probes and fail real requests (a grey
// failure) takes itself out. Nobody else can: the gateway's own probes are answered by nginx, and
// the other observers see none of its requests, so the fleet's error rule, which wants several
// witnesses, never fires. The one witness is the region itself, and against itself one suffices.
//
//   serving --own error rate above the limit--> withdrawn (states no class; own replicas go last)
//      ^                                             |
//      +--- hold over: 10 s, doubled per repetition -+
//
// Its gateway stays up: who still comes is handed on by its edge. Like any removal of live capacity
// it needs others that can carry the load, and it has the fleet's floor. When a region of another
// cloud has withdrawn already, the cause is not the place but the release, or a client whose
// requests nobody can serve: such a client must not put one region after the other out.
// Goes wrong: all regions get the same bad release at once. All withdraw, none is better than
// another, and every edge uses its own replicas as a last resort: as good as without the rule.
#include <inttypes.h>

#include "core_state.h"

#define BUCKETS_MIN 3 // seconds with failures: a single burst says little

static bool fails(const ErrorWindow *window, const ModelHealth *health)
{
    return window->buckets >= BUCKETS_MIN &&
           error_rate_fails(window->n, window->k, health->error_rate_ppm);
}

static bool is_out(const Tables *tables, uint32_t gateway)
{
    return tables->live.verdicts[gateway].held || gateway_classes(tables, gateway) == 0;
}

// Replicas that are up, and nothing that they may do: as this region is about to be. What a region
// said before it died is no witness.
static bool has_withdrawn(const Tables *tables, uint32_t gateway, Mono now)
{
    const Peer *peer = &tables->live.peers[gateway];
    return gateway != tables->own && peer->classes_known && peer->classes == 0 &&
           peer->replicas_up > 0 && view_fresh(tables, gateway, now) &&
           !tables->live.verdicts[gateway].held;
}

// NULL: this region may go. Else why not.
static const char *objection(const Step *step)
{
    const Tables *tables = step->tables;
    const Model *model = step->model;
    uint64_t out = 1;
    for (uint32_t g = 0; g < model->n_regions; g++) {
        if (has_withdrawn(tables, g, step->now) &&
            model->regions[g].cloud != model->regions[tables->own].cloud)
            return "the replicas fail requests, and another cloud's do so too: not this region's "
                   "fault";
        out += g != tables->own && is_out(tables, g);
    }
    if (out * PPM_ONE > (uint64_t)model->health.removal_floor_ppm * model->n_regions)
        return "the replicas fail requests, but too many gateways are out already";
    // Those of the last step are not there after a new configuration or a snapshot.
    views_find_fresh(tables, step->now, &step->tables->fresh);
    planning_facts(tables, step->intents, step->now, step->state->self.wall, tables->scratch);
    return capacity_fits_without(tables->scratch, model->n_regions, tables->own)
               ? NULL
               : "the replicas fail requests, but the others have no room for them";
}

static void withdraw(Step *step, const ErrorWindow *window)
{
    const ModelHealth *health = &step->model->health;
    Self *self = &step->state->self;
    if (self->returned_at.ns == INT64_MIN ||
        mono_since(step->now, self->returned_at) > health->forgive_ns)
        self->withdrawals = 0;
    self->withdrawals += self->withdrawals < UINT32_MAX;
    int64_t hold_ns = verdict_hold_ns(self->withdrawals, health);
    self->withdrawn = true;
    self->withdrawn_until = mono_add(step->now, hold_ns);
    step_record(step, RECORD_ERROR_RATE, step_gateway(step, step->tables->own),
                arena_printf(step->arena,
                             "%" PRIu32 " of %" PRIu32
                             " requests failed at the own replicas: withdrawn for %" PRId64 " s",
                             window->k, window->n, hold_ns / NS_PER_S));
}

void withdraw_advance(Step *step)
{
    const ModelHealth *health = &step->model->health;
    Self *self = &step->state->self;
    Window *window = &self->served;
    window_advance(window, step->now);
    if (self->withdrawn) {
        if (step->now.ns < self->withdrawn_until.ns)
            return;
        self->withdrawn = self->withdraw_refused = false;
        self->returned_at = step->now;
        window_clear(window, step->now); // what it served since was a last resort
        return;
    }
    const ErrorWindow *failing = fails(&window->short_sum, health)  ? &window->short_sum
                                 : fails(&window->long_sum, health) ? &window->long_sum
                                                                    : NULL;
    const char *why_not = failing != NULL ? objection(step) : NULL;
    if (failing == NULL)
        self->withdraw_refused = false;
    else if (why_not == NULL)
        withdraw(step, failing);
    else if (!self->withdraw_refused)
        step_record(step, RECORD_VERDICT_LIMITED, step_gateway(step, step->tables->own), why_not);
    self->withdraw_refused = why_not != NULL;
}

void withdraw_reset(Step *step)
{
    Self *self = &step->state->self;
    self->withdrawals = 0;
    self->returned_at = MONO_DISTANT;
    self->withdrawn_until = mono_min(self->withdrawn_until, step->now);
}
