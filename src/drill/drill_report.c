// SPDX-License-Identifier: MIT
// drill_report: see drill_report.h.
#include "drill_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "clock.h"

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

static void add(DrillObjective *list, uint32_t *n, Buf *missing, const DrillObjective objective)
{
    if (objective.value < 0) {
        buf_printf(missing, "%s%s", missing->len > 0 ? " " : "", objective.name);
        return;
    }
    ASSERT(*n < DRILL_OBJECTIVES);
    list[*n] = objective;
    list[*n].held = objective.at_least ? objective.value >= objective.limit
                                       : objective.value <= objective.limit;
    (*n)++;
}

static double availability(const DrillReport *report)
{
    uint64_t requests = report->surviving.requests + report->dead.requests;
    uint64_t failed = report->surviving.failed + report->dead.failed;
    return requests > 0 ? 100.0 * (double)(requests - failed) / (double)requests : FIGURE_NONE;
}

uint32_t drill_objectives(const DrillReport *report, const ConfObjectives *limits,
                          DrillObjective ret_objectives[DRILL_OBJECTIVES], Buf *ret_missing)
{
    uint32_t n = 0;
    const double first_try = (double)report->surviving.failed_first_try_idempotent;
    const double after_retry =
        (double)(report->surviving.failed_idempotent + report->dead.failed_idempotent);
    double failover = report->rto_plan_ms < 0 || report->rto_edge_ms > report->rto_plan_ms
                          ? report->rto_edge_ms
                          : report->rto_plan_ms;
    if (report->rto_plan_ms < 0)
        failover = FIGURE_NONE;
    const DrillObjective all[] = {
        {"rto", "ms", ms(limits->rto_ns), report->rto_plan_ms, false, false},
        {"rpo", "ms", ms(limits->rpo_ns), FIGURE_NONE, false, false},
        {"failover", "ms", ms(limits->failover_ns), failover, false, false},
        {"availability", "%", (double)limits->availability_ppm / 1e4, availability(report), true,
         false},
        {"worst_request", "ms", ms(limits->worst_request_ns), ms(report->surviving.worst_ns), false,
         false},
        {"failed_first_try_idempotent.surviving_edges", "", limits->failed_idempotent, first_try,
         false, false},
        {"failed_idempotent", "", limits->failed_idempotent, after_retry, false, false},
        {"duplicated_writes", "", 0, report->duplicated_writes, false, false},
        {"lost_after_heal", "", 0, report->lost_after_heal, false, false},
    };
    _Static_assert(sizeof all / sizeof all[0] == DRILL_OBJECTIVES, "each has a place");
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i].limit > 0 || all[i].unit[0] == '\0') // a time limit of 0: no objective
            add(ret_objectives, &n, ret_missing, all[i]);
    }
    return n;
}

bool drill_held(const DrillObjective *objectives, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!objectives[i].held)
            return false;
    }
    return true;
}

// At most three decimals, none for whole numbers.
static void put_number(Buf *out, double value)
{
    if (value == (double)(int64_t)value)
        buf_printf(out, "%" PRId64, (int64_t)value);
    else
        buf_printf(out, "%.3f", value);
}

static void put_figure(Buf *out, const char *key, double value)
{
    buf_printf(out, ",\"%s\":", key);
    if (value < 0)
        buf_add_text(out, "null");
    else
        put_number(out, value);
}

static void put_split(Buf *out, const char *key, double total, double surviving, double dead)
{
    buf_printf(out, ",\"%s\":{\"total\":", key);
    put_number(out, total);
    buf_add_text(out, ",\"surviving_edges\":");
    put_number(out, surviving);
    buf_add_text(out, ",\"dead_edges\":");
    put_number(out, dead);
    buf_add_char(out, '}');
}

static void put_latency(Buf *out, const DrillReport *report)
{
    static const struct {
        const char *key;
        uint32_t ppm;
    } QUANTILES[] = {{"p50_ms", 500000}, {"p99_ms", 990000}};
    Stats all;
    stats_init(&all);
    stats_merge(&all, &report->surviving);
    stats_merge(&all, &report->dead);
    put_split(out, "worst_ms", ms(all.worst_ns), ms(report->surviving.worst_ns),
              ms(report->dead.worst_ns));
    for (size_t i = 0; i < ARRAY_SIZE(QUANTILES); i++)
        put_split(out, QUANTILES[i].key, ms(stats_quantile_ns(&all, QUANTILES[i].ppm)),
                  ms(stats_quantile_ns(&report->surviving, QUANTILES[i].ppm)),
                  ms(stats_quantile_ns(&report->dead, QUANTILES[i].ppm)));
}

// What to look at when an objective was missed.
static void put_failures(Buf *out, const DrillReport *report)
{
    buf_add_text(out, ",\"failures\":[");
    for (uint32_t i = 0; i < report->n_failures; i++) {
        const CameraRequest *request = &report->failures[i].request;
        const ModelRegion *regions = report->model->regions;
        buf_printf(out,
                   "%s{\"at_ms\":%.3f,\"latency_ms\":%.3f,\"write\":%s,\"idempotent\":%s,"
                   "\"first_gateway\":\"%s\",\"first\":\"%s\",\"last_gateway\":\"%s\","
                   "\"last\":\"%s\",\"status\":%d}",
                   i > 0 ? "," : "", report->failures[i].at_ms,
                   ms(mono_since(request->ended, request->scheduled)),
                   request->write ? "true" : "false", request->idempotent ? "true" : "false",
                   regions[request->first_gateway].name, try_result_name(request->first),
                   regions[request->last_gateway].name, try_result_name(request->last),
                   request->status);
    }
    buf_add_char(out, ']');
}

