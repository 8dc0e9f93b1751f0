// SPDX-License-Identifier: MIT
// verb_run: scenarios by name or from files; see sim_scenario.h. Results go to stdout, one line
// each (or one object with --json); a failed one says which command shows it again.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sim_file.h"
#include "sim_verb.h"

#define TIMELINE_BYTES (64U << 20)

typedef struct Given {
    const char *file, *seed_text;
    uint64_t seed;
    bool all, list, world, quiet, json, export, digests;
    int n_names;
    char **names;
} Given;

typedef struct Outcome {
    int r;
    const char *text; // of the failure
    SimRunResult result;
    double cpu_s;
} Outcome;

static double cpu_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / (double)NS_PER_S;
}

static double speed(const Outcome *outcome)
{
    double virtual_s = (double)outcome->result.virtual_ns / (double)NS_PER_S;
    return outcome->cpu_s > 0 ? virtual_s / outcome->cpu_s : 0;
}

static void print_json(const SimScenario *scenario, const Outcome *outcome, bool first)
{
    const SimRunResult *result = &outcome->result;
    Buf text = BUF_INIT(0);
    buf_add_text(&text, first ? "{\"name\":" : ",\n{\"name\":");
    buf_add_json_string(&text, scenario->name);
    buf_add_text(&text, ",\"text\":");
    buf_add_json_string(&text, scenario->text);
    buf_printf(&text, ",\"held\":%s,\"problem\":", outcome->r < 0 ? "false" : "true");
    if (outcome->r < 0)
        buf_add_json_string(&text, outcome->text);
    else
        buf_add_text(&text, "null");
    buf_printf(&text,
               ",\"digest\":\"%016" PRIx64 "\",\"steps\":%" PRIu64 ",\"virtual_ms\":%" PRId64
               ",\"cpu_ms\":%.3f,\"speed\":%.0f,\"transitions\":%" PRIu32 ",\"apart_ms\":%" PRId64
               ",\"peak_load_ppm\":%" PRIu32 ",\"peak_shed_ppm\":%" PRIu32
               ",\"peak_failed_ppm\":%" PRIu32 "}",
               result->digest, result->steps, result->virtual_ns / NS_PER_MS, outcome->cpu_s * 1000,
               speed(outcome), result->transitions, result->apart_ns / NS_PER_MS,
               result->peak_load_ppm, result->peak_shed_ppm, result->peak_failed_ppm);
    (void)fputs(buf_text(&text), stdout);
    buf_done(&text);
}

static void print_text(const SimScenario *scenario, const Given *given, const Outcome *outcome)
{
    if (outcome->r < 0) {
        (void)printf("%-30s FAILED: %s\n  replay: wildcam sim run --seed %" PRIu64 "%s %s%s\n",
                     scenario->name, outcome->text, given->seed, given->world ? " --world" : "",
                     given->file != NULL ? "--scenario " : "",
                     given->file != NULL ? given->file : scenario->name);
        return;
    }
    (void)printf("%-30s ok  %016" PRIx64 "  %6.0f s at %6.0f x  %s\n", scenario->name,
                 outcome->result.digest, (double)outcome->result.virtual_ns / (double)NS_PER_S,
                 speed(outcome), scenario->text);
}

static int run_one(const SimScenario *scenario, const Given *given, bool first)
{
    if (given->export) {
        Buf text = BUF_INIT(0);
        sim_file_format(scenario, &text);
        (void)fputs(buf_text(&text), stdout);
        buf_done(&text);
        return 0;
    }
    Buf timeline = BUF_INIT(TIMELINE_BYTES);
    Error err = ERROR_INIT;
    bool shown = !given->quiet && !given->json && !given->digests;
    const SimRunOptions options = {.seed = given->seed,
                                   .around_the_world = given->world,
                                   .timeline = shown ? &timeline : NULL};
    Outcome outcome = {.cpu_s = cpu_seconds()};
    outcome.r = sim_scenario_run(scenario, &options, &outcome.result, &err);
    outcome.cpu_s = cpu_seconds() - outcome.cpu_s;
    outcome.text = error_text(&err);
    if (shown)
        (void)fputs(buf_text(&timeline), stdout);
    if (given->json)
        print_json(scenario, &outcome, first);
    else if (given->digests && outcome.r >= 0)
        (void)printf("%s %" PRIu64 " %-30s %016" PRIx64 "\n", given->world ? "world" : "guide",
                     given->seed, scenario->name, outcome.result.digest);
    else
        print_text(scenario, given, &outcome);
    (void)fflush(stdout);
    buf_done(&timeline);
    error_done(&err);
    return outcome.r < 0 ? error_exit_code(outcome.r) : 0;
}

