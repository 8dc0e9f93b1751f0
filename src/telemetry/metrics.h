// SPDX-License-Identifier: MIT
// metrics: writes the Prometheus text format (version 0.0.4) and keeps the two HTTP families that
// every process exports (contracts of the metrics: docs/contracts/). A writer, not a registry: each
// process knows its values and writes them when it is scraped, so nothing here locks or allocates
// between scrapes. Label values may hold anything (they are escaped); names are constants of ours.
// Owner: the caller owns the Buf and every table. Goes wrong: no memory makes the Buf fail
// (buf_check).
#pragma once
#include <stdint.h>

#include "buf.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

typedef enum MetricsType {
    METRICS_TYPE_COUNTER, // the name ends in _total
    METRICS_TYPE_GAUGE,
    METRICS_TYPE_HISTOGRAM,
} MetricsType;

typedef struct MetricsLabel {
    const char *name, *value;
} MetricsLabel;

// "# HELP" and "# TYPE"; once per family, before its samples.
void metrics_family(Buf *out, const char *name, MetricsType type, const char *help);
void metrics_sample(Buf *out, const char *name, const MetricsLabel *labels, unsigned n,
                    double value);
void metrics_sample_u64(Buf *out, const char *name, const MetricsLabel *labels, unsigned n,
                        uint64_t value);
// A duration in seconds without rounding: name ends in _seconds.
void metrics_sample_ns(Buf *out, const char *name, const MetricsLabel *labels, unsigned n,
                       int64_t ns);

// Durations from 0.5 ms to 10 s; the bounds are the same in every process, or histograms of several
// processes cannot be summed.
#define METRICS_BUCKETS 14

typedef struct MetricsHistogram {
    uint64_t counts[METRICS_BUCKETS + 1]; // each bucket alone; the last one is +Inf
    int64_t sum_ns;
} MetricsHistogram;

void metrics_observe(MetricsHistogram *histogram, int64_t ns);
// NAME_bucket, NAME_sum and NAME_count.
void metrics_histogram(Buf *out, const char *name, const MetricsLabel *labels, unsigned n,
                       const MetricsHistogram *histogram);

// http_requests_total{status,method,route,region,cloud} and http_request_duration_seconds{method,
// route,region,cloud}. Routes are constants ("/api/detections/ID", never the path itself), so a
// stranger cannot grow the table; what does not fit any more is counted under "other".
#define METRICS_HTTP_SLOTS 64

typedef struct MetricsHttpSlot {
    const char *method, *route; // constants
    int status;
    uint64_t count;
    MetricsHistogram duration;
} MetricsHttpSlot;

typedef struct MetricsHttp {
    MetricsHttpSlot slots[METRICS_HTTP_SLOTS];
    unsigned n;
} MetricsHttp;

// A method that is none of GET, HEAD, POST, PUT, DELETE counts as "other". `route` must be a
// constant.
void metrics_http_count(MetricsHttp *http, const char *method, const char *route, int status,
                        int64_t elapsed_ns);
void metrics_http_write(Buf *out, const MetricsHttp *http, const char *region, const char *cloud);
