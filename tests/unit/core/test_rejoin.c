// SPDX-License-Identifier: MIT
// rejoin: how an agent that holds other gateways than most of its peers comes to hold the same.
// What no fleet would make it hold the test writes into its state.
#include "core_state.h"
#include "planet.h"
#include "unit.h"

static Fixture *fixture;
static Planet *planet;

static int fleet(void **state)
{
    fixture = fixture_new(6, 3, 6);
    planet = planet_new(fixture);
    planet_run(planet, 10000);
    return 0;
}

static int fleet_down(void **state)
{
    planet_free(planet);
    fixture_free(fixture);
    return 0;
}

static Self *self_of(uint32_t agent)
{
    return &planet_core(planet, agent)->tables->live.self;
}

static void hold(uint32_t agent, uint32_t mask, int64_t ago_ms)
{
    Mono since = mono_add(self_of(agent)->now, -ago_ms * NS_PER_MS);
    for (uint32_t g = 0; g < 6; g++) {
        Verdict *verdict = &planet_core(planet, agent)->tables->live.verdicts[g];
        if ((mask >> g & 1) == 0)
            continue;
        verdict->held = true;
        verdict->cause = VERDICT_CAUSE_VOTES;
        verdict->flaps = 2; // 20 s
        verdict->since = verdict->last_change = since;
        verdict->step = 0;
    }
}

static void release(uint32_t agent, uint32_t gateway)
{
    Verdict *verdict = &planet_core(planet, agent)->tables->live.verdicts[gateway];
    verdict->held = false;
    verdict->since = verdict->last_change = self_of(agent)->now;
}

static uint32_t adopted(void)
{
    return planet_records(planet, RECORD_VERDICT_ADOPTED);
}

// Half of the gateways are out everywhere, but not the same half here: the others are more.
static void limit_does_not_keep_agents_apart(void **state)
{
    hold(0, 1U << 2 | 1U << 3 | 1U << 5, 0);
    for (uint32_t a = 1; a < 6; a++)
        hold(a, 1U << 2 | 1U << 3 | 1U << 4, 0);
    planet_run(planet, 1500);
    assert_int_equal(planet_held_mask(planet, 0), 1U << 2 | 1U << 3 | 1U << 5); // not at once
    planet_run(planet, 4000);
    for (uint32_t a = 0; a < 6; a++)
        assert_int_equal(planet_held_mask(planet, a), 1U << 2 | 1U << 3 | 1U << 4);
    assert_int_equal(adopted(), 2); // one given up, one taken
}

// The same while they are really dead: at every step this agent wants the one that it has no room
// for, and that must not keep it from joining the others.
static void limit_with_dead_gateways_does_not_either(void **state)
{
    for (uint32_t g = 2; g < 6; g++)
        planet_gateway(planet, g, GATEWAY_REFUSES);
    hold(0, 1U << 2 | 1U << 3 | 1U << 5, 0);
    for (uint32_t a = 1; a < 6; a++)
        hold(a, 1U << 2 | 1U << 3 | 1U << 4, 0);
    planet_run(planet, 1500);
    assert_int_equal(planet_held_mask(planet, 0), 1U << 2 | 1U << 3 | 1U << 5);
    assert_true(planet_records(planet, RECORD_VERDICT_LIMITED) >= 6); // each wants a fourth
    planet_run(planet, 4000);
    for (uint32_t a = 0; a < 6; a++)
        assert_int_equal(planet_held_mask(planet, a), 1U << 2 | 1U << 3 | 1U << 4);
    planet_run(planet, 10000);
    assert_int_equal(adopted(), 2); // and it stays so
}

// Three against three: nobody is the minority, nobody gives in, nobody flaps.
static void a_tie_at_the_limit_stands(void **state)
{
    for (uint32_t a = 0; a < 6; a++)
        hold(a, 1U << 2 | 1U << 3 | 1U << (a < 3 ? 4 : 5), 0);
    planet_run(planet, 8000);
    assert_in_range(adopted(), 0, 6);
    uint32_t after = adopted();
    planet_run(planet, 8000);
    assert_int_equal(adopted(), after);
}

// When it is together again its peers are of two minds; a moment later they have released.
static void peers_that_agree_later_are_followed(void **state)
{
    planet_agent_stop(planet, 5); // 1 and 2 hold it, 3 and 4 do not
    planet_run(planet, 2000);
    for (uint32_t a = 0; a < 3; a++)
        hold(a, 1U << 4, 0);
    planet_run(planet, 300);
    self_of(0)->alone = true;
    self_of(0)->alone_at = mono_add(self_of(0)->now, -2 * NS_PER_S);
    planet_run(planet, 300);
    assert_false(self_of(0)->alone);
    assert_int_equal(planet_held_mask(planet, 0), 1U << 4); // a tie
    release(1, 4);
    release(2, 4);
    planet_run(planet, 1000);
    assert_int_equal(planet_held_mask(planet, 0), 0); // though its own hold had 17 s left
    assert_int_equal(adopted(), 1);
}

#define ALL(f) cmocka_unit_test_setup_teardown(f, fleet, fleet_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALL(limit_does_not_keep_agents_apart),
        ALL(limit_with_dead_gateways_does_not_either),
        ALL(a_tie_at_the_limit_stands),
        ALL(peers_that_agree_later_are_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
