// SPDX-License-Identifier: MIT
// push: see push.h and docs/cli.md. Nothing is touched before everything that can be refused has
// been. From then on there are two ends: every region runs the new file and it is the accepted one,
// or every region that got it has got the old one back.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "clock.h"
#include "conf_diff.h"
#include "control.h"
#include "files.h"
#include "fleet_view.h"
#include "parse.h"
#include "plan_effects.h"
#include "push_report.h"
#include "push_rules.h"
#include "push_verb.h"
#include "tell.h"

#define WATCH_NS (15 * NS_PER_S)
#define BASE_NS NS_PER_S // what is usual at an edge is measured for so long

typedef struct Push {
    const PushOptions *options;
    Context context;
    FILE *out; // progress
    int lock;
    int64_t watch_ns;
    PushFile accepted, new;
    bool *staged; // [n_regions]: had another file than the accepted one when we came
    uint32_t *order, n_order;
    int first; // region that was asked for, or -1
    PushLooks looks;
    Buf restart;
    PushReport report;
    Mono begun;
} Push;

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    interrupted = 1;
}

static void catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
}

static const char *name_of(const Push *push, uint32_t region)
{
    return push->context.conf->model.regions[region].name;
}

static uint32_t n_regions(const Push *push)
{
    return push->context.conf->model.n_regions;
}

// --- Before anything is touched ---

void push_order(const Model *model, const uint64_t *load_rps, int first, uint32_t *ret_order)
{
    uint32_t start = first >= 0 ? (uint32_t)first : 0, n = 0;
    for (uint32_t i = 0; first < 0 && i < model->n_regions; i++)
        if (load_rps[i] < load_rps[start])
            start = i;
    ret_order[n++] = start;
    for (uint32_t c = 0; c <= model->n_clouds; c++) { // first its own cloud, then the others
        uint32_t cloud = c == 0 ? model->regions[start].cloud : c - 1;
        if (c > 0 && cloud == model->regions[start].cloud)
            continue;
        for (uint32_t i = 0; i < model->n_regions; i++)
            if (i != start && model->regions[i].cloud == cloud)
                ret_order[n++] = i;
    }
}

static int refuse(Push *push, Error *reterr, const char *reason, const char *hint)
{
    push->report.result = "refused";
    push->report.reason = reason;
    int r = error_set(reterr, ERROR_NOT_HELD, "not done: %s", reason);
    return hint != NULL ? error_hint(reterr, r, "%s", hint) : r;
}

static bool any_staged(const Push *push)
{
    for (uint32_t i = 0; i < n_regions(push); i++)
        if (push->staged[i])
            return true;
    return false;
}

static int say_half_way(Push *push, Error *reterr)
{
    int r = push_look(&push->context, push->looks.now, reterr);
    if (r < 0)
        return r;
    (void)fprintf(push->out, "a push was left half-way:\n");
    push_tell_where(&push->context, push->looks.now, push->out);
    return refuse(push, reterr, "a push was left half-way, so regions run different files",
                  "'wildcam config push --continue' goes on with it, '--back' takes it back.");
}

static int load_new(Push *push, Error *reterr)
{
    const char *file = push->options->file != NULL ? push->options->file : "fleet.yaml";
    Conf *conf CLEANUP(conf_freep) = NULL; // says every problem
    int r = context_load(file, &conf, reterr);
    push->report.file = file;
    return r < 0 ? r : push_file_load(file, &push->new, reterr);
}

static int show_change(Push *push, Error *reterr)
{
    Buf text CLEANUP(buf_done) = BUF_INIT(16U << 20);
    int r = conf_diff(push->accepted.conf, push->new.conf, &text);
    if (r == 0)
        r = push_rules_restart(buf_text(&text), &push->restart);
    if (r < 0)
        return error_wrap(reterr, r, "compare");
    push->report.restart = buf_text(&push->restart);
    if (push->restart.len > 0) {
        (void)fprintf(push->out, "%s", buf_text(&push->restart));
        return refuse(push, reterr, "this change needs a restart of the fleet",
                      "'wildcam down', then 'wildcam up --fleet FILE'; or push the rest alone.");
    }
    const Model *old = &push->accepted.conf->model, *new = &push->new.conf->model;
    (void)fprintf(push->out, "%s", text.len > 0 ? buf_text(&text) : "comments and layout only\n");
    if (new->generation <= old->generation)
        (void)fprintf(stderr,
                      "note: fleet.generation is %u, and %u runs: raise it, or 'status' shows no "
                      "difference\n",
                      new->generation, old->generation);
    return plan_effects_print(old, new, push->out, reterr);
}

