// SPDX-License-Identifier: MIT
// drill_figures: see drill_figures.h.
#include "drill_figures.h"

#include <stdio.h>

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

static int64_t ns(double ms)
{
    return (int64_t)(ms * NS_PER_MS);
}

static double get_rto(const DrillReport *report, const DrillScope *scope)
{
    return report->rto_plan_ms;
}

static uint64_t all_requests(const DrillScope *scope)
{
    return scope->surviving.requests + scope->dead.requests;
}

// Without a request none failed and none was slow: nothing that a limit could be held against.
static double of_all(const DrillScope *scope, double value)
{
    return all_requests(scope) > 0 ? value : FIGURE_UNMEASURED;
}

static double of_surviving(const DrillScope *scope, double value)
{
    return scope->surviving.requests > 0 ? value : FIGURE_UNMEASURED;
}

static double get_failover(const DrillReport *report, const DrillScope *scope)
{
    if (report->rto_plan_ms < 0 || scope->surviving.requests == 0)
        return of_surviving(scope, report->rto_plan_ms);
    return report->rto_edge_ms > report->rto_plan_ms ? report->rto_edge_ms : report->rto_plan_ms;
}

static double get_availability(const DrillReport *report, const DrillScope *scope)
{
    uint64_t requests = all_requests(scope), failed = scope->surviving.failed + scope->dead.failed;
    return requests > 0 ? 100.0 * (double)(requests - failed) / (double)requests
                        : FIGURE_UNMEASURED;
}

static double get_worst(const DrillReport *report, const DrillScope *scope)
{
    return of_surviving(scope, ms(scope->surviving.worst_ns));
}

static double get_worst_busy(const DrillReport *report, const DrillScope *scope)
{
    return report->busy_targets ? get_worst(report, scope) : FIGURE_NONE;
}

static double get_first_try(const DrillReport *report, const DrillScope *scope)
{
    return of_surviving(scope, (double)scope->surviving.failed_first_try_idempotent);
}

static double get_first_try_busy(const DrillReport *report, const DrillScope *scope)
{
    return report->busy_targets ? get_first_try(report, scope) : FIGURE_NONE;
}

// From the beginning to the last first try that failed at a surviving edge.
static double get_quiet(const DrillReport *report, const DrillScope *scope)
{
    Mono last = scope->surviving.last_failed_first_try;
    return of_surviving(scope, last.ns > scope->begin.ns ? ms(mono_since(last, scope->begin)) : 0);
}

static double get_failed(const DrillReport *report, const DrillScope *scope)
{
    return of_all(scope,
                  (double)(scope->surviving.failed_idempotent + scope->dead.failed_idempotent));
}

static double get_failed_surviving(const DrillReport *report, const DrillScope *scope)
{
    return of_surviving(scope, (double)scope->surviving.failed_idempotent);
}

static double get_failed_all(const DrillReport *report, const DrillScope *scope)
{
    return of_all(scope, (double)(scope->surviving.failed + scope->dead.failed));
}

// Writes that nobody made cannot get lost.
static double of_writes(const DrillReport *report, double value)
{
    return report->acknowledged > 0 ? value : FIGURE_UNMEASURED;
}

static double get_duplicated(const DrillReport *report, const DrillScope *scope)
{
    return of_writes(report, report->duplicated_writes);
}

static double get_lost(const DrillReport *report, const DrillScope *scope)
{
    return of_writes(report, report->lost_after_heal);
}

// More than was kept: what is missing may be what was looked for.
static double of_plans(const DrillReport *report, double value)
{
    return report->plans_lost ? FIGURE_UNMEASURED : value;
}

static double get_wrong(const DrillReport *report, const DrillScope *scope)
{
    return of_plans(report, scope->wrong_verdicts);
}

static double get_taken_down(const DrillReport *report, const DrillScope *scope)
{
    return of_plans(report, scope->taken_down);
}

static double get_apart(const DrillReport *report, const DrillScope *scope)
{
    return of_plans(report, report->max_apart_ms);
}

static double get_intents(const DrillReport *report, const DrillScope *scope)
{
    return report->intents_agree_ms;
}

