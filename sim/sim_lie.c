// SPDX-License-Identifier: MIT
// sim_lie: see sim_lie.h.
#include "sim_lie.h"

static void lie_down(ReportVote *vote)
{
    vote->vote = VOTE_DOWN;
    vote->soft = false;
    vote->streak = 9;
    vote->first_fail_age_ns = 2 * NS_PER_S;
    vote->edge_success_age_ns = AGE_NEVER;
}

static void lie_up(ReportVote *vote)
{
    vote->vote = VOTE_UP;
    vote->soft = vote->slow = vote->held = false;
    vote->streak = 0;
    vote->first_fail_age_ns = AGE_NEVER;
    vote->edge_success_age_ns = 0;
    vote->hold_left_ns = 0;
    vote->held_age_ns = AGE_NEVER;
    vote->short_window.k = vote->short_window.buckets = 0;
    vote->long_window.k = vote->long_window.buckets = 0;
}

static int64_t some_age(Rng *rng)
{
    static const int64_t AGES[] = {0, 1, NS_PER_S, 3600 * NS_PER_S, AGE_NEVER};
    return AGES[rng_below(rng, sizeof AGES / sizeof AGES[0])];
}

static void lie_nonsense(ReportVote *vote, Rng *rng)
{
    vote->vote = (Vote)rng_below(rng, VOTE_MAX);
    vote->soft = rng_below(rng, 2) == 0;
    vote->slow = rng_below(rng, 2) == 0;
    vote->held = rng_below(rng, 2) == 0;
    vote->first_fail_age_ns = some_age(rng);
    vote->edge_success_age_ns = some_age(rng);
    vote->held_age_ns = some_age(rng);
    vote->hold_left_ns = some_age(rng);
    vote->streak = (uint32_t)rng_next(rng);
    vote->flaps = (uint32_t)rng_next(rng);
    vote->p50_us = (uint32_t)rng_next(rng);
    vote->p99_us = (uint32_t)rng_next(rng);
    vote->short_window = (ErrorWindow){.n = (uint32_t)rng_next(rng) % 1000, .k = 900, .buckets = 9};
    vote->long_window = (ErrorWindow){.n = (uint32_t)rng_next(rng), .k = 3, .buckets = 1000};
}

static void lie_in_view(const SimFault *fault, const Model *model, ReportView *view, Rng *rng)
{
    for (uint32_t i = 0; i < view->n_votes; i++) {
        int gateway = model_find_region(model, view->votes[i].gateway);
        if (gateway < 0 || (fault->b >> gateway & 1) == 0)
            continue;
        if (fault->value == SIM_LIE_UP)
            lie_up(&view->votes[i]);
        else if (fault->value == SIM_LIE_NONSENSE)
            lie_nonsense(&view->votes[i], rng);
        else
            lie_down(&view->votes[i]);
    }
}

void sim_lie(const SimFault *fault, const Model *model, const Report *report, Rng *rng)
{
    uint32_t n = fault->value == SIM_LIE_FORGE ? report->n_views : 1;
    for (uint32_t i = 0; i < n && i < report->n_views; i++) {
        ReportView *view = &report->views[i];
        lie_in_view(fault, model, view, rng);
        if (i == 0)
            continue;
        view->age_ns = 0; // fresher than what the observer itself says
        view->sequence += 1000;
        view->sick = view->alone = false;
    }
}
