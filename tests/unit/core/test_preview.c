// SPDX-License-Identifier: MIT
// test_preview: the plan that a wish would lead to is the one that it leads to, and looking at it
// changes nothing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "planet.h"

static Fixture *fixture;
static Planet *planet;
static Arena *arena;

static int setup(void **state)
{
    fixture = fixture_new(6, 3, 6);
    planet = planet_new(fixture);
    arena = arena_new(16U << 20);
    planet_run(planet, 10000);
    return 0;
}

static int teardown(void **state)
{
    planet_free(planet);
    fixture_free(fixture);
    (void)arena_free(arena);
    return 0;
}

static Intent wish(IntentKind kind, const char *target, uint32_t ppm)
{
    return (Intent){.kind = kind,
                    .target = target,
                    .region = "",
                    .value_ppm = ppm,
                    .author = "ann",
                    .reason = "test",
                    .expires = {INT64_MAX}};
}

static Mono now(void)
{
    return (Mono){planet_now_ms(planet) * NS_PER_MS};
}

static const Plan *preview(const Intent *intent)
{
    const Plan *plan = NULL;
    Error err CLEANUP(error_done) = ERROR_INIT;
    if (core_preview(planet_core(planet, 2), arena, intent, now(), &plan, &err) < 0)
        fail_msg("%s", error_text(&err));
    return plan;
}

static void it_is_the_plan_that_comes(void **state)
{
    static const struct {
        IntentKind kind;
        const char *target;
        uint32_t ppm;
    } WISHES[] = {{INTENT_DRAIN, "region:c0-r0", 0},
                  {INTENT_WEIGHT, "region:c1-r3", 250000},
                  {INTENT_NEVER, "cloud:cloud2", 0},
                  {INTENT_DRAIN, "cloud:cloud2", 0}, // replaces the one before
                  {INTENT_RELEASE, "region:c0-r0", 0}};
    planet_traffic(planet, 0, 0, 900, 0);
    planet_traffic(planet, 4, 4, 300, 0);
    planet_run(planet, 5000);
    for (size_t i = 0; i < ARRAY_SIZE(WISHES); i++) {
        const Intent intent = wish(WISHES[i].kind, WISHES[i].target, WISHES[i].ppm);
        const Plan *before = core_plan(planet_core(planet, 2));
        uint64_t was = before->fleet_digest, number = before->number;
        const Plan *plan = preview(&intent);
        assert_true(plan->fleet_digest != was);
        assert_true(core_plan(planet_core(planet, 2))->number == number);
        uint64_t promised = plan->fleet_digest;
        planet_intent(planet, 2, &intent);
        planet_run(planet, 500);
        assert_true(core_plan(planet_core(planet, 2))->fleet_digest == promised);
    }
}

static void load_moves_with_it(void **state)
{
    planet_traffic(planet, 0, 0, 900, 0);
    planet_run(planet, 5000);
    const Intent intent = wish(INTENT_NEVER, "region:c0-r0", 0);
    const Plan *plan = preview(&intent);
    assert_int_equal(plan->gateways[0].state, HEALTH_NEVER);
    assert_int_equal(plan->gateways[0].load_ppm, 0);
    uint64_t before = 0, after = 0;
    const Plan *now_plan = core_plan(planet_core(planet, 2));
    for (uint32_t g = 0; g < 6; g++) {
        before += now_plan->gateways[g].load_ppm;
        after += plan->gateways[g].load_ppm;
    }
    assert_true(before > 0 && after + 60000 > before && before + 60000 > after); // whole percents
}

static void what_names_nothing_is_refused(void **state)
{
    const Intent intents[] = {wish(INTENT_DRAIN, "region:nowhere", 0),
                              wish(INTENT_DRAIN, "prefix:10.0.0.0/8", 0),
                              wish(INTENT_WEIGHT, "cloud:nowhere", 5)};
    for (size_t i = 0; i < ARRAY_SIZE(intents); i++) {
        const Plan *plan = NULL;
        Error err CLEANUP(error_done) = ERROR_INIT;
        assert_true(core_preview(planet_core(planet, 2), arena, &intents[i], now(), &plan, &err) <
                    0);
        assert_null(plan);
        assert_non_null(strstr(error_text(&err), "intent: "));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(it_is_the_plan_that_comes), TEST(load_moves_with_it),
                                       TEST(what_names_nothing_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
