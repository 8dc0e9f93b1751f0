// SPDX-License-Identifier: MIT
// drill_report: see drill_report.h. JSON; the text is in drill_text.c.
#include "drill_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "clock.h"
#include "drill_figures.h"

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

// At most three decimals, none for whole numbers.
static void put_number(Buf *out, double value)
{
    if (value == (double)(int64_t)value)
        buf_printf(out, "%" PRId64, (int64_t)value);
    else
        buf_printf(out, "%.3f", value);
}

static void put_value(Buf *out, double value)
{
    if (value < 0)
        buf_add_text(out, "null");
    else
        put_number(out, value);
}

static void put_figure(Buf *out, const char *key, double value)
{
    buf_printf(out, ",\"%s\":", key);
    put_value(out, value);
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

static void put_latency(Buf *out, const DrillScope *scope)
{
    static const struct {
        const char *key;
        uint32_t ppm;
    } QUANTILES[] = {{"p50_ms", 500000}, {"p99_ms", 990000}};
    const Stats *surviving = &scope->surviving, *dead = &scope->dead;
    Stats all;
    stats_init(&all);
    stats_merge(&all, surviving);
    stats_merge(&all, dead);
    put_split(out, "worst_ms", ms(all.worst_ns), ms(surviving->worst_ns), ms(dead->worst_ns));
    for (size_t i = 0; i < ARRAY_SIZE(QUANTILES); i++)
        put_split(out, QUANTILES[i].key, ms(stats_quantile_ns(&all, QUANTILES[i].ppm)),
                  ms(stats_quantile_ns(surviving, QUANTILES[i].ppm)),
                  ms(stats_quantile_ns(dead, QUANTILES[i].ppm)));
}

static void put_counts(Buf *out, const DrillScope *scope)
{
    const Stats *a = &scope->surviving, *b = &scope->dead;
#define X(name)                                                                                    \
    put_split(out, #name, (double)(a->name + b->name), (double)a->name, (double)b->name);
    STATS_COUNTS(X)
#undef X
}

static void put_edge(Buf *out, const char *key, uint64_t surviving, uint64_t dead)
{
    put_split(out, key, (double)(surviving + dead), (double)surviving, (double)dead);
}

static void put_verdicts(Buf *out, const DrillScope *scope)
{
    put_figure(out, "taken_down", scope->taken_down);
    put_figure(out, "wrong_verdicts", scope->wrong_verdicts);
}

static void put_phases(Buf *out, const DrillReport *report)
{
    buf_add_text(out, ",\"phases\":[");
    for (uint32_t i = 0; i < report->n_phases; i++) {
        const DrillScope *phase = &report->phases[i];
        buf_printf(out, "%s{\"name\":", i > 0 ? "," : "");
        buf_add_json_string(out, phase->name);
        put_figure(out, "at_ms", ms(mono_since(phase->begin, report->phases[0].begin)));
        put_figure(out, "duration_ms", ms(mono_since(phase->end, phase->begin)));
        put_counts(out, phase);
        put_latency(out, phase);
        put_verdicts(out, phase);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

static void put_holds(Buf *out, const DrillReport *report)
{
    buf_add_text(out, ",\"holds_ms\":[");
    for (uint32_t i = 0; i < report->n_holds; i++) {
        buf_add_text(out, i > 0 ? "," : "");
        put_number(out, report->holds_ms[i]);
    }
    buf_add_char(out, ']');
}

static void put_taken_down(Buf *out, const DrillReport *report)
{
    buf_add_text(out, ",\"verdicts\":[");
    for (uint32_t i = 0; i < report->n_verdicts; i++) {
        buf_printf(out, "%s{\"region\":\"%s\",\"at_ms\":%.3f", i > 0 ? "," : "",
                   report->verdicts[i].region, report->verdicts[i].at_ms);
        put_figure(out, "held_ms", report->verdicts[i].held_ms);
        buf_printf(out, ",\"plans\":%u,\"right\":%s}", report->verdicts[i].plans,
                   report->verdicts[i].right ? "true" : "false");
    }
    buf_add_char(out, ']');
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
        put_figure(out, "value", objectives[i].value);
        buf_printf(out, ",\"measured\":%s",
                   objectives[i].value == FIGURE_UNMEASURED ? "false" : "true");
        buf_printf(out, ",\"held\":%s}", objectives[i].held ? "true" : "false");
    }
    buf_add_char(out, ']');
}

void drill_report_json(const DrillReport *report, const DrillObjective *objectives, uint32_t n,
                       Buf *out)
{
    const struct {
        const char *key;
        double value;
    } figures[] = {
        {"max_apart_ms", report->max_apart_ms},
        {"intents_agree_ms", report->intents_agree_ms},
        {"verdicts_agree_ms", report->verdicts_agree_ms},
        {"class_gone_ms", report->class_gone_ms},
        {"class_back_ms", report->class_back_ms},
        {"capacity_peak_ppm", report->capacity_peak_ppm},
        {"config_back_ms", report->config_back_ms},
        {"programs_replaced", report->programs_replaced},
    };
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
    put_counts(out, &report->whole);
    put_edge(out, "edge_retries", report->edge_surviving.retries, report->edge_dead.retries);
    put_edge(out, "edge_shed", report->edge_surviving.shed, report->edge_dead.shed);
    put_figure(out, "duplicated_writes", report->duplicated_writes);
    put_figure(out, "acknowledged", (double)report->acknowledged);
    put_figure(out, "lost_now", report->lost_now);
    put_figure(out, "lost_after_heal", report->lost_after_heal);
    put_latency(out, &report->whole);
    put_figure(out, "rto_edge_ms", report->rto_edge_ms);
    put_figure(out, "rto_plan_ms", report->rto_plan_ms);
    put_figure(out, "rpo_ms", report->rpo_ms);
    put_figure(out, "converged_ms", report->converged_ms);
    put_figure(out, "rows_differ", report->rows_differ);
    buf_add_text(out, ",\"rto_dns_ms\":null,\"rto_client_ms\":null");
    put_figure(out, "recovered_ms", report->recovered_ms);
    buf_add_text(out, ",\"not_recovered\":");
    buf_add_json_string(out, report->not_recovered);
    put_verdicts(out, &report->whole);
    put_taken_down(out, report);
    put_holds(out, report);
    for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
        put_figure(out, figures[i].key, figures[i].value);
    put_phases(out, report);
    put_failures(out, report);
    put_objectives(out, objectives, n);
    buf_add_char(out, '}');
}
