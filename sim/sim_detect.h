// SPDX-License-Identifier: MIT
// sim_detect: how long until the last live agent holds a broken gateway, over many random moments.
#pragma once
#include "sim_world.h"

#include "error.h"

#define SIM_DETECT_TRIALS_MAX 5000

typedef struct SimDetection {
    uint32_t trials, missed; // missed: not within 30 s
    int64_t p50_ns, p99_ns, max_ns;
} SimDetection;

int sim_detect(SimFaultKind kind, uint32_t trials, uint64_t seed, bool around_the_world,
               uint32_t loss_ppm, SimDetection *ret, Error *reterr) MUST_CHECK;
