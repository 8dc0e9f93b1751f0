// SPDX-License-Identifier: MIT
// drill_measure: what the run left behind: the request log, the ledger, the edges' counters, the
// databases, and the timeline of all plans. It knows of the faults only when they began and ended.
#include <stdio.h>

#include "clock.h"
#include "drill_rows.h"
#include "drill_state.h"
#include "files.h"
#include "layout.h"
#include "verify.h"

#define LOG_MAX ((size_t)2 << 30)
#define GRACE_NS (6 * NS_PER_S) // after healing, a verdict may still come from what was seen before

int drill_count_lost(Drill *drill, uint64_t regions, double *ret_lost, uint64_t *ret_acknowledged,
                     Wall *ret_oldest)
{
    LayoutPath path = layout_dir(drill->options->dir, "cameras.ledger");
    Ledger ledger;
    Verification found;
    int r = ledger_read(path.text, drill->run, &ledger, drill->reterr);
    if (r < 0)
        return r;
    r = verify_ledger(drill->options->conf, drill->options->dir, regions, &ledger, &found,
                      drill->reterr);
    ledger_done(&ledger);
    if (r < 0)
        return r;
    *ret_lost = (double)found.lost;
    *ret_oldest = found.oldest_lost;
    *ret_acknowledged = found.acknowledged;
    return 0;
}

typedef void OnRequest(Drill *drill, const CameraRequest *request, void *context);

// Every request of the log, in the order in which they ended.
static int read_log(Drill *drill, OnRequest *run, void *context)
{
    LayoutPath path = layout_dir(drill->options->dir, "cameras.requests");
    char *bytes CLEANUP(free_textp) = NULL;
    size_t len;
    int r = files_read(path.text, LOG_MAX, &bytes, &len, drill->reterr);
    if (r < 0)
        return r;
    Cursor cursor = cursor_of(bytes, len);
    RecordsItem item;
    while ((r = records_next(&cursor, &item)) > 0) {
        if (r == RECORDS_START && drill->run == 0)
            drill->run = item.u.start.run;
        if (r == RECORDS_REQUEST && run != NULL)
            run(drill, &item.u.request, context);
    }
    if (r < 0)
        return error_set(drill->reterr, r, "%s: byte %zu: not a request log", path.text, cursor.at);
    return 0;
}

int drill_find_run(Drill *drill)
{
    int r = read_log(drill, NULL, NULL);
    if (r == 0 && drill->run == 0)
        return error_set(drill->reterr, ERROR_FORMAT, "the request log has no start of a run");
    drill->report->seed = drill->run;
    return r;
}

static void keep_failure(Drill *drill, const CameraRequest *request)
{
    DrillReport *report = drill->report;
    if (report->n_failures == DRILL_FAILURES || request->first_gateway >= drill->model->n_regions ||
        request->last_gateway >= drill->model->n_regions)
        return;
    report->failures[report->n_failures].at_ms =
        (double)(request->scheduled.ns - drill->fault.ns) / 1e6;
    report->failures[report->n_failures++].request = *request;
}

typedef struct Span {
    Mono first, last;
    Mono failed; // the last first try that failed at a surviving edge during the fault
} Span;

static bool is_in(const DrillScope *scope, Mono at)
{
    return at.ns >= scope->begin.ns && at.ns < scope->end.ns;
}

static void add_request(Drill *drill, const CameraRequest *request, void *context)
{
    DrillReport *report = drill->report;
    Span *span = context;
    uint64_t dead = drill_dead_edges(drill);
    DrillScope *whole = &report->whole;
    const Stats *side = stats_side(&whole->surviving, &whole->dead, dead, request);
    stats_add(stats_side(&whole->surviving, &whole->dead, dead, request), request);
    for (uint32_t i = 0; i < report->n_phases; i++) {
        DrillScope *phase = &report->phases[i];
        if (is_in(phase, request->scheduled))
            stats_add(stats_side(&phase->surviving, &phase->dead, dead, request), request);
    }
    if (request->last != TRY_OK || (side == &whole->surviving && request->first != TRY_OK))
        keep_failure(drill, request);
    span->first = mono_min(span->first, request->scheduled);
    span->last = mono_max(span->last, request->ended);
    // What failed after healing belongs to healing.
    if (side == &whole->surviving && request->first != TRY_OK &&
        request->first_ended.ns > drill->fault.ns && request->scheduled.ns < drill->healed.ns)
        span->failed = mono_max(span->failed, request->first_ended);
}

