// SPDX-License-Identifier: MIT
// drill: the judgement of plans, the counting of edge retries, objectives and the report.
#include "unit.h"

#include <jansson.h>
#include <string.h>

#include "drill_report.h"
#include "edge_counters.h"
#include "plan_watch.h"

static const PlanGateway GATEWAYS[] = {
    {.region = "a", .state = HEALTH_UP, .share_ppm = PPM_ONE},
    {.region = "b", .state = HEALTH_UP, .share_ppm = PPM_ONE},
    {.region = "c", .state = HEALTH_UP, .share_ppm = PPM_ONE},
};

static Plan plan_of(const PlanRoute *routes, uint32_t n)
{
    return (Plan){.n_gateways = 3, .gateways = GATEWAYS, .n_routes = n, .routes = routes};
}

static void test_in_front(void **state)
{
    static const PlanEntry FIRST_A[] = {{0, PPM_ONE}, {1, 0}, {2, 0}};
    static const PlanEntry LAST_A[] = {{1, 600000}, {2, 400000}, {0, 0}};
    static const PlanEntry SHARE_A[] = {{1, 600000}, {0, 400000}, {2, 0}};
    static const PlanRoute ROUTES[] = {{.n_entries = 3, .entries = LAST_A},
                                       {.n_entries = 3, .entries = SHARE_A},
                                       {.n_entries = 3, .entries = FIRST_A}};
    static const char *const A[] = {"a"}, *const BC[] = {"b", "c"}, *const X[] = {"x"};
    Plan plan = plan_of(ROUTES, 1);
    assert_false(plan_in_front(&plan, A, 1)); // last, without a share: turned away
    assert_true(plan_in_front(&plan, BC, 2));
    assert_false(plan_in_front(&plan, X, 1));
    plan = plan_of(ROUTES, 2);
    assert_true(plan_in_front(&plan, A, 1)); // a share alone sends clients there
    plan = plan_of(ROUTES + 2, 1);
    assert_true(plan_in_front(&plan, A, 1));
}

static void test_full(void **state)
{
    PlanGateway gateways[3];
    memcpy(gateways, GATEWAYS, sizeof gateways);
    Plan plan = plan_of(NULL, 0);
    plan.gateways = gateways;
    const char *region = NULL;
    assert_true(plan_is_full(&plan, &region));
    gateways[1].share_ppm = 500000; // still returning
    assert_false(plan_is_full(&plan, &region));
    assert_string_equal(region, "b");
    gateways[1].share_ppm = PPM_ONE;
    gateways[2].state = HEALTH_DRAINED;
    assert_false(plan_is_full(&plan, &region));
    assert_string_equal(region, "c");
}

static void test_edge_retries(void **state)
{
    static EdgeCounters before, after;
    before = (EdgeCounters){.n = 2, .items = {{0, 10, 1, 100}, {1, 10, 1, 7}}};
    // Region 0: the same worker, and its successor after a reload. Region 1: killed, a new worker
    // with the same pid in its namespace.
    after = (EdgeCounters){.n = 3, .items = {{0, 10, 1, 130}, {0, 11, 5, 4}, {1, 10, 2, 3}}};
    assert_int_equal(edge_counters_retries(&before, &after, 1), 34);
    assert_int_equal(edge_counters_retries(&before, &after, 2), 3);
    assert_int_equal(edge_counters_retries(&before, &after, 3), 37);
    after.items[0].retries = 50; // went backwards: damage, not minus
    assert_int_equal(edge_counters_retries(&before, &after, 1), 4);
}

static const ModelRegion REGIONS[] = {{.name = "a"}, {.name = "b"}};
static const Model MODEL = {.n_regions = 2, .regions = REGIONS};
static const ConfObjectives LIMITS = {.rto_ns = 300 * NS_PER_S,
                                      .rpo_ns = 60 * NS_PER_S,
                                      .failover_ns = 30 * NS_PER_S,
                                      .availability_ppm = 999900,
                                      .worst_request_ns = 500 * NS_PER_MS};

static void add(Stats *stats, uint32_t n, TryResult first, TryResult last, int64_t latency_ms)
{
    const CameraRequest request = {.ended = {latency_ms * NS_PER_MS},
                                   .first = first,
                                   .last = last,
                                   .tries = first == TRY_OK ? 1 : 2,
                                   .idempotent = true};
    for (uint32_t i = 0; i < n; i++)
        stats_add(stats, &request);
}

static void make_report(DrillReport *report)
{
    *report = (DrillReport){.name = "provider-down",
                            .target = "aws",
                            .n_regions = 1,
                            .regions = {"a"},
                            .model = &MODEL,
                            .rto_edge_ms = 12.5,
                            .rto_plan_ms = 700,
                            .recovered_ms = 17000,
                            .lost_now = 3};
    stats_init(&report->surviving);
    stats_init(&report->dead);
    add(&report->surviving, 9000, TRY_OK, TRY_OK, 2);
    add(&report->dead, 500, TRY_OK, TRY_OK, 2);
    add(&report->dead, 500, TRY_CONNECT, TRY_OK, 40);
}

static const DrillObjective *find(const DrillObjective *objectives, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(objectives[i].name, name) == 0)
            return &objectives[i];
    }
    return NULL;
}

