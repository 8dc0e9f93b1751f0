// SPDX-License-Identifier: MIT
// verdicts: quorum, veto, hold, flaps, return, and taking over verdicts after having been alone.
// Evaluated on every step (events and the report interval make one at least every 250 ms); only the
// agent's own monotonic clock is read, so wall clock jumps change nothing here.
#include <inttypes.h>

#include "core_state.h"

#define ALONE_BOOT_NS (3 * NS_PER_S) // a fresh start knows no holds
#define ALONE_END_NS NS_PER_S        // together for so long, then verdicts are taken over
#define ADOPT_NS                                                                                   \
    (5 * NS_PER_S) // and so long where the peers did not agree among themselves at first
#define ADOPT_PEERS_MIN 2
#define JOIN_NS (2 * NS_PER_S)
#define RESET_DEAF_NS (3 * NS_PER_S) // peers that have not heard of the reset yet

uint32_t quorum_min_votes(const Model *model)
{
    return model->n_regions / 2 > 0 ? model->n_regions / 2 : 1;
}

// Clouds that must agree: two, unless the whole fleet lies in one.
static uint32_t min_clouds(const Model *model)
{
    for (uint32_t r = 1; r < model->n_regions; r++)
        if (model->regions[r].cloud != model->regions[0].cloud)
            return 2;
    return 1;
}

bool quorum_down(const Tables *tables, const Tally *tally)
{
    return tally->down >= quorum_min_votes(tables->model) && 3 * tally->down >= 2 * tally->fresh &&
           views_count_clouds(tally->clouds) >= min_clouds(tables->model);
}

int64_t verdict_hold_ns(uint32_t flaps, const ModelHealth *health)
{
    int64_t hold = health->hold_ns;
    for (uint32_t i = 1; i < flaps && hold < health->hold_max_ns; i++)
        hold = ns_add_saturated(hold, hold);
    return hold < health->hold_max_ns ? hold : health->hold_max_ns;
}

uint32_t verdict_share_ppm(const Verdict *verdict, const ModelHealth *health)
{
    uint32_t share = health->return_steps_ppm[verdict->step];
    return verdict->shed ? share / 2 : share;
}

static const char *tally_text(Step *step, const Tally *tally, const char *more)
{
    return arena_printf(step->arena,
                        "down %" PRIu32 " of %" PRIu32 " fresh votes from %" PRIu32 " clouds%s",
                        tally->down, tally->fresh, views_count_clouds(tally->clouds), more);
}

void verdict_hold(Step *step, uint32_t gateway, VerdictCause cause, const char *facts)
{
    const ModelHealth *health = &step->model->health;
    Verdict *verdict = &step->state->verdicts[gateway];
    bool returning = verdict->step < RETURN_STEPS - 1;
    if (verdict->last_change.ns == INT64_MIN ||
        mono_since(step->now, verdict->last_change) > health->forgive_ns)
        verdict->flaps = 0;
    verdict->flaps += verdict->flaps < UINT32_MAX;
    verdict->held = true;
    verdict->cause = cause;
    verdict->since = verdict->last_change = step->now;
    verdict->ok_since = verdict->veto_since = MONO_NEVER;
    verdict->limited = verdict->failing = verdict->shed = false;
    verdict->step = 0;
    if (returning)
        step_record(step, RECORD_RETURN_FAILED, step_gateway(step, gateway), facts);
    step_record(step, RECORD_VERDICT_DOWN, step_gateway(step, gateway), facts);
}

static void release(Step *step, uint32_t gateway, const Tally *tally)
{
    Verdict *verdict = &step->state->verdicts[gateway];
    int64_t held_ns = mono_since(step->now, verdict->since);
    verdict->held = false;
    verdict->cause = VERDICT_CAUSE_NONE;
    verdict->since = verdict->last_change = verdict->step_at = step->now;
    verdict->step = 0;
    verdict->shed = false;
    verdict->ok_since = MONO_NEVER;
    step_record(step, RECORD_VERDICT_UP, step_gateway(step, gateway),
                arena_printf(step->arena,
                             "up %" PRIu32 " of %" PRIu32 " fresh votes, held for %" PRId64
                             " ms, flap %" PRIu32,
                             tally->up, tally->fresh, held_ns / NS_PER_MS, verdict->flaps));
}

