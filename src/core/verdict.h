// SPDX-License-Identifier: MIT
// verdict: the fleet's judgement of one gateway, as this agent computes it from the views.
//
//             quorum of DOWN votes, or error rate
//      free ------------------------------------> held
//       ^  \ slow: shed                             |
//       |   \__ (half its share)                    | majority UP for up_time, own hold and
//       |                                           | the peers' holds over
//       +------ 10, 25, 50, 100 % <-----------------+
//
// Hold: hold_ns, doubled per flap up to hold_max_ns; flaps are forgotten after forgive_ns.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "instant.h"

#define RETURN_STEPS 4

typedef enum VerdictCause {
    VERDICT_CAUSE_NONE,
    VERDICT_CAUSE_VOTES,
    VERDICT_CAUSE_ERRORS,
    VERDICT_CAUSE_ADOPTED,
} VerdictCause;

typedef struct Verdict {
    bool held;
    VerdictCause cause;
    uint32_t flaps;
    Mono since;       // in this verdict
    Mono last_change; // MONO_DISTANT: never
    Mono ok_since;    // held: majority UP since; MONO_NEVER: not now
    Mono veto_since;  // MONO_NEVER: no quorum pending
    bool limited;     // put off by the removal limit; so that it is said once
    bool failing;     // error rate above the limit and not removed; said once too
    bool slow;        // most fresh observers get late answers
    Mono slow_since;  // for so long; MONO_NEVER: not now
    bool shed;        // gets half its share
    Mono shed_ok;     // shed: no reason since; MONO_NEVER: reason holds
    uint32_t step;    // of the return; RETURN_STEPS - 1: all of it
    Mono step_at;
    bool seen_up;                              // somebody voted UP at least once
    bool suspect;                              // no verdict, but goes behind the others
    uint32_t up, down, unknown, fresh, clouds; // of the last evaluation, for people
} Verdict;

// What the fresh views say about one gateway now.
typedef struct Tally {
    uint32_t fresh;    // every fresh observer: unknown and sick ones count, and vote for nothing
    uint32_t up;       // sick ones too: a success is a success
    uint32_t down;     // without the sick
    uint32_t down_all; // with them
    uint32_t slow;
    uint32_t holders, together; // peers not alone that hold it; all such peers
    uint32_t clouds;            // mask over `down`
    bool all_soft;
    Mono youngest_fail;  // latest first failure among the voters of `down`
    Mono newest_success; // newest sent success of any fresh edge
    uint32_t peer_flaps; // highest of fresh peers that hold it
    Mono peer_hold_until, peer_since;
} Tally;
