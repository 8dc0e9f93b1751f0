// SPDX-License-Identifier: MIT
// wildcam-sim: runs scenarios, random worlds and detection trials of the real core in virtual time.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"
#include "sim_detect.h"
#include "sim_random.h"
#include "sim_scenario.h"

#define MANY_ROUNDS 5 // so many that some verdict must have changed

typedef struct Options {
    uint64_t seed, random_events, trials, loss_ppm;
    bool world, core_only, fleet_only, all, list, quiet;
    const char *scenario;
} Options;

static int usage(FILE *to)
{
    (void)fputs("usage: wildcam-sim [OPTIONS] SCENARIO | --all | --list\n"
                "       wildcam-sim --random EVENTS [--core | --fleet] [--seed N]\n"
                "       wildcam-sim --detect TRIALS [--world] [--loss PPM] [--seed N]\n"
                "  --seed N      same seed, same run, byte for byte (default 1)\n"
                "  --world       round trips of 1 to 220 ms instead of 1 to 65 ms\n"
                "  --quiet       no timeline\n"
                "  --random N    random faults and nonsense, at least N events each;\n"
                "                checks the core's invariants after every step\n"
                "  --detect N    time until all agents hold a killed and a hung gateway\n",
                to);
    return to == stdout ? 0 : 2;
}

static bool number(const char *text, uint64_t *ret)
{
    return text != NULL && parse_u64(text, strlen(text), UINT64_MAX, ret) == 0;
}

static bool parse_options(int argc, char **argv, Options *o)
{
    *o = (Options){.seed = 1, .loss_ppm = 1000};
    const struct {
        const char *name;
        bool *flag;
        uint64_t *value;
    } table[] = {
        {"--world", &o->world, NULL},      {"--core", &o->core_only, NULL},
        {"--fleet", &o->fleet_only, NULL}, {"--all", &o->all, NULL},
        {"--list", &o->list, NULL},        {"--quiet", &o->quiet, NULL},
        {"--seed", NULL, &o->seed},        {"--random", NULL, &o->random_events},
        {"--detect", NULL, &o->trials},    {"--loss", NULL, &o->loss_ppm},
    };
    for (int i = 1; i < argc; i++) {
        size_t k = 0;
        while (k < ARRAY_SIZE(table) && strcmp(argv[i], table[k].name) != 0)
            k++;
        if (k < ARRAY_SIZE(table) && table[k].flag != NULL) {
            *table[k].flag = true;
        } else if (k < ARRAY_SIZE(table)) {
            if (!number(i + 1 < argc ? argv[++i] : NULL, table[k].value))
                return false;
        } else if (argv[i][0] != '-' && o->scenario == NULL) {
            o->scenario = argv[i];
        } else {
            return false;
        }
    }
    return o->trials <= SIM_DETECT_TRIALS_MAX && o->loss_ppm <= PPM_ONE;
}

static int run_scenario(const SimScenario *scenario, const Options *o)
{
    Buf timeline = BUF_INIT(64U << 20);
    Error err = ERROR_INIT;
    uint64_t digest = 0;
    int r =
        sim_scenario_run(scenario, o->seed, o->world, o->quiet ? NULL : &timeline, &digest, &err);
    if (!o->quiet)
        (void)fputs(buf_text(&timeline), stdout);
    if (r < 0)
        (void)printf("%-28s FAILED: %s\n  replay: wildcam-sim --seed %" PRIu64 "%s %s\n",
                     scenario->name, error_text(&err), o->seed, o->world ? " --world" : "",
                     scenario->name);
    else
        (void)printf("%-28s ok  %016" PRIx64 "  %s\n", scenario->name, digest, scenario->text);
    buf_done(&timeline);
    error_done(&err);
    return r < 0 ? 1 : 0;
}

