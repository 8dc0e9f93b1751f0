// SPDX-License-Identifier: MIT
// rowsd_clock: see rowsd_clock.h.
#include "rowsd_clock.h"

#include <stdlib.h>

#define PEERS_LEAST 2
#define DRIFT_NS (5 * NS_PER_MS) // two clocks apart within CLOCK_FRESH_NS

void clock_filter_add(ClockFilter *filter, Mono now, Wall before, Wall peer, Wall after)
{
    int64_t trip = after.ns - before.ns;
    if (trip < 0)
        return; // our clock was set meanwhile
    ClockSample sample = {now, before.ns + trip / 2 - peer.ns, trip}, best;
    // Both cannot be right: one of the clocks was set, and only what comes now counts.
    if (clock_filter_best(filter, now, &best) &&
        llabs(sample.skew_ns - best.skew_ns) > (sample.trip_ns + best.trip_ns) / 2 + DRIFT_NS)
        clock_filter_clear(filter);
    filter->items[filter->next] = sample;
    filter->next = (filter->next + 1) % CLOCK_SAMPLES;
    if (filter->n < CLOCK_SAMPLES)
        filter->n++;
}

void clock_filter_clear(ClockFilter *filter)
{
    filter->n = filter->next = 0;
}

bool clock_filter_best(const ClockFilter *filter, Mono now, ClockSample *ret_sample)
{
    bool found = false;
    for (uint32_t i = 0; i < filter->n; i++) {
        const ClockSample *sample = &filter->items[i];
        if (mono_since(now, sample->at) > CLOCK_FRESH_NS)
            continue;
        if (!found || sample->trip_ns < ret_sample->trip_ns)
            *ret_sample = *sample;
        found = true;
    }
    return found;
}

// Of an even number the one nearer to ours: as the core does.
static int64_t median_skew(int64_t *skews, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t k = i; k > 0 && skews[k - 1] > skews[k]; k--) {
            int64_t swap = skews[k];
            skews[k] = skews[k - 1];
            skews[k - 1] = swap;
        }
    int64_t low = skews[(n - 1) / 2], high = skews[n / 2];
    if (low <= 0 && high >= 0)
        return n % 2 == 1 ? low : 0;
    return low > 0 ? low : high;
}

void clock_judge(ClockJudge *judge, int64_t *skews, uint32_t n, int64_t limit_ns, Wall now,
                 int64_t safe_us)
{
    bool off = judge->fault == CLOCK_FAULT_SKEW;
    if (n >= PEERS_LEAST) {
        judge->known = true;
        judge->skew_ns = median_skew(skews, n);
        int64_t limit = off ? limit_ns / 5 * 4 : limit_ns; // at the limit it does not flap
        off = judge->skew_ns > limit || judge->skew_ns < -limit;
    }
    if (safe_us > 0 && now.ns / NS_PER_US < safe_us)
        judge->fault = CLOCK_FAULT_BACK;
    else
        judge->fault = off ? CLOCK_FAULT_SKEW : CLOCK_FAULT_NONE;
}
