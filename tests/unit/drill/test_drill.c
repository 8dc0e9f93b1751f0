// SPDX-License-Identifier: MIT
// drill: objectives and the report.
#include "unit.h"

#include <jansson.h>
#include <string.h>

#include "drill_figures.h"
#include "drill_report.h"

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
                            .lost_now = 3,
                            .rpo_ms = 800,
                            .converged_ms = FIGURE_NONE,
                            .intents_agree_ms = FIGURE_NONE,
                            .class_gone_ms = FIGURE_NONE};
    report->acknowledged = 3000;
    report->whole.name = "";
    stats_init(&report->whole.surviving);
    stats_init(&report->whole.dead);
    report->n_phases = 1;
    report->phases[0] = report->whole;
    report->phases[0].name = "killed";
    add(&report->whole.surviving, 9000, TRY_OK, TRY_OK, 2);
    add(&report->whole.dead, 500, TRY_OK, TRY_OK, 2);
    add(&report->whole.dead, 500, TRY_CONNECT, TRY_OK, 40);
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
    uint32_t n =
        drill_objectives(report, drill_find("provider-down"), &LIMITS, objectives, &missing);
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
    uint32_t n =
        drill_objectives(&report, drill_find("provider-down"), &LIMITS, objectives, &missing);
    assert_string_equal(buf_text(&missing), "");
    assert_int_equal(n, 12); // fleet.yaml's ten, and two of its own
    assert_true(drill_held(objectives, n));
    report.rpo_ms = FIGURE_NONE; // not measured: left out and named
    assert_int_equal(
        drill_objectives(&report, drill_find("provider-down"), &LIMITS, objectives, &missing), 11);
    assert_string_equal(buf_text(&missing), "rpo");
    buf_done(&missing);
    make_report(&report);
    report.rpo_ms = 60001;
    assert_false(held(&report, "rpo"));
    make_report(&report);
    report.rows_differ = 1;
    assert_false(held(&report, "rows_differ"));
    make_report(&report);

    add(&report.whole.surviving, 1, TRY_OK, TRY_OK, 501);
    assert_false(held(&report, "worst_request"));
    make_report(&report);
    add(&report.whole.dead, 1, TRY_CONNECT, TRY_OK, 900); // slow at a dead edge: no objective
    assert_true(held(&report, "worst_request"));
    add(&report.whole.surviving, 1, TRY_STATUS, TRY_OK, 2);
    assert_false(held(&report, "failed_first_try_idempotent.surviving_edges"));
    make_report(&report);
    add(&report.whole.dead, 1, TRY_CONNECT, TRY_SILENT, 2);
    assert_false(held(&report, "failed_idempotent"));
    make_report(&report);
    report.rto_edge_ms = 31000;
    assert_false(held(&report, "failover"));
    make_report(&report);
    report.rto_plan_ms = 1500;
    assert_false(held(&report, "plan_without_target"));
    make_report(&report);
    report.whole.wrong_verdicts = 1;
    assert_false(held(&report, "wrong_verdicts"));
    make_report(&report);
    report.lost_after_heal = 1;
    assert_false(held(&report, "lost_after_heal"));
    make_report(&report);
    report.duplicated_writes = 1;
    assert_false(held(&report, "duplicated_writes"));
}

// What was waited for and never came is a miss, not a gap.
static void test_never(void **state)
{
    static DrillReport report;
    make_report(&report);
    report.rto_plan_ms = FIGURE_NEVER;
    DrillObjective objectives[DRILL_OBJECTIVES];
    Buf missing = BUF_INIT(0), json = BUF_INIT(0);
    uint32_t n =
        drill_objectives(&report, drill_find("provider-down"), &LIMITS, objectives, &missing);
    const DrillObjective *plan = find(objectives, n, "plan_without_target");
    assert_non_null(plan);
    assert_false(plan->held);
    drill_report_json(&report, objectives, n, &json);
    assert_non_null(strstr(buf_text(&json), "\"rto_plan_ms\":null"));
    assert_non_null(strstr(buf_text(&json), "\"value\":null,\"measured\":true,\"held\":false"));
    buf_done(&missing);
    buf_done(&json);
}

