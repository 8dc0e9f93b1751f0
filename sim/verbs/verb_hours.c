// SPDX-License-Identifier: MIT
// verb_hours: many hours of fleet life under the fault model, in stretches with a seed each; see
// sim_hours.h. Every false or missed verdict is told with the command that shows it again. Ctrl-C
// ends it with what was done so far, and says how to go on.
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hours_print.h"
#include "parse.h"
#include "sim_verb.h"

#define STRETCH_TARGET_HOURS 100U
#define TOLD_TERMINAL_S 0.5
#define TOLD_FILE_S 60.0

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / (double)NS_PER_S;
}

typedef struct Progress {
    HoursTotal total;
    HoursTold told;
    uint64_t wanted;
    bool terminal;
    double told_s;
} Progress;

static void tell_progress(Progress *progress)
{
    double now_s = seconds();
    if (now_s < progress->told_s + (progress->terminal ? TOLD_TERMINAL_S : TOLD_FILE_S))
        return;
    progress->told_s = now_s;
    hours_print_progress(&progress->told, &progress->total, progress->wanted, progress->terminal);
}

static bool stretch_done(void *user, const HoursStretch *stretch)
{
    Progress *progress = user;
    if (stretch != NULL)
        hours_total_add(&progress->total, &progress->told, stretch);
    tell_progress(progress);
    return !interrupted;
}

// A replay: one stretch, here, with its timeline.
static int show(const HoursTold *told, SimHoursOptions options, Error *reterr)
{
    Buf timeline = BUF_INIT(256U << 20);
    HoursTotal total = {0};
    HoursStretch *stretch = &total.last;
    Error err = ERROR_INIT;
    options.timeline = &timeline;
    stretch->code = sim_hours_run(&options, &stretch->result, &err);
    (void)snprintf(stretch->text, sizeof stretch->text, "%s",
                   stretch->code < 0 ? error_text(&err) : "");
    error_done(&err);
    int r = buf_check(&timeline);
    if (r < 0)
        r = error_set(reterr, r, "the timeline is too long");
    else
        (void)fputs(buf_text(&timeline), stdout);
    buf_done(&timeline);
    const HoursStretch copy = *stretch;
    hours_total_add(&total, told, &copy);
    hours_print(told, &total);
    if (r < 0)
        return r;
    return hours_total_held(told, &total) ? 0 : SIM_EXIT_NOT_HELD;
}

static int run(Progress *progress, const SimHoursOptions *options, uint32_t jobs, Error *reterr)
{
    struct sigaction action = {.sa_handler = on_interrupt}, old_int, old_term;
    const HoursWork work = {.options = *options,
                            .n = progress->wanted,
                            .jobs = jobs < progress->wanted ? jobs : (uint32_t)progress->wanted,
                            .done = stretch_done,
                            .user = progress};
    progress->terminal = isatty(STDERR_FILENO) != 0;
    progress->told_s = seconds();
    (void)sigaction(SIGINT, &action, &old_int);
    (void)sigaction(SIGTERM, &action, &old_term);
    int r = hours_work(&work, reterr);
    (void)sigaction(SIGINT, &old_int, NULL);
    (void)sigaction(SIGTERM, &old_term, NULL);
    if (progress->terminal)
        (void)fputs("\r\033[K", stderr);
    return r;
}

static int set_model(HoursTold *told, const char *name, Error *reterr)
{
    if (name != NULL && strcmp(name, "F") != 0 && strcmp(name, "10F") != 0)
        return error_set(reterr, ERROR_USAGE, "option '--model': '%s' is neither F nor 10F", name);
    told->model = name != NULL ? name : "F";
    return told->model[0] == 'F' ? 1 : 10;
}

int sim_verb_hours(const SimVerb *verb, int argc, char **argv, Error *reterr)
{
    const char *model = NULL, *hours_text = NULL, *seed_text = NULL, *jobs_text = NULL,
               *lone_text = NULL, *allow_text = NULL;
    Progress progress = {.told = {.lone_links_every = 1}};
    HoursTold *told = &progress.told;
    bool timeline = false;
    const Option options[] = {
        {"model", "F|10F", "the faults: F, or ten times as many (default F)", &model, NULL},
        {"hours", "N", "target-hours, six to an hour (default 10000)", &hours_text, NULL},
        {"seed", "S", "of the first stretch of 100 target-hours (default 1)", &seed_text, NULL},
        {"jobs", "J", "processes (default 1)", &jobs_text, NULL},
        {"world", NULL, "round trips around the world", NULL, &told->world},
        {"lone-links", "N", "simulate 1 in N of the lone faults of one link", &lone_text, NULL},
        {"in-full", NULL, "skip no quiet time", NULL, &told->in_full},
        {"allow", "N", "so many false verdicts are no failure (default 0)", &allow_text, NULL},
        {"timeline", NULL, "show what was wrong; one stretch only", NULL, &timeline},
        {"json", NULL, "one JSON object", NULL, &told->json},
    };
    uint64_t hours = 10000, jobs = 1;
    told->seed = 1;
    int operands,
        r = sim_verb_options(verb, options, ARRAY_SIZE(options), argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    int times = set_model(told, model, reterr);
    if (times < 0 || (r = sim_verb_no_operands(verb, operands, reterr)) < 0 ||
        (r = sim_verb_number("hours", hours_text, 1, 1000000000, &hours, reterr)) < 0 ||
        (r = sim_verb_number("seed", seed_text, 0, UINT64_MAX / 2, &told->seed, reterr)) < 0 ||
        (r = sim_verb_number("jobs", jobs_text, 1, HOURS_JOBS_MAX, &jobs, reterr)) < 0 ||
        (r = sim_verb_number("lone-links", lone_text, 1, 1000000, &told->lone_links_every,
                             reterr)) < 0 ||
        (r = sim_verb_number("allow", allow_text, 0, 1000000, &told->allow, reterr)) < 0)
        return times < 0 ? times : r;
    bool one = hours <= STRETCH_TARGET_HOURS;
    told->stretch_hours = one ? hours : STRETCH_TARGET_HOURS;
    progress.wanted = one ? 1 : (hours + STRETCH_TARGET_HOURS - 1) / STRETCH_TARGET_HOURS;
    if (timeline && !one)
        return error_set(reterr, ERROR_USAGE, "option '--timeline': --hours %u at most",
                         STRETCH_TARGET_HOURS);
    const SimHoursOptions stretch = {
        .seed = told->seed,
        .times = (uint32_t)times,
        .length_ns = (int64_t)told->stretch_hours * 600 * NS_PER_S, // six targets
        .around_the_world = told->world,
        .in_full = told->in_full,
        .lone_links_every = (uint32_t)told->lone_links_every,
    };
    if (timeline)
        return show(told, stretch, reterr);
    r = run(&progress, &stretch, (uint32_t)jobs, reterr);
    if (r < 0)
        return r;
    hours_print(told, &progress.total);
    if (progress.total.stretches < progress.wanted && !told->json)
        (void)printf("interrupted; the rest: --hours %" PRIu64 " --seed %" PRIu64 "\n",
                     (progress.wanted - progress.total.stretches) * STRETCH_TARGET_HOURS,
                     told->seed + progress.total.stretches);
    return hours_total_held(told, &progress.total) ? 0 : SIM_EXIT_NOT_HELD;
}
