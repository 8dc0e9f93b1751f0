// SPDX-License-Identifier: MIT
// views: the own table as of now, and what all fresh tables say together about a gateway.
#include <inttypes.h>
#include <string.h>

#include "core_state.h"

bool view_fresh(const Tables *tables, uint32_t observer, Mono now)
{
    const View *view = &tables->live.views[observer];
    return view->have && mono_since(now, view->born) <= tables->model->health.fresh_ns;
}

static void fill_vote(const Step *step, uint32_t gateway, ViewVote *vote)
{
    const ModelHealth *health = &step->model->health;
    const Path *path = &step->state->paths[gateway];
    const Verdict *verdict = &step->state->verdicts[gateway];
    *vote = (ViewVote){
        .vote = path_vote(path, health, step->now),
        .soft = path->soft,
        .slow = path->late,
        .held = verdict->held,
        .streak = path->streak,
        .flaps = verdict->flaps,
        .p50_us = path->p50_us,
        .p99_us = path->p99_us,
        .first_fail = path->streak > 0 ? path->first_fail : MONO_NEVER,
        .edge_success = path->edge_known ? path->edge_success : MONO_DISTANT,
        .held_since = verdict->held ? verdict->since : MONO_NEVER,
        .hold_until = verdict->held
                          ? mono_add(verdict->since, verdict_hold_ns(verdict->flaps, health))
                          : MONO_DISTANT,
        .short_window = path->window.short_sum,
        .long_window = path->window.long_sum,
    };
}

static void record_vote(Step *step, uint32_t gateway, const ViewVote *vote)
{
    static const char *const names[VOTE_MAX] = {"unknown", "up", "down"};
    int64_t age = vote->streak > 0 ? mono_since(step->now, vote->first_fail) : 0;
    step_record(step, RECORD_VOTE_CHANGED, step_gateway(step, gateway),
                vote->streak > 0
                    ? arena_printf(step->arena,
                                   "%s: %" PRIu32 " failures in a row, %s, since %" PRId64 " ms",
                                   names[vote->vote], vote->streak, vote->soft ? "soft" : "hard",
                                   age / NS_PER_MS)
                    : names[vote->vote]);
}

// What most fresh peers hold is known to be down, though an agent that just started holds nothing.
static bool peers_hold(const Step *step, uint32_t gateway)
{
    uint32_t peers = 0, holders = 0;
    for (uint32_t o = 0; o < step->model->n_regions; o++) {
        if (o == step->tables->own || !view_fresh(step->tables, o, step->now))
            continue;
        peers++;
        holders += tables_votes(step->tables, o)[gateway].held;
    }
    return peers >= 2 && 2 * holders > peers;
}

// Sick: for at least two, and at least half, of the gateways not held down a streak of failures
// runs. By level, not by speed: deadlines differ per path, so losses do not come in one interval.
static void judge_self(Step *step)
{
    Self *self = &step->state->self;
    uint32_t base = 0, bad = 0;
    for (uint32_t g = 0; g < step->model->n_regions; g++) {
        if (step->state->verdicts[g].held)
            continue;
        base++;
        bad += step->state->paths[g].streak > 0;
    }
    for (uint32_t g = 0; g < step->model->n_regions && bad >= 2 && 2 * bad >= base; g++)
        if (!step->state->verdicts[g].held && step->state->paths[g].streak > 0 &&
            peers_hold(step, g)) {
            base--;
            bad--;
        }
    if (bad >= 2 && 2 * bad >= base)
        self->sick_until = mono_add(step->now, step->model->health.sick_hold_ns);
    bool sick = step->now.ns < self->sick_until.ns;
    for (uint32_t g = 0; g < step->model->n_regions && sick; g++)
        path_clear_window(&step->state->paths[g], step->now); // they count its own trouble
    if (sick == self->sick)
        return;
    self->sick = sick;
    step_record(
        step, sick ? RECORD_SICK : RECORD_WELL, "self",
        arena_printf(step->arena, "%" PRIu32 " of %" PRIu32 " gateways fail here", bad, base));
}

