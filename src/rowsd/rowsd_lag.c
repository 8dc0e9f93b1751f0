// SPDX-License-Identifier: MIT
// rowsd_lag: see rowsd_lag.h.
#include "rowsd_lag.h"

#include <string.h>

#include "attr.h"

static const LagSample *sample_at(const LagWindow *window, uint32_t i) // 0: the oldest
{
    return &window->items[(window->next + LAG_SAMPLES - window->n + i) % LAG_SAMPLES];
}

void lag_window_add(LagWindow *window, Mono now, uint64_t applied, uint64_t head)
{
    if (window->n > 0) {
        const LagSample *newest = sample_at(window, window->n - 1);
        if (applied < newest->applied || head < newest->head)
            window->n = 0;
        else if (mono_since(now, newest->at) < LAG_STEP_NS)
            return;
    }
    window->items[window->next] = (LagSample){now, applied, head};
    window->next = (window->next + 1) % LAG_SAMPLES;
    if (window->n < LAG_SAMPLES)
        window->n++;
    while (window->n > 2 && mono_since(now, sample_at(window, 0)->at) > LAG_SPAN_NS)
        window->n--;
}

LagRates lag_rates(const LagWindow *window)
{
    if (window->n < 2)
        return (LagRates){0};
    const LagSample *first = sample_at(window, 0), *last = sample_at(window, window->n - 1);
    double seconds = (double)mono_since(last->at, first->at) / (double)NS_PER_S;
    if (seconds < 1)
        return (LagRates){0};
    return (LagRates){true, (double)(last->applied - first->applied) / seconds,
                      (double)(last->head - first->head) / seconds};
}

int64_t lag_eta_ns(uint64_t backlog, const LagRates *rates)
{
    if (backlog == 0)
        return 0;
    if (!rates->known)
        return LAG_UNKNOWN;
    double closing = rates->applied - rates->head;
    if (closing <= 0)
        return LAG_NEVER;
    double seconds = (double)backlog / closing;
    return seconds > 30 * 86400.0 ? LAG_NEVER : (int64_t)(seconds * (double)NS_PER_S);
}

int64_t lag_of_link_ns(Wall sent, Wall arrived, Wall now, int64_t skew_ns, int64_t beat_ns)
{
    int64_t travelled = arrived.ns - sent.ns - skew_ns;
    int64_t age = now.ns - sent.ns - skew_ns;
    int64_t lag = now.ns - arrived.ns > 2 * beat_ns && age > travelled ? age : travelled;
    return lag > 0 ? lag : 0;
}

// Leaves out the mark that is missed least: the one with the smallest gap around it.
static void thin_marks(RpoMarks *marks)
{
    uint32_t least = 1;
    int64_t least_ns = INT64_MAX;
    for (uint32_t i = 1; i + 1 < marks->n; i++) {
        int64_t gap_ns = mono_since(marks->items[i + 1].at, marks->items[i - 1].at);
        if (gap_ns < least_ns) {
            least = i;
            least_ns = gap_ns;
        }
    }
    memmove(marks->items + least, marks->items + least + 1,
            (marks->n - least - 1) * sizeof marks->items[0]);
    marks->n--;
}

int64_t rpo_step(RpoMarks *marks, Mono now, uint64_t written, uint64_t confirmed, int64_t flush_ns)
{
    if (marks->n > 0 && written < marks->items[marks->n - 1].lsn)
        marks->n = 0; // another database than before
    if (marks->n == RPO_MARKS)
        thin_marks(marks);
    marks->items[marks->n++] = (RpoMark){now, written};
    uint32_t done = 0; // how many are confirmed; the last of them is kept
    while (done < marks->n && marks->items[done].lsn <= confirmed)
        done++;
    if (done > 1) {
        memmove(marks->items, marks->items + done - 1,
                (marks->n - done + 1) * sizeof marks->items[0]);
        marks->n -= done - 1;
    }
    if (written <= confirmed)
        return 0;
    // All marks but the newest are confirmed: less than a step is outstanding.
    if (marks->n <= 1 || (marks->n == 2 && marks->items[0].lsn <= confirmed))
        return flush_ns > 0 ? flush_ns : 0;
    return mono_since(now, marks->items[0].at);
}

// Bucket 0: below 1 ms; then four a doubling: 1, 1.19, 1.41, 1.68 ms ... up to 194 days.
static const int64_t STEPS_PER_MILLE[] = {1000, 1189, 1414, 1682};

static int64_t bucket_end_ns(uint32_t bucket)
{
    uint32_t doubling = bucket / 4;
    return (STEPS_PER_MILLE[bucket % 4] * (NS_PER_MS / 1000)) << doubling;
}

