// SPDX-License-Identifier: MIT
// conf_report: collects what is wrong with a file while the stages of conf (tree, walk, checks) go
// on. At most CONF_PROBLEMS_MAX are kept, the others are only counted: a file of another kind would
// give thousands. Running out of memory is sticky and comes out of conf_report_check. Owner: the
// caller of conf_parse gets the items; the texts are on the heap.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "buf.h"
#include "conf.h"

#define CONF_PROBLEMS_MAX 20

typedef struct ConfReport {
    const char *path; // of the file, for the texts
    ConfProblem items[CONF_PROBLEMS_MAX];
    size_t n;
    size_t n_errors; // all found, kept or not
    bool no_memory;
} ConfReport;

// "FILE:LINE:COLUMN: " is put before the text; a warning gets "warning: " as well.
void conf_report_error(ConfReport *report, size_t line, size_t column, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void conf_report_warning(ConfReport *report, size_t line, size_t column, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
// True when no more texts are kept: the caller's error is counted, its text need not be made.
bool conf_report_is_full(ConfReport *report);
// buf_done for a piece of a text: notices when it is incomplete for want of memory.
void conf_report_buf_done(ConfReport *report, Buf *buf);
// 0, ERROR_MEMORY, or ERROR_FORMAT with the first texts in reterr.
int conf_report_check(const ConfReport *report, Error *reterr) MUST_CHECK;
// Sorted by position; the report is empty after that. ERROR_MEMORY leaves it as it was.
int conf_report_take(ConfReport *report, ConfProblems *ret_problems) MUST_CHECK;
void conf_report_done(ConfReport *report);