static double get_verdicts(const DrillReport *report, const DrillScope *scope)
{
    return of_plans(report, report->verdicts_agree_ms);
}

static double get_holds(const DrillReport *report, const DrillScope *scope)
{
    return of_plans(report, report->n_holds);
}

// One hold is neither longer nor shorter than the last.
static double get_short_holds(const DrillReport *report, const DrillScope *scope)
{
    uint32_t n = 0;
    if (report->n_holds < 2)
        return FIGURE_NONE;
    for (uint32_t i = 1; i < report->n_holds; i++)
        n += report->holds_ms[i] <= report->holds_ms[i - 1];
    return of_plans(report, n);
}

static double get_class_gone(const DrillReport *report, const DrillScope *scope)
{
    return report->class_gone_ms;
}

static double get_class_back(const DrillReport *report, const DrillScope *scope)
{
    return report->class_back_ms;
}

static double get_capacity(const DrillReport *report, const DrillScope *scope)
{
    return report->capacity_peak_ppm;
}

static double get_config_back(const DrillReport *report, const DrillScope *scope)
{
    return report->config_back_ms;
}

static double get_rpo(const DrillReport *report, const DrillScope *scope)
{
    return report->rpo_ms;
}

static double get_converged(const DrillReport *report, const DrillScope *scope)
{
    return report->converged_ms;
}

static double get_rows_differ(const DrillReport *report, const DrillScope *scope)
{
    return report->rows_differ >= 0 ? of_writes(report, report->rows_differ) : report->rows_differ;
}

static double get_replaced(const DrillReport *report, const DrillScope *scope)
{
    return report->programs_replaced;
}

static const struct {
    const char *name, *unit;
    double (*get)(const DrillReport *report, const DrillScope *scope);
    bool at_least;
} FIGURES[FIGURE_MAX] = {
    [FIGURE_RTO] = {"rto", "ms", get_rto, false},
    [FIGURE_RPO] = {"rpo", "ms", get_rpo, false},
    [FIGURE_FAILOVER] = {"failover", "ms", get_failover, false},
    [FIGURE_AVAILABILITY] = {"availability", "%", get_availability, true},
    [FIGURE_WORST] = {"worst_request", "ms", get_worst, false},
    [FIGURE_FIRST_TRY] = {"failed_first_try_idempotent.surviving_edges", "", get_first_try, false},
    [FIGURE_FAILED] = {"failed_idempotent", "", get_failed, false},
    [FIGURE_DUPLICATED] = {"duplicated_writes", "", get_duplicated, false},
    [FIGURE_LOST] = {"lost_after_heal", "", get_lost, false},
    [FIGURE_WORST_BUSY] = {"worst_request", "ms", get_worst_busy, false},
    [FIGURE_FIRST_TRY_BUSY] = {"failed_first_try_idempotent.surviving_edges", "",
                               get_first_try_busy, false},
    [FIGURE_QUIET] = {"last_failed_first_try", "ms", get_quiet, false},
    [FIGURE_PLAN] = {"plan_without_target", "ms", get_rto, false},
    [FIGURE_FAILED_SURVIVING] = {"failed_idempotent.surviving_edges", "", get_failed_surviving,
                                 false},
    [FIGURE_FAILED_ALL] = {"failed", "", get_failed_all, false},
    [FIGURE_WRONG] = {"wrong_verdicts", "", get_wrong, false},
    [FIGURE_TAKEN_DOWN] = {"taken_down", "", get_taken_down, false},
    [FIGURE_APART] = {"max_apart_ms", "ms", get_apart, false},
    [FIGURE_INTENTS] = {"intents_agree_ms", "ms", get_intents, false},
    [FIGURE_VERDICTS] = {"verdicts_agree_ms", "ms", get_verdicts, false},
    [FIGURE_HOLDS] = {"holds", "", get_holds, true},
    [FIGURE_SHORT_HOLDS] = {"holds_not_longer", "", get_short_holds, false},
    [FIGURE_CLASS_GONE] = {"class_gone_ms", "ms", get_class_gone, false},
    [FIGURE_CLASS_BACK] = {"class_back_ms", "ms", get_class_back, false},
    [FIGURE_CAPACITY] = {"capacity_peak_ppm", "ppm", get_capacity, false},
    [FIGURE_CONFIG_BACK] = {"config_back_ms", "ms", get_config_back, false},
    [FIGURE_CONVERGED] = {"converged_ms", "ms", get_converged, false},
    [FIGURE_ROWS_DIFFER] = {"rows_differ", "", get_rows_differ, false},
    [FIGURE_REPLACED] = {"programs_replaced", "", get_replaced, true},
};