static uint32_t bucket_of(int64_t value_ns)
{
    uint32_t bucket = 0;
    while (bucket < QUANTILE_BUCKETS - 1 && value_ns > bucket_end_ns(bucket))
        bucket++;
    return bucket;
}

void quantile_init(QuantileWindow *window, int64_t span_ns, uint32_t n_slots)
{
    ASSERT(n_slots > 0 && n_slots <= QUANTILE_SLOTS);
    window->slot_ns = span_ns / (int64_t)n_slots;
    window->n_slots = n_slots;
    for (uint32_t i = 0; i < QUANTILE_SLOTS; i++)
        window->slots[i].index = -1;
}

void quantile_add(QuantileWindow *window, Mono now, int64_t value_ns)
{
    int64_t index = now.ns / window->slot_ns;
    QuantileSlot *slot = &window->slots[(uint64_t)index % window->n_slots];
    if (slot->index != index) {
        *slot = (QuantileSlot){.index = index};
    }
    slot->counts[bucket_of(value_ns)]++;
    if (value_ns > slot->most_ns)
        slot->most_ns = value_ns;
}

static int64_t quantile_of(const uint64_t *counts, uint64_t n, uint32_t per_cent, int64_t most_ns)
{
    uint64_t rank = (n * per_cent + 99) / 100, seen = 0;
    for (uint32_t i = 0; i < QUANTILE_BUCKETS; i++) {
        seen += counts[i];
        if (seen >= rank)
            return bucket_end_ns(i) < most_ns ? bucket_end_ns(i) : most_ns;
    }
    return most_ns;
}

Quantiles quantile_read(const QuantileWindow *window, Mono now)
{
    uint64_t counts[QUANTILE_BUCKETS] = {0};
    Quantiles q = {0};
    int64_t newest = now.ns / window->slot_ns;
    for (uint32_t i = 0; i < window->n_slots; i++) {
        const QuantileSlot *slot = &window->slots[i];
        if (slot->index < 0 || slot->index <= newest - (int64_t)window->n_slots)
            continue;
        for (uint32_t k = 0; k < QUANTILE_BUCKETS; k++) {
            counts[k] += slot->counts[k];
            q.n += slot->counts[k];
        }
        if (slot->most_ns > q.most_ns)
            q.most_ns = slot->most_ns;
    }
    if (q.n > 0) {
        q.p50_ns = quantile_of(counts, q.n, 50, q.most_ns);
        q.p99_ns = quantile_of(counts, q.n, 99, q.most_ns);
    }
    return q;
}

bool loop_step(LoopWatch *watch, Mono now, uint64_t errors, uint64_t progress)
{
    if (!watch->known || progress != watch->progress || errors < watch->errors) {
        *watch = (LoopWatch){.known = true, .errors = errors, .progress = progress};
        return false;
    }
    if (errors > watch->errors) {
        if (watch->rises == 0)
            watch->first = now;
        watch->rises += (uint32_t)(errors - watch->errors);
        watch->errors = errors;
    }
    return watch->rises >= LOOP_RISES;
}

uint64_t silence_step(SilenceWatch *watch, Mono now, uint64_t token, uint64_t givers,
                      int64_t beat_ns)
{
    if (!watch->known || token != watch->token) {
        if (!watch->known)
            watch->next = now;
        watch->known = true;
        watch->silent = false;
        watch->token = token;
        watch->heard = now;
        watch->filled = 0;
        return 0;
    }
    int64_t limit = beat_ns * 5 / 2 > SILENCE_LEAST_NS ? beat_ns * 5 / 2 : SILENCE_LEAST_NS;
    watch->silent = mono_since(now, watch->heard) > limit;
    if (!watch->silent || mono_since(now, watch->next) < 0)
        return 0;
    return givers & ~watch->filled;
}

void silence_filled(SilenceWatch *watch, Mono now, uint64_t givers)
{
    // A first fill of a silence that begins soon after the last one: twice the pause.
    if (watch->filled == 0) {
        bool soon = watch->pause_ns > 0 && mono_since(now, watch->next) < 2 * watch->pause_ns;
        watch->pause_ns = soon ? watch->pause_ns * 2 : SILENCE_PAUSE_NS;
        if (watch->pause_ns > SILENCE_PAUSE_MAX_NS)
            watch->pause_ns = SILENCE_PAUSE_MAX_NS;
        watch->next = mono_add(now, watch->pause_ns);
    }
    watch->filled |= givers;
}
