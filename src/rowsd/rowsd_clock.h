// SPDX-License-Identifier: MIT
// rowsd_clock: is this region's clock fit to make versions? Pure. Each peer is asked for its time
// over a connection of our own: what lies between our two readings bounds the error by half the
// round trip, whatever the replication lags. The median over the peers decides, as in the core;
// with fewer than two nobody can say whose clock is wrong, and the last judgement stands.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "instant.h"

#define CLOCK_SAMPLES 8
#define CLOCK_FRESH_NS (15 * NS_PER_S)

typedef struct ClockSample {
    Mono at;
    int64_t skew_ns, trip_ns; // our clock minus the peer's
} ClockSample;

typedef struct ClockFilter { // of one peer
    ClockSample items[CLOCK_SAMPLES];
    uint32_t n, next;
} ClockFilter;

// `before` and `after` are our clock around the answer `peer`.
void clock_filter_add(ClockFilter *filter, Mono now, Wall before, Wall peer, Wall after);
void clock_filter_clear(ClockFilter *filter);
// The sample with the shortest round trip of the fresh ones. False: none. A sample that contradicts
// it replaces all: a clock was set.
bool clock_filter_best(const ClockFilter *filter, Mono now, ClockSample *ret_sample);

typedef enum ClockFault {
    CLOCK_FAULT_NONE,
    CLOCK_FAULT_SKEW, // off its peers by more than the bound
    CLOCK_FAULT_BACK, // behind what was announced already
} ClockFault;

typedef struct ClockJudge {
    bool known; // skew_ns has been measured
    int64_t skew_ns;
    ClockFault fault;
} ClockJudge;

// `skews` is sorted in place. `now` is the clock that makes versions; `safe_us`: the last one that
// was announced, 0: none.
void clock_judge(ClockJudge *judge, int64_t *skews, uint32_t n, int64_t limit_ns, Wall now,
                 int64_t safe_us);
