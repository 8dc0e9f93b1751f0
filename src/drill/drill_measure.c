// SPDX-License-Identifier: MIT
// drill_measure: what the run's files say: the request log, the ledger, the edges' counters, the
// databases.
#include <stdio.h>

#include "clock.h"
#include "drill_state.h"
#include "files.h"
#include "layout.h"
#include "verify.h"

#define LOG_MAX ((size_t)2 << 30)

int drill_count_lost(Drill *drill, uint64_t regions, double *ret_lost, uint64_t *ret_acknowledged)
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
    *ret_acknowledged = found.acknowledged;
    return 0;
}

int drill_find_run(Drill *drill)
{
    LayoutPath path = layout_dir(drill->options->dir, "cameras.requests");
    char *bytes CLEANUP(free_textp) = NULL;
    size_t len;
    int r = files_read(path.text, LOG_MAX, &bytes, &len, drill->reterr);
    if (r < 0)
        return r;
    Cursor cursor = cursor_of(bytes, len);
    RecordsItem item;
    if (records_next(&cursor, &item) != RECORDS_START)
        return error_set(drill->reterr, ERROR_FORMAT, "%s: no start of a run", path.text);
    drill->run = item.u.start.run;
    drill->report->seed = item.u.start.run;
    return 0;
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

static int read_log(Drill *drill)
{
    LayoutPath path = layout_dir(drill->options->dir, "cameras.requests");
    char *bytes CLEANUP(free_textp) = NULL;
    size_t len;
    int r = files_read(path.text, LOG_MAX, &bytes, &len, drill->reterr);
    if (r < 0)
        return r;
    Cursor cursor = cursor_of(bytes, len);
    RecordsItem item;
    Mono first = MONO_NEVER, last = MONO_DISTANT, failed = MONO_DISTANT;
    DrillReport *report = drill->report;
    while ((r = records_next(&cursor, &item)) > 0) {
        if (r != RECORDS_REQUEST)
            continue;
        const CameraRequest *request = &item.u.request;
        Stats *side =
            stats_side(&report->surviving, &report->dead, drill->options->regions, request);
        stats_add(side, request);
        if (request->last != TRY_OK || (side == &report->surviving && request->first != TRY_OK))
            keep_failure(drill, request);
        first = mono_min(first, request->scheduled);
        last = mono_max(last, request->ended);
        // What failed after healing belongs to healing.
        if (side == &report->surviving && request->first != TRY_OK &&
            request->first_ended.ns > drill->fault.ns && request->scheduled.ns < drill->healed.ns)
            failed = mono_max(failed, request->first_ended);
    }
    if (r < 0)
        return error_set(drill->reterr, r, "%s: byte %zu: not a request log", path.text, cursor.at);
    report->duration_ns = last.ns > first.ns ? mono_since(last, first) : 0;
    report->rto_edge_ms =
        failed.ns > drill->fault.ns ? (double)mono_since(failed, drill->fault) / 1e6 : 0;
    return 0;
}

static void read_plan_times(Drill *drill)
{
    if (!drill_all_away(drill))
        return;
    Mono last = drill->fault;
    for (uint32_t i = 0; i < drill->model->n_regions; i++) {
        if (!drill_is_target(drill, i))
            last = mono_max(last, drill->away[i]);
    }
    drill->report->rto_plan_ms = (double)mono_since(last, drill->fault) / 1e6;
}

int drill_measure(Drill *drill)
{
    DrillReport *report = drill->report;
    uint64_t all = drill_all_regions(drill);
    int r = read_log(drill);
    if (r < 0)
        return r;
    read_plan_times(drill);
    report->edge_retries_surviving =
        edge_counters_retries(&drill->before, &drill->after, all & ~drill->options->regions);
    report->edge_retries_dead =
        edge_counters_retries(&drill->before, &drill->after, drill->options->regions);
    drill_say("checking every acknowledged write");
    r = drill_count_lost(drill, all, &report->lost_after_heal, &report->acknowledged);
    uint64_t duplicates;
    if (r == 0)
        r = verify_duplicates(drill->options->conf, drill->options->dir, all, drill->run,
                              &duplicates, drill->reterr);
    if (r == 0)
        report->duplicated_writes = (double)duplicates;
    return r;
}
