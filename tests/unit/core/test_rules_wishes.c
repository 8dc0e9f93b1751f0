// SPDX-License-Identifier: MIT
// rules of fencing that only an unlucky order shows: wishes with the same stamp, wishes for a
// gateway that is not up, and a report that arrives after a newer one.
#include <stdio.h>

#include "core_state.h"
#include "fixture.h"
#include "intents.h"
#include "unit.h"

static const Wall wall = {1000 * NS_PER_S};

static Intent wish(IntentKind kind, uint32_t value_ppm)
{
    return (Intent){.kind = kind,
                    .target = "region:c0-r0",
                    .region = "",
                    .author = "test",
                    .reason = "rule",
                    .stamp = (INT64_C(900000000) << 8) | 1,
                    .value_ppm = value_ppm,
                    .expires = {2000 * NS_PER_S}};
}

// The set after both wishes, one after the other.
static IntentSet *both(const Intent *first, const Intent *second)
{
    IntentSet *none = NULL, *one = NULL, *two = NULL;
    assert_int_equal(intent_set_new(&none), 0);
    assert_int_equal(intent_set_with(none, first, 1, wall, true, &one), 0);
    assert_non_null(one);
    assert_int_equal(intent_set_with(one, second, 1, wall, true, &two), 0);
    (void)intent_set_free(none);
    if (two == NULL)
        return one;
    (void)intent_set_free(one);
    return two;
}

static void test_equal_stamps_every_region_chooses_the_same(void **state)
{
    (void)state;
    const Intent pairs[][2] = {
        {wish(INTENT_WEIGHT, 100000), wish(INTENT_WEIGHT, 200000)},
        {wish(INTENT_DRAIN, 0), wish(INTENT_NEVER, 0)},
    };
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        IntentSet *here = both(&pairs[i][0], &pairs[i][1]);
        IntentSet *there = both(&pairs[i][1], &pairs[i][0]);
        assert_int_equal(here->n, 1);
        assert_int_equal(there->n, 1);
        assert_int_equal(here->items[0].kind, there->items[0].kind);
        assert_int_equal(here->items[0].value_ppm, there->items[0].value_ppm);
        (void)intent_set_free(here);
        (void)intent_set_free(there);
    }
}

static HealthState state_with(IntentKind kind, HealthState before)
{
    Fixture *fixture = fixture_new(6, 3, 1);
    Intent intent = wish(kind, 0);
    char target[64];
    (void)snprintf(target, sizeof target, "region:%s", fixture->regions[0].name);
    intent.target = target;
    IntentSet *none = NULL, *set = NULL;
    assert_int_equal(intent_set_new(&none), 0);
    assert_int_equal(intent_set_with(none, &intent, 1, wall, true, &set), 0);
    GatewayFacts facts = {.state = before, .share_ppm = PPM_ONE};
    wishes_apply(&fixture->model, set, wall, 0, &facts);
    (void)intent_set_free(none);
    (void)intent_set_free(set);
    fixture_free(fixture);
    return facts.state;
}

static void test_never_beats_all_and_down_beats_drained(void **state)
{
    (void)state;
    for (HealthState before = HEALTH_UNKNOWN; before < HEALTH_MAX; before++) {
        assert_int_equal(state_with(INTENT_NEVER, before), HEALTH_NEVER);
        bool stays = before == HEALTH_DOWN || before == HEALTH_NEVER;
        assert_int_equal(state_with(INTENT_DRAIN, before), stays ? before : HEALTH_DRAINED);
    }
}

typedef struct OneCore {
    Fixture *fixture;
    Core *core;
    Arena *arena;
    Mono now;
    uint64_t boot;
} OneCore;

static OneCore one_core(void)
{
    OneCore one = {.fixture = fixture_new(6, 3, 1), .now = {100 * NS_PER_S}};
    CoreOptions options = fixture_options(one.fixture, 0);
    one.boot = options.boot;
    assert_int_equal(core_new(&one.fixture->model, &options, one.now, wall, &one.core, NULL), 0);
    one.arena = arena_new((size_t)16 << 20);
    return one;
}

