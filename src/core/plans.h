// SPDX-License-Identifier: MIT
// plans: builds a plan from facts. The fleet part reads nothing but the model, the gateways' facts
// and the active wishes, all by name and value, so two regions with the same facts get the same
// bits; what only this region knows (own replicas, own DOWN votes) goes into the local part.
#pragma once
#include <stdint.h>

#include "arena.h"
#include "capacity.h"
#include "intents.h"
#include "model.h"
#include "plan.h"

typedef struct PlanInput {
    const Model *model;
    const GatewayFacts *facts; // [n_regions]
    const IntentSet *intents;
    Wall wall; // by which wishes expire
    uint32_t own;
    uint32_t n_replicas;
    const PlanReplica *replicas;
    uint64_t number;
    Wall made;
} PlanInput;

typedef struct PlanOutput {
    Plan *plan;
    uint64_t local_digest;
    bool spilled, overloaded;
} PlanOutput;

// A plan and the memory it lives in.
typedef struct PlanSlot {
    Arena *arena;
    Plan *plan;
    uint64_t local_digest;
} PlanSlot;

int plan_build(Arena *arena, const PlanInput *input, PlanOutput *ret_output) MUST_CHECK;
// A copy whose arrays live in `arena`; names stay where they are.
Plan *plan_clone(Arena *arena, const Plan *plan);
uint64_t plan_fleet_digest(const Plan *plan);
uint64_t plan_local_digest(const Plan *plan);