static int measure_requests(Drill *drill)
{
    DrillReport *report = drill->report;
    Span span = {MONO_NEVER, MONO_DISTANT, MONO_DISTANT};
    int r = read_log(drill, add_request, &span);
    if (r < 0)
        return r;
    report->duration_ns = span.last.ns > span.first.ns ? mono_since(span.last, span.first) : 0;
    report->rto_edge_ms =
        span.failed.ns > drill->fault.ns ? (double)mono_since(span.failed, drill->fault) / 1e6 : 0;
    return 0;
}

static bool asks_to_turn_away(const DrillRow *row)
{
    for (uint32_t i = 0; i < row->n_phases; i++) {
        if (row->phases[i].until == UNTIL_AWAY)
            return true;
    }
    return false;
}

static void measure_plan_times(Drill *drill)
{
    if (!asks_to_turn_away(drill->row))
        return;
    // Nobody can turn away from what no plan had in front.
    drill->report->rto_plan_ms = drill->was_in_front ? FIGURE_NEVER : FIGURE_UNMEASURED;
    if (!drill->was_in_front || !drill_all_away(drill))
        return;
    Mono last = drill->away_since;
    for (uint32_t i = 0; i < drill->model->n_regions; i++) {
        if ((drill_able_agents(drill) >> i & 1) != 0)
            last = mono_max(last, drill->away[i]);
    }
    drill->report->rto_plan_ms = (double)mono_since(last, drill->away_since) / 1e6;
}

// It was broken, and broken so that a verdict is right.
static bool deserved(const Drill *drill, const TimelineEpisode *episode)
{
    for (uint32_t i = 0; i < drill->report->n_phases; i++) {
        const DrillScope *phase = &drill->report->phases[i];
        if (drill->row->phases[i].may_fall && drill_is_target(drill, episode->gateway) &&
            episode->begin.ns >= phase->begin.ns &&
            episode->begin.ns < mono_add(phase->end, GRACE_NS).ns)
            return true;
    }
    return false;
}

static void count_verdict(DrillScope *scope, const TimelineEpisode *episode, bool right)
{
    if (!is_in(scope, episode->begin))
        return;
    scope->taken_down++;
    scope->wrong_verdicts += !right;
}

static void list_verdict(Drill *drill, const TimelineEpisode *episode, bool right)
{
    DrillReport *report = drill->report;
    if (report->n_verdicts == DRILL_VERDICTS || !is_in(&report->whole, episode->begin))
        return;
    bool over = episode->end.ns < MONO_NEVER.ns;
    report->verdicts[report->n_verdicts].region = drill->model->regions[episode->gateway].name;
    report->verdicts[report->n_verdicts].at_ms =
        (double)(episode->begin.ns - drill->fault.ns) / 1e6;
    report->verdicts[report->n_verdicts].held_ms =
        over ? (double)mono_since(episode->end, episode->begin) / 1e6 : FIGURE_NEVER;
    report->verdicts[report->n_verdicts].plans = (uint32_t)__builtin_popcountll(episode->observers);
    report->verdicts[report->n_verdicts++].right = right;
}

