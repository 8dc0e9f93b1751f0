// SPDX-License-Identifier: MIT
// verb_search: random schedules until an invariant or liveness breaks, for so many minutes; what
// breaks is shrunk and written as a scenario file. Ctrl-C ends it with what was found so far.
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "parse.h"
#include "sim_file.h"
#include "sim_schedule.h"
#include "sim_shrink.h"
#include "sim_verb.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

typedef struct Search {
    uint64_t seed, schedules, steps;
    int64_t virtual_ns;
    double end_s;
    double told_s;
    bool terminal, json;
    char name[64], problem[512], default_file[80];
    const char *file;
} Search;

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / (double)NS_PER_S;
}

static void tell(Search *search, const SimShrink *shrink)
{
    double now_s = seconds();
    if (!search->terminal || now_s < search->told_s + 0.5)
        return;
    search->told_s = now_s;
    if (shrink != NULL)
        (void)fprintf(stderr, "\r%zu faults left after %" PRIu32 " runs     ",
                      sim_scenario_n_faults(&shrink->best), shrink->runs);
    else
        (void)fprintf(stderr, "\r%" PRIu64 " schedules, %.1f virtual hours, %.0f s left     ",
                      search->schedules, (double)search->virtual_ns / 3600e9,
                      search->end_s > now_s ? search->end_s - now_s : 0);
}

static void tell_end(const Search *search)
{
    if (search->terminal)
        (void)fputs("\r                                                            \r", stderr);
}

// 1: found; 0: the time is over.
static int find(Search *search, SimScenario *scenario, SimRunOptions *options)
{
    while (!interrupted && seconds() < search->end_s) {
        SimRunResult result;
        Error err = ERROR_INIT;
        options->seed = search->seed + search->schedules++;
        (void)snprintf(search->name, sizeof search->name, "found-%" PRIu64, options->seed);
        sim_schedule_make(options->seed, search->name, scenario);
        int r = sim_scenario_run(scenario, options, &result, &err);
        search->steps += result.steps;
        search->virtual_ns += result.virtual_ns;
        if (r < 0)
            (void)snprintf(search->problem, sizeof search->problem, "%s", error_text(&err));
        error_done(&err);
        if (r < 0)
            return 1;
        tell(search, NULL);
    }
    return 0;
}

static void print_json(const Search *search, const SimShrink *shrink)
{
    Buf text = BUF_INIT(0);
    buf_printf(&text,
               "{\"seed\":%" PRIu64 ",\"schedules\":%" PRIu64 ",\"steps\":%" PRIu64
               ",\"virtual_ms\":%" PRId64 ",\"found\":",
               search->seed, search->schedules, search->steps, search->virtual_ns / NS_PER_MS);
    if (shrink == NULL) {
        buf_add_text(&text, "null}");
    } else {
        buf_add_text(&text, "{\"problem\":");
        buf_add_json_string(&text, search->problem);
        buf_add_text(&text, ",\"file\":");
        buf_add_json_string(&text, search->file);
        buf_printf(&text, ",\"seed\":%" PRIu64 ",\"faults\":%zu,\"runs\":%" PRIu32 "}}",
                   shrink->options.seed, sim_scenario_n_faults(&shrink->best), shrink->runs);
    }
    (void)puts(buf_text(&text));
    buf_done(&text);
}

static int report(Search *search, SimShrink *shrink, Error *reterr)
{
    Buf text = BUF_INIT(0);
    Error err = ERROR_INIT;
    SimRunResult result;
    shrink->options.timeline = NULL;
    if (sim_scenario_run(&shrink->best, &shrink->options, &result, &err) < 0)
        (void)snprintf(search->problem, sizeof search->problem, "%s", error_text(&err));
    error_done(&err);
    sim_file_format(&shrink->best, &text);
    int r = buf_check(&text);
    if (r < 0)
        (void)error_set(reterr, r, "write the scenario");
    else
        r = files_replace(search->file, text.data, text.len, NULL, reterr);
    tell_end(search);
    if (r == 0 && search->json)
        print_json(search, shrink);
    else if (r == 0)
        (void)printf("schedule %" PRIu64 " breaks: %s\n%s\nshrunk in %" PRIu32
                     " runs, written to %s\n  replay: wildcam sim run --scenario %s --seed %" PRIu64
                     "\n",
                     search->schedules, search->problem, buf_text(&text), shrink->runs,
                     search->file, search->file, shrink->options.seed);
    buf_done(&text);
    return r < 0 ? r : SIM_EXIT_NOT_HELD;
}

static int run(Search *search, Error *reterr)
{
    SimScenario scenario;
    SimRunOptions options = {0};
    if (find(search, &scenario, &options) == 0) {
        tell_end(search);
        if (search->json)
            print_json(search, NULL);
        else
            (void)printf("nothing broke: %" PRIu64 " schedules, %.1f virtual hours, %" PRIu64
                         " steps of the core from seed %" PRIu64 "\n",
                         search->schedules, (double)search->virtual_ns / 3600e9, search->steps,
                         search->seed);
        return 0;
    }
    SimShrink shrink;
    sim_shrink_begin(&shrink, &scenario, &options, search->problem);
    while (!interrupted && sim_shrink_step(&shrink) > 0)
        tell(search, &shrink);
    if (search->file == NULL) {
        (void)snprintf(search->default_file, sizeof search->default_file, "%s.yaml", search->name);
        search->file = search->default_file;
    }
    return report(search, &shrink, reterr);
}

int sim_verb_search(const SimVerb *verb, int argc, char **argv, Error *reterr)
{
    const char *minutes_text = NULL, *seed_text = NULL, *seconds_text = NULL;
    Search search = {.seed = 1};
    const Option options[] = {
        {"minutes", "M", "search so long (default 1)", &minutes_text, NULL},
        {"seconds", "S", "or so long", &seconds_text, NULL},
        {"seed", "N", "of the first schedule (default 1)", &seed_text, NULL},
        {"out", "FILE", "where to write it (default found-N.yaml)", &search.file, NULL},
        {"json", NULL, "one JSON object", NULL, &search.json},
    };
    uint64_t minutes = 1, length_s = 0;
    int operands,
        r = sim_verb_options(verb, options, ARRAY_SIZE(options), argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    if ((r = sim_verb_no_operands(verb, operands, reterr)) < 0 ||
        (r = sim_verb_number("minutes", minutes_text, 1, 100000, &minutes, reterr)) < 0 ||
        (r = sim_verb_number("seconds", seconds_text, 1, 1000000, &length_s, reterr)) < 0 ||
        (r = sim_verb_number("seed", seed_text, 0, UINT64_MAX / 2, &search.seed, reterr)) < 0)
        return r;
    search.end_s = seconds() + (double)(length_s > 0 ? length_s : minutes * 60);
    search.terminal = isatty(STDERR_FILENO) == 1;
    (void)signal(SIGINT, on_interrupt);
    return run(&search, reterr);
}