// Limits of one phase are judged by that phase's figures and carry its name.
static void test_phases(void **state)
{
    static DrillReport report;
    make_report(&report);
    report.n_phases = 2;
    report.phases[1] = report.phases[0];
    report.phases[0].name = "4%";
    report.phases[1].name = "50%";
    report.phases[1].taken_down = 1;
    const DrillRow *row = drill_find("errors");
    DrillObjective objectives[DRILL_OBJECTIVES];
    Buf missing = BUF_INIT(0);
    uint32_t n = drill_objectives(&report, row, &LIMITS, objectives, &missing);
    assert_true(find(objectives, n, "4%.taken_down")->held);
    add(&report.phases[1].dead, 1, TRY_CONNECT, TRY_SILENT, 2);
    report.phases[0].taken_down = 1;
    n = drill_objectives(&report, row, &LIMITS, objectives, &missing);
    assert_false(find(objectives, n, "4%.taken_down")->held);
    assert_false(find(objectives, n, "50%.failed_idempotent")->held);
    buf_done(&missing);
}

static DrillObjective one_limit(const DrillReport *report, DrillFigure figure, double limit,
                                uint8_t phase)
{
    const DrillRow row = {.limits = {{figure, limit, phase}}};
    DrillObjective objectives[DRILL_OBJECTIVES];
    Buf missing CLEANUP(buf_done) = BUF_INIT(0);
    uint32_t n = drill_objectives(report, &row, &LIMITS, objectives, &missing);
    if (n != 1)
        fail_msg("'%s' was left out", drill_figure_name(figure));
    return objectives[0];
}

// A limit that nothing was held against is no limit that held, whatever the figure.
static void test_not_measured(void **state)
{
    static const DrillFigure FIGURES[] = {
        FIGURE_AVAILABILITY, FIGURE_WORST,    FIGURE_FIRST_TRY,        FIGURE_FAILED,
        FIGURE_DUPLICATED,   FIGURE_LOST,     FIGURE_WORST_BUSY,       FIGURE_FIRST_TRY_BUSY,
        FIGURE_QUIET,        FIGURE_PLAN,     FIGURE_FAILED_SURVIVING, FIGURE_FAILED_ALL,
        FIGURE_WRONG,        FIGURE_APART,    FIGURE_TAKEN_DOWN,       FIGURE_VERDICTS,
        FIGURE_HOLDS,        FIGURE_CAPACITY, FIGURE_SHORT_HOLDS,      FIGURE_ROWS_DIFFER,
        FIGURE_RPO,          FIGURE_FAILOVER, FIGURE_CLASS_BACK,
    };
    static DrillReport report;
    make_report(&report);
    // No request, no write, plans beyond what was kept, and what the measuring itself says.
    report = (DrillReport){.name = "none", .busy_targets = true, .plans_lost = true, .n_holds = 3};
    report.rto_plan_ms = report.rpo_ms = FIGURE_UNMEASURED;
    report.capacity_peak_ppm = report.class_back_ms = FIGURE_UNMEASURED;
    report.whole.name = "";
    for (size_t i = 0; i < ARRAY_SIZE(FIGURES); i++) {
        DrillObjective objective = one_limit(&report, FIGURES[i], 1e9, 0);
        if (objective.held || objective.value != FIGURE_UNMEASURED)
            fail_msg("'%s' held at %f with nothing measured", objective.name, objective.value);
    }
    Buf json CLEANUP(buf_done) = BUF_INIT(0), text CLEANUP(buf_done) = BUF_INIT(0);
    DrillObjective objective = one_limit(&report, FIGURE_CAPACITY, 1100000, 0);
    report.model = &MODEL;
    report.target = "aws";
    drill_report_json(&report, &objective, 1, &json);
    assert_non_null(strstr(buf_text(&json), "\"capacity_peak_ppm\":null"));
    assert_non_null(strstr(buf_text(&json), "\"value\":null,\"measured\":false,\"held\":false"));
    drill_report_text(&report, &objective, 1, &text);
    assert_non_null(strstr(buf_text(&text), "MISSED capacity_peak_ppm"));
    assert_non_null(strstr(buf_text(&text), "not measured (at most 1100000 ppm)"));
}

