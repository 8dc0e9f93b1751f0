// SPDX-License-Identifier: MIT
// stats: see stats.h. Bucket of a latency in microseconds: below STATS_SUB the value itself, above
// it the position of the highest bit and the next five bits.
#include "stats.h"

#include "model.h"

static unsigned bucket_of(int64_t latency_ns)
{
    uint64_t us = latency_ns > 0 ? (uint64_t)latency_ns / (uint64_t)NS_PER_US : 0;
    if (us < STATS_SUB)
        return (unsigned)us;
    unsigned shift = 63U - (unsigned)__builtin_clzll(us) - 5U;
    unsigned bucket = (shift + 1) * STATS_SUB + (unsigned)(us >> shift) - STATS_SUB;
    return bucket < STATS_BUCKETS ? bucket : STATS_BUCKETS - 1;
}

// Upper end of a bucket.
static int64_t bucket_ns(unsigned bucket)
{
    if (bucket < STATS_SUB)
        return (int64_t)(bucket + 1) * NS_PER_US;
    unsigned shift = bucket / STATS_SUB - 1;
    return (int64_t)((uint64_t)(bucket % STATS_SUB + STATS_SUB + 1) << shift) * NS_PER_US;
}

void stats_init(Stats *stats)
{
    *stats = (Stats){.last_failed_first_try = MONO_DISTANT};
}

void stats_add(Stats *stats, const CameraRequest *request)
{
    bool first_failed = try_failed(request->first), failed = try_failed(request->last);
    stats->requests++;
    stats->writes += request->write;
    stats->failed += failed;
    stats->failed_idempotent += failed && request->idempotent;
    stats->failed_first_try += first_failed;
    stats->failed_first_try_idempotent += first_failed && request->idempotent;
    stats->shed += request->last == TRY_SHED;
    stats->client_retries += request->tries > 1;
    stats->reconnects += request->reconnects;
    stats->first_results[request->first]++;
    if (first_failed)
        stats->last_failed_first_try = mono_max(stats->last_failed_first_try, request->first_ended);
    int64_t latency_ns = mono_since(request->ended, request->scheduled);
    if (latency_ns > stats->worst_ns)
        stats->worst_ns = latency_ns;
    stats->buckets[bucket_of(latency_ns)]++;
}

void stats_merge(Stats *stats, const Stats *other)
{
    stats->requests += other->requests;
    stats->writes += other->writes;
    stats->failed += other->failed;
    stats->failed_idempotent += other->failed_idempotent;
    stats->failed_first_try += other->failed_first_try;
    stats->failed_first_try_idempotent += other->failed_first_try_idempotent;
    stats->shed += other->shed;
    stats->client_retries += other->client_retries;
    stats->reconnects += other->reconnects;
    for (int i = 0; i < TRY_MAX; i++)
        stats->first_results[i] += other->first_results[i];
    if (other->worst_ns > stats->worst_ns)
        stats->worst_ns = other->worst_ns;
    stats->last_failed_first_try =
        mono_max(stats->last_failed_first_try, other->last_failed_first_try);
    for (unsigned i = 0; i < STATS_BUCKETS; i++)
        stats->buckets[i] += other->buckets[i];
}

int64_t stats_quantile_ns(const Stats *stats, uint32_t ppm)
{
    if (stats->requests == 0)
        return 0;
    uint64_t rank = (stats->requests * ppm + PPM_ONE - 1) / PPM_ONE, seen = 0;
    for (unsigned i = 0; i < STATS_BUCKETS - 1; i++) { // the last one has no upper end
        seen += stats->buckets[i];
        if (seen >= rank && seen > 0)
            return bucket_ns(i) < stats->worst_ns ? bucket_ns(i) : stats->worst_ns;
    }
    return stats->worst_ns;
}

Stats *stats_side(Stats *surviving, Stats *dead, uint64_t dead_mask, const CameraRequest *request)
{
    return (dead_mask >> request->first_gateway & 1) != 0 ? dead : surviving;
}