void views_refresh_own(Step *step)
{
    Self *self = &step->state->self;
    View *view = &step->state->views[step->tables->own];
    ViewVote *votes = tables_votes(step->tables, step->tables->own);
    bool sick = self->sick, changed = false;
    judge_self(step);
    memset(view->attention, 0, sizeof view->attention);
    for (uint32_t g = 0; g < step->model->n_regions; g++) {
        ViewVote *vote = &votes[g];
        const Vote last = vote->vote;
        const bool last_held = vote->held;
        fill_vote(step, g, vote);
        if (vote->vote != last)
            record_vote(step, g, vote);
        changed |= vote->vote != last || vote->held != last_held;
        if (vote->vote == VOTE_DOWN || vote->slow || vote->held || vote->long_window.k > 0)
            view->attention[g / 64] |= UINT64_C(1) << (g % 64);
    }
    changed |= sick != self->sick || view->alone != self->alone;
    view->have = true;
    view->boot = step->core->boot;
    view->born = step->now;
    view->sick = self->sick;
    view->alone = self->alone;
    if (changed)
        reports_push(step);
}

uint32_t views_count_clouds(uint32_t mask)
{
    uint32_t n = 0;
    for (; mask != 0; mask &= mask - 1)
        n++;
    return n;
}

void views_find_fresh(const Tables *tables, Mono now, Fresh *ret_fresh)
{
    ret_fresh->n = 0;
    for (uint32_t o = 0; o < tables->model->n_regions; o++)
        if (view_fresh(tables, o, now))
            ret_fresh->observers[ret_fresh->n++] = o;
}

void views_attention(const Tables *tables, const Fresh *fresh, uint64_t ret_mask[VIEW_WORDS])
{
    memset(ret_mask, 0, VIEW_WORDS * sizeof *ret_mask);
    for (uint32_t i = 0; i < fresh->n; i++)
        for (size_t w = 0; w * 64 < tables->model->n_regions; w++)
            ret_mask[w] |= tables->live.views[fresh->observers[i]].attention[w];
}

static void tally_down(const Tables *tables, uint32_t observer, const ViewVote *vote, Tally *tally)
{
    tally->down_all++;
    if (tables->live.views[observer].sick)
        return; // who loses most targets has lost its own line
    tally->down++;
    tally->clouds |= UINT32_C(1) << tables->model->regions[observer].cloud;
    tally->all_soft &= vote->soft;
    tally->youngest_fail = mono_max(tally->youngest_fail, vote->first_fail);
}

static void tally_all(const Tables *tables, const Fresh *fresh, uint32_t gateway, bool with_alone,
                      Tally *ret_tally)
{
    *ret_tally = (Tally){.all_soft = true,
                         .youngest_fail = MONO_DISTANT,
                         .newest_success = MONO_DISTANT,
                         .peer_hold_until = MONO_DISTANT,
                         .peer_since = MONO_NEVER};
    for (uint32_t i = 0; i < fresh->n; i++) {
        const uint32_t o = fresh->observers[i];
        const ViewVote *vote = &tables_votes(tables, o)[gateway];
        ret_tally->fresh++;
        ret_tally->up += vote->vote == VOTE_UP;
        ret_tally->slow += vote->slow;
        ret_tally->newest_success = mono_max(ret_tally->newest_success, vote->edge_success);
        if (vote->vote == VOTE_DOWN)
            tally_down(tables, o, vote, ret_tally);
        if (o == tables->own || (tables->live.views[o].alone && !with_alone))
            continue;
        ret_tally->together++;
        if (!vote->held)
            continue;
        ret_tally->holders++;
        if (vote->flaps > ret_tally->peer_flaps)
            ret_tally->peer_flaps = vote->flaps;
        ret_tally->peer_hold_until = mono_max(ret_tally->peer_hold_until, vote->hold_until);
        ret_tally->peer_since = mono_min(ret_tally->peer_since, vote->held_since);
    }
}

void views_tally(const Tables *tables, const Fresh *fresh, uint32_t gateway, Tally *ret_tally)
{
    tally_all(tables, fresh, gateway, false, ret_tally);
}

void views_tally_all(const Tables *tables, const Fresh *fresh, uint32_t gateway, Tally *ret_tally)
{
    tally_all(tables, fresh, gateway, true, ret_tally);
}