// A push needs every region: one that is away would come back with the old file.
static int check_health(Push *push, Error *reterr)
{
    static char text[256];
    int r = push_look(&push->context, push->looks.first, reterr);
    json_t *view = r < 0 ? NULL : fleet_view_merge(push->context.conf, push->looks.first);
    if (r == 0 && view == NULL)
        r = error_set(reterr, ERROR_MEMORY, "push");
    for (uint32_t i = 0; r == 0 && i < n_regions(push); i++) {
        char why[160];
        if (fleet_view_healthy(view, i, why, sizeof why))
            continue;
        (void)snprintf(text, sizeof text, "%s is not healthy: %s", name_of(push, i), why);
        r = refuse(push, reterr, text, "A push needs every region; 'wildcam status' shows more.");
    }
    json_decref(view);
    return r;
}

static void make_order(Push *push)
{
    uint32_t n = n_regions(push), k = 0;
    uint64_t loads[BOUND_REGIONS] = {0};
    uint32_t order[BOUND_REGIONS];
    for (uint32_t i = 0; i < n; i++) {
        size_t g;
        const json_t *item;
        json_array_foreach(json_object_get(push->looks.first[i].body, "gateways"), g, item)
        {
            const char *region = json_string_value(json_object_get(item, "region"));
            if (region != NULL && strcmp(region, name_of(push, i)) == 0)
                loads[i] = (uint64_t)json_integer_value(json_object_get(item, "load_rps"));
        }
    }
    push_order(&push->context.conf->model, loads, push->first, order);
    for (uint32_t i = 0; i < n; i++) // those of a push that goes on come first
        if (push->staged[order[i]])
            push->order[k++] = order[i];
    for (uint32_t i = 0; i < n; i++)
        if (!push->staged[order[i]] && (push->first < 0 || order[i] == (uint32_t)push->first))
            push->order[k++] = order[i];
    push->n_order = k;
}

static int ask(Push *push, Error *reterr)
{
    (void)fprintf(push->out,
                  "\nOrder, each watched for %lld s:", (long long)(push->watch_ns / NS_PER_S));
    for (uint32_t i = 0; i < push->n_order; i++)
        (void)fprintf(push->out, " %s", name_of(push, push->order[i]));
    (void)fprintf(push->out, "\n");
    if (tell_agreed(push->options->yes))
        return 0;
    push->report.result = "refused";
    push->report.reason = "nobody agreed";
    return error_hint(reterr, error_set(reterr, ERROR_USAGE, "not done"),
                      "Without a terminal say --yes.");
}

// --- Region by region ---

static int go_back(Push *push, Error *reterr)
{
    uint32_t lost = 0, n = n_regions(push);
    for (uint32_t k = n; k-- > 0;) {
        uint32_t region = k < push->n_order ? push->order[k] : n;
        PushFailure failure;
        if (region == n || !push->report.regions[region].given)
            continue;
        push->report.regions[region].back =
            push_give(&push->context, region, &push->accepted, NULL, &failure) == 0;
        if (push->report.regions[region].back) {
            push_tell(push->out, push->begun, name_of(push, region), "runs the old file again");
            continue;
        }
        lost++;
        push_tell(push->out, push->begun, name_of(push, region),
                  "has got the old file, but not all of it uses it: %s: %s", failure.check,
                  failure.text);
    }
    if (lost == 0)
        return 0;
    int r = error_set(reterr, ERROR_UNAVAILABLE, "%u of the regions did not come back", lost);
    return error_hint(reterr, r,
                      "'wildcam status' and its log say more; 'wildcam config push "
                      "--back' tries again.");
}