// A real request that was sent after the youngest voter's first failed probe, and succeeded, is
// better evidence than silence towards probes. A refusal is proof and cannot be vetoed.
static bool vetoed(Step *step, uint32_t gateway, const Tally *tally)
{
    Verdict *verdict = &step->state->verdicts[gateway];
    if (!tally->all_soft || tally->newest_success.ns <= tally->youngest_fail.ns)
        return false;
    bool first = verdict->veto_since.ns == INT64_MAX;
    if (first)
        verdict->veto_since = step->now;
    if (mono_since(step->now, verdict->veto_since) >= step->model->health.veto_max_ns)
        return false;
    if (first)
        step_record(step, RECORD_VERDICT_VETOED, step_gateway(step, gateway),
                    tally_text(step, tally, ", all soft, a later request succeeded"));
    return true;
}

// The floor: at most a share of the gateways is held at once, whoever says so. What fails beyond it
// only goes behind the others (its voters make it suspect).
static bool is_full(const Step *step)
{
    uint64_t held = 1;
    for (uint32_t g = 0; g < step->model->n_regions; g++)
        held += step->state->verdicts[g].held;
    return held * PPM_ONE >
           (uint64_t)step->model->health.removal_floor_ppm * step->model->n_regions;
}

static void take_over(Step *step, uint32_t gateway, const Tally *tally, uint32_t of)
{
    Verdict *verdict = &step->state->verdicts[gateway];
    bool held = 2 * tally->holders > of;
    verdict->held = held;
    verdict->limited = false;
    verdict->last_change = step->now;
    verdict->ok_since = verdict->veto_since = MONO_NEVER;
    verdict->shed = false;
    if (held) {
        verdict->cause = VERDICT_CAUSE_ADOPTED;
        verdict->flaps = tally->peer_flaps;
        verdict->since = mono_min(tally->peer_since, step->now);
        verdict->step = 0;
    } else {
        verdict->cause = VERDICT_CAUSE_NONE;
        verdict->since = step->now;
        verdict->step = RETURN_STEPS - 1; // the others never took its share
    }
    step_record(step, RECORD_VERDICT_ADOPTED, step_gateway(step, gateway),
                arena_printf(step->arena, "%s: held by %" PRIu32 " of %" PRIu32 " peers",
                             held ? "held" : "released", tally->holders, of));
}

// At the removal limit two agents that saw the same failures in another order hold different ones,
// and would for as long as these last. The minority gives up one that most do not hold; its votes
// keep it behind the others. This agent counts here: of two halves neither is the minority, and
// they would only change places.
static bool make_room(Step *step, uint32_t gateway, const Tally *wanted)
{
    if (2 * wanted->holders <= wanted->together + 1)
        return false;
    for (uint32_t g = 0; g < step->model->n_regions; g++) {
        const Verdict *verdict = &step->state->verdicts[g];
        if (g == gateway || !verdict->held || mono_since(step->now, verdict->since) < JOIN_NS)
            continue;
        Tally tally;
        views_tally(step->tables, &step->tables->fresh, g, &tally);
        if (2 * (tally.holders + 1) >= tally.together + 1)
            continue;
        take_over(step, g, &tally, tally.together);
        return true;
    }
    return false;
}

// A gateway that most of the peers have held for a while: their quorum, limits and evidence were as
// good as this agent's, which may have ignored its own windows, or been within its removal gap. Not
// what was held before this agent's own last change: there it has released before them.
static bool joins_the_others(Step *step, uint32_t gateway, const Tally *tally)
{
    const Verdict *verdict = &step->state->verdicts[gateway];
    if (step->state->self.alone || tally->together < ADOPT_PEERS_MIN ||
        2 * tally->holders <= tally->together ||
        mono_since(step->now, tally->peer_since) < JOIN_NS ||
        (!verdict->limited && // it wants to hold that one, and has not released it
         verdict->last_change.ns != INT64_MIN && // ages of holds are upper bounds
         tally->peer_since.ns <= mono_add(verdict->last_change, JOIN_NS).ns) ||
        (is_full(step) && !make_room(step, gateway, tally)))
        return false;
    take_over(step, gateway, tally, tally->together);
    return true;
}

