// SPDX-License-Identifier: MIT
// sim_plan: hashes of a plan's content, every field, to compare plans without trusting their
// digest.
#pragma once
#include "plan.h"

uint64_t sim_plan_fleet_content(const Plan *plan);
uint64_t sim_plan_local_content(const Plan *plan);