static int fail(Push *push, int code, Error *reterr)
{
    const PushFailure *failure = &push->report.failure;
    const char *name = name_of(push, failure->region);
    push->report.result = "back";
    push_tell(push->out, push->begun, name, "%s: %s; going back", failure->check, failure->text);
    int r = go_back(push, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "%s: %s: %s", name, failure->check, failure->text);
    if (code == ERROR_CONFLICT && interrupted)
        return error_set(reterr, ERROR_CONFLICT, "interrupted; every region runs the old file");
    return error_set(reterr, ERROR_NOT_HELD,
                     "%s: %s: %s (%lld.%lld s after it got the file); every region runs the old "
                     "file again",
                     name, failure->check, failure->text, (long long)(failure->after_ms / 1000),
                     (long long)(failure->after_ms % 1000 / 100));
}

static int give_one(Push *push, uint32_t index)
{
    uint32_t region = push->order[index];
    PushRegion *told = &push->report.regions[region];
    PushFailure *failure = &push->report.failure;
    Error err CLEANUP(error_done) = ERROR_INIT;
    Mono begun = clock_mono();
    *told = (PushRegion){.given = true, .took_ms = -1};
    int r = push_look(&push->context, push->looks.before, &err);
    if (r < 0) {
        *failure = (PushFailure){.region = region, .check = "look"};
        (void)snprintf(failure->text, sizeof failure->text, "%s", error_text(&err));
        return r;
    }
    r = push_give(&push->context, region, &push->new, &interrupted, failure);
    if (r < 0)
        return r;
    told->took_ms = mono_since(clock_mono(), begun) / NS_PER_MS;
    push_tell(push->out, push->begun, name_of(push, region), "runs it");
    bool more_staged =
        index + 1 < push->n_order && push->staged[region] && push->staged[push->order[index + 1]];
    if (more_staged)
        return 0; // they have had it for a while: one watch for all of them
    r = push_watch(&push->context, &push->looks, region, push->new.conf->model.config_hash,
                   push->watch_ns, &interrupted, failure);
    if (r < 0)
        return r;
    *failure = (PushFailure){0};
    push_tell(push->out, push->begun, name_of(push, region), "is as well as before");
    return 0;
}

static int finish(Push *push, Error *reterr)
{
    const char *dir = push->options->dir;
    uint32_t with = 0;
    for (uint32_t i = 0; i < n_regions(push); i++)
        with += push->staged[i] || push->report.regions[i].given;
    if (with < n_regions(push)) {
        push->report.result = "staged";
        (void)fprintf(push->out,
                      "%u of %u regions run it.\n"
                      "  the others:  wildcam config push --continue%s%s\n"
                      "  back:        wildcam config push --back%s%s\n",
                      with, n_regions(push), dir != NULL ? " --dir " : "", dir != NULL ? dir : "",
                      dir != NULL ? " --dir " : "", dir != NULL ? dir : "");
        return 0;
    }
    LayoutPath from;
    int r = layout_absolute(push->report.file != NULL ? push->report.file : "fleet.yaml", &from,
                            reterr);
    if (r == 0)
        r = push_accept(&push->context, &push->new, push->report.file != NULL ? from.text : "",
                        reterr);
    if (r < 0)
        return error_wrap(reterr, r, "every region runs the new file, but it could not be kept");
    push->report.result = "pushed";
    push_tell(push->out, push->begun, "", "every region runs generation %u",
              push->new.conf->model.generation);
    return 0;
}

static int give_all(Push *push, Error *reterr)
{
    catch_interrupts();
    push->begun = clock_mono();
    while (interrupted == 0 && mono_since(clock_mono(), push->begun) < BASE_NS)
        push_pause();
    for (uint32_t i = 0; i < push->n_order; i++) {
        int r = interrupted == 0 ? give_one(push, i) : ERROR_CONFLICT;
        if (r < 0 && push->report.failure.check == NULL) { // between two regions
            push->report.failure = (PushFailure){.region = push->order[i], .check = "interrupted"};
            (void)snprintf(push->report.failure.text, sizeof push->report.failure.text,
                           "interrupted");
        }
        if (r < 0)
            return fail(push, r, reterr);
    }
    return finish(push, reterr);
}

// --- The verb ---

static int take_back(Push *push, Error *reterr)
{
    catch_interrupts(); // and do not care: this is the way back
    push->begun = clock_mono();
    push->report.result = any_staged(push) ? "back" : "unchanged";
    if (!any_staged(push))
        (void)fprintf(push->out, "nothing to take back: every region runs the accepted file\n");
    for (uint32_t i = 0; i < n_regions(push); i++) {
        push->report.regions[i] = (PushRegion){.given = push->staged[i], .took_ms = -1};
        if (push->staged[i])
            push->order[push->n_order++] = i;
    }
    return go_back(push, reterr);
}

