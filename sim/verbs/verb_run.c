// SPDX-License-Identifier: MIT
// verb_run: scenarios by name or from files; see sim_scenario.h.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sim_scenario.h"
#include "sim_verb.h"

typedef struct Given {
    uint64_t seed;
    bool all, list, world, quiet, json;
} Given;

static int run_one(const SimScenario *scenario, const Given *given)
{
    Buf timeline = BUF_INIT(64U << 20);
    Error err = ERROR_INIT;
    const SimRunOptions options = {.seed = given->seed,
                                   .around_the_world = given->world,
                                   .timeline = given->quiet ? NULL : &timeline};
    SimRunResult result;
    int r = sim_scenario_run(scenario, &options, &result, &err);
    if (!given->quiet)
        (void)fputs(buf_text(&timeline), stdout);
    if (r < 0)
        (void)printf("%-28s FAILED: %s\n  replay: wildcam sim run --seed %" PRIu64 "%s %s\n",
                     scenario->name, error_text(&err), given->seed, given->world ? " --world" : "",
                     scenario->name);
    else
        (void)printf("%-28s ok  %016" PRIx64 "  %s\n", scenario->name, result.digest,
                     scenario->text);
    buf_done(&timeline);
    error_done(&err);
    return r < 0 ? error_exit_code(r) : 0;
}

int sim_verb_run(const SimVerb *verb, int argc, char **argv, Error *reterr)
{
    const char *seed_text = NULL;
    Given given = {.seed = 1};
    const Option options[] = {
        {"all", NULL, "all built-in scenarios", NULL, &given.all},
        {"list", NULL, "what they are, without running them", NULL, &given.list},
        {"seed", "N", "same seed, same run, byte for byte (default 1)", &seed_text, NULL},
        {"world", NULL, "round trips of 1 to 220 ms instead of 1 to 65 ms", NULL, &given.world},
        {"quiet", NULL, "no timeline", NULL, &given.quiet},
    };
    int operands,
        r = sim_verb_options(verb, options, ARRAY_SIZE(options), argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    if ((r = sim_verb_number("seed", seed_text, 0, UINT64_MAX, &given.seed, reterr)) < 0)
        return r;
    for (int i = 0; i < operands; i++)
        if (sim_scenario_find(argv[1 + i]) == NULL) {
            r = error_set(reterr, ERROR_USAGE, "no scenario '%s'", argv[1 + i]);
            return error_hint(reterr, r, "'wildcam sim run --list' lists them.");
        }
    if (operands == 0 && !given.all && !given.list)
        return error_set(reterr, ERROR_USAGE, "what? a NAME, --all or --list");
    int exit_code = 0;
    const SimScenario *scenario;
    for (size_t i = 0; (scenario = sim_scenario_at(i)) != NULL; i++) {
        bool named = given.all;
        for (int k = 0; k < operands; k++)
            named = named || strcmp(argv[1 + k], scenario->name) == 0;
        if (given.list)
            (void)printf("%-28s %s\n", scenario->name, scenario->text);
        else if (named && (r = run_one(scenario, &given)) != 0)
            exit_code = r;
    }
    return exit_code;
}
