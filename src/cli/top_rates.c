// SPDX-License-Identifier: MIT
// top_rates: see top_rates.h.
#include "top_rates.h"

#include <stdio.h>
#include <string.h>

static double per_second(int64_t before, int64_t now, double seconds)
{
    return now > before ? (double)(now - before) / seconds : 0;
}

void top_rates_take(TopCounters *counters, const json_t *region, Mono now, TopRates *ret_rates)
{
    const json_t *edge = json_object_get(region, "edge");
    const char *boot = json_string_value(json_object_get(region, "boot"));
    TopCounters next = {.known = json_is_object(edge) && boot != NULL, .at = now};
    *ret_rates = (TopRates){0};
    if (next.known) {
        (void)snprintf(next.boot, sizeof next.boot, "%s", boot);
        next.requests = json_integer_value(json_object_get(edge, "requests"));
        next.retries = json_integer_value(json_object_get(edge, "retries"));
        next.shed = json_integer_value(json_object_get(edge, "shed"));
        next.errors = json_integer_value(json_object_get(edge, "errors"));
    }
    double seconds = (double)mono_since(now, counters->at) / 1e9;
    if (next.known && counters->known && seconds > 0.01 && strcmp(next.boot, counters->boot) == 0)
        *ret_rates = (TopRates){.known = true,
                                .requests = per_second(counters->requests, next.requests, seconds),
                                .retries = per_second(counters->retries, next.retries, seconds),
                                .shed = per_second(counters->shed, next.shed, seconds),
                                .errors = per_second(counters->errors, next.errors, seconds)};
    *counters = next;
}
