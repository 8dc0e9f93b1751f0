// SPDX-License-Identifier: MIT
// sim_nonsense: random events for one core: what shells say, and what only a broken one would.
// Names, ids, ages and numbers are right often enough that verdicts come about.
#pragma once
#include "arena.h"
#include "core.h"
#include "rng.h"

#define SIM_NONSENSE_IDS 64

typedef struct SimNonsense {
    Rng rng;
    const Model *models[2]; // CONFIG events go to and fro
    const Model *model;     // the core's
    uint32_t own;
    Mono now;
    Wall wall;
    struct {
        uint64_t id;
        uint32_t gateway;
    } probes[SIM_NONSENSE_IDS]; // newest effects; answered more than once and late
    uint32_t n_probes;
    uint64_t own_boot; // as the core's reports say
    int64_t own_stamp_ns;
    uint64_t down;       // gateways that most peers call down in this phase
    uint32_t liars;      // share of reports that are nonsense, of 16
    uint32_t phase_left; // events
} SimNonsense;

// An event in the arena; NULL when memory is short.
const CoreEvent *sim_nonsense_event(SimNonsense *from, Arena *arena);
// Learns ids from the effects of an update.
void sim_nonsense_learn(SimNonsense *from, const CoreUpdate *update);
const Report *sim_nonsense_report(SimNonsense *from, Arena *arena); // NULL when memory is short
