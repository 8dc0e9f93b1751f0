// SPDX-License-Identifier: MIT
// sim_detect: how long until the last running agent holds what broke, over many random moments.
#pragma once
#include "sim_world.h"

#include "error.h"

#define SIM_DETECT_TRIALS_MAX 5000

typedef enum SimBreak {
    SIM_BREAK_KILL,   // a gateway refuses
    SIM_BREAK_HANG,   // a gateway is stopped
    SIM_BREAK_REGION, // a region is gone with its agent
    SIM_BREAK_CLOUD,  // a cloud is
} SimBreak;

typedef struct SimDetection {
    uint32_t trials, missed; // missed: not within 30 s
    int64_t p50_ns, p99_ns, max_ns;
} SimDetection;

int sim_detect(SimBreak what, uint32_t trials, uint64_t seed, bool around_the_world,
               uint32_t loss_ppm, SimDetection *ret, Error *reterr) MUST_CHECK;
