// SPDX-License-Identifier: MIT
// window: see window.h.
#include "window.h"

#include <string.h>

#include "model.h"

#define SAMPLES_MIN 40
// The bound n p + 6.2 sqrt(n p (1 - p)) + 5.25, in millionths; 217944 = isqrt(50000 * 950000), so
// that 5 % gives the plain integers of the header.
#define BOUND_SQRT_PPM UINT64_C(1350000)
#define BOUND_SQRT_AT_5 UINT64_C(217944)
#define BOUND_CONSTANT_PPM UINT64_C(5250000)

uint64_t isqrt(uint64_t value)
{
    uint64_t root = 0, bit = UINT64_C(1) << 62;
    while (bit > value)
        bit >>= 2;
    for (; bit != 0; bit >>= 2) {
        if (value >= root + bit) {
            value -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return root;
}

bool error_rate_fails(uint64_t n, uint64_t k, uint32_t limit_ppm)
{
    if (n < SAMPLES_MIN)
        return false;
    const uint64_t sample_max = UINT64_C(1) << 40; // keeps every product in 64 bits
    if (n > sample_max)
        return error_rate_fails(n >> 1, k >> 1, limit_ppm);
    uint64_t spread = isqrt((uint64_t)limit_ppm * (PPM_ONE - limit_ppm));
    uint64_t factor = BOUND_SQRT_PPM * spread / BOUND_SQRT_AT_5;
    return k * PPM_ONE >= n * limit_ppm + isqrt(n) * factor + BOUND_CONSTANT_PPM;
}

static void sum(Window *window)
{
    window->short_sum = window->long_sum = (ErrorWindow){0};
    for (int64_t age = 0; age < WINDOW_LONG && age <= window->second; age++) {
        const WindowBucket *bucket = &window->buckets[(window->second - age) % WINDOW_LONG];
        ErrorWindow *all = &window->long_sum, *young = &window->short_sum;
        all->n += bucket->n;
        all->k += bucket->k;
        all->buckets += bucket->k > 0;
        if (age < WINDOW_SHORT) {
            young->n += bucket->n;
            young->k += bucket->k;
            young->buckets += bucket->k > 0;
        }
    }
}

void window_advance(Window *window, Mono now)
{
    int64_t second = now.ns > 0 ? now.ns / NS_PER_S : 0;
    if (second <= window->second)
        return;
    if (second - window->second >= WINDOW_LONG)
        memset(window->buckets, 0, sizeof window->buckets);
    else
        for (int64_t s = window->second + 1; s <= second; s++)
            window->buckets[s % WINDOW_LONG] = (WindowBucket){0};
    window->second = second;
    window->changed = true;
    if (window->long_sum.n > 0)
        sum(window);
}

void window_add(Window *window, uint32_t n, uint32_t k, Mono now)
{
    window_advance(window, now);
    const uint32_t most = UINT32_MAX / WINDOW_LONG; // so that a sum never overflows
    WindowBucket *bucket = &window->buckets[window->second % WINDOW_LONG];
    n = n < most - bucket->n ? n : most - bucket->n;
    k = k < n ? k : n;
    bool first = k > 0 && bucket->k == 0;
    window->changed = true;
    bucket->n += n;
    bucket->k += k;
    ErrorWindow *sums[] = {&window->short_sum, &window->long_sum};
    for (size_t i = 0; i < 2; i++) {
        sums[i]->n += n;
        sums[i]->k += k;
        sums[i]->buckets += first;
    }
}

void window_clear(Window *window, Mono now)
{
    memset(window, 0, sizeof *window);
    window->changed = true;
    window->second = now.ns > 0 ? now.ns / NS_PER_S : 0;
}
