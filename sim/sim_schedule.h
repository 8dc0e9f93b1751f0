// SPDX-License-Identifier: MIT
// sim_schedule: random faults and wishes with sane values, for the random runs and the search.
// Everything begins within a minute and is over when it ends.
#pragma once
#include "rng.h"
#include "sim_scenario.h"

#define SIM_SCHEDULE_MS 60000

// Times in milliseconds from 0 (as a scenario's faults have them).
SimFault sim_schedule_fault(Rng *rng, const Model *model);
// A whole scenario without expectations: the invariants and its `live` are what it holds. `name`
// must outlive it.
void sim_schedule_make(uint64_t seed, const char *name, SimScenario *ret_scenario);
