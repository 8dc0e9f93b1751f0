// SPDX-License-Identifier: MIT
// scenarios: short words for the tables of scenarios. Regions 0 and 1 are of the first cloud, 2 and
// 3 of the second, 4 and 5 of the third. Only scenarios*.c include this.
#pragma once
#include "sim_scenario.h"

#define CUT PPM_ONE
#define ALL SIM_ALL
#define R(region) SIM_ONE(region)
#define C(cloud) SIM_CLOUD(cloud)
#define NEVER_HELD(who_, end)                                                                      \
    {                                                                                              \
        .from_ms = -10000, .until_ms = (end), .who = (who_)                                        \
    }
#define HELD(from, until, who_, mask)                                                              \
    {                                                                                              \
        .from_ms = (from), .until_ms = (until), .who = (who_), .held = (mask)                      \
    }
// A machine that is gone with everything on it.
#define GONE(mask, from, until)                                                                    \
    {.kind = FAULT_DEAD, .a = (mask), .from_ns = (from), .until_ns = (until)},                     \
    {                                                                                              \
        .kind = FAULT_RESTART, .a = (mask), .from_ns = (from), .until_ns = (until)                 \
    }
#define FAULT(kind_, mask, from, until)                                                            \
    {                                                                                              \
        .kind = (kind_), .a = (mask), .from_ns = (from), .until_ns = (until)                       \
    }
// With a value: a share, a time in ns, a lie.
#define WITH(kind_, mask, value_, from, until)                                                     \
    {                                                                                              \
        .kind = (kind_), .a = (mask), .value = (value_), .from_ns = (from), .until_ns = (until)    \
    }
#define LIE(mask, about, what, from, until)                                                        \
    {                                                                                              \
        .kind = FAULT_LIE, .a = (mask), .b = (about), .value = (what), .from_ns = (from),          \
        .until_ns = (until)                                                                        \
    }
#define LOSS(from_, to, ppm, both_, begin, end)                                                    \
    {                                                                                              \
        .kind = FAULT_LOSS, .a = (from_), .b = (to), .both = (both_), .value = (ppm),              \
        .from_ns = (begin), .until_ns = (end)                                                      \
    }
