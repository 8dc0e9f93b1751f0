// SPDX-License-Identifier: MIT
// path: what this agent sees of one gateway with its own probes. Probes overlap, none waits for
// another; a deadline that passes is a soft failure, an answer after it still ends the streak.
//
//   due --send--> outstanding --answer--------------> streak = 0, known
//                     |    \--hard failure----------> streak + 1
//                     +-----deadline passed--> soft failure, streak + 1; the probe stays until
//                                              `slow_ns`, since a late answer counts
//
// Owner: Core; the outstanding probes live in one array for all paths.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "instant.h"
#include "model.h"
#include "report.h"
#include "rng.h"
#include "window.h"

typedef struct Probe {
    uint64_t id;
    Mono sent, deadline;
    bool failed; // counted as failed already
} Probe;

typedef struct Path {
    Probe *probes; // [probes_max], oldest first
    uint32_t n_probes, probes_max;
    uint32_t streak;
    bool soft;               // at least one failure of the streak was silence
    bool known;              // was answered once
    bool late;               // the newest answer came after its deadline; refusals end that
    uint32_t refused;        // hard failures in a row since the newest answer
    Mono first_fail;         // when the first failed probe of the streak was sent
    Mono newest_answered;    // when the youngest answered probe was sent
    Mono sent_at;            // of the newest probe
    Mono next;               // when the next probe is due
    uint32_t p50_us, p99_us; // 0: nothing measured
    uint32_t samples;        // that they were learned from, as long as they are few
    uint32_t rtt_class;      // of the round trip, in powers of two
    bool rtt_up;             // the answers of the run lie above the class; else below
    uint32_t rtt_run;        // answers in a row outside of the class
    uint32_t rtt_us;         // of these the one nearest to the class
    bool edge_known;
    Mono edge_success; // newest *sent* real request that succeeded
    Mono window_from;  // probes sent before this do not count in the window
    Window window;     // probes and real requests; last, since it is saved apart
} Path;

// How many probes can be outstanding: as many as fit between sending and giving up.
uint32_t path_probes_max(const ModelHealth *health);
void path_start(Path *path, Mono first_probe);
// Sends if a probe is due and there is room; fills ret_probe.
bool path_send(Path *path, const ModelHealth *health, Rng *rng, uint64_t id, Mono now,
               Probe *ret_probe);
void path_answered(Path *path, const ModelHealth *health, uint64_t id, Mono now);
void path_failed(Path *path, const ModelHealth *health, uint64_t id, Mono now);
// Begins a new error window: what was sent before this counts no more.
void path_clear_window(Path *path, Mono now);
void path_idle_closed(Path *path, const ModelHealth *health, Mono now);
// Counts the deadlines that have passed and drops the probes that are of no use any more.
void path_expire(Path *path, const ModelHealth *health, Mono now);
// After a pause of the event loop: no probe of before it says anything.
void path_forget(Path *path, const ModelHealth *health, Mono now, int64_t gap_ns);
// Lower bound of the round trip's class: 0 below 16 ms, then 16, 32, 64 ... ms. Moves only when
// many answers in a row lie outside of the class by a quarter, so that orders made from it stand
// still. The median would not do: it takes half a minute to follow a path that got five times as
// long.
uint32_t path_rtt_floor_us(const Path *path);
Vote path_vote(const Path *path, const ModelHealth *health, Mono now);
// When something is due next, after everything due at `now` was done.
Mono path_wake(const Path *path, const ModelHealth *health, Mono now);