// One part of a random run: a single core, or fleets. A replay (of one round) shows its timeline.
static int run_random_part(const Options *o, bool fleet)
{
    SimRandomResult result;
    Error err = ERROR_INIT;
    Buf timeline = BUF_INIT(64U << 20);
    Buf *shown = o->random_events == 1 && !o->quiet ? &timeline : NULL;
    const char *name = fleet ? "fleet" : "core";
    int r = fleet ? sim_random_fleet(o->seed, o->random_events, shown, &result, &err)
                  : sim_random_core(o->seed, o->random_events, &result, &err);
    if (r >= 0 && result.rounds >= MANY_ROUNDS && result.verdicts == 0)
        r = error_set(&err, ERROR_NOT_HELD, "no verdict ever changed: nothing was tested");
    if (shown != NULL)
        (void)fputs(buf_text(shown), stdout);
    (void)printf("%-5s seed %" PRIu64 ": %" PRIu64 " rounds, %" PRIu64 " events, %" PRIu64
                 " refused, %" PRIu64 " verdicts changed, digest %016" PRIx64 "\n",
                 name, o->seed, result.rounds, result.events, result.errors, result.verdicts,
                 result.digest);
    if (r < 0)
        (void)printf("FAILED: %s\n  replay: wildcam-sim --random 1 --%s --seed %" PRIu64 "\n",
                     error_text(&err), name, result.bad_seed);
    buf_done(&timeline);
    error_done(&err);
    return r < 0 ? 1 : 0;
}

static int run_random(const Options *o)
{
    int exit_code = 0;
    if (!o->fleet_only)
        exit_code |= run_random_part(o, false);
    if (!o->core_only)
        exit_code |= run_random_part(o, true);
    return exit_code;
}

static int run_detect(const Options *o)
{
    // How long may it take: over the guide's regions, around the world.
    static const struct {
        const char *name;
        int64_t limit_ms[2];
    } ROWS[] = {[SIM_BREAK_KILL] = {"kill", {1000, 1000}},
                [SIM_BREAK_HANG] = {"hang", {2500, 2500}},
                [SIM_BREAK_REGION] = {"region dead", {2100, 2500}},
                [SIM_BREAK_CLOUD] = {"cloud dead", {2100, 2500}}};
    int exit_code = 0;
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        SimDetection d;
        Error err = ERROR_INIT;
        int r = sim_detect((SimBreak)i, (uint32_t)o->trials, o->seed, o->world,
                           (uint32_t)o->loss_ppm, &d, &err);
        if (r < 0) {
            (void)printf("%s: %s\n", ROWS[i].name, error_text(&err));
            error_done(&err);
            return 1;
        }
        int64_t limit_ms = ROWS[i].limit_ms[o->world];
        bool held = d.missed == 0 && d.max_ns <= limit_ms * NS_PER_MS;
        (void)printf(
            "%s: %u trials, p50 %lld ms, p99 %lld ms, max %lld ms, missed %u, limit %lld ms: "
            "%s\n",
            ROWS[i].name, d.trials, (long long)(d.p50_ns / NS_PER_MS),
            (long long)(d.p99_ns / NS_PER_MS), (long long)(d.max_ns / NS_PER_MS), d.missed,
            (long long)limit_ms, held ? "held" : "MISSED");
        exit_code |= held ? 0 : 1;
    }
    return exit_code;
}

int main(int argc, char **argv)
{
    Options o;
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout);
    if (!parse_options(argc, argv, &o))
        return usage(stderr);
    if (o.random_events > 0)
        return run_random(&o);
    if (o.trials > 0)
        return run_detect(&o);
    int exit_code = o.all || o.list || o.scenario != NULL ? 0 : usage(stderr);
    if (o.scenario != NULL && sim_scenario_find(o.scenario) == NULL) {
        (void)fprintf(stderr, "no scenario '%s'; --list shows them\n", o.scenario);
        return 2;
    }
    for (size_t i = 0; i < SIM_N_SCENARIOS; i++) {
        const SimScenario *scenario = &SIM_SCENARIOS[i];
        if (o.list)
            (void)printf("%-28s %s\n", scenario->name, scenario->text);
        else if (o.all || (o.scenario != NULL && strcmp(scenario->name, o.scenario) == 0))
            exit_code |= run_scenario(scenario, &o);
    }
    return exit_code;
}