static bool held(const DrillReport *report, const char *name)
{
    DrillObjective objectives[DRILL_OBJECTIVES];
    Buf missing = BUF_INIT(0);
    uint32_t n = drill_objectives(report, &LIMITS, objectives, &missing);
    const DrillObjective *objective = find(objectives, n, name);
    assert_non_null(objective);
    assert_int_equal(drill_held(objectives, n), objective->held); // the only one that may miss
    buf_done(&missing);
    return objective->held;
}

static void test_objectives(void **state)
{
    static DrillReport report;
    make_report(&report);
    DrillObjective objectives[DRILL_OBJECTIVES];
    Buf missing = BUF_INIT(0);
    uint32_t n = drill_objectives(&report, &LIMITS, objectives, &missing);
    assert_string_equal(buf_text(&missing), "rpo"); // nothing measures it: left out and named
    assert_int_equal(n, DRILL_OBJECTIVES - 1);
    assert_true(drill_held(objectives, n));
    buf_done(&missing);

    add(&report.surviving, 1, TRY_OK, TRY_OK, 501);
    assert_false(held(&report, "worst_request"));
    make_report(&report);
    add(&report.dead, 1, TRY_CONNECT, TRY_OK, 900); // slow at a dead edge: no objective
    assert_true(held(&report, "worst_request"));
    add(&report.surviving, 1, TRY_STATUS, TRY_OK, 2);
    assert_false(held(&report, "failed_first_try_idempotent.surviving_edges"));
    make_report(&report);
    add(&report.dead, 1, TRY_CONNECT, TRY_SILENT, 2);
    assert_false(held(&report, "failed_idempotent"));
    make_report(&report);
    report.rto_plan_ms = 31000;
    assert_false(held(&report, "failover"));
    make_report(&report);
    report.lost_after_heal = 1;
    assert_false(held(&report, "lost_after_heal"));
    make_report(&report);
    report.duplicated_writes = 1;
    assert_false(held(&report, "duplicated_writes"));
}

static void test_availability(void **state)
{
    static DrillReport report;
    make_report(&report);
    CameraRequest request = {.first = TRY_CONNECT, .last = TRY_CONNECT, .tries = 1};
    stats_add(&report.dead, &request); // 1 of 10,001
    assert_true(held(&report, "availability"));
    stats_add(&report.dead, &request);
    assert_false(held(&report, "availability"));
}

// Every field of the contract is there, with the type that programs expect.
static void test_json(void **state)
{
    static const char *const SPLIT[] = {"requests",
                                        "failed",
                                        "failed_first_try",
                                        "failed_idempotent",
                                        "failed_first_try_idempotent",
                                        "client_retries",
                                        "reconnects",
                                        "edge_retries",
                                        "worst_ms",
                                        "p50_ms",
                                        "p99_ms"};
    static const char *const NUMBERS[] = {"duration_ms", "duplicated_writes", "acknowledged",
                                          "lost_now",    "lost_after_heal",   "rto_edge_ms",
                                          "rto_plan_ms", "recovered_ms"};
    static const char *const NULLS[] = {"rto_dns_ms", "rto_client_ms", "rpo_ms", "converged_ms"};
    static DrillReport report;
    make_report(&report);
    report.n_failures = 1;
    report.failures[0].request = (CameraRequest){.first = TRY_CONNECT, .last = TRY_SILENT};
    DrillObjective objectives[DRILL_OBJECTIVES];
    Buf missing = BUF_INIT(0), json = BUF_INIT(0), text = BUF_INIT(0);
    uint32_t n = drill_objectives(&report, &LIMITS, objectives, &missing);
    drill_report_json(&report, objectives, n, &json);
    json_t *root = json_loadb(json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    for (size_t i = 0; i < ARRAY_SIZE(SPLIT); i++) {
        const json_t *value = json_object_get(root, SPLIT[i]);
        assert_int_equal(json_object_size(value), 3);
        assert_true(json_is_number(json_object_get(value, "surviving_edges")));
        assert_true(json_is_number(json_object_get(value, "dead_edges")));
        assert_true(json_is_number(json_object_get(value, "total")));
    }
    for (size_t i = 0; i < ARRAY_SIZE(NUMBERS); i++)
        assert_true(json_is_number(json_object_get(root, NUMBERS[i])));
    for (size_t i = 0; i < ARRAY_SIZE(NULLS); i++)
        assert_true(json_is_null(json_object_get(root, NULLS[i])));
    assert_int_equal(json_array_size(json_object_get(root, "objectives")), n);
    assert_int_equal(json_array_size(json_object_get(root, "failures")), 1);
    json_t *first_try = json_object_get(root, "failed_first_try");
    assert_int_equal(json_integer_value(json_object_get(first_try, "dead_edges")), 500);
    assert_int_equal(json_integer_value(json_object_get(first_try, "surviving_edges")), 0);
    json_decref(root);
    drill_report_text(&report, objectives, n, &text);
    assert_non_null(strstr(buf_text(&text), "held   rto"));
    report.rto_plan_ms = FIGURE_NONE;
    buf_clear(&json);
    drill_report_json(&report, objectives, n, &json);
    assert_non_null(strstr(buf_text(&json), "\"rto_plan_ms\":null"));
    buf_done(&missing);
    buf_done(&json);
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_front),     cmocka_unit_test(test_full),
        cmocka_unit_test(test_edge_retries), cmocka_unit_test(test_objectives),
        cmocka_unit_test(test_availability), cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
