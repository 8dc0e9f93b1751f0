// SPDX-License-Identifier: MIT
// model: the deployment as the core sees it: checked, immutable, integers only. `conf` makes it
// from fleet.yaml (distances and rates become microseconds and parts per million there). Indices
// into the arrays (RegionIndex ...) are what plans and reports of one configuration use; names are
// what travels between regions, since two regions may run on different generations of fleet.yaml.
// Owner: whoever loaded the configuration; the core keeps a pointer, so it outlives the core's use.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "instant.h"
#include "ip.h"

#define PPM_ONE 1000000U
#define LATENCY_UNKNOWN INT64_MAX

typedef enum ServiceClass {
    SERVICE_CLASS_READ,
    SERVICE_CLASS_WRITE,
    SERVICE_CLASS_MAX,
} ServiceClass;

#define CLASS_MASK_READ (1U << SERVICE_CLASS_READ)
#define CLASS_MASK_WRITE (1U << SERVICE_CLASS_WRITE)
#define CLASS_MASK_ALL (CLASS_MASK_READ | CLASS_MASK_WRITE)

typedef struct ModelCloud {
    const char *name; // "aws"
} ModelCloud;

typedef struct ModelRegion {
    const char *name;      // "us-west-2"
    uint32_t cloud;        // index into clouds
    uint32_t origin;       // 1..255, of stamps; never reused
    uint32_t capacity_rps; // requests per second that the region can carry
    const char *address;   // of its gateway, text
    uint16_t edge_port;    // public HTTPS
    uint16_t peer_port;    // inter-region mutual TLS
    uint32_t replicas;     // backend processes wanted
    int64_t egress_cost;   // relative price per GiB in nano currency units; only compared
} ModelRegion;

typedef struct ModelService {
    const char *name;             // "api"
    uint32_t classes;             // mask of the classes that its routes need
    bool open[SERVICE_CLASS_MAX]; // all down: true = fail open (try anyway), false = closed (503)
    int64_t latency_budget_us; // a cheaper gateway may be this much farther away than the nearest
} ModelService;

// A set of client prefixes with one ordered list of gateways.
typedef struct ModelGroup {
    const char *name;
    const int64_t *latency_us; // [n_regions]; LATENCY_UNKNOWN where nothing is known
    uint32_t demand_ppm;       // share of the fleet's load that comes from here; sums to PPM_ONE
} ModelGroup;

// Sorted by (ip, bits); the longest match wins. Covers all of IPv4 and IPv6.
typedef struct ModelPrefix {
    IpPrefix prefix;
    uint32_t group;
} ModelPrefix;

// Defaults and the reason for each stand in docs/fleet-yaml.md; core/path.h and core/verdict.h use
// them.
typedef struct ModelHealth {
    int64_t probe_interval_ns;    // 250 ms, jittered by +-10 %
    int64_t probe_fast_ns;        // 100 ms, while a streak of failures runs
    int64_t hedge_ns;             // 250 ms, then the same GET on a fresh connection too
    int64_t deadline_min_ns;      // 500 ms
    int64_t deadline_max_ns;      // 1250 ms; below span_soft, so that 'sick' comes before the votes
    int64_t slow_ns;              // 5 s (the guide): later answers are failures
    uint32_t failures;            // 3 (the guide)
    int64_t span_hard_ns;         // 400 ms
    int64_t span_soft_ns;         // 1500 ms
    int64_t report_interval_ns;   // 250 ms
    int64_t report_push_gap_ns;   // 50 ms between reports pushed on a change
    int64_t fresh_ns;             // 1500 ms: older votes do not count
    int64_t sick_hold_ns;         // 3 s
    int64_t boot_ns;              // 2 s without verdict changes after start
    int64_t loop_gap_ns;          // 500 ms: outstanding probes are forgotten after such a pause
    int64_t veto_max_ns;          // 10 s
    int64_t up_time_ns;           // 2 s of majority UP before return
    int64_t hold_ns, hold_max_ns; // 10 s, doubled per flap up to 300 s
    int64_t forgive_ns;           // 600 s without change resets the flap count
    uint32_t return_steps_ppm[4]; // 10, 25, 50, 100 %
    int64_t return_step_ns;       // 5 s each
    uint32_t error_rate_ppm;      // 50,000 = 5 % (the guide)
    uint32_t removal_floor_ppm;   // at most this share of the gateways is held down at once
    int64_t removal_gap_ns; // speed limit: time between two removals by error rate or slowness
} ModelHealth;

// What each edge decides by itself, per target (core/pick.h).
typedef struct ModelPick {
    uint32_t eject_failures; // consecutive failures that eject
    int64_t eject_ns;        // first ejection; doubled per repetition up to eject_max_ns
    int64_t eject_max_ns;
    uint32_t stall_inflight;   // 2: a stall needs this many requests in flight
    int64_t stall_ns;          // 200 ms without a completion ...
    uint32_t stall_min_rps;    // 20: ... at a target that completed at least this many per second
    uint32_t retry_budget_ppm; // retries never exceed this share of requests (200,000 = 20 %)
    uint32_t retry_burst;      // retries that are always allowed per 10 s, for small edges
} ModelPick;

typedef struct Model {
    const char *fleet;    // fleet name
    const char *domain;   // "wildcam.org"
    uint32_t generation;  // of fleet.yaml
    uint64_t config_hash; // of its bytes
    uint32_t n_clouds, n_regions, n_services, n_groups, n_prefixes;
    const ModelCloud *clouds;
    const ModelRegion *regions;
    const ModelService *services;
    const ModelGroup *groups;
    const ModelPrefix *prefixes;
    uint64_t prefixes_digest; // names the file prefixes.<digest>
    ModelHealth health;
    ModelPick pick;
    int64_t clock_max_skew_ns; // 500 ms: beyond it the region loses class write
} Model;

// Index by name, or -1.
int model_find_region(const Model *model, const char *name);
int model_find_cloud(const Model *model, const char *name);
int model_find_service(const Model *model, const char *name);