static void one_core_done(OneCore *one)
{
    (void)arena_free(one->arena);
    (void)core_free(one->core);
    fixture_free(one->fixture);
}

static CoreUpdate take(OneCore *one, const Report *report)
{
    CoreEvent event = {.kind = CORE_EVENT_REPORT, .now = one->now, .wall = wall};
    event.u.report = report;
    CoreUpdate update;
    assert_int_equal(core_step(one->core, one->arena, &event, &update, NULL), 0);
    return update;
}

static void test_an_older_report_changes_no_facts(void **state)
{
    (void)state;
    OneCore one = one_core();
    static const struct {
        uint64_t boot, sequence;
        uint32_t load_rps, wanted;
    } reports[] = {
        {5, 10, 300, 300}, {5, 9, 100, 300}, // an older one, late
        {5, 10, 100, 300},                   // doubled
        {5, 11, 200, 200}, {6, 1, 400, 400}, // a restart counts from one again
        {5, 12, 100, 400},                   // and what was sent before it comes too late
    };
    for (size_t i = 0; i < ARRAY_SIZE(reports); i++) {
        Report report = {.version = 1,
                         .region = one.fixture->regions[1].name,
                         .boot = reports[i].boot,
                         .sequence = reports[i].sequence,
                         .capacity_rps = 1000,
                         .load_rps = reports[i].load_rps};
        (void)take(&one, &report);
        assert_int_equal(one.core->tables->live.peers[1].load_rps, reports[i].wanted);
    }
    one_core_done(&one);
}

static void test_nobody_speaks_for_this_agent(void **state)
{
    (void)state;
    OneCore one = one_core();
    ReportVote votes[6];
    for (uint32_t g = 0; g < 6; g++)
        votes[g] = (ReportVote){.gateway = one.fixture->regions[g].name,
                                .vote = VOTE_DOWN,
                                .first_fail_age_ns = AGE_NEVER,
                                .edge_success_age_ns = AGE_NEVER,
                                .held_age_ns = AGE_NEVER};
    ReportView views[] = {{.observer = one.fixture->regions[1].name, .boot = 5, .sequence = 1},
                          {.observer = one.fixture->regions[0].name,
                           .boot = one.boot,
                           .sequence = 1000,
                           .n_votes = 6,
                           .votes = votes}};
    Report report = {.version = 1,
                     .region = one.fixture->regions[1].name,
                     .boot = 5,
                     .sequence = 1,
                     .echo_boot = one.boot,
                     .echo_ns = one.now.ns,
                     .n_views = 2,
                     .views = views};
    CoreUpdate update = take(&one, &report);
    for (uint32_t i = 0; i < update.n_records; i++)
        assert_int_not_equal(update.records[i].kind, RECORD_VOTE_CHANGED);
    assert_int_not_equal(one.core->tables->live.views[0].sequence, 1000);
    assert_true(one.core->tables->live.views[1].have);
    one_core_done(&one);
}

static void test_other_facts_with_the_same_plan_are_no_new_plan(void **state)
{
    (void)state;
    OneCore one = one_core();
    Report report = {.version = 1,
                     .region = one.fixture->regions[1].name,
                     .boot = 5,
                     .sequence = 1,
                     .capacity_rps = 1000,
                     .load_rps = 300};
    (void)take(&one, &report);
    uint64_t number = core_plan(one.core)->number;
    report.sequence++;
    report.load_rps = 301; // the plan holds whole percents
    CoreUpdate update = take(&one, &report);
    assert_null(update.plan);
    assert_int_equal(core_plan(one.core)->number, number);
    report.sequence++;
    report.load_rps = 900;
    update = take(&one, &report);
    assert_non_null(update.plan);
    assert_int_equal(core_plan(one.core)->number, number + 1);
    one_core_done(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_stamps_every_region_chooses_the_same),
        cmocka_unit_test(test_never_beats_all_and_down_beats_drained),
        cmocka_unit_test(test_an_older_report_changes_no_facts),
        cmocka_unit_test(test_nobody_speaks_for_this_agent),
        cmocka_unit_test(test_other_facts_with_the_same_plan_are_no_new_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
