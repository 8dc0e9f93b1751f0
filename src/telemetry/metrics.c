// SPDX-License-Identifier: MIT
// metrics: see metrics.h. Histogram buckets are kept apart and summed when written, so observing is
// one comparison per bound and one increment.
#include "metrics.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "instant.h"

typedef struct Bound {
    int64_t ns;
    const char *text; // seconds
} Bound;

static const Bound BOUNDS[METRICS_BUCKETS] = {
    {500 * NS_PER_US, "0.0005"}, {NS_PER_MS, "0.001"},     {2500 * NS_PER_US, "0.0025"},
    {5 * NS_PER_MS, "0.005"},    {10 * NS_PER_MS, "0.01"}, {25 * NS_PER_MS, "0.025"},
    {50 * NS_PER_MS, "0.05"},    {100 * NS_PER_MS, "0.1"}, {250 * NS_PER_MS, "0.25"},
    {500 * NS_PER_MS, "0.5"},    {NS_PER_S, "1"},          {2500 * NS_PER_MS, "2.5"},
    {5 * NS_PER_S, "5"},         {10 * NS_PER_S, "10"},
};

static const char *const TYPES[] = {
    [METRICS_TYPE_COUNTER] = "counter",
    [METRICS_TYPE_GAUGE] = "gauge",
    [METRICS_TYPE_HISTOGRAM] = "histogram",
};

static const char OTHER[] = "other";

static void escape(Buf *out, const char *text, bool quotes)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            buf_add_text(out, "\\\\");
        else if (*text == '\n')
            buf_add_text(out, "\\n");
        else if (*text == '"' && quotes)
            buf_add_text(out, "\\\"");
        else
            buf_add_char(out, *text);
    }
}

void metrics_family(Buf *out, const char *name, MetricsType type, const char *help)
{
    buf_printf(out, "# HELP %s ", name);
    escape(out, help, false);
    buf_printf(out, "\n# TYPE %s %s\n", name, TYPES[type]);
}

// NAMESUFFIX{labels,le="..."} and a space.
static void series(Buf *out, const char *name, const char *suffix, const MetricsLabel *labels,
                   unsigned n, const char *le)
{
    buf_add_text(out, name);
    buf_add_text(out, suffix);
    if (n > 0 || le != NULL) {
        buf_add_char(out, '{');
        for (unsigned i = 0; i < n; i++) {
            buf_printf(out, "%s%s=\"", i > 0 ? "," : "", labels[i].name);
            escape(out, labels[i].value, true);
            buf_add_char(out, '"');
        }
        if (le != NULL)
            buf_printf(out, "%sle=\"%s\"", n > 0 ? "," : "", le);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ' ');
}

void metrics_sample(Buf *out, const char *name, const MetricsLabel *labels, unsigned n,
                    double value)
{
    series(out, name, "", labels, n, NULL);
    if (isnan(value))
        buf_add_text(out, "NaN\n");
    else if (isinf(value))
        buf_add_text(out, value > 0 ? "+Inf\n" : "-Inf\n");
    else
        buf_printf(out, "%.17g\n", value);
}

void metrics_sample_u64(Buf *out, const char *name, const MetricsLabel *labels, unsigned n,
                        uint64_t value)
{
    series(out, name, "", labels, n, NULL);
    buf_printf(out, "%" PRIu64 "\n", value);
}

static void seconds(Buf *out, int64_t ns)
{
    uint64_t size = ns < 0 ? (uint64_t)0 - (uint64_t)ns : (uint64_t)ns;
    buf_printf(out, "%s%" PRIu64 ".%09" PRIu64 "\n", ns < 0 ? "-" : "", size / (uint64_t)NS_PER_S,
               size % (uint64_t)NS_PER_S);
}

void metrics_sample_ns(Buf *out, const char *name, const MetricsLabel *labels, unsigned n,
                       int64_t ns)
{
    series(out, name, "", labels, n, NULL);
    seconds(out, ns);
}

void metrics_observe(MetricsHistogram *histogram, int64_t ns)
{
    unsigned bucket = 0;
    while (bucket < METRICS_BUCKETS && ns > BOUNDS[bucket].ns)
        bucket++;
    histogram->counts[bucket]++;
    histogram->sum_ns = ns_add_saturated(histogram->sum_ns, ns);
}

