// SPDX-License-Identifier: MIT
// drill_one: see drill_one.h.
#include "drill_one.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>

#include "alloc.h"
#include "clock.h"
#include "files.h"
#include "owned.h"

// DIR/drills/2026-11-23T14-00-00Z-provider-down.json; the name sorts by time.
static int store(const DrillOptions *options, const DrillResult *result, Error *reterr)
{
    char at[CLOCK_TEXT_MAX], name[160];
    (void)clock_format(result->report.started, at);
    for (char *c = at; *c != '\0'; c++) {
        if (*c == ':')
            *c = '-';
    }
    (void)snprintf(name, sizeof name, "drills/%s-%s.json", at, result->report.name);
    Buf line CLEANUP(buf_done) = BUF_INIT(0);
    buf_printf(&line, "%s\n", buf_text(&result->json));
    int r = buf_check(&line);
    if (r < 0 || (r = owned_replace(options->dir, name, line.data, line.len, reterr)) < 0)
        return error_wrap(reterr, r, "store the report");
    (void)fprintf(stderr, "drill: report in %s/%s\n", options->dir, name);
    return 0;
}

// One drill at a time breaks a fleet. The keeper and the guard of a killed drill keep the lock
// until all is healed and undone.
static int lock(const char *dir, int *ret_fd, Error *reterr)
{
    *ret_fd = owned_open_drills(dir, reterr);
    if (*ret_fd < 0)
        return *ret_fd;
    if (flock(*ret_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return error_set(reterr, ERROR_RUNNING, "another drill runs on the fleet in '%s'", dir);
}

int drill_one(const DrillOptions *options, DrillResult **ret_result, Error *reterr)
{
    DrillResult *result CLEANUP(drill_one_freep) = alloc_zeroed(1, sizeof *result);
    if (result == NULL)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    int locked CLEANUP(fd_closep) = -1;
    int r = drill_possible(options->row, reterr);
    if (r < 0 || (r = lock(options->dir, &locked, reterr)) < 0)
        return r;
    DrillOptions held = *options;
    held.lock = locked;
    if ((r = drill_run(&held, &result->report, reterr)) < 0)
        return error_wrap(reterr, r, "drill '%s'", options->row->name);
    result->report.target = options->target; // `held` ends here
    result->n_objectives =
        drill_objectives(&result->report, options->row, &options->conf->objectives,
                         result->objectives, &result->missing);
    drill_report_json(&result->report, result->objectives, result->n_objectives, &result->json);
    drill_report_text(&result->report, result->objectives, result->n_objectives, &result->text);
    if ((r = buf_check(&result->json)) < 0 || (r = buf_check(&result->text)) < 0)
        return error_set(reterr, r, "report: out of memory");
    if (result->missing.len > 0)
        (void)fprintf(stderr, "drill: not measured, so not judged: %s\n",
                      buf_text(&result->missing));
    if ((r = store(options, result, reterr)) < 0)
        return r;
    *ret_result = result;
    result = NULL;
    return 0;
}

bool drill_one_held(const DrillResult *result)
{
    return drill_held(result->objectives, result->n_objectives) &&
           result->report.not_recovered[0] == '\0';
}

void drill_one_missed(const DrillResult *result, Buf *out)
{
    for (uint32_t i = 0; i < result->n_objectives; i++) {
        if (!result->objectives[i].held)
            buf_printf(out, "%s%s", out->len > 0 ? " " : "", result->objectives[i].name);
    }
    if (result->report.not_recovered[0] != '\0')
        buf_printf(out, "%snot_recovered", out->len > 0 ? " " : "");
}

DrillResult *drill_one_free(DrillResult *result)
{
    if (result == NULL)
        return NULL;
    buf_done(&result->missing);
    buf_done(&result->json);
    buf_done(&result->text);
    free(result);
    return NULL;
}
