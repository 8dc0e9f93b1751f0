// SPDX-License-Identifier: MIT
// drill_all: see drill_all.h. A drill that missed something, or could not run, does not keep the
// others from running; only the user does, and then the table shows what there is.
#include "drill_all.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "drill_one.h"
#include "drill_target.h"

typedef struct Outcome {
    Buf *rows, *json;
    uint32_t n;
    bool missed, failed;
} Outcome;

// Whether a list "a,b" has this name.
static bool is_named(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; at != NULL && *at != '\0';) {
        const char *comma = strchr(at, ',');
        size_t part = comma != NULL ? (size_t)(comma - at) : strlen(at);
        if (part == len && strncmp(at, name, len) == 0)
            return true;
        at = comma != NULL ? comma + 1 : NULL;
    }
    return false;
}

static int check_names(const char *option, const char *list, Error *reterr)
{
    char name[64];
    for (const char *at = list; at != NULL && *at != '\0';) {
        const char *comma = strchr(at, ',');
        size_t len = comma != NULL ? (size_t)(comma - at) : strlen(at);
        (void)snprintf(name, sizeof name, "%.*s", (int)len, at);
        if (drill_find(name) == NULL) {
            int r = error_set(reterr, ERROR_USAGE, "'--%s': unknown drill '%s'", option, name);
            return error_hint(reterr, r, "'wildcam drill list' lists them");
        }
        at = comma != NULL ? comma + 1 : NULL;
    }
    return 0;
}

static void add_number(Buf *out, double value)
{
    if (value < 0)
        buf_printf(out, " %8s",
                   value == FIGURE_NEVER        ? "never"
                   : value == FIGURE_UNMEASURED ? "?"
                                                : "-");
    else
        buf_printf(out, " %8.0f", value);
}

static void add_not_run(Outcome *outcome, const DrillOptions *options, const char *result,
                        const char *why)
{
    buf_printf(outcome->rows, "%-22s %-24s %-8s %s\n", options->row->name, options->target, result,
               why);
    buf_printf(outcome->json, "%s{\"drill\":\"%s\",\"target\":", outcome->n++ > 0 ? "," : "",
               options->row->name);
    buf_add_json_string(outcome->json, options->target);
    buf_printf(outcome->json, ",\"result\":\"%s\",\"reason\":", result);
    buf_add_json_string(outcome->json, why);
    buf_add_char(outcome->json, '}');
}

static void add_run(Outcome *outcome, const DrillResult *result)
{
    const DrillReport *report = &result->report;
    bool held = drill_one_held(result);
    Buf missed CLEANUP(buf_done) = BUF_INIT(0);
    drill_one_missed(result, &missed);
    buf_printf(outcome->rows, "%-22s %-24s %-8s", report->name, report->target,
               held ? "held" : "MISSED");
    const DrillScope *whole = &report->whole;
    add_number(outcome->rows, (double)whole->surviving.worst_ns / 1e6);
    add_number(outcome->rows,
               (double)(whole->surviving.failed_idempotent + whole->dead.failed_idempotent));
    add_number(outcome->rows, report->rto_plan_ms);
    add_number(outcome->rows, report->recovered_ms);
    buf_printf(outcome->rows, "  %s\n", buf_text(&missed));
    // The report's own fields follow: its text without the first brace.
    buf_printf(outcome->json, "%s{\"result\":\"%s\",\"reason\":", outcome->n++ > 0 ? "," : "",
               held ? "held" : "missed");
    buf_add_json_string(outcome->json, buf_text(&missed));
    buf_printf(outcome->json, ",%s", buf_text(&result->json) + 1);
    outcome->missed |= !held;
}

