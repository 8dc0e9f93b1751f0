// SPDX-License-Identifier: MIT
// sim_model: see sim_model.h. Latencies are the round trips of the two coasts that the regions are
// on; each region is also the client group of its surroundings.
#include "sim_model.h"

#include "attr.h"

static const ModelCloud CLOUDS[] = {{"aws"}, {"azure"}, {"gcp"}};

#define REGION(text, cloud_, origin_, address_)                                                    \
    {                                                                                              \
        .name = (text), .cloud = (cloud_), .origin = (origin_), .capacity_rps = 1000,              \
        .address = (address_), .edge_port = 8443, .peer_port = 8444, .replicas = 2,                \
        .egress_cost = 90000000                                                                    \
    }
static const ModelRegion REGIONS[SIM_REGIONS] = {
    REGION("us-west-2", 0, 1, "127.1.1.1"), REGION("us-east-1", 0, 2, "127.1.2.1"),
    REGION("westus2", 1, 3, "127.2.1.1"),   REGION("eastus", 1, 4, "127.2.2.1"),
    REGION("us-west1", 2, 5, "127.3.1.1"),  REGION("us-east1", 2, 6, "127.3.2.1"),
};

static const ModelService SERVICES[] = {
    {.name = "api",
     .classes = CLASS_MASK_ALL,
     .open = {[SERVICE_CLASS_READ] = true},
     .latency_budget_us = 10000},
    {.name = "images",
     .classes = CLASS_MASK_READ,
     .open = {[SERVICE_CLASS_READ] = true},
     .latency_budget_us = 10000},
};

static const int64_t WEST_US[SIM_REGIONS] = {12000, 72000, 9000, 70000, 10000, 75000};
static const int64_t EAST_US[SIM_REGIONS] = {72000, 11000, 70000, 9000, 75000, 10000};
static const int64_t FAR_US[SIM_REGIONS] = {180000,          140000, LATENCY_UNKNOWN,
                                            LATENCY_UNKNOWN, 190000, 150000};

static const ModelGroup GROUPS[] = {
    {.name = "west", .latency_us = WEST_US, .demand_ppm = 400000},
    {.name = "east", .latency_us = EAST_US, .demand_ppm = 400000},
    {.name = "far", .latency_us = FAR_US, .demand_ppm = 200000},
};

#define V4(a, b, bits_)                                                                            \
    {                                                                                              \
        .ip = {{[10] = 0xff, [11] = 0xff, [12] = (a), [13] = (b)}}, .bits = 96 + (bits_)           \
    }
static const ModelPrefix PREFIXES[] = {
    {.prefix = {.bits = 0}, .group = 2},   {.prefix = V4(0, 0, 0), .group = 0},
    {.prefix = V4(10, 0, 8), .group = 1},  {.prefix = V4(10, 1, 16), .group = 0},
    {.prefix = V4(127, 0, 8), .group = 2},
};

#define MODEL(generation_, hash)                                                                   \
    {                                                                                              \
        .fleet = "wildcam", .domain = "wildcam.org", .generation = (generation_),                  \
        .config_hash = (hash), .n_clouds = ARRAY_SIZE(CLOUDS), .n_regions = ARRAY_SIZE(REGIONS),   \
        .n_services = ARRAY_SIZE(SERVICES), .n_groups = ARRAY_SIZE(GROUPS),                        \
        .n_prefixes = ARRAY_SIZE(PREFIXES), .clouds = CLOUDS, .regions = REGIONS,                  \
        .services = SERVICES, .groups = GROUPS, .prefixes = PREFIXES,                              \
        .prefixes_digest = UINT64_C(0x1122334455667788), .health = HEALTH, .pick = PICK,           \
        .clock_max_skew_ns = 500 * NS_PER_MS                                                       \
    }
#define HEALTH                                                                                     \
    {                                                                                              \
        .probe_interval_ns = 250 * NS_PER_MS, .probe_fast_ns = 100 * NS_PER_MS,                    \
        .hedge_ns = 250 * NS_PER_MS, .deadline_min_ns = 500 * NS_PER_MS,                           \
        .deadline_max_ns = 1250 * NS_PER_MS, .slow_ns = 5 * NS_PER_S, .failures = 3,               \
        .span_hard_ns = 400 * NS_PER_MS, .span_soft_ns = 1500 * NS_PER_MS,                         \
        .report_interval_ns = 250 * NS_PER_MS, .report_push_gap_ns = 50 * NS_PER_MS,               \
        .fresh_ns = 1500 * NS_PER_MS, .sick_hold_ns = 3 * NS_PER_S, .boot_ns = 2 * NS_PER_S,       \
        .loop_gap_ns = 500 * NS_PER_MS, .veto_max_ns = 10 * NS_PER_S, .up_time_ns = 2 * NS_PER_S,  \
        .hold_ns = 10 * NS_PER_S, .hold_max_ns = 300 * NS_PER_S, .forgive_ns = 600 * NS_PER_S,     \
        .return_steps_ppm = {100000, 250000, 500000, 1000000}, .return_step_ns = 5 * NS_PER_S,     \
        .error_rate_ppm = 50000, .removal_floor_ppm = 500000, .removal_gap_ns = 10 * NS_PER_S      \
    }
#define PICK                                                                                       \
    {                                                                                              \
        .eject_failures = 3, .eject_ns = NS_PER_S, .eject_max_ns = 30 * NS_PER_S,                  \
        .stall_inflight = 2, .stall_ns = 200 * NS_PER_MS, .stall_min_rps = 20,                     \
        .retry_budget_ppm = 200000, .retry_burst = 10                                              \
    }

static const Model MODEL_NOW = MODEL(1, UINT64_C(0xc0ffee01));
static const Model MODEL_NEXT = MODEL(2, UINT64_C(0xc0ffee02));

const Model *sim_model(void)
{
    return &MODEL_NOW;
}

const Model *sim_model_next(void)
{
    return &MODEL_NEXT;
}

const char *const *sim_model_sockets(void)
{
    static const char *const SOCKETS[] = {"/sim/1.sock", "/sim/2.sock"};
    return SOCKETS;
}
