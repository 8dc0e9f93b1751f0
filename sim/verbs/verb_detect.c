// SPDX-License-Identifier: MIT
// verb_detect: times of detection against their limits; see sim_detect.h.
#include <stdio.h>

#include "sim_detect.h"
#include "sim_verb.h"

// How long may it take: over the guide's regions, around the world.
static const struct {
    const char *name;
    int64_t limit_ms[2];
} ROWS[] = {[SIM_BREAK_KILL] = {"kill", {1000, 1000}},
            [SIM_BREAK_HANG] = {"hang", {2500, 2500}},
            [SIM_BREAK_REGION] = {"region dead", {2100, 2500}},
            [SIM_BREAK_CLOUD] = {"cloud dead", {2100, 2500}}};

static int detect(uint64_t trials, uint64_t seed, bool world, uint64_t loss_ppm, Error *reterr)
{
    int exit_code = 0;
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        SimDetection d;
        int r =
            sim_detect((SimBreak)i, (uint32_t)trials, seed, world, (uint32_t)loss_ppm, &d, reterr);
        if (r < 0)
            return error_wrap(reterr, r, "%s", ROWS[i].name);
        int64_t limit_ms = ROWS[i].limit_ms[world];
        bool held = d.missed == 0 && d.max_ns <= limit_ms * NS_PER_MS;
        (void)printf(
            "%s: %u trials, p50 %lld ms, p99 %lld ms, max %lld ms, missed %u, limit %lld ms: "
            "%s\n",
            ROWS[i].name, d.trials, (long long)(d.p50_ns / NS_PER_MS),
            (long long)(d.p99_ns / NS_PER_MS), (long long)(d.max_ns / NS_PER_MS), d.missed,
            (long long)limit_ms, held ? "held" : "MISSED");
        exit_code = held ? exit_code : SIM_EXIT_NOT_HELD;
    }
    return exit_code;
}

int sim_verb_detect(const SimVerb *verb, int argc, char **argv, Error *reterr)
{
    const char *trials_text = NULL, *loss_text = NULL, *seed_text = NULL;
    bool world = false;
    const Option options[] = {
        {"trials", "N", "fleets for each kind of fault (default 100)", &trials_text, NULL},
        {"world", NULL, "round trips of 1 to 220 ms instead of 1 to 65 ms", NULL, &world},
        {"loss", "PPM", "of all packets, in millionths (default 1000)", &loss_text, NULL},
        {"seed", "N", "same seed, same run (default 1)", &seed_text, NULL},
    };
    uint64_t trials = 100, loss_ppm = 1000, seed = 1;
    int operands,
        r = sim_verb_options(verb, options, ARRAY_SIZE(options), argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    if ((r = sim_verb_no_operands(verb, operands, reterr)) < 0 ||
        (r = sim_verb_number("trials", trials_text, 1, SIM_DETECT_TRIALS_MAX, &trials, reterr)) <
            0 ||
        (r = sim_verb_number("loss", loss_text, 0, PPM_ONE, &loss_ppm, reterr)) < 0 ||
        (r = sim_verb_number("seed", seed_text, 0, UINT64_MAX, &seed, reterr)) < 0)
        return r;
    return detect(trials, seed, world, loss_ppm, reterr);
}
