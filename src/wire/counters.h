// SPDX-License-Identifier: MIT
// counters: what one edge worker hands to the agent: a preallocated file per writer, one cache line
// per slot. The writer keeps the lines in memory that it maps itself or pwrites; the agent preads a
// private copy and checks it. A reader must expect any line to be mid-update: fields are read as
// they are, monotonic counters are compared as differences, and absurd jumps are dropped.
//
//   header line: magic, version, writer's pid and start, worker number, plan number seen, sequence
//   edge line:   requests, 5xx, retries, retries refused, cache hits, misses, ...; `shed`: answered
//                503 since no capacity was left, not among the 5xx; `shed_peer`: the same, told to
//                the edge that had forwarded the request, which counts it as its own `shed`
//   then per target (gateways first, then replicas): one line of evidence
//   then a ring of client RTT samples
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bounds.h"
#include "error.h"

#define COUNTERS_MAGIC UINT64_C(0x31746e436d614357) // "WCamCnt1"
#define COUNTERS_VERSION 1
#define COUNTERS_TARGETS 256 // gateways and replicas one edge counts apart; the rest share the last
#define COUNTERS_SAMPLES 1024

typedef struct CountersHeader {
    uint64_t magic;
    uint32_t version, worker;
    uint64_t pid, started_ns; // a pid alone means nothing across a restart
    uint64_t plan_number;     // the plan this worker uses
    uint64_t sequence;        // rises with every write
    uint64_t now_ns;          // writer's CLOCK_MONOTONIC at the last write
    uint64_t plan_age_ms;     // since the agent's heartbeat last moved; UINT64_MAX: never seen
} CountersHeader;

typedef struct CountersEdge { // two cache lines
    uint64_t requests, responses_5xx, retries, retries_refused, evacuated, shed, forwarded,
        plan_reloads;
    uint64_t cache_hit, cache_miss, cache_other, plan_refused, peer_refused, no_target, connections,
        shed_peer;
} CountersEdge;

typedef struct CountersTarget {  // one cache line
    uint64_t name_hash;          // hash_text(HASH_SEED, gateway or replica name); 0: slot unused
    uint64_t ok, error, failure; // finished attempts
    uint64_t inflight, ejections;
    uint64_t latency_us_sum;
    uint64_t success_sent_ns; // CLOCK_MONOTONIC when the newest attempt that succeeded was sent
} CountersTarget;

typedef struct CountersSample {
    uint8_t client[16]; // Ip bytes
    uint32_t rtt_us;
    uint32_t at_s; // CLOCK_MONOTONIC seconds, so that a reader sees what is new
} CountersSample;

typedef struct CountersFile {
    CountersHeader header;
    CountersEdge edge;
    CountersTarget targets[COUNTERS_TARGETS];
    uint64_t n_samples; // ever written; the ring index is n_samples % COUNTERS_SAMPLES
    uint64_t reserved[7];
    CountersSample samples[COUNTERS_SAMPLES];
} CountersFile;

// Checks a private copy as read from the file. Refuses wrong magic, version, length.
int counters_check(const void *bytes, size_t len, const CountersFile **ret_file,
                   Error *reterr) MUST_CHECK;
// later - earlier for a monotonic counter; 0 when it went backwards (another writer, damage) or
// jumped by more than `max`.
uint64_t counters_delta(uint64_t later, uint64_t earlier, uint64_t max);
