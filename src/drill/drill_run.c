// SPDX-License-Identifier: MIT
// drill_run: see drill_run.h. Sequential on purpose: each step waits for a condition, looked at
// every few milliseconds, with a deadline; a signal ends every wait.
#include "drill_run.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "alloc.h"
#include "asker.h"
#include "clock.h"
#include "edge_counters.h"
#include "files.h"
#include "layout.h"
#include "plan_watch.h"
#include "traffic_child.h"
#include "verify.h"

#define LOOK_MS 5
#define PLAN_MAX_NS (30 * NS_PER_S)  // for the plans to turn away
#define START_MAX_NS (30 * NS_PER_S) // for the cameras
#define END_MAX_NS (20 * NS_PER_S)
#define CONTROL_NS (15 * NS_PER_S)
#define HEARTBEAT_NS (3 * NS_PER_S) // an agent that said nothing for longer is not there
#define LOG_MAX ((size_t)2 << 30)

typedef struct Drill {
    const DrillOptions *options;
    const Model *model;
    DrillReport *report;
    int signals;
    bool broken; // something is to be healed
    TrafficChild child;
    PlanSight sights[PLAN_WATCH_REGIONS];
    Mono away[PLAN_WATCH_REGIONS]; // when the plan had turned away; 0: not yet
    EdgeCounters before, after;
    Mono fault, healed;
    uint64_t run; // of the cameras
    Error *reterr;
} Drill;

static void say(const char *text)
{
    (void)fprintf(stderr, "drill: %s\n", text);
}

static bool is_target(const Drill *drill, uint32_t region)
{
    return (drill->options->regions >> region & 1) != 0;
}

// Waits one look; ERROR_UNAVAILABLE when the user wants the drill to end.
static int look(Drill *drill)
{
    struct pollfd poll_fd = {.fd = drill->signals, .events = POLLIN};
    if (poll(&poll_fd, 1, LOOK_MS) <= 0)
        return 0;
    struct signalfd_siginfo info;
    if (read(drill->signals, &info, sizeof info) != sizeof info)
        return 0;
    return error_set(drill->reterr, ERROR_UNAVAILABLE, "interrupted");
}

// --- conditions ---

static void watch_plans(Drill *drill)
{
    Mono now = clock_mono();
    for (uint32_t i = 0; i < drill->model->n_regions; i++) {
        if (!plan_watch(drill->options->dir, drill->model->regions[i].name, drill->report->regions,
                        drill->report->n_regions, &drill->sights[i]))
            continue;
        if (drill->broken && !drill->sights[i].in_front && drill->away[i].ns == 0)
            drill->away[i] = now;
    }
}

static bool all_full(Drill *drill, char *ret_why, size_t size)
{
    int64_t now = clock_wall().ns;
    for (uint32_t i = 0; i < drill->model->n_regions; i++) {
        const PlanSight *sight = &drill->sights[i];
        const char *name = drill->model->regions[i].name;
        if (sight->number == 0 || now - sight->heartbeat_ns > HEARTBEAT_NS)
            (void)snprintf(ret_why, size, "the agent of %s publishes nothing", name);
        else if (!sight->full)
            (void)snprintf(ret_why, size, "%s as %s sees it", sight->not_full, name);
        else
            continue;
        return false;
    }
    return true;
}

static bool all_away(const Drill *drill)
{
    for (uint32_t i = 0; i < drill->model->n_regions; i++) {
        if (!is_target(drill, i) && drill->away[i].ns == 0)
            return false;
    }
    return true;
}

static int wait_full(Drill *drill, int64_t most_ns, char *ret_why, size_t size)
{
    Mono end = mono_add(clock_mono(), most_ns);
    ret_why[0] = '\0';
    for (;;) {
        watch_plans(drill);
        if (all_full(drill, ret_why, size)) {
            ret_why[0] = '\0';
            return 0;
        }
        if (clock_mono().ns > end.ns)
            return ERROR_TIMEOUT;
        int r = look(drill);
        if (r < 0)
            return r;
        if (drill->child.pid > 0 && (r = traffic_child_ended(&drill->child, drill->reterr)) != 0)
            return r < 0 ? r : error_set(drill->reterr, ERROR_UNAVAILABLE, "the cameras ended");
    }
}

// Lets traffic run for a time that is part of the drill.
static int keep_going(Drill *drill, Mono until)
{
    while (clock_mono().ns < until.ns) {
        int r = look(drill);
        watch_plans(drill);
        if (r == 0 && (r = traffic_child_ended(&drill->child, drill->reterr)) > 0)
            r = error_set(drill->reterr, ERROR_UNAVAILABLE, "the cameras ended");
        if (r < 0)
            return r;
    }
    return 0;
}

