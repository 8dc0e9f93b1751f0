// SPDX-License-Identifier: MIT
// drill_run: see drill_run.h. Sequential on purpose: one step after the other.
#include "drill_run.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "alloc.h"
#include "asker.h"
#include "clock.h"
#include "drill_state.h"
#include "files.h"
#include "layout.h"

#define PLAN_MAX_NS (30 * NS_PER_S)  // for the plans to turn away
#define START_MAX_NS (30 * NS_PER_S) // for the cameras
#define END_MAX_NS (20 * NS_PER_S)
#define CONTROL_NS (15 * NS_PER_S)

void drill_say(const char *text)
{
    (void)fprintf(stderr, "drill: %s\n", text);
}

bool drill_is_target(const Drill *drill, uint32_t region)
{
    return (drill->options->regions >> region & 1) != 0;
}

uint64_t drill_all_regions(const Drill *drill)
{
    return drill->model->n_regions < 64 ? (UINT64_C(1) << drill->model->n_regions) - 1 : UINT64_MAX;
}

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
    if (r >= 0 && status / 100 != 2) {
        r = error_set(drill->reterr, ERROR_UNAVAILABLE,
                      "no agent takes the reset of flap counts (status %d)", status);
        return error_hint(drill->reterr, r, "Is the fleet running? 'wildcam up' starts it.");
    }
    return r;
}

static int settle(Drill *drill)
{
    char why[128];
    drill_say("waiting for every gateway to be up with its full share");
    int r = reset_flaps(drill);
    if (r < 0)
        return r;
    r = drill_wait_full(drill, drill->options->deadline_ns, why, sizeof why);
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
    drill_say("starting the cameras");
    int r = traffic_child_start(argv, &drill->child, drill->reterr);
    Mono end = mono_add(clock_mono(), START_MAX_NS);
    while (r == 0 && (r = traffic_child_ready(&drill->child, drill->reterr)) == 0) {
        r = drill_look(drill);
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
    drill_say("SIGKILL");
    drill->broken = true; // also when the answer gets lost
    drill->fault = clock_mono();
    return control(drill, "kill");
}

static int watch_broken(Drill *drill)
{
    Mono end = mono_add(drill->fault, PLAN_MAX_NS);
    int r = 0;
    while (r == 0 && !drill_all_away(drill) && clock_mono().ns < end.ns)
        r = drill_keep_going(drill, mono_add(clock_mono(), NS_PER_MS));
    if (r == 0 && !drill_all_away(drill))
        drill_say("some plan still has the target in front");
    return r < 0 ? r : drill_keep_going(drill, mono_add(drill->fault, drill->options->broken_ns));
}

static int heal(Drill *drill)
{
    drill_say("healing");
    drill->healed = clock_mono();
    drill->broken = false;
    return control(drill, "start");
}

static int wait_recovery(Drill *drill)
{
    char *why = drill->report->not_recovered;
    int r = drill_wait_full(drill, drill->options->deadline_ns, why,
                            sizeof drill->report->not_recovered);
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
        if ((r = drill_look(drill)) < 0)
            return r;
        if (clock_mono().ns > end.ns)
            return error_set(drill->reterr, ERROR_TIMEOUT, "the cameras do not end");
    }
    read_counters(drill, &drill->after);
    return r < 0 ? r : 0;
}

static int break_and_heal(Drill *drill)
{
    uint64_t ignored;
    int r = break_it(drill);
    if (r == 0)
        r = watch_broken(drill);
    if (r == 0)
        r = drill_count_lost(drill, drill_all_regions(drill) & ~drill->options->regions,
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
    if (r < 0 || (r = start_traffic(drill)) < 0 || (r = drill_find_run(drill)) < 0)
        return r;
    drill->report->started = clock_wall();
    r = drill_keep_going(drill, mono_add(clock_mono(), drill->options->before_ns));
    if (r < 0 || (r = break_and_heal(drill)) < 0)
        return r;
    drill_say("waiting for everything to be back");
    if ((r = wait_recovery(drill)) < 0 || (r = end_traffic(drill)) < 0)
        return r;
    return drill_measure(drill);
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
        if (drill_is_target(drill, i))
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
