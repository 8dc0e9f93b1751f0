// SPDX-License-Identifier: MIT
// sim_nonsense_report: random reports; see sim_nonsense.h. The codec would refuse some of them; the
// core must not depend on that.
#include "attr.h"
#include "sim_nonsense.h"

static uint32_t below(SimNonsense *from, uint64_t bound)
{
    return (uint32_t)rng_below(&from->rng, bound);
}

static bool one_in(SimNonsense *from, uint32_t n)
{
    return below(from, n) == 0;
}

static const char *some_region(SimNonsense *from)
{
    static const char *const STRANGERS[] = {"", "moon", "region-", "region-99"};
    if (one_in(from, 40))
        return STRANGERS[below(from, ARRAY_SIZE(STRANGERS))];
    return from->model->regions[below(from, from->model->n_regions)].name;
}

static int64_t some_age(SimNonsense *from)
{
    switch (below(from, 40)) {
    case 0:
        return AGE_NEVER;
    case 1:
        return (int64_t)rng_next(&from->rng);
    case 2:
        return -(int64_t)below(from, 10000) * NS_PER_MS;
    default:
        return (int64_t)below(from, 4000) * NS_PER_MS;
    }
}

static ErrorWindow some_window(SimNonsense *from)
{
    ErrorWindow window = {.n = below(from, 3000), .buckets = below(from, 12)};
    window.k = one_in(from, 6) ? below(from, window.n + 1) : below(from, 3);
    if (one_in(from, 50))
        window = (ErrorWindow){(uint32_t)rng_next(&from->rng), (uint32_t)rng_next(&from->rng),
                               (uint32_t)rng_next(&from->rng)};
    return window;
}

static void sane_vote(SimNonsense *from, ReportVote *vote, uint32_t gateway)
{
    bool down = gateway < 64 && (from->down >> gateway & 1) != 0;
    *vote = (ReportVote){
        .gateway = from->model->regions[gateway].name,
        .vote = down ? VOTE_DOWN : VOTE_UP,
        .soft = one_in(from, 2),
        .first_fail_age_ns = down ? 1600 * NS_PER_MS : AGE_NEVER,
        .edge_success_age_ns = AGE_NEVER,
        .streak = down ? 5 : 0,
        .held_age_ns = AGE_NEVER,
        .p50_us = 8000,
        .p99_us = 12000,
        .slow = one_in(from, 100),
    };
}

static void wild_vote(SimNonsense *from, ReportVote *vote)
{
    *vote = (ReportVote){
        .gateway = some_region(from),
        .vote = (Vote)below(from, one_in(from, 30) ? VOTE_MAX + 2 : VOTE_MAX),
        .soft = one_in(from, 2),
        .slow = one_in(from, 4),
        .held = one_in(from, 4),
        .first_fail_age_ns = some_age(from),
        .edge_success_age_ns = some_age(from),
        .streak = below(from, 9),
        .flaps = one_in(from, 20) ? (uint32_t)rng_next(&from->rng) : below(from, 5),
        .held_age_ns = some_age(from),
        .hold_left_ns = one_in(from, 10) ? some_age(from) : 0,
        .p50_us = below(from, 5000000),
        .p99_us = (uint32_t)rng_next(&from->rng),
        .short_window = some_window(from),
        .long_window = some_window(from),
    };
}

static bool view(SimNonsense *from, Arena *arena, ReportView *ret, const char *observer, bool wild)
{
    uint32_t n = wild ? below(from, from->model->n_regions + 3) : from->model->n_regions;
    *ret = (ReportView){
        .observer = observer,
        .boot = 1 + (one_in(from, 200) ? below(from, 3) : 0),
        .sequence =
            (uint64_t)(from->now.ns / NS_PER_MS) + (wild ? rng_next(&from->rng) % 100000 : 0),
        .age_ns = wild ? some_age(from) : (int64_t)below(from, 200) * NS_PER_MS,
        .sick = one_in(from, wild ? 3 : 60),
        .alone = one_in(from, wild ? 3 : 60),
        .n_votes = n,
        .votes = arena_new_array(arena, ReportVote, n),
    };
    if (ret->votes == NULL)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (wild || one_in(from, 100))
            wild_vote(from, &ret->votes[i]);
        else
            sane_vote(from, &ret->votes[i], i);
    }
    return true;
}

