// SPDX-License-Identifier: MIT
// drill_text: a drill's report for people. Figures that nothing measured in this drill are left
// out.
#include <inttypes.h>
#include <stdio.h>

#include "drill_figures.h"
#include "drill_report.h"

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

// At most three decimals, none for whole numbers.
static void put_number(Buf *out, double value)
{
    if (value == FIGURE_NEVER)
        buf_add_text(out, "never");
    else if (value == FIGURE_UNMEASURED)
        buf_add_text(out, "not measured");
    else if (value == (double)(int64_t)value)
        buf_printf(out, "%" PRId64, (int64_t)value);
    else
        buf_printf(out, "%.3f", value);
}

static void text_figure(Buf *out, const char *what, double value, const char *unit)
{
    if (value == FIGURE_NEVER)
        buf_printf(out, "  %-38s never\n", what);
    else if (value == FIGURE_UNMEASURED)
        buf_printf(out, "  %-38s not measured\n", what);
    else if (value >= 0)
        buf_printf(out, "  %-38s %.0f%s%s\n", what, value, unit[0] != '\0' ? " " : "", unit);
}

static void text_failures(Buf *out, const DrillReport *report)
{
    for (uint32_t i = 0; i < report->n_failures; i++) {
        const CameraRequest *request = &report->failures[i].request;
        const ModelRegion *regions = report->model->regions;
        buf_printf(out, "  failed %+.0f ms: %s, %s at %s, then %s at %s (status %d), %.0f ms\n",
                   report->failures[i].at_ms, request->write ? "write" : "read",
                   try_result_name(request->first), regions[request->first_gateway].name,
                   try_result_name(request->last), regions[request->last_gateway].name,
                   request->status, ms(mono_since(request->ended, request->scheduled)));
    }
}

static void text_split(Buf *out, const char *what, uint64_t surviving, uint64_t dead)
{
    buf_printf(out, "  %-28s %15" PRIu64 " %14" PRIu64 "\n", what, surviving, dead);
}

static void text_requests(Buf *out, const DrillReport *report)
{
    const Stats *a = &report->whole.surviving, *b = &report->whole.dead;
    buf_printf(out, "  %-28s %15s %14s\n", "", "surviving edges", "dead edges");
#define X(name) text_split(out, #name, a->name, b->name);
    STATS_COUNTS(X)
#undef X
    text_split(out, "edge_retries", report->edge_surviving.retries, report->edge_dead.retries);
    text_split(out, "edge_shed", report->edge_surviving.shed, report->edge_dead.shed);
    buf_printf(out, "  %-28s %15.1f %14.1f\n", "p50 (ms)", ms(stats_quantile_ns(a, 500000)),
               ms(stats_quantile_ns(b, 500000)));
    buf_printf(out, "  %-28s %15.1f %14.1f\n", "p99 (ms)", ms(stats_quantile_ns(a, 990000)),
               ms(stats_quantile_ns(b, 990000)));
    buf_printf(out, "  %-28s %15.1f %14.1f\n\n", "worst (ms)", ms(a->worst_ns), ms(b->worst_ns));
}

static void text_phases(Buf *out, const DrillReport *report)
{
    for (uint32_t i = 0; i < report->n_phases; i++) {
        const DrillScope *phase = &report->phases[i];
        buf_printf(out,
                   "  phase %-12s %7.1f s  %" PRIu64 " requests, %" PRIu64
                   " failed, worst %.0f ms, taken down %u (wrongly %u)\n",
                   phase->name, (double)mono_since(phase->end, phase->begin) / 1e9,
                   phase->surviving.requests + phase->dead.requests,
                   phase->surviving.failed + phase->dead.failed, ms(phase->surviving.worst_ns),
                   phase->taken_down, phase->wrong_verdicts);
    }
    buf_add_char(out, '\n');
}

static void text_verdicts(Buf *out, const DrillReport *report)
{
    for (uint32_t i = 0; i < report->n_verdicts; i++) {
        buf_printf(out, "  %s held down at %+.0f ms by %u plans, for ", report->verdicts[i].region,
                   report->verdicts[i].at_ms, report->verdicts[i].plans);
        if (report->verdicts[i].held_ms < 0)
            buf_add_text(out, "the rest");
        else
            buf_printf(out, "%.0f ms", report->verdicts[i].held_ms);
        buf_add_text(out, report->verdicts[i].right ? "\n" : ": WRONG\n");
    }
}

static void text_figures(Buf *out, const DrillReport *report)
{
    text_figure(out, "last failed first try after the fault", report->rto_edge_ms, "ms");
    text_figure(out, "every plan without the target after", report->rto_plan_ms, "ms");
    text_figure(out, "class gone in every plan after", report->class_gone_ms, "ms");
    text_figure(out, "class back after healing", report->class_back_ms, "ms");
    text_figure(out, "wishes the same everywhere after", report->intents_agree_ms, "ms");
    text_figure(out, "verdicts the same everywhere after", report->verdicts_agree_ms, "ms");
    text_figure(out, "plans differed for at most", report->max_apart_ms, "ms");
    text_figure(out, "fullest survivor, of its capacity",
                report->capacity_peak_ppm < 0 ? report->capacity_peak_ppm
                                              : report->capacity_peak_ppm / 1e4,
                "%");
    text_figure(out, "bad configuration taken back after", report->config_back_ms, "ms");
    text_figure(out, "programs replaced", report->programs_replaced, "");
    text_figure(out, "everything back after", report->recovered_ms, "ms");
    if (report->not_recovered[0] != '\0')
        buf_printf(out, "  NOT back within %.0f s: %s\n", report->recover_limit_ms / 1000,
                   report->not_recovered);
    text_figure(out, "writes acknowledged", (double)report->acknowledged, "");
    text_figure(out, "not readable during the fault", report->lost_now, "");
    text_figure(out, "not readable after healing", report->lost_after_heal, "");
    text_figure(out, "oldest write that survivors lacked", report->rpo_ms, "ms");
    text_figure(out, "every region has everything after", report->converged_ms, "ms");
    text_figure(out, "regions with other rows at the end", report->rows_differ, "");
    text_figure(out, "stored under two keys", report->duplicated_writes, "");
}

void drill_report_text(const DrillReport *report, const DrillObjective *objectives, uint32_t n,
                       Buf *out)
{
    buf_printf(out, "%s%s%s:", report->name, report->target[0] != '\0' ? " " : "", report->target);
    for (uint32_t i = 0; i < report->n_regions; i++)
        buf_printf(out, " %s", report->regions[i]);
    buf_printf(out, ", %.1f s of traffic\n\n", (double)report->duration_ns / 1e9);
    text_requests(out, report);
    text_phases(out, report);
    text_verdicts(out, report);
    text_figures(out, report);
    text_failures(out, report);
    buf_add_char(out, '\n');
    for (uint32_t i = 0; i < n; i++) {
        const DrillObjective *objective = &objectives[i];
        buf_printf(out, "  %-6s %-48s ", objective->held ? "held" : "MISSED", objective->name);
        put_number(out, objective->value);
        buf_printf(out, " (%s ", objective->at_least ? "at least" : "at most");
        put_number(out, objective->limit);
        buf_printf(out, "%s%s)\n", objective->unit[0] != '\0' ? " " : "", objective->unit);
    }
}
