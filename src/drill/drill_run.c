// SPDX-License-Identifier: MIT
// drill_run: see drill_run.h. Sequential on purpose: one step after the other.
#include "drill_run.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "agents_ask.h"
#include "alloc.h"
#include "clock.h"
#include "drill_rows.h"
#include "drill_state.h"
#include "files.h"
#include "layout.h"

#define START_MAX_NS (30 * NS_PER_S) // for the cameras
#define END_MAX_NS (20 * NS_PER_S)
#define INTENTS_MAX_NS (20 * NS_PER_S)

void drill_say(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fputs("drill: ", stderr);
    (void)vfprintf(stderr, fmt, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

// Hold times grow with each flap: without this, the second drill of a day would measure the first.
static int reset_flaps(Drill *drill, const char *when)
{
    Buf body CLEANUP(buf_done) = BUF_INIT(1024);
    buf_printf(&body,
               "{\"kind\":\"reset_flaps\",\"target\":\"fleet\",\"author\":\"drill\","
               "\"reason\":\"%s drill %s\",\"expires_s\":60}",
               when, drill->report->name);
    return agents_wish(drill->options->dir, drill->model, UINT64_MAX, buf_text(&body),
                       drill->reterr);
}

static int settle(Drill *drill)
{
    char why[128];
    drill_say("waiting for every gateway to be up with its full share");
    int r = drill_wait_full(drill, drill->options->deadline_ns, why, sizeof why);
    if (r == ERROR_TIMEOUT) {
        r = error_set(drill->reterr, r, "the fleet is not whole: %s", why);
        return error_hint(drill->reterr, r, "'wildcam status' tells more");
    }
    return r;
}

static int prepare(Drill *drill)
{
    const DrillOptions *options = drill->options;
    const FaultOptions fault_options = {options->dir, options->conf, options->ask, options->lock};
    int r = reset_flaps(drill, "before");
    if (r < 0 || (r = settle(drill)) < 0 || (r = drill_note_federated(drill)) < 0)
        return r;
    if ((r = undo_new(options->dir, drill->model, options->ask, &drill->undo, drill->reterr)) < 0 ||
        (r = fault_keeper_new(&fault_options, &drill->keeper, drill->reterr)) < 0 ||
        (r = undo_after(drill->undo, fault_keeper_pid(drill->keeper), drill->reterr)) < 0)
        return r;
    if (drill->row->prepare != NULL && (r = drill->row->prepare(drill)) < 0)
        return r;
    if ((r = drill_prepare_faults(drill)) < 0)
        return r;
    return settle(drill); // preparing may have restarted something
}

static int start_traffic(Drill *drill)
{
    const DrillOptions *options = drill->options;
    const char *argv[24] = {"wildcam-cameras", "--dir", options->dir,  "--fleet", options->fleet,
                            "--duration",      "0",     "--no-verify", "--json"};
    size_t n = 9;
    const char *rate = drill->rate[0] != '\0' ? drill->rate : options->rate;
    if (rate != NULL) {
        argv[n++] = "--rate";
        argv[n++] = rate;
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
        drill_watch_plans(drill);
        if (r == 0 && clock_mono().ns > end.ns)
            r = error_set(drill->reterr, ERROR_TIMEOUT, "the cameras do not start");
    }
    drill->report->whole.begin = clock_mono();
    return r < 0 ? r : 0;
}

static int wait_recovery(Drill *drill)
{
    char *why = drill->report->not_recovered;
    int r = 0;
    drill_say("waiting for everything to be back");
    if (drill->row->ask_intents && (r = drill_wait_intents(drill, INTENTS_MAX_NS)) < 0)
        return r;
    if ((r = drill_wait_converged(drill)) < 0)
        return r;
    if (drill->row->reset_after && (r = reset_flaps(drill, "after")) < 0)
        return r;
    r = drill_wait_full(drill, drill->options->deadline_ns, why,
                        sizeof drill->report->not_recovered);
    drill->report->recovered_ms =
        r == 0 ? (double)mono_since(clock_mono(), drill->healed) / 1e6 : FIGURE_NEVER;
    drill->report->whole.end = clock_mono();
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
    drill_read_counters(drill, &drill->after);
    return r < 0 ? r : 0;
}

// Heals what is still broken, whatever happened before.
static int clean_up(Drill *drill)
{
    traffic_child_kill(&drill->child);
    int r = fault_keeper_free(drill->keeper), undone = undo_free(drill->undo);
    drill->keeper = NULL;
    drill->undo = NULL;
    return r < 0 ? r : undone;
}

// What is missing is one text in the report; the first that was seen is the one.
static void not_back(DrillReport *report, const char *why)
{
    if (report->not_recovered[0] == '\0')
        (void)snprintf(report->not_recovered, sizeof report->not_recovered, "%s", why);
}

static int run_steps(Drill *drill)
{
    int r = prepare(drill);
    if (r < 0 || (r = start_traffic(drill)) < 0 || (r = drill_find_run(drill)) < 0)
        return r;
    drill->report->started = clock_wall();
    r = drill_keep_going(drill, mono_add(clock_mono(), drill->options->before_ns));
    if (r < 0)
        return r;
    drill_read_counters(drill, &drill->before);
    if ((r = drill_run_phases(drill)) < 0 || (r = wait_recovery(drill)) < 0 ||
        (r = end_traffic(drill)) < 0)
        return r;
    if (clean_up(drill) < 0)
        not_back(drill->report, "not everything is healed or undone, see stderr");
    char why[128]; // the databases are asked: they may be on their way back from the small disk
    r = drill_wait_full(drill, drill->options->deadline_ns, why, sizeof why);
    if (r == ERROR_TIMEOUT)
        not_back(drill->report, why);
    return r < 0 && r != ERROR_TIMEOUT ? r : drill_measure(drill);
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

static void init_scope(DrillScope *scope)
{
    stats_init(&scope->surviving);
    stats_init(&scope->dead);
}

static void init_report(Drill *drill)
{
    const DrillOptions *options = drill->options;
    DrillReport *report = drill->report;
    *report = (DrillReport){
        .name = options->row->name,
        .target = options->target,
        .model = drill->model,
        .duplicated_writes = FIGURE_NONE,
        .lost_now = FIGURE_NONE,
        .lost_after_heal = FIGURE_NONE,
        .rpo_ms = FIGURE_NONE,
        .converged_ms = FIGURE_NONE,
        .rows_differ = FIGURE_NONE,
        .rto_edge_ms = FIGURE_NONE,
        .rto_plan_ms = FIGURE_NONE,
        .recovered_ms = FIGURE_NONE,
        .recover_limit_ms = (double)options->deadline_ns / 1e6,
        .intents_agree_ms = FIGURE_NONE,
        .verdicts_agree_ms = FIGURE_NONE,
        .class_gone_ms = FIGURE_NONE,
        .class_back_ms = FIGURE_NONE,
        .capacity_peak_ppm = FIGURE_NONE,
        .config_back_ms = FIGURE_NONE,
        .programs_replaced = FIGURE_NONE,
        .busy_targets = drill_share(drill) >= drill->model->pick.stall_min_rps,
    };
    for (uint32_t i = 0; i < drill->model->n_regions; i++) {
        if (drill_is_target(drill, i))
            report->regions[report->n_regions++] = drill->model->regions[i].name;
    }
    init_scope(&report->whole);
    for (size_t i = 0; i < DRILL_PHASES; i++)
        init_scope(&report->phases[i]);
    report->whole.end = MONO_NEVER;
}

int drill_run(const DrillOptions *options, DrillReport *ret_report, Error *reterr)
{
    Error own CLEANUP(error_done) = ERROR_INIT;
    Drill *drill CLEANUP(alloc_freep) = alloc_zeroed(1, sizeof *drill);
    if (drill == NULL)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    drill->options = options;
    drill->row = options->row;
    drill->model = &options->conf->model;
    drill->report = ret_report;
    drill->reterr = reterr != NULL ? reterr : &own;
    timeline_init(&drill->timeline, drill->model->n_regions);
    init_report(drill);
    drill->watch = (PlanWatch){options->dir, drill->model, ret_report->regions,
                               ret_report->n_regions, &drill->timeline};
    drill->load.dir = options->dir;
    drill->load.model = drill->model;
    int r = open_signals(drill);
    if (r == 0)
        r = run_steps(drill);
    (void)clean_up(drill);
    timeline_done(&drill->timeline);
    files_close(drill->signals);
    return r;
}
