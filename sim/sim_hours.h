// SPDX-License-Identifier: MIT
// sim_hours: a stretch of fleet life under the fault model, most of which is quiet and is skipped.
//
// Skipping. A fleet is quiet when no trouble is near, nothing is held or returning, no probe has
// failed last, nobody is sick or alone, everybody hears everybody, and every plan has every gateway
// up with its whole share. Then the world's clock jumps to just before the next trouble begins, or
// to the next probe of a drawn path whose first two attempts are lost (an exponential draw; a
// single lost attempt comes again within the deadline and changes nothing). The agents do not
// notice: their clocks stand still, and everything under way arrives that much later. What is left
// out is only time in which each probe is answered and each report says what the last one said, so
// that no vote can become DOWN and no verdict can begin.
//
// A jump must not keep memories alive that would have faded: flaps (forgotten after 600 s) and
// error windows (60 s). While such a memory is younger than that the same fleet goes on, so the
// memory is there, and younger to the agents than it is: holds may be longer for it than they would
// be, never shorter. A jump beyond it ends with a new fleet instead, warmed up before the next
// trouble. The two slow quantiles of each path fade in half an hour of probing; they move the
// deadline of a probe between its bounds and are left alone.
//
// A link that takes five times as long and that nobody fails over is part of the quiet: what
// matters are its first seconds and its end.
//
// Lone links. A burst on one link, or a link that is slow, changes what two agents see of one
// gateway each, and how they hear each other directly. With nothing else near no gateway can get
// more than one vote against it that way (its own region's agent sees it without the link), and a
// verdict needs three. Where asked for, only one in so many of these is simulated, to hold that
// against the core; the others are left out and counted.
//
// Goes wrong: nothing that depends on the skipped time itself, such as load, is in the model. Held
// against full simulation by a test.
#pragma once
#include "sim_judge.h"

typedef struct SimHoursOptions {
    uint64_t seed;
    uint32_t times; // 1: model F, 10: 10F
    int64_t length_ns;
    bool around_the_world;
    bool in_full;              // skip nothing
    uint32_t lone_links_every; // 0 or 1: all; else one in so many is simulated
    Buf *timeline;             // of the troubles around what was false or missed; or NULL
} SimHoursOptions;

typedef struct SimHoursResult {
    SimTally tally;
    int64_t length_ns, simulated_ns;
    uint64_t steps, jumps, fleets;
    uint64_t left_out[2]; // link bursts, slow links
    uint64_t digest;
} SimHoursResult;

// ERROR_NOT_HELD when an invariant of the core is broken; false and missed verdicts are in the
// tally.
int sim_hours_run(const SimHoursOptions *options, SimHoursResult *ret_result,
                  Error *reterr) MUST_CHECK;
// Adds up.
void sim_hours_add(SimHoursResult *sum, const SimHoursResult *more);
