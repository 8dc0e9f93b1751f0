// SPDX-License-Identifier: MIT
// rules of the way back: who must say UP, for how long, and what the peers' holds and flaps add. On
// whole fleets that hold gateway 4.
#include "core_state.h"
#include "planet.h"
#include "unit.h"

#define GATEWAY 4U
#define HELD (1U << GATEWAY)

static Fixture *fixture;
static Planet *planet;

static int fleet(void **state)
{
    (void)state;
    fixture = fixture_new(6, 3, 6);
    planet = planet_new(fixture);
    planet_run(planet, 10000);
    planet_gateway(planet, GATEWAY, GATEWAY_REFUSES);
    planet_run(planet, 3000);
    for (uint32_t a = 0; a < 6; a++)
        assert_int_equal(planet_held_mask(planet, a), HELD);
    return 0;
}

static int fleet_down(void **state)
{
    (void)state;
    planet_free(planet);
    fixture_free(fixture);
    return 0;
}

static Verdict *verdict_of(uint32_t agent)
{
    return &planet_core(planet, agent)->tables->live.verdicts[GATEWAY];
}

static void test_half_is_no_majority(void **state)
{
    (void)state;
    planet_gateway(planet, GATEWAY, GATEWAY_OK);
    for (uint32_t a = 1; a < 4; a++)
        planet_cut(planet, a, GATEWAY, true);
    planet_run(planet, 30000); // 0, 4 and 5 say UP: three of six
    assert_int_equal(planet_held_mask(planet, 0), HELD);
    planet_cut(planet, 1, GATEWAY, false);
    planet_run(planet, 5000);
    assert_int_equal(planet_held_mask(planet, 0), 0);
}

static void test_a_majority_of_few_is_too_few(void **state)
{
    (void)state;
    for (uint32_t a = 3; a < 6; a++)
        planet_agent_stop(planet, a);
    planet_gateway(planet, GATEWAY, GATEWAY_OK);
    planet_cut(planet, 2, GATEWAY, true);
    planet_run(planet, 30000); // 0 and 1 of three fresh ones say UP: not half of the fleet
    assert_int_equal(planet_held_mask(planet, 0), HELD);
    planet_cut(planet, 2, GATEWAY, false);
    planet_run(planet, 5000);
    assert_int_equal(planet_held_mask(planet, 0), 0);
}

static void test_up_for_two_seconds(void **state)
{
    (void)state;
    planet_run(planet, 20000); // the hold is long over
    planet_gateway(planet, GATEWAY, GATEWAY_OK);
    planet_run(planet, 1800);
    assert_int_equal(planet_held_mask(planet, 0), HELD);
    planet_run(planet, 1500);
    assert_int_equal(planet_held_mask(planet, 0), 0);
}

static void test_the_longest_hold_of_the_peers(void **state)
{
    (void)state;
    verdict_of(1)->since = mono_add(verdict_of(1)->since, 6 * NS_PER_S);
    planet_gateway(planet, GATEWAY, GATEWAY_OK);
    planet_run(planet, 10000); // 13 s after the first verdicts
    assert_int_equal(planet_held_mask(planet, 0), HELD);
    planet_run(planet, 6000);
    assert_int_equal(planet_held_mask(planet, 0), 0);
}

static void test_the_highest_flap_count_of_the_peers(void **state)
{
    (void)state;
    assert_int_equal(verdict_of(0)->flaps, 1);
    verdict_of(1)->flaps = 3;
    planet_run(planet, 1000);
    for (uint32_t a = 0; a < 6; a++)
        assert_int_equal(verdict_of(a)->flaps, 3);
}

#define F(f) cmocka_unit_test_setup_teardown(f, fleet, fleet_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        F(test_half_is_no_majority),
        F(test_a_majority_of_few_is_too_few),
        F(test_up_for_two_seconds),
        F(test_the_longest_hold_of_the_peers),
        F(test_the_highest_flap_count_of_the_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