static void put_objectives(Buf *out, const DrillObjective *objectives, uint32_t n)
{
    buf_add_text(out, ",\"objectives\":[");
    for (uint32_t i = 0; i < n; i++) {
        buf_printf(out, "%s{\"name\":\"%s\",\"unit\":\"%s\",\"limit\":", i > 0 ? "," : "",
                   objectives[i].name, objectives[i].unit);
        put_number(out, objectives[i].limit);
        buf_add_text(out, ",\"value\":");
        put_number(out, objectives[i].value);
        buf_printf(out, ",\"held\":%s}", objectives[i].held ? "true" : "false");
    }
    buf_add_char(out, ']');
}

void drill_report_json(const DrillReport *report, const DrillObjective *objectives, uint32_t n,
                       Buf *out)
{
    char started[CLOCK_TEXT_MAX];
    buf_printf(out, "{\"drill\":\"%s\",\"target\":", report->name);
    buf_add_json_string(out, report->target);
    buf_add_text(out, ",\"regions\":[");
    for (uint32_t i = 0; i < report->n_regions; i++) {
        buf_add_text(out, i > 0 ? "," : "");
        buf_add_json_string(out, report->regions[i]);
    }
    buf_printf(out, "],\"seed\":\"%016" PRIx64 "\",\"started\":\"%s\"", report->seed,
               clock_format(report->started, started));
    put_figure(out, "duration_ms", ms(report->duration_ns));
    const Stats *a = &report->surviving, *b = &report->dead;
#define X(name)                                                                                    \
    put_split(out, #name, (double)(a->name + b->name), (double)a->name, (double)b->name);
    STATS_COUNTS(X)
#undef X
    put_split(out, "edge_retries",
              (double)(report->edge_retries_surviving + report->edge_retries_dead),
              (double)report->edge_retries_surviving, (double)report->edge_retries_dead);
    put_figure(out, "duplicated_writes", report->duplicated_writes);
    put_figure(out, "acknowledged", (double)report->acknowledged);
    put_figure(out, "lost_now", report->lost_now);
    put_figure(out, "lost_after_heal", report->lost_after_heal);
    put_latency(out, report);
    put_figure(out, "rto_edge_ms", report->rto_edge_ms);
    put_figure(out, "rto_plan_ms", report->rto_plan_ms);
    buf_add_text(out, ",\"rto_dns_ms\":null,\"rto_client_ms\":null,\"rpo_ms\":null,"
                      "\"converged_ms\":null");
    put_figure(out, "recovered_ms", report->recovered_ms);
    buf_add_text(out, ",\"not_recovered\":");
    buf_add_json_string(out, report->not_recovered);
    put_failures(out, report);
    put_objectives(out, objectives, n);
    buf_add_char(out, '}');
}

static void text_figure(Buf *out, const char *what, double value, const char *unit)
{
    if (value < 0)
        buf_printf(out, "  %-36s not measured\n", what);
    else
        buf_printf(out, "  %-36s %.0f%s%s\n", what, value, unit[0] != '\0' ? " " : "", unit);
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

void drill_report_text(const DrillReport *report, const DrillObjective *objectives, uint32_t n,
                       Buf *out)
{
    const Stats *a = &report->surviving, *b = &report->dead;
    buf_printf(out, "%s %s:", report->name, report->target);
    for (uint32_t i = 0; i < report->n_regions; i++)
        buf_printf(out, " %s", report->regions[i]);
    buf_printf(out, ", %.1f s of traffic\n\n  %-28s %14s %14s\n", (double)report->duration_ns / 1e9,
               "", "surviving edges", "dead edges");
#define X(name) buf_printf(out, "  %-28s %15" PRIu64 " %14" PRIu64 "\n", #name, a->name, b->name);
    STATS_COUNTS(X)
#undef X
    buf_printf(out, "  %-28s %15" PRIu64 " %14" PRIu64 "\n", "edge_retries",
               report->edge_retries_surviving, report->edge_retries_dead);
    buf_printf(out, "  %-28s %15.1f %14.1f\n", "p50 (ms)", ms(stats_quantile_ns(a, 500000)),
               ms(stats_quantile_ns(b, 500000)));
    buf_printf(out, "  %-28s %15.1f %14.1f\n", "p99 (ms)", ms(stats_quantile_ns(a, 990000)),
               ms(stats_quantile_ns(b, 990000)));
    buf_printf(out, "  %-28s %15.1f %14.1f\n\n", "worst (ms)", ms(a->worst_ns), ms(b->worst_ns));
    text_figure(out, "last failed first try after the fault", report->rto_edge_ms, "ms");
    text_figure(out, "every plan without the target after", report->rto_plan_ms, "ms");
    text_figure(out, "everything back after", report->recovered_ms, "ms");
    if (report->not_recovered[0] != '\0')
        buf_printf(out, "  NOT back within %.0f s: %s\n", report->recover_limit_ms / 1000,
                   report->not_recovered);
    text_figure(out, "writes acknowledged", (double)report->acknowledged, "");
    text_figure(out, "not readable during the fault", report->lost_now, "");
    text_figure(out, "not readable after healing", report->lost_after_heal, "");
    text_figure(out, "stored under two keys", report->duplicated_writes, "");
    text_failures(out, report);
    buf_add_char(out, '\n');
    for (uint32_t i = 0; i < n; i++) {
        const DrillObjective *objective = &objectives[i];
        buf_printf(out, "  %-6s %-44s ", objective->held ? "held" : "MISSED", objective->name);
        put_number(out, objective->value);
        buf_printf(out, " (%s ", objective->at_least ? "at least" : "at most");
        put_number(out, objective->limit);
        buf_printf(out, "%s%s)\n", objective->unit[0] != '\0' ? " " : "", objective->unit);
    }
}
