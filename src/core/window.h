// SPDX-License-Identifier: MIT
// window: failures k of n over the last 10 s and 60 s in buckets of one second, and the test that
// says whether their ratio is above the limit. Sums are kept, so that reading costs nothing.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "instant.h"
#include "report.h"

#define WINDOW_SHORT 10
#define WINDOW_LONG 60

typedef struct WindowBucket {
    uint32_t n, k;
} WindowBucket;

typedef struct Window {
    int64_t second;                    // of the newest bucket
    WindowBucket buckets[WINDOW_LONG]; // index: second % WINDOW_LONG
    ErrorWindow short_sum, long_sum;
    bool changed; // since the last save of a step: the buckets are too many to save every time
} Window;

void window_add(Window *window, uint32_t n, uint32_t k, Mono now);
void window_advance(Window *window, Mono now); // lets old buckets fall out of the sums
void window_clear(Window *window, Mono now);

// One-sided test at alpha 1e-9: is the true ratio above limit_ppm? For the guide's 5 % it is
// exactly n >= 40 and 20 k >= n + 27 isqrt(n) + 105. A plain ratio would fail one window in sixty
// at 1 % true errors.
bool error_rate_fails(uint64_t n, uint64_t k, uint32_t limit_ppm);
uint64_t isqrt(uint64_t value); // floor of the square root