static int choose_new(Push *push, int found, Error *reterr)
{
    if (push->options->go_on) {
        if (found < 0)
            return found;
        if (any_staged(push))
            return 0; // push->new is what push_find_staged found
        return error_set(reterr, ERROR_NOT_FOUND, "no push is on its way");
    }
    if (any_staged(push)) {
        error_done(reterr);
        return say_half_way(push, reterr);
    }
    return load_new(push, reterr);
}

static int run(Push *push, Error *reterr)
{
    int found = push_find_staged(&push->context, &push->accepted, push->staged, &push->new, reterr);
    if (push->options->back) {
        error_done(reterr);
        push_file_done(&push->new);
        return take_back(push, reterr);
    }
    int r = choose_new(push, found, reterr);
    if (r < 0)
        return r;
    push->report.to = &push->new;
    if (push_file_same(&push->accepted, &push->new)) {
        push->report.result = "unchanged";
        (void)fprintf(push->out, "no difference: every region runs this file\n");
        return 0;
    }
    if ((r = show_change(push, reterr)) < 0 || (r = check_health(push, reterr)) < 0)
        return r;
    make_order(push);
    r = ask(push, reterr);
    return r < 0 ? r : give_all(push, reterr);
}

static int open_all(Push *push, Error *reterr)
{
    const PushOptions *options = push->options;
    int r = context_open(options->dir, &push->context, reterr);
    json_t *answer = NULL;
    if (r == 0)
        r = context_tell(push->context.dir.text, "status", 5 * NS_PER_S, &answer, reterr);
    json_decref(answer);
    if (r == 0 && options->region != NULL)
        r = push->first = context_region(&push->context, options->region, reterr);
    if (r >= 0)
        r = push_lock(push->context.dir.text, &push->lock, reterr);
    if (r == 0)
        r = push_file_load(layout_dir(push->context.dir.text, "fleet.yaml").text, &push->accepted,
                           reterr);
    if (r == 0)
        r = push_looks_new(&push->context, &push->looks, reterr);
    if (r < 0)
        return r;
    push->staged = alloc_zeroed(n_regions(push), sizeof *push->staged);
    push->order = alloc_zeroed(n_regions(push), sizeof *push->order);
    push->report.regions = alloc_zeroed(n_regions(push), sizeof *push->report.regions);
    push->report.from = &push->accepted;
    return push->staged != NULL && push->order != NULL && push->report.regions != NULL
               ? 0
               : error_set(reterr, ERROR_MEMORY, "push");
}

static void close_all(Push *push)
{
    push_looks_done(&push->context, &push->looks);
    push_file_done(&push->new);
    push_file_done(&push->accepted);
    buf_done(&push->restart);
    free(push->staged);
    free(push->order);
    free(push->report.regions);
    files_close(push->lock);
    context_done(&push->context);
}

int push_run(const PushOptions *options, Error *reterr)
{
    Push push = {.options = options,
                 .out = options->json ? stderr : stdout,
                 .lock = -1,
                 .first = -1,
                 .watch_ns = WATCH_NS,
                 .restart = BUF_INIT(1U << 20),
                 .report = {.result = "refused", .restart = ""},
                 .begun = clock_mono()};
    const char *watch = options->watch;
    if (watch != NULL && (parse_duration(watch, strlen(watch), &push.watch_ns) < 0 ||
                          push.watch_ns < NS_PER_S || push.watch_ns > 3600 * NS_PER_S))
        return error_set(reterr, ERROR_USAGE,
                         "option '--watch': '%s' is no duration from 1s to 1h, like 15s", watch);
    Mono begun = push.begun;
    int r = open_all(&push, reterr);
    bool opened = r == 0;
    if (opened)
        r = run(&push, reterr);
    push.report.elapsed_ms = mono_since(clock_mono(), begun) / NS_PER_MS;
    // A file with problems or wrong usage has no report: the error says it all.
    if (options->json && opened &&
        (r >= 0 || push.report.reason != NULL || push.report.failure.check != NULL)) {
        int printed = push_print_json(&push.context, &push.report, r >= 0 ? reterr : NULL);
        r = r < 0 ? r : printed;
    }
    close_all(&push);
    return r;
}
