// SPDX-License-Identifier: MIT
// view: what this agent holds of one observer's table: its votes and the age of them. Ages are
// upper bounds in this agent's own clock: since our stamp left that the observer's report echoes,
// plus the relayer's age for relayed tables. Arrival is not age: a report can wait in a socket. The
// own table is a view like the others, always fresh.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "bounds.h"
#include "instant.h"
#include "report.h"

typedef struct ViewVote {
    Vote vote;
    bool soft, slow, held;
    uint32_t streak, flaps;
    uint32_t p50_us, p99_us;
    Mono first_fail;   // MONO_NEVER: no streak
    Mono edge_success; // MONO_DISTANT: none
    Mono held_since;
    Mono hold_until; // MONO_DISTANT: no hold
    ErrorWindow short_window, long_window;
} ViewVote;

#define VIEW_WORDS (BOUND_REGIONS / 64)

typedef struct View {
    bool have;
    bool direct; // came from the observer itself
    bool direct_known;
    Mono direct_born; // of the newest that did
    uint64_t boot, sequence;
    Mono born; // the table is at least as young as this
    bool sick, alone;
    uint64_t attention[VIEW_WORDS]; // gateways with anything but a plain UP or UNKNOWN
} View;