static void advance_free(Step *step, uint32_t gateway, const Tally *tally)
{
    const ModelHealth *health = &step->model->health;
    Verdict *verdict = &step->state->verdicts[gateway];
    if (joins_the_others(step, gateway, tally))
        return;
    if (!quorum_down(step->tables, tally)) {
        verdict->veto_since = MONO_NEVER;
        errors_advance(step, gateway, tally);
    } else if (is_full(step)) {
        if (!verdict->limited)
            step_record(step, RECORD_VERDICT_LIMITED, step_gateway(step, gateway),
                        tally_text(step, tally, ", but too many are held down already"));
        verdict->limited = true;
        verdict->last_change = step->now; // so that its error windows begin anew when it is back
    } else if (!vetoed(step, gateway, tally)) {
        verdict_hold(step, gateway, VERDICT_CAUSE_VOTES,
                     tally_text(step, tally, tally->all_soft ? ", soft" : ", hard"));
    }
    if (verdict->held)
        return;
    while (verdict->step < RETURN_STEPS - 1 &&
           mono_since(step->now, verdict->step_at) >= health->return_step_ns) {
        verdict->step++;
        verdict->step_at = mono_add(verdict->step_at, health->return_step_ns);
        step_record(step, RECORD_RETURN_STEP, step_gateway(step, gateway),
                    arena_printf(step->arena, "%" PRIu32 " ppm of its share",
                                 health->return_steps_ppm[verdict->step]));
    }
}

static void advance_held(Step *step, uint32_t gateway, const Tally *tally)
{
    const ModelHealth *health = &step->model->health;
    Verdict *verdict = &step->state->verdicts[gateway];
    const Self *self = &step->state->self;
    bool deaf =
        self->reset_at.ns != INT64_MIN && mono_since(step->now, self->reset_at) < RESET_DEAF_NS;
    if (!deaf && tally->peer_flaps > verdict->flaps)
        verdict->flaps = tally->peer_flaps;
    if (2 * tally->up <= tally->fresh || tally->up < quorum_min_votes(step->model)) {
        verdict->ok_since = MONO_NEVER;
        return;
    }
    if (verdict->ok_since.ns == INT64_MAX)
        verdict->ok_since = step->now;
    if (mono_since(step->now, verdict->ok_since) < health->up_time_ns ||
        mono_since(step->now, verdict->since) < verdict_hold_ns(verdict->flaps, health) ||
        (!deaf && tally->peer_hold_until.ns > step->now.ns))
        return;
    release(step, gateway, tally);
}

// Alone: too few fresh observers, sick, or just started. Such an agent's verdicts bind nobody.
static bool is_alone(const Step *step)
{
    const Self *self = &step->state->self;
    uint32_t well = 0;
    for (uint32_t i = 0; i < step->tables->fresh.n; i++)
        well += step->tables->fresh.observers[i] == step->tables->own ||
                !step->state->views[step->tables->fresh.observers[i]].sick;
    return 2 * well <= step->model->n_regions || self->sick ||
           mono_since(step->now, step->core->boot_at) < ALONE_BOOT_NS;
}

// Peers that are not alone and said after `since` that they hold it.
static uint32_t holders_after(const Step *step, uint32_t gateway, Mono since)
{
    const Tables *tables = step->tables;
    uint32_t n = 0;
    for (uint32_t i = 0; i < tables->fresh.n; i++) {
        uint32_t o = tables->fresh.observers[i];
        const View *view = &tables->live.views[o];
        n += o != tables->own && !view->alone && view->born.ns > since.ns &&
             tables_votes(tables, o)[gateway].held;
    }
    return n;
}

// What this agent has just released itself, on the votes of all, most of the others release in the
// same moment: their reports from before that say nothing.
static void adopt(Step *step, uint32_t gateway)
{
    Tally tally;
    views_tally(step->tables, &step->tables->fresh, gateway, &tally);
    if (tally.together < ADOPT_PEERS_MIN || 2 * tally.holders == tally.together)
        return;
    const Verdict *verdict = &step->state->verdicts[gateway];
    bool held = 2 * tally.holders > tally.together;
    if (held && 2 * holders_after(step, gateway, verdict->last_change) <= tally.together)
        return;
    if (held != verdict->held && !(held && is_full(step)))
        take_over(step, gateway, &tally, tally.together);
}

// Half of the fleet is gone: all that are left are alone, and nobody ever is together again. An
// agent that starts then knows less than they do, so it takes what most of them hold.
static void adopt_from_the_rest(Step *step)
{
    for (uint32_t g = 0; g < step->model->n_regions; g++) {
        Tally tally;
        views_tally_all(step->tables, &step->tables->fresh, g, &tally);
        uint32_t peers = tally.fresh - 1; // without this agent
        if (peers >= ADOPT_PEERS_MIN && 2 * tally.holders > peers &&
            !step->state->verdicts[g].held && !is_full(step))
            take_over(step, g, &tally, peers);
    }
}

