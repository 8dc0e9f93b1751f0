// SPDX-License-Identifier: MIT
// verb_random: random runs of one core and of whole fleets; see sim_random.h.
#include <inttypes.h>
#include <stdio.h>

#include "sim_random.h"
#include "sim_verb.h"

#define MANY_ROUNDS 5 // so many that some verdict must have changed

// One part of a random run: a single core, or fleets. A replay (of one round) shows its timeline.
static int run_part(uint64_t seed, uint64_t events, bool quiet, bool fleet)
{
    SimRandomResult result;
    Error err = ERROR_INIT;
    Buf timeline = BUF_INIT(64U << 20);
    Buf *shown = events == 1 && !quiet ? &timeline : NULL;
    const char *name = fleet ? "fleet" : "core";
    int r = fleet ? sim_random_fleet(seed, events, shown, &result, &err)
                  : sim_random_core(seed, events, &result, &err);
    if (r >= 0 && result.rounds >= MANY_ROUNDS && result.verdicts == 0)
        r = error_set(&err, ERROR_NOT_HELD, "no verdict ever changed: nothing was tested");
    if (shown != NULL)
        (void)fputs(buf_text(shown), stdout);
    (void)printf("%-5s seed %" PRIu64 ": %" PRIu64 " rounds, %" PRIu64 " events, %" PRIu64
                 " refused, %" PRIu64 " verdicts changed, digest %016" PRIx64 "\n",
                 name, seed, result.rounds, result.events, result.errors, result.verdicts,
                 result.digest);
    if (r < 0)
        (void)printf("FAILED: %s\n  replay: wildcam sim random --events 1 --%s --seed %" PRIu64
                     "\n",
                     error_text(&err), name, result.bad_seed);
    buf_done(&timeline);
    error_done(&err);
    return r < 0 ? error_exit_code(r) : 0;
}

int sim_verb_random(const SimVerb *verb, int argc, char **argv, Error *reterr)
{
    const char *events_text = NULL, *seed_text = NULL;
    bool core_only = false, fleet_only = false, quiet = false;
    const Option options[] = {
        {"events", "N", "at least so many events each (default 1000000)", &events_text, NULL},
        {"core", NULL, "one core and its twin only", NULL, &core_only},
        {"fleet", NULL, "whole fleets only", NULL, &fleet_only},
        {"quiet", NULL, "no timeline in a replay", NULL, &quiet},
        {"seed", "N", "same seed, same run (default 1)", &seed_text, NULL},
    };
    uint64_t events = 1000000, seed = 1;
    int operands,
        r = sim_verb_options(verb, options, ARRAY_SIZE(options), argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    if ((r = sim_verb_no_operands(verb, operands, reterr)) < 0 ||
        (r = sim_verb_number("events", events_text, 1, UINT64_MAX, &events, reterr)) < 0 ||
        (r = sim_verb_number("seed", seed_text, 0, UINT64_MAX, &seed, reterr)) < 0)
        return r;
    int exit_code = fleet_only ? 0 : run_part(seed, events, quiet, false);
    if (!core_only && exit_code == 0)
        exit_code = run_part(seed, events, quiet, true);
    return exit_code;
}