static bool services(SimNonsense *from, Arena *arena, Report *report)
{
    report->n_services = from->model->n_services;
    report->services = arena_new_array(arena, ReportService, report->n_services);
    if (report->services == NULL)
        return false;
    for (uint32_t i = 0; i < report->n_services; i++)
        report->services[i] = (ReportService){
            .name = one_in(from, 100) ? "elsewhere" : from->model->services[i].name,
            .classes = one_in(from, 20) ? (uint32_t)rng_next(&from->rng) : CLASS_MASK_ALL};
    return true;
}

static bool intents(SimNonsense *from, Arena *arena, Report *report)
{
    report->n_intents = one_in(from, 30) ? below(from, 3) : 0;
    report->intents = arena_new_array(arena, Intent, report->n_intents);
    if (report->intents == NULL)
        return false;
    for (uint32_t i = 0; i < report->n_intents; i++) {
        report->intents[i] = (Intent){
            .kind = (IntentKind)below(from, INTENT_KIND_MAX + (one_in(from, 10) ? 2 : 0)),
            .target = arena_printf(arena, "region:%s", some_region(from)),
            .region = some_region(from),
            .value_ppm = (uint32_t)rng_next(&from->rng),
            .author = "peer",
            .reason = "nonsense",
            .stamp = (from->wall.ns / 1000) << 8 | (1 + below(from, 20)),
            .created = from->wall,
            .expires = {from->wall.ns + (int64_t)below(from, 60) * NS_PER_S},
        };
        if (one_in(from, 10))
            report->intents[i].stamp = (int64_t)rng_next(&from->rng);
        if (report->intents[i].target == NULL)
            return false;
    }
    return true;
}

const Report *sim_nonsense_report(SimNonsense *from, Arena *arena)
{
    Report *report = arena_new_of(arena, Report);
    if (report == NULL)
        return NULL;
    bool wild = below(from, 16) < from->liars;
    *report = (Report){
        .version = wild && one_in(from, 10) ? below(from, 4) : 1,
        .region = some_region(from),
        .boot = 1 + (one_in(from, 200) ? below(from, 3) : 0),
        .sequence = (uint64_t)(from->now.ns / NS_PER_MS),
        .generation = from->model->generation,
        .config_hash = from->model->config_hash,
        .plan_number = rng_next(&from->rng),
        .plan_fleet_digest = rng_next(&from->rng),
        .wall = wall_add(from->wall, one_in(from, 50) ? 600 * NS_PER_S : 0),
        .stamp_ns = from->now.ns,
        .echo_boot = from->own_boot,
        .echo_ns = from->own_stamp_ns,
        .echo_held_ns = (int64_t)below(from, 100) * NS_PER_MS,
        .capacity_rps = 1 + below(from, 5000),
        .load_rps = below(from, one_in(from, 4) ? 8000 : 800),
        .replicas_want = 2,
        .replicas_up = below(from, 3),
    };
    if (wild) {
        report->sequence += rng_next(&from->rng) % 100000;
        report->stamp_ns = some_age(from);
        report->echo_ns = one_in(from, 2) ? (int64_t)rng_next(&from->rng) : report->echo_ns;
        report->echo_held_ns = some_age(from);
        report->capacity_rps = (uint32_t)rng_next(&from->rng);
        report->load_rps = (uint32_t)rng_next(&from->rng);
    }
    report->n_views = wild ? below(from, 4) : 1 + below(from, 2);
    report->views = arena_new_array(arena, ReportView, report->n_views);
    if (report->views == NULL || !services(from, arena, report) || !intents(from, arena, report))
        return NULL;
    for (uint32_t i = 0; i < report->n_views; i++)
        if (!view(from, arena, &report->views[i], i == 0 ? report->region : some_region(from),
                  wild))
            return NULL;
    return report;
}
