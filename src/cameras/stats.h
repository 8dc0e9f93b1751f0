// SPDX-License-Identifier: MIT
// stats: what a run comes to: counts and quantiles of its requests, apart for the edges that a
// drill broke and those that survived. Pure, constant memory: latencies go into a histogram whose
// buckets are 1/32 wide (3 % error of a quantile; the worst one is exact).
#pragma once
#include "records.h"

#define STATS_SUB 32
#define STATS_BUCKETS (40 * STATS_SUB)

// Counts that reports list, in their order: name in JSON, field.
#define STATS_COUNTS(X)                                                                            \
    X(requests)                                                                                    \
    X(failed)                                                                                      \
    X(failed_first_try)                                                                            \
    X(failed_idempotent)                                                                           \
    X(failed_first_try_idempotent)                                                                 \
    X(shed)                                                                                        \
    X(client_retries)                                                                              \
    X(reconnects)

typedef struct Stats {
    uint64_t requests, writes;
    uint64_t failed;            // after the one retry
    uint64_t failed_idempotent; // of these, idempotent ones
    uint64_t failed_first_try;
    uint64_t failed_first_try_idempotent;
    uint64_t shed; // answered "no capacity, come again later": not among the failed
    uint64_t client_retries, reconnects;
    uint64_t first_results[TRY_MAX];
    int64_t worst_ns;
    Mono last_failed_first_try; // MONO_DISTANT: none
    uint32_t buckets[STATS_BUCKETS];
} Stats;

void stats_init(Stats *stats);
void stats_add(Stats *stats, const CameraRequest *request);
void stats_merge(Stats *stats, const Stats *other);
// Latency below which `ppm` of the requests lie; 0 without requests.
int64_t stats_quantile_ns(const Stats *stats, uint32_t ppm);
// Requests whose first gateway is in `dead` (a mask by gateway number) count as on a dead edge.
Stats *stats_side(Stats *surviving, Stats *dead, uint64_t dead_mask, const CameraRequest *request);