// "Quiet after 15 s" says nothing about a phase of 3 s, but that it was not quiet in one of 20 s.
static void test_quiet_needs_its_time(void **state)
{
    static DrillReport report;
    make_report(&report);
    report.phases[0].begin = (Mono){NS_PER_S};
    add(&report.phases[0].surviving, 10, TRY_OK, TRY_OK, 2);
    report.phases[0].end = mono_add(report.phases[0].begin, 3 * NS_PER_S);
    assert_true(one_limit(&report, FIGURE_QUIET, 15000, 1).value == FIGURE_UNMEASURED);
    report.phases[0].end = mono_add(report.phases[0].begin, 20 * NS_PER_S);
    assert_true(one_limit(&report, FIGURE_QUIET, 15000, 1).held);
    report.phases[0].surviving.last_failed_first_try = (Mono){18 * NS_PER_S};
    assert_true(one_limit(&report, FIGURE_QUIET, 15000, 1).value == 17000);
    assert_false(one_limit(&report, FIGURE_QUIET, 15000, 1).held);
}

static void test_holds_that_do_not_grow(void **state)
{
    static DrillReport report;
    make_report(&report);
    report.n_holds = 3;
    report.holds_ms[0] = 10000;
    report.holds_ms[1] = 20000;
    report.holds_ms[2] = 19000;
    DrillObjective objectives[DRILL_OBJECTIVES];
    Buf missing = BUF_INIT(0);
    uint32_t n = drill_objectives(&report, drill_find("flap"), &LIMITS, objectives, &missing);
    assert_false(find(objectives, n, "holds_not_longer")->held);
    report.holds_ms[2] = 40000;
    n = drill_objectives(&report, drill_find("flap"), &LIMITS, objectives, &missing);
    assert_true(find(objectives, n, "holds_not_longer")->held);
    buf_done(&missing);
}

static void test_availability(void **state)
{
    static DrillReport report;
    make_report(&report);
    CameraRequest request = {.first = TRY_CONNECT, .last = TRY_CONNECT, .tries = 1};
    stats_add(&report.whole.dead, &request); // 1 of 10,001
    assert_true(held(&report, "availability"));
    stats_add(&report.whole.dead, &request);
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
                                        "edge_shed",
                                        "worst_ms",
                                        "p50_ms",
                                        "p99_ms"};
    static const char *const NUMBERS[] = {"duration_ms",    "duplicated_writes", "acknowledged",
                                          "lost_now",       "lost_after_heal",   "rto_edge_ms",
                                          "rto_plan_ms",    "recovered_ms",      "taken_down",
                                          "wrong_verdicts", "max_apart_ms",      "rpo_ms",
                                          "rows_differ"};
    static const char *const NULLS[] = {"rto_dns_ms", "rto_client_ms", "converged_ms",
                                        "intents_agree_ms", "class_gone_ms"};
    static DrillReport report;
    make_report(&report);
    report.n_failures = 1;
    report.failures[0].request = (CameraRequest){.first = TRY_CONNECT, .last = TRY_SILENT};
    DrillObjective objectives[DRILL_OBJECTIVES];
    Buf missing = BUF_INIT(0), json = BUF_INIT(0), text = BUF_INIT(0);
    uint32_t n =
        drill_objectives(&report, drill_find("provider-down"), &LIMITS, objectives, &missing);
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
    assert_int_equal(json_array_size(json_object_get(root, "phases")), 1);
    assert_int_equal(json_array_size(json_object_get(root, "holds_ms")), 0);
    json_t *first_try = json_object_get(root, "failed_first_try");
    assert_int_equal(json_integer_value(json_object_get(first_try, "dead_edges")), 500);
    assert_int_equal(json_integer_value(json_object_get(first_try, "surviving_edges")), 0);
    json_decref(root);
    drill_report_text(&report, objectives, n, &text);
    assert_non_null(strstr(buf_text(&text), "held   rto"));
    buf_done(&missing);
    buf_done(&json);
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objectives),   cmocka_unit_test(test_never),
        cmocka_unit_test(test_phases),       cmocka_unit_test(test_holds_that_do_not_grow),
        cmocka_unit_test(test_availability), cmocka_unit_test(test_json),
        cmocka_unit_test(test_not_measured), cmocka_unit_test(test_quiet_needs_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