const char *drill_figure_name(DrillFigure figure)
{
    ASSERT(figure < FIGURE_MAX);
    return FIGURES[figure].name;
}

typedef struct Judgement {
    const DrillReport *report;
    DrillObjective *list;
    uint32_t n;
    Buf *missing;
} Judgement;

static void judge(Judgement *judgement, DrillFigure figure, double limit, const DrillScope *scope)
{
    const DrillReport *report = judgement->report;
    double value = FIGURES[figure].get(report, scope);
    // A phase that ends before the limit would hold it whatever happens.
    if (figure == FIGURE_QUIET && value <= limit &&
        mono_since(scope->end, scope->begin) <= ns(limit))
        value = FIGURE_UNMEASURED;
    if (value == FIGURE_NONE) {
        buf_printf(judgement->missing, "%s%s", judgement->missing->len > 0 ? " " : "",
                   FIGURES[figure].name);
        return;
    }
    ASSERT(judgement->n < DRILL_OBJECTIVES);
    DrillObjective *objective = &judgement->list[judgement->n++];
    bool at_least = FIGURES[figure].at_least;
    *objective =
        (DrillObjective){.unit = FIGURES[figure].unit,
                         .limit = limit,
                         .value = value,
                         .at_least = at_least,
                         .held = value >= 0 && (at_least ? value >= limit : value <= limit)};
    (void)snprintf(objective->name, sizeof objective->name, "%s%s%s",
                   scope == &report->whole ? "" : scope->name, scope == &report->whole ? "" : ".",
                   FIGURES[figure].name);
}

// fleet.yaml's own; a time limit of 0 is no objective.
static void judge_fleet(Judgement *judgement, const DrillRow *row, const ConfObjectives *limits)
{
    const struct {
        DrillFigure figure;
        double limit;
    } all[] = {
        {FIGURE_RTO, ms(limits->rto_ns)},
        {FIGURE_RPO, ms(limits->rpo_ns)},
        {FIGURE_FAILOVER, ms(limits->failover_ns)},
        {FIGURE_AVAILABILITY, (double)limits->availability_ppm / 1e4},
        {FIGURE_WORST, ms(limits->worst_request_ns)},
        {FIGURE_FIRST_TRY, limits->failed_idempotent},
        {FIGURE_FAILED, limits->failed_idempotent},
        {FIGURE_DUPLICATED, 0},
        {FIGURE_LOST, 0},
        {FIGURE_ROWS_DIFFER, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if ((row->fleet_limits >> all[i].figure & 1) != 0 &&
            (all[i].limit > 0 || FIGURES[all[i].figure].unit[0] == '\0'))
            judge(judgement, all[i].figure, all[i].limit, &judgement->report->whole);
    }
}

uint32_t drill_objectives(const DrillReport *report, const DrillRow *row,
                          const ConfObjectives *limits,
                          DrillObjective ret_objectives[DRILL_OBJECTIVES], Buf *ret_missing)
{
    Judgement judgement = {report, ret_objectives, 0, ret_missing};
    judge_fleet(&judgement, row, limits);
    for (uint32_t i = 0; i < DRILL_LIMITS && row->limits[i].figure != FIGURE_END; i++) {
        const DrillLimit *limit = &row->limits[i];
        if (limit->phase <= report->n_phases)
            judge(&judgement, limit->figure, limit->limit,
                  limit->phase == 0 ? &report->whole : &report->phases[limit->phase - 1]);
    }
    return judgement.n;
}

bool drill_held(const DrillObjective *objectives, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!objectives[i].held)
            return false;
    }
    return true;
}
