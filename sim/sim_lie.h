// SPDX-License-Identifier: MIT
// sim_lie: what an observer that lies makes of its report. Transport is authenticated, so it can
// only speak in its own name and pass on what it says it heard.
#pragma once
#include "report.h"
#include "sim_world.h"

// Changes the votes in place; the report's views must be the sender's own copy.
void sim_lie(const SimFault *fault, const Model *model, const Report *report, Rng *rng);
