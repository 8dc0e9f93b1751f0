// SPDX-License-Identifier: MIT
// rowsd_lag: what the daemon concludes from its measurements, as pure functions of times and
// numbers: rates and when a link has caught up, RPO with its history, an apply worker that fails
// again and again, a publisher that is silent. Bounded memory, no clocks, no I/O.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "instant.h"

// How fast one link moves: positions in the publisher's WAL over the last half minute.
#define LAG_SAMPLES 64
#define LAG_STEP_NS (NS_PER_S / 2)
#define LAG_SPAN_NS (30 * NS_PER_S)

typedef struct LagSample {
    Mono at;
    uint64_t applied, head; // what is applied here, what the publisher has written
} LagSample;

typedef struct LagWindow {
    LagSample items[LAG_SAMPLES]; // ring
    uint32_t n, next;
} LagWindow;

typedef struct LagRates {
    bool known;
    double applied, head; // bytes per second
} LagRates;

// A position that went back (a publisher that is another one now) empties the window.
void lag_window_add(LagWindow *window, Mono now, uint64_t applied, uint64_t head);
LagRates lag_rates(const LagWindow *window);

#define LAG_NEVER INT64_C(-1)   // the publisher writes faster than is applied
#define LAG_UNKNOWN INT64_C(-2) // no rates yet
// When the backlog is gone: linear.
int64_t lag_eta_ns(uint64_t backlog, const LagRates *rates);

// How old the newest thing that arrived is. `sent` by the publisher's clock, `arrived` by ours,
// `skew_ns` our clock minus the publisher's. Not below 0. A heartbeat that is overdue by more than
// a beat makes it grow.
int64_t lag_of_link_ns(Wall sent, Wall arrived, Wall now, int64_t skew_ns, int64_t beat_ns);

// RPO: the age of the oldest thing written here that no other region has confirmed.
#define RPO_MARKS 512

typedef struct RpoMark {
    Mono at;
    uint64_t lsn; // written up to here at that time
} RpoMark;

typedef struct RpoMarks {
    RpoMark items[RPO_MARKS]; // by time; all but the first are not confirmed
    uint32_t n;
} RpoMarks;

// `flush_ns`: what the best peer's stream lags by its own word. 0 when nothing is outstanding.
int64_t rpo_step(RpoMarks *marks, Mono now, uint64_t written, uint64_t confirmed, int64_t flush_ns);

// Values over time: a histogram per slot of time, quantiles over all of them. The answer is the
// upper end of a bucket, at most a fifth above the value; the greatest value is exact.
#define QUANTILE_BUCKETS 96
#define QUANTILE_SLOTS 96

typedef struct QuantileSlot {
    int64_t index; // time / slot_ns; -1: unused
    int64_t most_ns;
    uint32_t counts[QUANTILE_BUCKETS];
} QuantileSlot;

typedef struct QuantileWindow {
    int64_t slot_ns;
    uint32_t n_slots;
    QuantileSlot slots[QUANTILE_SLOTS];
} QuantileWindow;

typedef struct Quantiles {
    uint64_t n;
    int64_t p50_ns, p99_ns, most_ns;
} Quantiles;

// `span_ns` is kept; n_slots <= QUANTILE_SLOTS.
void quantile_init(QuantileWindow *window, int64_t span_ns, uint32_t n_slots);
void quantile_add(QuantileWindow *window, Mono now, int64_t value_ns);
Quantiles quantile_read(const QuantileWindow *window, Mono now);

// An apply worker in an error loop: its errors grow while nothing gets through. One error alone is
// none: a deadlock with a client ends by itself.
typedef struct LoopWatch {
    bool known;
    uint64_t errors, progress;
    uint32_t rises; // since the last progress
    Mono first;     // of them
} LoopWatch;

#define LOOP_RISES 2
// True: it is in a loop.
bool loop_step(LoopWatch *watch, Mono now, uint64_t errors, uint64_t progress);

// A publisher that is silent: its part is filled from the others once per silence and giver.
typedef struct SilenceWatch {
    bool known, silent;
    uint64_t token; // of the newest heartbeat
    Mono heard;
    uint64_t filled;  // givers that were asked in this silence
    Mono next;        // no fill before
    int64_t pause_ns; // between silences; doubles while they come often
} SilenceWatch;

#define SILENCE_LEAST_NS (2 * NS_PER_S)
#define SILENCE_PAUSE_NS (10 * NS_PER_S)
#define SILENCE_PAUSE_MAX_NS (300 * NS_PER_S)
// `token` changes with every heartbeat. Returns the mask of givers to fill from now; 0: none.
uint64_t silence_step(SilenceWatch *watch, Mono now, uint64_t token, uint64_t givers,
                      int64_t beat_ns);
// The fill from these has come to its end.
void silence_filled(SilenceWatch *watch, Mono now, uint64_t givers);