// --- steps ---

static int control(Drill *drill, const char *verb)
{
    Buf command CLEANUP(buf_done) = BUF_INIT(4096);
    buf_add_text(&command, verb);
    for (uint32_t i = 0; i < drill->report->n_regions; i++)
        buf_printf(&command, " %s", drill->report->regions[i]);
    char *answer CLEANUP(free_textp) = NULL;
    int r = drill->options->ask(drill->options->dir, buf_text(&command), CONTROL_NS, &answer,
                                drill->reterr);
    if (r < 0)
        return error_wrap(drill->reterr, r, "supervisor, '%s'", buf_text(&command));
    json_t *root = json_loads(answer, 0, NULL);
    if (!json_is_true(json_object_get(root, "ok"))) {
        const char *why = json_string_value(json_object_get(root, "error"));
        r = error_set(drill->reterr, ERROR_UNAVAILABLE, "supervisor, '%s': %s", buf_text(&command),
                      why != NULL ? why : "no answer of use");
    }
    json_decref(root);
    return r;
}

static void flaps_reset(void *context, int status, const char *body, size_t len)
{
    int *ret_status = context;
    *ret_status = status;
}

// Hold times grow with each flap: without this, the second drill of a day would measure the first.
static int reset_flaps(Drill *drill)
{
    Asker *asker CLEANUP(asker_freep) = NULL;
    int status = 0, r = asker_new(1, &asker, drill->reterr);
    Buf body CLEANUP(buf_done) = BUF_INIT(1024);
    buf_printf(&body,
               "{\"kind\":\"reset_flaps\",\"target\":\"fleet\",\"author\":\"drill\","
               "\"reason\":\"before drill %s\",\"expires_s\":60}",
               drill->report->name);
    for (uint32_t i = 0; r >= 0 && status / 100 != 2 && i < drill->model->n_regions; i++) {
        LayoutPath socket;
        if (layout_socket(drill->options->dir, drill->model->regions[i].name, "agent.sock", &socket,
                          NULL) < 0)
            continue;
        r = asker_post(asker, socket.text, "/v1/intents", buf_text(&body), flaps_reset, &status,
                       drill->reterr);
        asker_run(asker);
    }
    if (r >= 0 && status / 100 != 2)
        r = error_set(drill->reterr, ERROR_UNAVAILABLE,
                      "no agent takes the reset of flap counts (status %d)", status);
    return r;
}

static int settle(Drill *drill)
{
    char why[128];
    say("waiting for every gateway to be up with its full share");
    int r = reset_flaps(drill);
    if (r < 0)
        return r;
    r = wait_full(drill, drill->options->deadline_ns, why, sizeof why);
    if (r == ERROR_TIMEOUT) {
        r = error_set(drill->reterr, r, "the fleet is not whole: %s", why);
        return error_hint(drill->reterr, r, "'wildcam status' tells more");
    }
    return r;
}

static int start_traffic(Drill *drill)
{
    const DrillOptions *options = drill->options;
    const char *argv[24] = {"wildcam-cameras", "--dir", options->dir,  "--fleet", options->fleet,
                            "--duration",      "0",     "--no-verify", "--json"};
    size_t n = 9;
    if (options->rate != NULL) {
        argv[n++] = "--rate";
        argv[n++] = options->rate;
    }
    if (options->connections != NULL) {
        argv[n++] = "--connections";
        argv[n++] = options->connections;
    }
    say("starting the cameras");
    int r = traffic_child_start(argv, &drill->child, drill->reterr);
    Mono end = mono_add(clock_mono(), START_MAX_NS);
    while (r == 0 && (r = traffic_child_ready(&drill->child, drill->reterr)) == 0) {
        r = look(drill);
        if (r == 0 && clock_mono().ns > end.ns)
            r = error_set(drill->reterr, ERROR_TIMEOUT, "the cameras do not start");
    }
    return r < 0 ? r : 0;
}

static void read_counters(const Drill *drill, EdgeCounters *counters)
{
    counters->n = 0;
    for (uint32_t i = 0; i < drill->model->n_regions; i++)
        edge_counters_read(drill->options->dir, drill->model->regions[i].name, i, counters);
}

static int break_it(Drill *drill)
{
    read_counters(drill, &drill->before);
    say("SIGKILL");
    drill->broken = true; // also when the answer gets lost
    drill->fault = clock_mono();
    return control(drill, "kill");
}

static int watch_broken(Drill *drill)
{
    Mono end = mono_add(drill->fault, PLAN_MAX_NS);
    int r = 0;
    while (r == 0 && !all_away(drill) && clock_mono().ns < end.ns)
        r = keep_going(drill, mono_add(clock_mono(), NS_PER_MS));
    if (r == 0 && !all_away(drill))
        say("some plan still has the target in front");
    return r < 0 ? r : keep_going(drill, mono_add(drill->fault, drill->options->broken_ns));
}

