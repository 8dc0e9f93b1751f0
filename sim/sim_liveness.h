// SPDX-License-Identifier: MIT
// sim_liveness: after the last fault has ended, every agent must forget it in bounded time: nothing
// held, full shares, one fleet part. The bound comes from the holds that stand when the last fault
// has had its effect, and from the constants of the model; a fleet that stays apart or keeps a
// verdict without a reason breaks it.
#pragma once
#include "sim_fleet.h"

// Runs the fleet on until it is calm. `end_ns`: when the last fault ended.
int sim_liveness(SimFleet *fleet, int64_t end_ns, Error *reterr) MUST_CHECK;
