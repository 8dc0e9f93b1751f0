// SPDX-License-Identifier: MIT
// rules of agents that are alone: who is, what such an agent may not do, and whose verdicts it
// takes over when it is together again. On whole fleets; where an agent must hold something that no
// fleet would make it hold, the test writes it into its state.
#include "core_state.h"
#include "planet.h"
#include "unit.h"

static Fixture *fixture;
static Planet *planet;

// Regions 0, 1 | 2, 3 | 4, 5 lie in one cloud each.
static int fleet(void **state)
{
    (void)state;
    fixture = fixture_new(6, 3, 6);
    planet = planet_new(fixture);
    planet_run(planet, 10000);
    return 0;
}

static int fleet_down(void **state)
{
    (void)state;
    planet_free(planet);
    fixture_free(fixture);
    return 0;
}

static Self *self_of(uint32_t agent)
{
    return &planet_core(planet, agent)->tables->live.self;
}

static Verdict *verdict_of(uint32_t agent, uint32_t gateway)
{
    return &planet_core(planet, agent)->tables->live.verdicts[gateway];
}

static void test_half_of_the_regions_is_alone(void **state)
{
    (void)state;
    for (uint32_t a = 0; a < 6; a++)
        assert_false(self_of(a)->alone);
    planet_agent_stop(planet, 5);
    planet_agent_stop(planet, 4);
    planet_run(planet, 3000);
    assert_int_equal(self_of(0)->fresh, 4);
    assert_false(self_of(0)->alone);
    planet_agent_stop(planet, 3);
    planet_run(planet, 3000);
    for (uint32_t a = 0; a < 3; a++) {
        assert_int_equal(self_of(a)->fresh, 3);
        assert_true(self_of(a)->alone);
    }
}

// Agent 3 loses its way to most gateways; its reports still arrive, by way of agent 0.
static void make_sick(void)
{
    for (uint32_t g = 1; g < 6; g++)
        if (g != 3) {
            planet_cut(planet, 3, g, true);
            planet_cut(planet, g, 3, true);
        }
    planet_run(planet, 3000);
    assert_true(self_of(3)->sick);
}

static void test_a_sick_agent_is_alone(void **state)
{
    (void)state;
    make_sick();
    assert_in_range(self_of(3)->fresh, 4, 6); // not for want of company
    assert_true(self_of(3)->alone);
}

static void test_sick_agents_are_no_company(void **state)
{
    (void)state;
    make_sick();
    assert_false(self_of(0)->alone);
    planet_agent_stop(planet, 4);
    planet_agent_stop(planet, 5);
    planet_run(planet, 3000);
    assert_int_equal(self_of(0)->fresh, 4); // 0, 1, 2 and the sick one
    assert_true(self_of(0)->alone);
}

// One of five peers holds a gateway, and this agent does: the majority of the others decides.
static void test_the_majority_of_the_others_decides(void **state)
{
    (void)state;
    for (uint32_t a = 0; a < 2; a++) {
        Verdict *verdict = verdict_of(a, 2);
        verdict->held = true;
        verdict->cause = VERDICT_CAUSE_VOTES;
        verdict->flaps = 1;
        verdict->since = verdict->last_change = self_of(a)->now;
        verdict->step = 0;
    }
    planet_run(planet, 500); // agent 1 says so to all
    assert_int_equal(planet_held_mask(planet, 0), 4);
    self_of(0)->alone = true;
    self_of(0)->alone_at = mono_add(self_of(0)->now, -2 * NS_PER_S);
    uint32_t before = planet_records(planet, RECORD_VERDICT_ADOPTED);
    planet_run(planet, 300);
    assert_false(self_of(0)->alone);
    assert_int_equal(planet_records(planet, RECORD_VERDICT_ADOPTED), before + 1);
    assert_int_equal(planet_held_mask(planet, 0), 0);
    assert_int_equal(planet_held_mask(planet, 1), 4); // which was never alone
}

static void test_alone_condemns_nobody_for_errors(void **state)
{
    (void)state;
    for (uint32_t a = 3; a < 6; a++)
        planet_agent_stop(planet, a);
    planet_run(planet, 3000);
    for (uint32_t a = 0; a < 3; a++) // three observers of two clouds would be a verdict
        planet_traffic(planet, a, 4, 100, 20);
    planet_run(planet, 30000);
    for (uint32_t a = 0; a < 3; a++)
        assert_int_equal(planet_held_mask(planet, a), 0);
    assert_int_equal(planet_records(planet, RECORD_ERROR_RATE), 0);
    planet_agent_start(planet, 3); // four together: the same evidence is enough
    planet_run(planet, 16000);
    assert_int_equal(planet_held_mask(planet, 0), 16);
}

#define F(f) cmocka_unit_test_setup_teardown(f, fleet, fleet_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        F(test_half_of_the_regions_is_alone),     F(test_a_sick_agent_is_alone),
        F(test_sick_agents_are_no_company),       F(test_the_majority_of_the_others_decides),
        F(test_alone_condemns_nobody_for_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
