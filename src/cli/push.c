// SPDX-License-Identifier: MIT
// push: see push.h and docs/cli.md. Nothing is touched before everything that can be refused has
// been. From then on there are two ends: every region runs the new file and it is the accepted one,
// or every region that got it has got the old one back.
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "files.h"
#include "parse.h"
#include "push_run.h"

#define WATCH_NS (15 * NS_PER_S)
#define BASE_NS NS_PER_S // what is usual at an edge is measured for so long

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

// --- Region by region ---

static int go_back(Push *push, Error *reterr)
{
    uint32_t lost = 0, n = push_n_regions(push);
    for (uint32_t k = n; k-- > 0;) {
        uint32_t region = k < push->n_order ? push->order[k] : n;
        PushFailure failure;
        if (region == n || !(push->report.regions[region].given || push->staged[region]))
            continue; // what an earlier push gave goes back too
        push->report.regions[region].given = true;
        push->report.regions[region].back =
            push_give(&push->context, region, &push->accepted, NULL, &failure) == 0;
        if (push->report.regions[region].back) {
            push_tell(push->out, push->begun, push_name(push, region), "runs the old file again");
            continue;
        }
        lost++;
        push_tell(push->out, push->begun, push_name(push, region),
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
    const char *name = push_name(push, failure->region);
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
    push_tell(push->out, push->begun, push_name(push, region), "runs it");
    bool more_staged =
        index + 1 < push->n_order && push->staged[region] && push->staged[push->order[index + 1]];
    if (more_staged)
        return 0; // they have had it for a while: one watch for all of them
    r = push_watch(&push->context, &push->looks, region, push->new.conf->model.config_hash,
                   push->watch_ns, &interrupted, failure);
    if (r < 0)
        return r;
    *failure = (PushFailure){0};
    push_tell(push->out, push->begun, push_name(push, region), "is as well as before");
    return 0;
}

static int finish(Push *push, Error *reterr)
{
    const char *dir = push->options->dir;
    uint32_t with = 0;
    for (uint32_t i = 0; i < push_n_regions(push); i++)
        with += push->staged[i] || push->report.regions[i].given;
    if (with < push_n_regions(push)) {
        push->report.result = "staged";
        (void)fprintf(push->out,
                      "%u of %u regions run it.\n"
                      "  the others:  wildcam config push --continue%s%s\n"
                      "  back:        wildcam config push --back%s%s\n",
                      with, push_n_regions(push), dir != NULL ? " --dir " : "",
                      dir != NULL ? dir : "", dir != NULL ? " --dir " : "", dir != NULL ? dir : "");
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
    push->report.result = push_any_staged(push) ? "back" : "unchanged";
    if (!push_any_staged(push))
        (void)fprintf(push->out, "nothing to take back: every region runs the accepted file\n");
    for (uint32_t i = 0; i < push_n_regions(push); i++) {
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
        if (push_any_staged(push))
            return 0; // push->new is what push_find_staged found
        return error_set(reterr, ERROR_NOT_FOUND, "no push is on its way");
    }
    if (push_any_staged(push)) {
        error_done(reterr);
        return push_say_half_way(push, reterr);
    }
    return push_load_new(push, reterr);
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
    if ((r = push_show_change(push, reterr)) < 0 || (r = push_check_health(push, reterr)) < 0)
        return r;
    push_make_order(push);
    r = push_ask(push, reterr);
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
    push->staged = alloc_zeroed(push_n_regions(push), sizeof *push->staged);
    push->order = alloc_zeroed(push_n_regions(push), sizeof *push->order);
    push->report.regions = alloc_zeroed(push_n_regions(push), sizeof *push->report.regions);
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