static void run_one(const DrillOptions *options, Outcome *outcome, bool *ret_end)
{
    Error err CLEANUP(error_done) = ERROR_INIT;
    char why[256];
    int r = drill_possible(options->row, &err);
    if (r < 0) {
        (void)snprintf(why, sizeof why, "%s", error_text(&err));
        why[strcspn(why, "\n")] = '\0';
        add_not_run(outcome, options, "skipped", why);
        return;
    }
    (void)fprintf(stderr, "drill: == %s %s (about %" PRId64 " s)\n", options->row->name,
                  options->target, drill_expected_ns(options) / NS_PER_S);
    DrillResult *result CLEANUP(drill_one_freep) = NULL;
    r = drill_one(options, &result, &err);
    if (r == 0) {
        add_run(outcome, result);
        return;
    }
    (void)snprintf(why, sizeof why, "%s", error_text(&err));
    why[strcspn(why, "\n")] = '\0';
    (void)fprintf(stderr, "drill: %s\n", error_text(&err));
    add_not_run(outcome, options, "failed", why);
    outcome->failed = true;
    *ret_end = r == ERROR_INTERRUPTED;
}

typedef struct Walk { // over every drill and variant that was asked for
    const DrillAll *all;
    uint32_t row, variant, turn;
    char text[DRILL_TARGET];
    DrillOptions options;
} Walk;

static bool next(Walk *walk)
{
    for (; walk->row < DRILLS_N; walk->row++, walk->variant = 0) {
        const DrillRow *row = &DRILLS[walk->row];
        uint32_t n = row->n_variants > 0 ? row->n_variants : 1;
        if ((walk->all->only != NULL && !is_named(walk->all->only, row->name)) ||
            (walk->all->skip != NULL && is_named(walk->all->skip, row->name)) || walk->variant == n)
            continue;
        const Model *model = &walk->all->base.conf->model;
        DrillGiven given =
            drill_target_default(model, row, walk->variant++, walk->turn++, walk->text);
        if ((row->options & OPTION_TO) != 0)
            given.to = walk->all->to;
        walk->options = walk->all->base;
        walk->options.row = row;
        if (drill_target(model, row, &given, &walk->options, NULL) == 0)
            return true;
    }
    return false;
}

static int print(const Outcome *outcome, bool json, Error *reterr)
{
    if (buf_check(outcome->rows) < 0 || buf_check(outcome->json) < 0)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    if (json)
        (void)printf("[%s]\n", buf_text(outcome->json));
    else
        (void)printf("%-22s %-24s %-8s %8s %8s %8s %8s  %s\n%s", "drill", "target", "result",
                     "worst ms", "failed", "plan ms", "back ms", "missed", buf_text(outcome->rows));
    return fflush(stdout) == 0 ? 0 : error_set(reterr, ERROR_UNAVAILABLE, "stdout");
}

int drill_all(const DrillAll *all, Error *reterr)
{
    Buf rows CLEANUP(buf_done) = BUF_INIT(0), json CLEANUP(buf_done) = BUF_INIT(0);
    Outcome outcome = {.rows = &rows, .json = &json};
    int r = check_names("only", all->only, reterr);
    if (r < 0 || (r = check_names("skip", all->skip, reterr)) < 0)
        return r;
    Walk *walk CLEANUP(alloc_freep) = alloc_zeroed(1, sizeof *walk);
    if (walk == NULL)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    int64_t expected = 0;
    *walk = (Walk){.all = all};
    while (next(walk))
        expected +=
            drill_possible(walk->options.row, NULL) == 0 ? drill_expected_ns(&walk->options) : 0;
    (void)fprintf(stderr, "drill: about %" PRId64 " minutes in all\n",
                  expected / NS_PER_S / 60 + 1);
    bool end = false;
    *walk = (Walk){.all = all};
    while (!end && next(walk))
        run_one(&walk->options, &outcome, &end);
    if ((r = print(&outcome, all->json, reterr)) < 0)
        return r;
    if (end)
        return error_set(reterr, ERROR_INTERRUPTED, "interrupted");
    if (outcome.failed)
        return error_set(reterr, ERROR_UNAVAILABLE, "a drill could not run");
    return outcome.missed ? error_set(reterr, ERROR_NOT_HELD, "an objective was missed") : 0;
}
