// SPDX-License-Identifier: MIT
// report: what one agent tells another (contracts section 4). Plain data; wire/report_json.h is its
// codec, core/core.h makes and absorbs it. Ages are relative to the moment the report was made;
// the receiver turns them into its own monotonic clock by the echoed stamp, never by arrival.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "instant.h"
#include "intent.h"
#include "model.h"

typedef enum Vote {
    VOTE_UNKNOWN,
    VOTE_UP,
    VOTE_DOWN,
    VOTE_MAX,
} Vote;

#define AGE_NEVER INT64_MAX // "did not happen"

// Failures k of n requests or probes, in a window, and in how many 1 s buckets failures occurred.
typedef struct ErrorWindow {
    uint32_t n, k, buckets;
} ErrorWindow;

typedef struct ReportVote {
    const char *gateway; // region name
    Vote vote;
    bool soft;                   // DOWN: at least one failure of the streak was silence
    bool slow;                   // answers after the deadline or the 5 s
    bool held;                   // this observer holds the gateway down
    int64_t first_fail_age_ns;   // since the streak's first failed probe was sent; AGE_NEVER
    int64_t edge_success_age_ns; // since the newest *sent* real request that succeeded; AGE_NEVER
    uint32_t streak;
    uint32_t flaps;
    int64_t held_age_ns;                   // since it is held; AGE_NEVER
    int64_t hold_left_ns;                  // 0: none
    uint32_t p50_us, p99_us;               // of probe answers
    ErrorWindow short_window, long_window; // 10 s and 60 s
} ReportVote;

// What the sender holds of one observer; its own table first, then relayed ones.
typedef struct ReportView {
    const char *observer; // region name
    uint64_t boot;        // of that observer's agent: a restart is not a rewind
    uint64_t sequence;    // of the observer's table: newest wins
    int64_t age_ns;       // 0 for the sender's own
    bool sick, alone;
    uint32_t n_votes;
    ReportVote *votes;
} ReportView;

typedef struct ReportService {
    const char *name;
    uint32_t classes; // mask that the sender can serve now
} ReportService;

typedef struct Report {
    uint32_t version;   // 1
    const char *region; // sender
    uint64_t boot;      // random per agent start
    uint64_t sequence;  // rises with each report
    uint32_t generation;
    uint64_t config_hash;
    uint64_t plan_number;       // sender's newest plan
    uint64_t plan_fleet_digest; // of its fleet part; equal facts, equal digest
    Wall wall;                  // sender's wall clock, for skew
    int64_t stamp_ns;           // sender's monotonic clock; the receiver sends it back as echo_ns
    uint64_t echo_boot;         // the receiver's boot id as the sender knew it; 0: none
    int64_t echo_ns;            // the receiver's newest stamp that the sender had absorbed
    int64_t echo_held_ns;       // how long the sender had it before making this report
    uint32_t capacity_rps, load_rps;
    uint32_t replicas_want, replicas_up;
    uint32_t n_services;
    ReportService *services;
    uint32_t n_views; // at least 1
    ReportView *views;
    uint32_t n_intents;
    Intent *intents;
} Report;