void metrics_histogram(Buf *out, const char *name, const MetricsLabel *labels, unsigned n,
                       const MetricsHistogram *histogram)
{
    uint64_t total = 0;
    for (unsigned i = 0; i <= METRICS_BUCKETS; i++) {
        total += histogram->counts[i];
        series(out, name, "_bucket", labels, n, i < METRICS_BUCKETS ? BOUNDS[i].text : "+Inf");
        buf_printf(out, "%" PRIu64 "\n", total);
    }
    series(out, name, "_sum", labels, n, NULL);
    seconds(out, histogram->sum_ns);
    series(out, name, "_count", labels, n, NULL);
    buf_printf(out, "%" PRIu64 "\n", total);
}

static const char *known_method(const char *method)
{
    static const char *const KNOWN[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};
    for (unsigned i = 0; i < ARRAY_SIZE(KNOWN); i++) {
        if (strcmp(KNOWN[i], method) == 0)
            return KNOWN[i];
    }
    return OTHER;
}

static MetricsHttpSlot *slot_for(MetricsHttp *http, const char *method, const char *route,
                                 int status)
{
    for (unsigned i = 0; i < http->n; i++) {
        MetricsHttpSlot *slot = &http->slots[i];
        if (slot->status == status && slot->method == method && strcmp(slot->route, route) == 0)
            return slot;
    }
    if (http->n == METRICS_HTTP_SLOTS)
        return NULL;
    MetricsHttpSlot *slot = &http->slots[http->n++];
    *slot = (MetricsHttpSlot){.method = method, .route = route, .status = status};
    return slot;
}

void metrics_http_count(MetricsHttp *http, const char *method, const char *route, int status,
                        int64_t elapsed_ns)
{
    MetricsHttpSlot *slot = slot_for(http, known_method(method), route, status);
    if (slot == NULL) {
        // The last slot becomes the common one: nothing is lost from the totals.
        slot = &http->slots[METRICS_HTTP_SLOTS - 1];
        slot->method = slot->route = OTHER;
        slot->status = 0;
    }
    slot->count++;
    metrics_observe(&slot->duration, elapsed_ns);
}

static void write_durations(Buf *out, const MetricsHttp *http, const char *region,
                            const char *cloud)
{
    static const char NAME[] = "http_request_duration_seconds";
    bool written[METRICS_HTTP_SLOTS] = {false};
    metrics_family(out, NAME, METRICS_TYPE_HISTOGRAM, "Time from request to answer.");
    for (unsigned i = 0; i < http->n; i++) {
        if (written[i])
            continue;
        const MetricsHttpSlot *first = &http->slots[i];
        MetricsHistogram sum = {0};
        for (unsigned k = i; k < http->n; k++) { // all statuses of one method and route
            const MetricsHttpSlot *slot = &http->slots[k];
            if (slot->method != first->method || strcmp(slot->route, first->route) != 0)
                continue;
            written[k] = true;
            for (unsigned b = 0; b <= METRICS_BUCKETS; b++)
                sum.counts[b] += slot->duration.counts[b];
            sum.sum_ns = ns_add_saturated(sum.sum_ns, slot->duration.sum_ns);
        }
        const MetricsLabel labels[] = {{"method", first->method},
                                       {"route", first->route},
                                       {"region", region},
                                       {"cloud", cloud}};
        metrics_histogram(out, NAME, labels, ARRAY_SIZE(labels), &sum);
    }
}

void metrics_http_write(Buf *out, const MetricsHttp *http, const char *region, const char *cloud)
{
    static const char NAME[] = "http_requests_total";
    metrics_family(out, NAME, METRICS_TYPE_COUNTER, "Requests answered.");
    for (unsigned i = 0; i < http->n; i++) {
        const MetricsHttpSlot *slot = &http->slots[i];
        Buf status = BUF_INIT(16);
        buf_printf(&status, "%d", slot->status);
        const MetricsLabel labels[] = {{"status", buf_text(&status)},
                                       {"method", slot->method},
                                       {"route", slot->route},
                                       {"region", region},
                                       {"cloud", cloud}};
        metrics_sample_u64(out, NAME, labels, ARRAY_SIZE(labels), slot->count);
        buf_done(&status);
    }
    write_durations(out, http, region, cloud);
}