static uint64_t all_regions(const Drill *drill)
{
    return drill->model->n_regions < 64 ? (UINT64_C(1) << drill->model->n_regions) - 1 : UINT64_MAX;
}

// How many acknowledged writes of this run cannot be read in these regions.
static int count_lost(Drill *drill, uint64_t regions, double *ret_lost, uint64_t *ret_acknowledged)
{
    LayoutPath path = layout_dir(drill->options->dir, "cameras.ledger");
    Ledger ledger;
    Verification found;
    int r = ledger_read(path.text, drill->run, &ledger, drill->reterr);
    if (r < 0)
        return r;
    r = verify_ledger(drill->options->conf, drill->options->dir, regions, &ledger, &found,
                      drill->reterr);
    ledger_done(&ledger);
    if (r < 0)
        return r;
    *ret_lost = (double)found.lost;
    *ret_acknowledged = found.acknowledged;
    return 0;
}

// The run's id stands in the first frame of the request log.
static int find_run(Drill *drill)
{
    LayoutPath path = layout_dir(drill->options->dir, "cameras.requests");
    char *bytes CLEANUP(free_textp) = NULL;
    size_t len;
    int r = files_read(path.text, LOG_MAX, &bytes, &len, drill->reterr);
    if (r < 0)
        return r;
    Cursor cursor = cursor_of(bytes, len);
    RecordsItem item;
    if (records_next(&cursor, &item) != RECORDS_START)
        return error_set(drill->reterr, ERROR_FORMAT, "%s: no start of a run", path.text);
    drill->run = item.u.start.run;
    drill->report->seed = item.u.start.run;
    return 0;
}

static int heal(Drill *drill)
{
    say("healing");
    drill->healed = clock_mono();
    drill->broken = false;
    return control(drill, "start");
}

static int wait_recovery(Drill *drill)
{
    char *why = drill->report->not_recovered;
    int r = wait_full(drill, drill->options->deadline_ns, why, sizeof drill->report->not_recovered);
    drill->report->recovered_ms =
        r == 0 ? (double)mono_since(clock_mono(), drill->healed) / 1e6 : FIGURE_NONE;
    return r == ERROR_TIMEOUT ? 0 : r;
}

static int end_traffic(Drill *drill)
{
    Mono end = mono_add(clock_mono(), END_MAX_NS);
    int r;
    traffic_child_stop(&drill->child);
    while ((r = traffic_child_ended(&drill->child, drill->reterr)) == 0) {
        if ((r = look(drill)) < 0)
            return r;
        if (clock_mono().ns > end.ns)
            return error_set(drill->reterr, ERROR_TIMEOUT, "the cameras do not end");
    }
    read_counters(drill, &drill->after);
    return r < 0 ? r : 0;
}

static void keep_failure(Drill *drill, const CameraRequest *request)
{
    DrillReport *report = drill->report;
    if (report->n_failures == DRILL_FAILURES || request->first_gateway >= drill->model->n_regions ||
        request->last_gateway >= drill->model->n_regions)
        return;
    report->failures[report->n_failures].at_ms =
        (double)(request->scheduled.ns - drill->fault.ns) / 1e6;
    report->failures[report->n_failures++].request = *request;
}

static int read_log(Drill *drill)
{
    LayoutPath path = layout_dir(drill->options->dir, "cameras.requests");
    char *bytes CLEANUP(free_textp) = NULL;
    size_t len;
    int r = files_read(path.text, LOG_MAX, &bytes, &len, drill->reterr);
    if (r < 0)
        return r;
    Cursor cursor = cursor_of(bytes, len);
    RecordsItem item;
    Mono first = MONO_NEVER, last = MONO_DISTANT, failed = MONO_DISTANT;
    DrillReport *report = drill->report;
    while ((r = records_next(&cursor, &item)) > 0) {
        if (r != RECORDS_REQUEST)
            continue;
        const CameraRequest *request = &item.u.request;
        Stats *side =
            stats_side(&report->surviving, &report->dead, drill->options->regions, request);
        stats_add(side, request);
        if (request->last != TRY_OK || (side == &report->surviving && request->first != TRY_OK))
            keep_failure(drill, request);
        first = mono_min(first, request->scheduled);
        last = mono_max(last, request->ended);
        // What failed after healing belongs to healing.
        if (side == &report->surviving && request->first != TRY_OK &&
            request->first_ended.ns > drill->fault.ns && request->scheduled.ns < drill->healed.ns)
            failed = mono_max(failed, request->first_ended);
    }
    if (r < 0)
        return error_set(drill->reterr, r, "%s: byte %zu: not a request log", path.text, cursor.at);
    report->duration_ns = last.ns > first.ns ? mono_since(last, first) : 0;
    report->rto_edge_ms =
        failed.ns > drill->fault.ns ? (double)mono_since(failed, drill->fault) / 1e6 : 0;
    return 0;
}

