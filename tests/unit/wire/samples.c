// SPDX-License-Identifier: MIT
// samples: see samples.h. Everything is static: the values live as long as the program.
#include "samples.h"

#define V4(a, b, c, d)                                                                             \
    {                                                                                              \
        {                                                                                          \
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d                                   \
        }                                                                                          \
    }

static const PlanGateway GATEWAYS[] = {
    {"us-west-2", "aws", "127.1.1.1", 8443, 8444, HEALTH_UP, CLASS_MASK_ALL, PPM_ONE, 3000, 410000},
    {"westus2", "azure", "127.2.1.1", 8443, 8444, HEALTH_DOWN, CLASS_MASK_READ, 100000, 2000, 0},
    {"us-west1", "gcp", "127.3.1.1", 8443, 8444, HEALTH_DRAINED, CLASS_MASK_ALL, PPM_ONE, 1, 7},
};
static const PlanService SERVICES[] = {
    {.name = "api", .open = {true, false}},
    {.name = "images", .open = {false, true}},
};
static const char *const GROUPS[] = {"na-west", "europe"};
static const PlanEntry ENTRIES[] = {{0, 700000}, {2, 300000}, {1, 0}};
static const PlanEntry ONE_ENTRY[] = {{2, PPM_ONE}};
#define ROUTE(service, class_, group)                                                              \
    {                                                                                              \
        service, class_, group, (group) == 0 ? 3 : 1, (group) == 0 ? ENTRIES : ONE_ENTRY           \
    }
static const PlanRoute ROUTES[] = {
    ROUTE(0, 0, 0), ROUTE(0, 0, 1), ROUTE(0, 1, 0), ROUTE(0, 1, 1),
    ROUTE(1, 0, 0), ROUTE(1, 0, 1), ROUTE(1, 1, 0), ROUTE(1, 1, 1),
};
static const PlanPin PINS[] = {{{V4(10, 1, 0, 0), 112}, 2}};
static const PlanReplica REPLICAS[] = {
    {"us-west-2/1", "/tmp/wildcam/1/backend-1.sock", HEALTH_UP, CLASS_MASK_ALL, 100},
    {"us-west-2/2", "/tmp/wildcam/1/backend-2.sock", HEALTH_SUSPECT, CLASS_MASK_READ, 1},
};
static const PlanEntry FORWARD[] = {{2, 900000}, {1, 100000}};

Plan sample_plan(void)
{
    return (Plan){
        .generation = 7,
        .config_hash = 0xfedcba9876543210,
        .prefixes_digest = 0x0123456789abcdef,
        .fleet_digest = 0xdeadbeefcafef00d,
        .n_gateways = 3,
        .n_services = 2,
        .n_groups = 2,
        .n_routes = 8,
        .n_pins = 1,
        .gateways = GATEWAYS,
        .services = SERVICES,
        .groups = GROUPS,
        .routes = ROUTES,
        .pins = PINS,
        .number = UINT64_C(1795444800) << 32 | 42,
        .made = {INT64_C(1795444812345678901)},
        .own = 0,
        .n_replicas = 2,
        .replicas = REPLICAS,
        .n_forward = {2, 1},
        .forward = {FORWARD, FORWARD},
        .pick = {5, 1000000000, 30000000000, 2, 200000000, 20, 200000, 10},
    };
}

Plan sample_plan_small(void)
{
    static const PlanEntry entry = {0, PPM_ONE};
    static const PlanRoute routes[] = {{0, 0, 0, 1, &entry}, {0, 1, 0, 1, &entry}};
    return (Plan){
        .n_gateways = 1,
        .n_services = 1,
        .n_groups = 1,
        .n_routes = 2,
        .gateways = GATEWAYS,
        .services = SERVICES,
        .groups = GROUPS,
        .routes = routes,
        .number = 1,
    };
}

const ModelPrefix SAMPLE_PREFIXES[] = {
    {{{{0}}, 0}, 1},
    {{V4(0, 0, 0, 0), 96}, 0},
    {{V4(10, 0, 0, 0), 104}, 0},
    {{V4(10, 0, 0, 0), 112}, 1},
    {{V4(127, 0, 0, 0), 104}, 0},
};
const uint32_t SAMPLE_N_PREFIXES = sizeof SAMPLE_PREFIXES / sizeof SAMPLE_PREFIXES[0];

const Intent SAMPLE_INTENTS[] = {
    {INTENT_DRAIN,
     "cloud:aws",
     "",
     0,
     "ana",
     "maintenance \"night\" \xc3\xa9\n",
     0x1234567890ab01,
     {1795444800000000001},
     {1795448400000000000}},
    {INTENT_NEVER, "region:westus2", "", 0, "ben", "", 2, {0}, {INT64_MAX}},
    {INTENT_PIN, "prefix:10.1.0.0/16", "us-west1", 0, "ana", "lab", 3, {5}, {INT64_MAX}},
    {INTENT_WEIGHT, "region:us-west1", "", 250000, "ana", "slow start", 4, {5}, {6}},
    {INTENT_RELEASE, "prefix:2001:db8::/32", "", 0, "ana", "done", 5, {5}, {INT64_MAX}},
    {INTENT_RESET_FLAPS, "fleet", "", 0, "drill", "before a drill", 6, {5}, {INT64_MAX}},
};
const uint32_t SAMPLE_N_INTENTS = sizeof SAMPLE_INTENTS / sizeof SAMPLE_INTENTS[0];

static ReportVote sample_votes[] = {
    {"us-west-2",
     VOTE_UP,
     false,
     false,
     false,
     AGE_NEVER,
     12345,
     0,
     0,
     AGE_NEVER,
     0,
     900,
     4100,
     {400, 3, 2},
     {2400, 9, 6}},
    {"westus2",
     VOTE_DOWN,
     true,
     true,
     true,
     1600000000,
     AGE_NEVER,
     4,
     2,
     900000000,
     20000000000,
     0,
     0,
     {0, 0, 0},
     {UINT32_MAX, UINT32_MAX, 60}},
    {"us-west1",
     VOTE_UNKNOWN,
     false,
     false,
     false,
     AGE_NEVER,
     AGE_NEVER,
     0,
     0,
     AGE_NEVER,
     0,
     0,
     0,
     {0, 0, 0},
     {0, 0, 0}},
};
static ReportView sample_views[] = {
    {"us-west-2", 0xffffffffffffffff, 77, 0, false, false, 3, sample_votes},
    {"us-west1", 5, 1, 260000000, true, true, 0, NULL},
};
static ReportService sample_services[] = {{"api", CLASS_MASK_ALL}, {"images", 0}};

Report sample_report(void)
{
    return (Report){
        .version = 1,
        .region = "us-west-2",
        .boot = 0xffffffffffffffff,
        .sequence = 77,
        .generation = 3,
        .config_hash = 0x8000000000000001,
        .plan_number = UINT64_C(1795444800) << 32 | 42,
        .plan_fleet_digest = 0xdeadbeefcafef00d,
        .wall = {INT64_C(1795444812345678901)},
        .stamp_ns = 123456789012345,
        .echo_boot = 9,
        .echo_ns = 98765432109876,
        .echo_held_ns = 1000,
        .capacity_rps = 3000,
        .load_rps = 410,
        .replicas_want = 2,
        .replicas_up = 1,
        .n_services = 2,
        .services = sample_services,
        .n_views = 2,
        .views = sample_views,
        .n_intents = sizeof SAMPLE_INTENTS / sizeof SAMPLE_INTENTS[0],
        .intents = (Intent *)SAMPLE_INTENTS,
    };
}
