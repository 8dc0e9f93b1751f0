// SPDX-License-Identifier: MIT
// rules of health that only a mixture of events shows: soft and hard failures in one streak, an
// observer that is sick and busy.
#include "core_state.h"
#include "planet.h"
#include "unit.h"

static void test_one_soft_failure_makes_the_streak_soft(void **state)
{
    (void)state;
    Fixture *fixture = fixture_new(2, 2, 1);
    const ModelHealth *health = &fixture->model.health;
    Rng rng = rng_seeded(1);
    Probe probes[64];
    Path path = {.probes = probes, .probes_max = ARRAY_SIZE(probes)};
    path_start(&path, (Mono){0});
    for (int64_t i = 0; i < 3; i++) {
        Probe probe;
        Mono sent = {i * 200 * NS_PER_MS};
        path.next = sent;
        assert_true(path_send(&path, health, &rng, (uint64_t)i + 1, sent, &probe));
    }
    Mono late = {health->deadline_max_ns}; // silence to the first, refusals to the others
    path_expire(&path, health, late);
    path_failed(&path, health, 2, mono_add(late, 1));
    path_failed(&path, health, 3, mono_add(late, 2));
    assert_int_equal(path.streak, 3);
    assert_true(path.soft);
    assert_int_equal(path_vote(&path, health, mono_add(late, 3)), VOTE_UNKNOWN);
    assert_int_equal(path_vote(&path, health, (Mono){health->span_soft_ns}), VOTE_DOWN);
    fixture_free(fixture);
}

static void test_a_sick_observer_counts_no_errors(void **state)
{
    (void)state;
    Fixture *fixture = fixture_new(6, 3, 6);
    Planet *planet = planet_new(fixture);
    planet_run(planet, 10000);
    planet_traffic(planet, 3, 0, 50, 25);
    planet_run(planet, 5000);
    const Tables *tables = planet_core(planet, 3)->tables;
    assert_true(tables->live.paths[0].window.long_sum.k > 0);
    for (uint32_t g = 1; g < 6; g++)
        if (g != 3)
            planet_cut(planet, 3, g, true);
    planet_run(planet, 5000);
    assert_true(tables->live.self.sick);
    planet_traffic(planet, 3, 0, 0, 0);
    planet_run(planet, 1000);
    assert_int_equal(tables->live.paths[0].window.long_sum.k, 0);
    planet_free(planet);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_soft_failure_makes_the_streak_soft),
        cmocka_unit_test(test_a_sick_observer_counts_no_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