static int run_file(const Given *given, Error *reterr)
{
    SimFile *file;
    int r = sim_file_load(given->file, &file, reterr);
    if (r < 0)
        return r;
    r = run_one(sim_file_scenario(file), given, true);
    (void)sim_file_free(file);
    return r;
}

static bool is_named(const Given *given, const SimScenario *scenario)
{
    for (int i = 0; i < given->n_names; i++)
        if (strcmp(given->names[i], scenario->name) == 0)
            return true;
    return given->all;
}

static int run_named(const Given *given)
{
    int exit_code = 0, r;
    bool first = true;
    const SimScenario *scenario;
    for (size_t i = 0; (scenario = sim_scenario_at(i)) != NULL; i++) {
        if (given->list) {
            (void)printf("%-30s %s\n", scenario->name, scenario->text);
        } else if (is_named(given, scenario)) {
            if ((r = run_one(scenario, given, first)) != 0)
                exit_code = r;
            first = false;
        }
    }
    return exit_code;
}

static int check(const Given *given, Error *reterr)
{
    for (int i = 0; i < given->n_names; i++)
        if (sim_scenario_find(given->names[i]) == NULL) {
            int r = error_set(reterr, ERROR_USAGE, "no scenario '%s'", given->names[i]);
            return error_hint(reterr, r, "'wildcam sim run --list' lists them.");
        }
    int ways = (given->n_names > 0) + given->all + given->list + (given->file != NULL);
    if (ways == 1)
        return 0;
    int r = error_set(reterr, ERROR_USAGE, ways == 0 ? "nothing to run" : "too much to run");
    return error_hint(reterr, r, "Give NAMEs, --all, --list or --scenario FILE, one of these.");
}

int sim_verb_run(const SimVerb *verb, int argc, char **argv, Error *reterr)
{
    Given given = {.seed = 1};
    const Option options[] = {
        {"all", NULL, "all built-in scenarios", NULL, &given.all},
        {"list", NULL, "what they are, without running them", NULL, &given.list},
        {"scenario", "FILE", "a scenario from a file", &given.file, NULL},
        {"seed", "N", "same seed, same run (default 1)", &given.seed_text, NULL},
        {"world", NULL, "round trips of 1 to 220 ms, not 1 to 65", NULL, &given.world},
        {"export", NULL, "print them as files, do not run", NULL, &given.export},
        {"digests", NULL, "print layout, seed, name, digest", NULL, &given.digests},
        {"quiet", NULL, "no timeline", NULL, &given.quiet},
        {"json", NULL, "one JSON object", NULL, &given.json},
    };
    int r =
        sim_verb_options(verb, options, ARRAY_SIZE(options), argc, argv, &given.n_names, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    given.names = argv + 1;
    if ((r = sim_verb_number("seed", given.seed_text, 0, UINT64_MAX, &given.seed, reterr)) < 0 ||
        (r = check(&given, reterr)) < 0)
        return r;
    bool wrapped = given.json && !given.list && !given.export;
    if (wrapped)
        (void)printf("{\"seed\":%" PRIu64 ",\"layout\":\"%s\",\"scenarios\":[\n", given.seed,
                     given.world ? "world" : "guide");
    r = given.file != NULL ? run_file(&given, reterr) : run_named(&given);
    if (wrapped)
        (void)puts("]}");
    return r;
}
