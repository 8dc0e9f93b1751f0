// SPDX-License-Identifier: MIT
// rows_repair (the verb): checks, shows what it would do, asks, does it, checks again. Interrupted
// anywhere it has mended a part; run again it mends the rest.
#include "rows_repair.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "rows.h"
#include "tell.h"

#define SHOWN 20

static volatile sig_atomic_t stop;

static void on_interrupt(int number)
{
    stop = number;
}

typedef struct Repair {
    Check check;
    bool json, yes, delete_orphans;
    int prefer;
    json_t *actions; // what was planned and what came of it
    uint64_t possible, mended, overtaken, refused;
} Repair;

static int check_all(Check *check, Error *reterr)
{
    int r = 0;
    check_forget_differences(check);
    for (uint32_t i = 0; r == 0 && i < check->n_tables; i++)
        r = check_table(check, i, reterr);
    check_progress_end();
    return r;
}

static void show(const Repair *repair, const CheckDifference *difference, const char *text,
                 FILE *out)
{
    char *key = check_key_text(difference->key);
    tell_line(out, "%-10s %s %s: %s", check_verdict_name(difference->verdict),
              repair->check.tables[difference->table].name, key != NULL ? key : "", text);
    free(key);
}

// Plans all of it, tells it, and returns how much can be done.
static void plan_all(Repair *repair, RepairPlan *plans)
{
    FILE *out = repair->json ? stderr : stdout;
    Check *check = &repair->check;
    repair->possible = repair->refused = 0;
    for (size_t i = 0; i < check->n_differences; i++) {
        const CheckDifference *difference = &check->differences[i];
        repair_plan(check, difference, repair->prefer, repair->delete_orphans, &plans[i]);
        bool can = plans[i].way != REPAIR_NONE;
        repair->possible += can ? 1 : 0;
        repair->refused += can ? 0 : 1;
        char *text = repair_text(check, difference, &plans[i]);
        if (i < SHOWN)
            show(repair, difference, text != NULL ? text : "", out);
        char *key = check_key_text(difference->key);
        (void)json_array_append_new(
            repair->actions,
            json_pack("{s:s,s:s,s:s,s:s,s:s}", "table", check->tables[difference->table].name,
                      "key", key != NULL ? key : "", "verdict",
                      check_verdict_name(difference->verdict), "action", text != NULL ? text : "",
                      "result", can ? "planned" : "refused"));
        free(key);
        free(text);
    }
    if (check->n_differences > SHOWN)
        (void)fprintf(out, "... and %zu more: --json lists all\n", check->n_differences - SHOWN);
}

static void set_result(const Repair *repair, size_t i, const char *result)
{
    json_t *action = json_array_get(repair->actions, i);
    (void)json_object_set_new(action, "result", json_string(result));
}

static int mend_all(Repair *repair, const RepairPlan *plans, Error *reterr)
{
    Check *check = &repair->check;
    Mono said = clock_mono();
    int r = 0;
    for (size_t i = 0; r == 0 && i < check->n_differences; i++) {
        bool done;
        if (stop != 0)
            return error_set(reterr, -ECANCELED, "interrupted");
        if (plans[i].way == REPAIR_NONE)
            continue;
        r = repair_one(check, &check->differences[i], &plans[i], &done, reterr);
        if (r < 0) {
            set_result(repair, i, "failed");
            return error_wrap(reterr, r, "repair");
        }
        repair->mended += done ? 1 : 0;
        repair->overtaken += done ? 0 : 1;
        set_result(repair, i, done ? "done" : "overtaken");
        if (mono_since(clock_mono(), said) > NS_PER_S) {
            said = clock_mono();
            (void)fprintf(stderr, "%zu of %zu\n", i + 1, check->n_differences);
        }
    }
    return r;
}