static void read_plan_times(Drill *drill)
{
    if (!all_away(drill))
        return;
    Mono last = drill->fault;
    for (uint32_t i = 0; i < drill->model->n_regions; i++) {
        if (!is_target(drill, i))
            last = mono_max(last, drill->away[i]);
    }
    drill->report->rto_plan_ms = (double)mono_since(last, drill->fault) / 1e6;
}

static int measure(Drill *drill)
{
    DrillReport *report = drill->report;
    uint64_t all = all_regions(drill);
    int r = read_log(drill);
    if (r < 0)
        return r;
    read_plan_times(drill);
    report->edge_retries_surviving =
        edge_counters_retries(&drill->before, &drill->after, all & ~drill->options->regions);
    report->edge_retries_dead =
        edge_counters_retries(&drill->before, &drill->after, drill->options->regions);
    say("checking every acknowledged write");
    r = count_lost(drill, all, &report->lost_after_heal, &report->acknowledged);
    uint64_t duplicates;
    if (r == 0)
        r = verify_duplicates(drill->options->conf, drill->options->dir, all, drill->run,
                              &duplicates, drill->reterr);
    if (r == 0)
        report->duplicated_writes = (double)duplicates;
    return r;
}

static int break_and_heal(Drill *drill)
{
    uint64_t ignored;
    int r = break_it(drill);
    if (r == 0)
        r = watch_broken(drill);
    if (r == 0)
        r = count_lost(drill, all_regions(drill) & ~drill->options->regions,
                       &drill->report->lost_now, &ignored);
    if (r == 0)
        return heal(drill);
    // Failed or interrupted: heal all the same, and keep the first reason.
    Error first = *drill->reterr;
    *drill->reterr = ERROR_INIT;
    if (heal(drill) < 0)
        (void)fprintf(stderr, "drill: NOT healed: %s\n", error_text(drill->reterr));
    error_done(drill->reterr);
    *drill->reterr = first;
    return r;
}

static int run_steps(Drill *drill)
{
    int r = settle(drill);
    if (r < 0 || (r = start_traffic(drill)) < 0 || (r = find_run(drill)) < 0)
        return r;
    drill->report->started = clock_wall();
    r = keep_going(drill, mono_add(clock_mono(), drill->options->before_ns));
    if (r < 0 || (r = break_and_heal(drill)) < 0)
        return r;
    say("waiting for everything to be back");
    if ((r = wait_recovery(drill)) < 0 || (r = end_traffic(drill)) < 0)
        return r;
    return measure(drill);
}

static int open_signals(Drill *drill)
{
    sigset_t mask;
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGINT);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigaddset(&mask, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &mask, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    drill->signals = signalfd(-1, &mask, SFD_CLOEXEC);
    return drill->signals >= 0 ? 0 : error_errno(drill->reterr, errno, "signalfd");
}

int drill_run(const DrillOptions *options, DrillReport *ret_report, Error *reterr)
{
    Error own CLEANUP(error_done) = ERROR_INIT;
    Drill *drill CLEANUP(alloc_freep) = alloc_zeroed(1, sizeof *drill);
    if (drill == NULL)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    drill->options = options;
    drill->model = &options->conf->model;
    drill->report = ret_report;
    drill->reterr = reterr != NULL ? reterr : &own;
    *ret_report = (DrillReport){
        .name = options->name,
        .target = options->target,
        .model = &options->conf->model,
        .duplicated_writes = FIGURE_NONE,
        .lost_now = FIGURE_NONE,
        .lost_after_heal = FIGURE_NONE,
        .rto_edge_ms = FIGURE_NONE,
        .rto_plan_ms = FIGURE_NONE,
        .recovered_ms = FIGURE_NONE,
        .recover_limit_ms = (double)options->deadline_ns / 1e6,
    };
    for (uint32_t i = 0; i < drill->model->n_regions; i++) {
        if (is_target(drill, i))
            ret_report->regions[ret_report->n_regions++] = drill->model->regions[i].name;
    }
    stats_init(&ret_report->surviving);
    stats_init(&ret_report->dead);
    int r = open_signals(drill);
    if (r == 0)
        r = run_steps(drill);
    traffic_child_kill(&drill->child);
    files_close(drill->signals);
    return r;
}