static void measure_verdicts(Drill *drill)
{
    DrillReport *report = drill->report;
    static TimelineEpisode episodes[TIMELINE_EPISODES];
    uint64_t all = drill_all_regions(drill);
    uint32_t n = timeline_episodes(&drill->timeline, all, all, episodes);
    for (uint32_t i = 0; i < n; i++) {
        const TimelineEpisode *episode = &episodes[i];
        bool right = deserved(drill, episode);
        count_verdict(&report->whole, episode, right);
        list_verdict(drill, episode, right);
        for (uint32_t k = 0; k < report->n_phases; k++)
            count_verdict(&report->phases[k], episode, right);
        if (drill_is_target(drill, episode->gateway) && is_in(&report->whole, episode->begin) &&
            episode->end.ns < drill->healed.ns && report->n_holds < DRILL_HOLDS)
            report->holds_ms[report->n_holds++] =
                (double)mono_since(episode->end, episode->begin) / 1e6;
    }
    report->plans_lost = drill->timeline.full || n == TIMELINE_EPISODES;
    report->max_apart_ms = (double)timeline_apart_ns(&drill->timeline, drill_able_agents(drill),
                                                     drill->fault, report->whole.end) /
                           1e6;
    Mono agreed = timeline_agreed(&drill->timeline, all, drill->healed);
    report->verdicts_agree_ms =
        agreed.ns < MONO_NEVER.ns ? (double)mono_since(agreed, drill->healed) / 1e6 : FIGURE_NEVER;
}

static double classes_ms(const Drill *drill, uint64_t observers, uint32_t classes, Mono from)
{
    Mono last = from;
    for (uint32_t i = 0; i < drill->model->n_regions; i++) {
        if (drill_is_target(drill, i))
            last = mono_max(last, timeline_classes(&drill->timeline, observers, i,
                                                   drill->row->lost_classes, classes, from));
    }
    return last.ns < MONO_NEVER.ns ? (double)mono_since(last, from) / 1e6 : FIGURE_NEVER;
}

static void measure_classes(Drill *drill)
{
    uint32_t classes = drill->row->lost_classes;
    if (classes == 0)
        return;
    drill->report->class_gone_ms = classes_ms(drill, drill_able_agents(drill), 0, drill->fault);
    // What never was gone cannot come back.
    drill->report->class_back_ms =
        drill->report->class_gone_ms == FIGURE_NEVER
            ? FIGURE_UNMEASURED
            : classes_ms(drill, drill_all_regions(drill), classes, drill->healed);
}

static void measure_load(Drill *drill)
{
    uint64_t survivors = drill_all_regions(drill) & ~drill_dead_edges(drill);
    double peak = 0;
    for (uint32_t i = 0; i < drill->model->n_regions; i++) {
        double capacity =
            drill->capacity_rps > 0 ? drill->capacity_rps : drill->model->regions[i].capacity_rps;
        double ppm = PPM_ONE * drill->load.peak_rps[i] / capacity;
        if ((survivors >> i & 1) != 0 && ppm > peak)
            peak = ppm;
    }
    // The fullest one may be one that nobody saw.
    bool all_seen = (survivors & ~drill->load.measured) == 0;
    drill->report->capacity_peak_ppm = all_seen && peak > 0 ? peak : FIGURE_UNMEASURED;
}

void drill_read_counters(const Drill *drill, EdgeCounters *counters)
{
    counters->n = 0;
    for (uint32_t i = 0; i < drill->model->n_regions; i++)
        edge_counters_read(drill->options->dir, drill->model->regions[i].name, i, counters);
}

int drill_measure(Drill *drill)
{
    DrillReport *report = drill->report;
    uint64_t all = drill_all_regions(drill), dead = drill_dead_edges(drill);
    int r = measure_requests(drill);
    if (r < 0)
        return r;
    measure_plan_times(drill);
    measure_verdicts(drill);
    measure_classes(drill);
    measure_load(drill);
    report->edge_surviving = edge_counters_between(&drill->before, &drill->after, all & ~dead);
    report->edge_dead = edge_counters_between(&drill->before, &drill->after, dead);
    drill_say("checking every acknowledged write");
    Wall oldest;
    r = drill_count_lost(drill, all, &report->lost_after_heal, &report->acknowledged, &oldest);
    uint64_t duplicates;
    if (r == 0 && report->converged_ms != FIGURE_NONE) // else they are not federated
        r = drill_compare_rows(drill);
    if (r == 0)
        r = verify_duplicates(drill->options->conf, drill->options->dir, all, drill->run,
                              &duplicates, drill->reterr);
    if (r == 0)
        report->duplicated_writes = (double)duplicates;
    return r;
}