static int report(const Repair *repair, bool done, Error *reterr)
{
    json_t *after = check_json(&repair->check);
    size_t left =
        done ? json_array_size(json_object_get(after, "differences")) : repair->check.n_differences;
    if (repair->json) {
        json_t *root = json_pack(
            "{s:b,s:I,s:I,s:I,s:I,s:O}", "done", (int)done, "mended", (json_int_t)repair->mended,
            "overtaken", (json_int_t)repair->overtaken, "refused", (json_int_t)repair->refused,
            "left", (json_int_t)left, "actions", repair->actions);
        (void)(json_dumpf(root, stdout, JSON_INDENT(2)) == 0 && printf("\n") > 0);
        json_decref(root);
    } else if (done) {
        (void)printf("%llu mended, %llu overtaken by newer writes, %llu refused; %zu differ now\n",
                     (unsigned long long)repair->mended, (unsigned long long)repair->overtaken,
                     (unsigned long long)repair->refused, left);
        for (size_t i = 0; i < left && i < SHOWN; i++)
            check_print_difference(json_array_get(json_object_get(after, "differences"), i),
                                   stdout);
    }
    json_decref(after);
    if (left == 0)
        return 0;
    int r = error_set(reterr, ERROR_NOT_HELD, "%zu row%s still differ%s", left,
                      left == 1 ? "" : "s", left == 1 ? "s" : "");
    return done ? r : error_hint(reterr, r, "'--yes' mends what can be mended.");
}

static int run(Repair *repair, Error *reterr)
{
    Check *check = &repair->check;
    int r = check_all(check, reterr);
    if (r < 0)
        return r;
    if (check->n_differences == 0) {
        if (!repair->json)
            (void)printf("nothing differs: nothing to mend\n");
        return report(repair, true, reterr);
    }
    RepairPlan *plans = calloc(check->n_differences, sizeof *plans);
    if (plans == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for the repair");
    plan_all(repair, plans);
    bool agreed = repair->possible > 0 && tell_agreed(repair->yes);
    if (agreed)
        r = mend_all(repair, plans, reterr);
    free(plans);
    CheckFence fence;
    if (r == 0 && agreed)
        r = check_fence(check, &fence, reterr);
    if (r == 0 && agreed)
        r = check_all(check, reterr);
    return r == 0 ? report(repair, agreed, reterr) : r;
}

int rows_repair(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL, *prefer = NULL;
    Repair repair = {.prefer = -1};
    int operands;
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"json", NULL, "for programs", NULL, &repair.json},
        {"yes", NULL, "do it without asking", NULL, &repair.yes},
        {"prefer", "REGION", "is right where no majority tells", &prefer, NULL},
        {"delete-orphans", NULL, "delete rows whose parent is nowhere", NULL,
         &repair.delete_orphans},
    };
    int r = cli_parse(verb, options, ARRAY_SIZE(options), 0, 1000, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    Context context;
    r = context_open(dir, &context, reterr);
    if (r < 0)
        return r;
    if (prefer != NULL && (r = context_region(&context, prefer, reterr)) < 0) {
        context_done(&context);
        return r;
    }
    const struct sigaction action = {.sa_handler = on_interrupt};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    const CheckOptions how = {.dir = context.dir.text,
                              .conf = context.conf,
                              .n_tables = operands,
                              .tables = argv + 1,
                              .application = "wildcam rows repair",
                              .stop = &stop,
                              .told = check_progress};
    repair.prefer = prefer != NULL ? r : -1;
    repair.actions = json_array();
    r = check_open(&how, &repair.check, reterr);
    if (r == 0) {
        r = run(&repair, reterr);
        if (r == -ECANCELED) {
            r = error_set(reterr, ERROR_CONFLICT, "interrupted: %llu rows mended",
                          (unsigned long long)repair.mended);
            r = error_hint(reterr, r, "Run it again for the rest.");
        }
        check_done(&repair.check);
    }
    json_decref(repair.actions);
    context_done(&context);
    return r;
}
