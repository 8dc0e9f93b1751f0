// SPDX-License-Identifier: MIT
// top_rates: counters of an edge as its agent states them -> rates per second between two answers.
#pragma once
#include "instant.h"
#include "top_draw.h"

typedef struct TopCounters { // the newest answer's
    bool known;
    char boot[24]; // of the agent: another one counts from zero
    int64_t requests, retries, shed, errors;
    Mono at;
} TopCounters;

// `region`: what the agent says of itself, NULL: no answer; then the rates are unknown, and so they
// are after a restart.
void top_rates_take(TopCounters *counters, const json_t *region, Mono now, TopRates *ret_rates);
