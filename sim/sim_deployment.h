// SPDX-License-Identifier: MIT
// sim_deployment: random deployments of 1 to 20 regions. Those of one seed and different
// generations share most names, as two versions of one fleet.yaml do.
#pragma once
#include "arena.h"
#include "model.h"

#define SIM_DEPLOYMENT_REGIONS 20

// In the arena; NULL when memory is short.
const Model *sim_deployment(Arena *arena, uint64_t seed, uint32_t generation);
