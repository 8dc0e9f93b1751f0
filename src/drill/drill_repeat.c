// SPDX-License-Identifier: MIT
// drill_repeat: one drill several times: median and worst of every figure.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "alloc.h"
#include "drill_all.h"
#include "drill_one.h"

typedef struct Column {
    const char *name;
    double (*get)(const DrillReport *report);
} Column;

static double worst_surviving(const DrillReport *report)
{
    return (double)report->whole.surviving.worst_ns / 1e6;
}

static double first_try(const DrillReport *report)
{
    return (double)report->whole.surviving.failed_first_try_idempotent;
}

static double failed(const DrillReport *report)
{
    return (double)(report->whole.surviving.failed_idempotent +
                    report->whole.dead.failed_idempotent);
}

static double plan(const DrillReport *report)
{
    return report->rto_plan_ms;
}

static double taken_down(const DrillReport *report)
{
    return report->whole.taken_down;
}

static double wrong(const DrillReport *report)
{
    return report->whole.wrong_verdicts;
}

static double intents(const DrillReport *report)
{
    return report->intents_agree_ms;
}

static double verdicts(const DrillReport *report)
{
    return report->verdicts_agree_ms;
}

static double apart(const DrillReport *report)
{
    return report->max_apart_ms;
}

static double capacity(const DrillReport *report)
{
    return report->capacity_peak_ppm;
}

static double duplicated(const DrillReport *report)
{
    return report->duplicated_writes;
}

static double lost(const DrillReport *report)
{
    return report->lost_after_heal;
}

static double recovered(const DrillReport *report)
{
    return report->recovered_ms;
}

static const Column COLUMNS[] = {
    {"worst_ms.surviving_edges", worst_surviving},
    {"failed_first_try_idempotent.surviving_edges", first_try},
    {"failed_idempotent.total", failed},
    {"rto_plan_ms", plan},
    {"taken_down", taken_down},
    {"wrong_verdicts", wrong},
    {"intents_agree_ms", intents},
    {"verdicts_agree_ms", verdicts},
    {"max_apart_ms", apart},
    {"capacity_peak_ppm", capacity},
    {"duplicated_writes", duplicated},
    {"lost_after_heal", lost},
    {"recovered_ms", recovered},
};

#define COLUMNS_N (sizeof COLUMNS / sizeof COLUMNS[0])

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, uint32_t n)
{
    qsort(values, n, sizeof *values, compare);
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void print_value(double value)
{
    if (isinf(value))
        (void)printf(" %10s", "never");
    else
        (void)printf(" %10.0f", value);
}

// values: COLUMNS_N rows of `times`; a figure that a run did not have is left out of its row. What
// did not happen at all is worse than any figure.
static void print_table(double *values, uint32_t times, uint32_t held)
{
    (void)printf("  %-46s %10s %10s\n", "", "median", "worst");
    for (size_t i = 0; i < COLUMNS_N; i++) {
        double *row = values + i * times, worst = -1;
        uint32_t n = 0;
        for (uint32_t k = 0; k < times; k++) {
            double value = row[k] == FIGURE_NEVER ? (double)INFINITY : row[k];
            if (value < 0)
                continue;
            worst = value > worst ? value : worst;
            row[n++] = value;
        }
        if (n == 0)
            continue;
        (void)printf("  %-46s", COLUMNS[i].name);
        print_value(median(row, n));
        print_value(worst);
        (void)printf("\n");
    }
    (void)printf("\n  every objective held in %" PRIu32 " of %" PRIu32 " runs\n", held, times);
}

int drill_repeat(const DrillOptions *options, uint32_t times, bool json, Error *reterr)
{
    double *values CLEANUP(alloc_freep) = alloc_zeroed(COLUMNS_N * times, sizeof *values);
    Buf array CLEANUP(buf_done) = BUF_INIT(0);
    uint32_t held = 0;
    if (values == NULL)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    for (uint32_t k = 0; k < times; k++) {
        DrillResult *result CLEANUP(drill_one_freep) = NULL;
        (void)fprintf(stderr, "drill: == %" PRIu32 " of %" PRIu32 "\n", k + 1, times);
        int r = drill_one(options, &result, reterr);
        if (r < 0)
            return r;
        for (size_t i = 0; i < COLUMNS_N; i++)
            values[i * times + k] = COLUMNS[i].get(&result->report);
        held += drill_one_held(result);
        buf_printf(&array, "%s%s", k > 0 ? "," : "", buf_text(&result->json));
    }
    if (buf_check(&array) < 0)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    if (json)
        (void)printf("[%s]\n", buf_text(&array));
    else
        print_table(values, times, held);
    if (fflush(stdout) != 0)
        return error_set(reterr, ERROR_UNAVAILABLE, "stdout");
    return held == times ? 0
                         : error_set(reterr, ERROR_NOT_HELD,
                                     "an objective was missed in %" PRIu32 " of %" PRIu32 " runs",
                                     times - held, times);
}