static void advance_alone(Step *step)
{
    Self *self = &step->state->self;
    views_find_fresh(step->tables, step->now, &step->tables->fresh);
    self->fresh = step->tables->fresh.n;
    if (is_alone(step)) {
        if (!self->alone)
            step_record(step, RECORD_ALONE, "self",
                        arena_printf(step->arena, "%" PRIu32 " fresh observers of %" PRIu32 "%s",
                                     self->fresh, step->model->n_regions,
                                     self->sick ? ", sick" : ""));
        self->alone = true;
        self->alone_at = step->now;
        if (!self->learned && !self->sick && self->fresh > ADOPT_PEERS_MIN &&
            mono_since(step->now, step->core->boot_at) >= ALONE_BOOT_NS + ALONE_END_NS) {
            self->learned = true;
            adopt_from_the_rest(step);
        }
    } else if (self->alone && mono_since(step->now, self->alone_at) > ALONE_END_NS) {
        self->alone = false;
        self->learned = true;
        self->together_at = step->now;
        step_record(step, RECORD_TOGETHER, "self",
                    arena_printf(step->arena, "%" PRIu32 " fresh observers of %" PRIu32,
                                 self->fresh, step->model->n_regions));
        for (uint32_t g = 0; g < step->model->n_regions; g++)
            adopt(step, g);
    }
    // What it held alone and still holds, or released alone just before; what it has judged since
    // then was in company. (What the others hold and it does not: joins_the_others.)
    bool young = !self->alone && mono_since(step->now, self->together_at) <= ADOPT_NS;
    for (uint32_t g = 0; g < step->model->n_regions && young; g++) {
        const Verdict *verdict = &step->state->verdicts[g];
        if (verdict->last_change.ns < self->together_at.ns &&
            (verdict->held || mono_since(self->together_at, verdict->last_change) < ADOPT_NS))
            adopt(step, g);
    }
}

// Order needs no quorum: half of the fresh observers (sick ones too) say DOWN, or, while this agent
// is alone, most peers that are not hold it.
static bool is_suspect(const Step *step, const Tally *tally)
{
    if (tally->down_all > 0 && 2 * tally->down_all >= tally->fresh)
        return true;
    return step->state->self.alone && tally->together >= ADOPT_PEERS_MIN &&
           2 * tally->holders > tally->together;
}

void verdicts_advance(Step *step)
{
    uint64_t attention[VIEW_WORDS];
    advance_alone(step);
    bool booted = mono_since(step->now, step->core->boot_at) >= step->model->health.boot_ns;
    bool all_seen = true;
    views_attention(step->tables, &step->tables->fresh, attention);
    for (uint32_t g = 0; g < step->model->n_regions; g++) {
        Verdict *verdict = &step->state->verdicts[g];
        bool calm = !verdict->held && !verdict->suspect && !verdict->shed && !verdict->slow &&
                    verdict->step == RETURN_STEPS - 1 && verdict->seen_up &&
                    verdict->veto_since.ns == INT64_MAX && !verdict->limited && !verdict->failing;
        if (calm && (attention[g / 64] >> (g % 64) & 1) == 0)
            continue;
        Tally tally;
        views_tally(step->tables, &step->tables->fresh, g, &tally);
        verdict->seen_up |= tally.up > 0;
        if (booted) {
            if (verdict->held)
                advance_held(step, g, &tally);
            else
                advance_free(step, g, &tally);
        }
        all_seen &= verdict->seen_up;
        verdict->suspect = !verdict->held && is_suspect(step, &tally);
        verdict->slow = 2 * tally.slow > tally.fresh && tally.slow >= quorum_min_votes(step->model);
        if (!verdict->slow)
            verdict->slow_since = MONO_NEVER;
        else if (verdict->slow_since.ns == INT64_MAX)
            verdict->slow_since = step->now;
    }
    step->state->self.settled |= all_seen || booted;
}

void verdicts_reset_flaps(Step *step, int64_t stamp)
{
    step->state->self.reset_stamp = stamp;
    step->state->self.reset_at = step->now;
    withdraw_reset(step);
    for (uint32_t g = 0; g < step->model->n_regions; g++) {
        Verdict *verdict = &step->state->verdicts[g];
        verdict->flaps = 0; // but the last change stays: what failed before it has been judged
        if (verdict->held)  // its hold is over; the votes still have to say UP for up_time
            verdict->since = mono_add(step->now, -step->model->health.hold_ns);
        else
            verdict->step = RETURN_STEPS - 1;
    }
}
