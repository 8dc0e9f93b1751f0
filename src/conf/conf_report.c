// SPDX-License-Identifier: MIT
// conf_report: see conf_report.h.
#include "conf_report.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include "alloc.h"

#define PROBLEMS_IN_ERROR 3 // the rest stands in ConfProblems

static void add(ConfReport *report, ConfProblem problem, const char *fmt, va_list args)
    PRINTF_LIKE(3, 0);
static void add(ConfReport *report, ConfProblem problem, const char *fmt, va_list args)
{
    if (!problem.warning)
        report->n_errors++;
    if (report->n == CONF_PROBLEMS_MAX)
        return;
    Buf text = BUF_INIT(0);
    buf_printf(&text, "%s:%zu:%zu: %s", report->path, problem.line, problem.column,
               problem.warning ? "warning: " : "");
    buf_vprintf(&text, fmt, args);
    if (buf_check(&text) == ERROR_MEMORY) {
        report->no_memory = true;
        buf_done(&text);
        return;
    }
    problem.text = buf_take(&text);
    report->items[report->n++] = problem;
}

void conf_report_error(ConfReport *report, size_t line, size_t column, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(report, (ConfProblem){.line = line, .column = column}, fmt, args);
    va_end(args);
}

void conf_report_warning(ConfReport *report, size_t line, size_t column, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(report, (ConfProblem){.line = line, .column = column, .warning = true}, fmt, args);
    va_end(args);
}

static bool is_before(const ConfProblem *a, const ConfProblem *b)
{
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

// Stable: problems of one place keep the order in which they were found.
static void sort_by_position(ConfProblem *items, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        ConfProblem problem = items[i];
        size_t at = i;
        for (; at > 0 && is_before(&problem, &items[at - 1]); at--)
            items[at] = items[at - 1];
        items[at] = problem;
    }
}

bool conf_report_is_full(ConfReport *report)
{
    bool full = report->n == CONF_PROBLEMS_MAX;
    report->n_errors += full;
    return full;
}

void conf_report_buf_done(ConfReport *report, Buf *buf)
{
    report->no_memory |= buf_check(buf) == ERROR_MEMORY;
    buf_done(buf);
}

int conf_report_check(const ConfReport *report, Error *reterr)
{
    if (report->no_memory)
        return error_set(reterr, ERROR_MEMORY, "no memory to read '%s'", report->path);
    if (report->n_errors == 0)
        return 0;
    ConfProblem sorted[CONF_PROBLEMS_MAX];
    for (size_t i = 0; i < report->n; i++)
        sorted[i] = report->items[i];
    sort_by_position(sorted, report->n);
    Buf text = BUF_INIT(0);
    size_t shown = 0;
    for (size_t i = 0; i < report->n && shown < PROBLEMS_IN_ERROR; i++) {
        if (!sorted[i].warning)
            buf_printf(&text, "%s%s", shown++ > 0 ? "\n" : "", sorted[i].text);
    }
    if (report->n_errors > shown)
        buf_printf(&text, "\nand %zu more", report->n_errors - shown);
    int r = error_set(reterr, ERROR_FORMAT, "%s", buf_text(&text));
    buf_done(&text);
    return r;
}

int conf_report_take(ConfReport *report, ConfProblems *ret_problems)
{
    ConfProblem *items = NULL;
    if (report->n > 0) {
        items = alloc_zeroed(report->n, sizeof *items);
        if (items == NULL)
            return ERROR_MEMORY;
        for (size_t i = 0; i < report->n; i++)
            items[i] = report->items[i];
        sort_by_position(items, report->n);
    }
    *ret_problems = (ConfProblems){.n = report->n, .items = items};
    report->n = 0;
    return 0;
}

static void free_text(ConfProblem *problem)
{
    free((void *)(uintptr_t)problem->text);
    problem->text = NULL;
}

void conf_report_done(ConfReport *report)
{
    for (size_t i = 0; i < report->n; i++)
        free_text(&report->items[i]);
    report->n = 0;
}

void conf_problems_done(ConfProblems *problems)
{
    if (problems == NULL)
        return;
    for (size_t i = 0; i < problems->n; i++)
        free_text(&problems->items[i]);
    free(problems->items);
    *problems = (ConfProblems){0};
}
