// SPDX-License-Identifier: MIT
// Scenarios: six whole cores in virtual time, one fault at 10 s for 30 s unless said otherwise, and
// what all of them must hold then.
#include "planet.h"
#include "unit.h"

#define ALL 0x3fU

static Fixture *fixture;
static Planet *planet;

static int setup(void **state)
{
    (void)state;
    fixture = fixture_new(FIXTURE_REGIONS, FIXTURE_CLOUDS, 6);
    planet = planet_new(fixture);
    planet_run(planet, 10000); // warm
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    planet_free(planet);
    fixture_free(fixture);
    return 0;
}

// Every agent that lives holds exactly `mask`.
static void assert_held(uint32_t mask)
{
    for (uint32_t a = 0; a < FIXTURE_REGIONS; a++)
        if (planet_core(planet, a) != NULL)
            assert_int_equal(planet_held_mask(planet, a), mask);
}

static void assert_quiet(void)
{
    assert_held(0);
    assert_int_equal(planet_transitions(planet), 0);
}

static void cut_both(uint32_t a, uint32_t b, bool cut)
{
    planet_cut(planet, a, b, cut);
    planet_cut(planet, b, a, cut);
}

// Cuts every pair of which one side lies in `side`.
static void split(uint32_t side, bool cut)
{
    for (uint32_t a = 0; a < FIXTURE_REGIONS; a++)
        for (uint32_t b = a + 1; b < FIXTURE_REGIONS; b++)
            if ((side >> a & 1) != (side >> b & 1))
                cut_both(a, b, cut);
}

static uint32_t first_gateway(uint32_t agent, uint32_t group)
{
    const PlanRoute *route =
        plan_route(core_plan(planet_core(planet, agent)), 0, SERVICE_CLASS_READ, group);
    return route->entries[0].gateway;
}

static void test_quiet_fleet_agrees(void **state)
{
    (void)state;
    planet_run(planet, 60000);
    assert_quiet();
    uint64_t digest = core_plan(planet_core(planet, 0))->fleet_digest;
    for (uint32_t a = 1; a < FIXTURE_REGIONS; a++)
        assert_int_equal(core_plan(planet_core(planet, a))->fleet_digest, digest);
}

static void test_kill_within_a_second(void **state)
{
    (void)state;
    planet_gateway(planet, 1, GATEWAY_REFUSES);
    planet_run(planet, 1000);
    assert_held(2);
    assert_int_not_equal(first_gateway(0, 1), 1);
    planet_run(planet, 29000);
    planet_gateway(planet, 1, GATEWAY_OK);
    planet_run(planet, 1900);
    assert_held(2); // not before 2 s of success
    planet_run(planet, 600);
    assert_held(0);
}

static void test_kill_is_held_for_ten_seconds(void **state)
{
    (void)state;
    planet_gateway(planet, 1, GATEWAY_REFUSES);
    planet_run(planet, 2000);
    planet_gateway(planet, 1, GATEWAY_OK);
    planet_run(planet, 8300);
    assert_held(2);
    planet_run(planet, 1500);
    assert_held(0);
}

static void test_hang_within_two_and_a_half_seconds(void **state)
{
    (void)state;
    planet_gateway(planet, 4, GATEWAY_HANGS);
    planet_run(planet, 1400);
    assert_held(0);
    planet_run(planet, 1100);
    assert_held(1U << 4);
}

static void test_kill_with_one_link_cut_for_good(void **state)
{
    (void)state;
    cut_both(3, 1, true);
    planet_run(planet, 10000);
    assert_quiet();
    planet_gateway(planet, 1, GATEWAY_REFUSES);
    planet_run(planet, 1000);
    assert_held(2);
    planet_run(planet, 29000);
    planet_gateway(planet, 1, GATEWAY_OK);
    planet_run(planet, 3000); // return needs a majority, not everybody
    assert_held(0);
}

static void test_short_pauses_change_nothing(void **state)
{
    (void)state;
    planet_gateway(planet, 1, GATEWAY_REFUSES);
    planet_run(planet, 300);
    planet_gateway(planet, 1, GATEWAY_OK);
    planet_run(planet, 10000);
    planet_gateway(planet, 2, GATEWAY_HANGS);
    planet_run(planet, 1200);
    planet_gateway(planet, 2, GATEWAY_OK);
    planet_run(planet, 10000);
    assert_quiet();
    assert_int_equal(planet_records(planet, RECORD_SLOW), 0);
}

static void test_frozen_agent_changes_nothing(void **state)
{
    (void)state;
    planet_agent_freeze(planet, 2, 5000);
    planet_run(planet, 20000);
    assert_quiet();
    assert_int_equal(planet_records(planet, RECORD_LOOP_GAP), 1);
}

static void test_restarts_change_nothing(void **state)
{
    (void)state;
    for (uint32_t a = 0; a < FIXTURE_REGIONS; a++) {
        planet_agent_stop(planet, a);
        planet_run(planet, 3000);
        planet_agent_start(planet, a);
        planet_run(planet, 5000);
    }
    for (uint32_t a = 0; a < FIXTURE_REGIONS; a++)
        planet_agent_stop(planet, a);
    planet_run(planet, 1000);
    for (uint32_t a = 0; a < FIXTURE_REGIONS; a++)
        planet_agent_start(planet, a);
    planet_run(planet, 20000);
    assert_quiet();
}

static void test_kill_while_agents_restart(void **state)
{
    (void)state;
    planet_gateway(planet, 5, GATEWAY_REFUSES);
    planet_run(planet, 1000);
    assert_held(1U << 5);
    for (uint32_t a = 0; a < FIXTURE_REGIONS; a++) {
        planet_agent_stop(planet, a);
        planet_run(planet, 3000);
        planet_agent_start(planet, a);
        planet_run(planet, 5000); // the restarted one takes the verdict over
        assert_held(1U << 5);
    }
}

static void test_dead_region_and_cloud(void **state)
{
    (void)state;
    planet_region(planet, 0, false);
    planet_run(planet, 2100);
    assert_held(1);
    planet_run(planet, 13000);
    planet_region(planet, 1, false); // its cloud is gone now
    planet_run(planet, 2100);
    assert_held(3);
}

static void test_dead_cloud_then_a_gateway(void **state)
{
    (void)state;
    planet_region(planet, 0, false);
    planet_region(planet, 1, false);
    planet_run(planet, 2100);
    assert_held(3);
    planet_run(planet, 13000);
    planet_gateway(planet, 2, GATEWAY_REFUSES);
    planet_run(planet, 1000); // 3 of 4 votes
    assert_held(7);
}

static void test_dead_cloud_then_a_region(void **state)
{
    (void)state;
    planet_region(planet, 0, false);
    planet_region(planet, 1, false);
    planet_run(planet, 15000);
    planet_region(planet, 2, false);
    planet_run(planet, 2100); // 3 of 3 votes from two clouds suffice
    assert_held(7);
}

// Half of the gateways are held, all that are left are alone: an agent that restarts joins them.
static void test_restart_with_half_of_the_fleet_dead(void **state)
{
    (void)state;
    planet_region(planet, 2, false);
    planet_region(planet, 3, false);
    planet_run(planet, 15000);
    planet_region(planet, 0, false);
    planet_run(planet, 15000);
    for (uint32_t a = 1; a < 6; a += a == 1 ? 3 : 1)
        assert_int_equal(planet_held_mask(planet, a), 0xd);
    planet_agent_stop(planet, 5);
    planet_run(planet, 3000);
    planet_agent_start(planet, 5);
    planet_run(planet, 6000);
    assert_int_equal(planet_held_mask(planet, 5), 0xd);
    assert_false(core_self_status(planet_core(planet, 5), (Mono){0}).sick);
    planet_run(planet, 8000); // its own verdicts are as old as their first hold time
    assert_int_equal(core_plan(planet_core(planet, 5))->fleet_digest,
                     core_plan(planet_core(planet, 1))->fleet_digest);
}

// The facts of a region that is silent do not depend on who was there to hear its last words.
static void test_restart_beside_a_silent_region(void **state)
{
    (void)state;
    planet_replica_classes(planet, 3, CLASS_MASK_READ);
    planet_run(planet, 5000);
    planet_region(planet, 3, false);
    planet_run(planet, 15000);
    planet_agent_stop(planet, 0);
    planet_run(planet, 3000);
    planet_agent_start(planet, 0);
    planet_run(planet, 20000);
    for (uint32_t a = 0; a < 6; a++)
        if (a != 3)
            assert_int_equal(core_plan(planet_core(planet, a))->fleet_digest,
                             core_plan(planet_core(planet, 1))->fleet_digest);
}

static void test_two_clouds_at_once(void **state)
{
    (void)state;
    for (uint32_t r = 0; r < 4; r++)
        planet_region(planet, r, false);
    planet_run(planet, 5000);
    assert_held(0); // no verdict is possible ...
    for (uint32_t group = 0; group < 6; group++)
        assert_true(first_gateway(4, group) >= 4); // ... and the order serves
}

static void test_two_clouds_one_after_the_other(void **state)
{
    (void)state;
    planet_region(planet, 0, false);
    planet_region(planet, 1, false);
    planet_run(planet, 15000);
    planet_region(planet, 2, false);
    planet_region(planet, 3, false);
    planet_run(planet, 5000);
    assert_held(3);
    for (uint32_t group = 0; group < 6; group++)
        assert_true(first_gateway(5, group) >= 4);
}

static void test_all_refuse(void **state)
{
    (void)state;
    for (uint32_t g = 0; g < FIXTURE_REGIONS; g++)
        planet_gateway(planet, g, GATEWAY_REFUSES);
    planet_run(planet, 10000);
    assert_held(0);
    assert_true(planet_records(planet, RECORD_SICK) >= 6);
    for (uint32_t g = 0; g < FIXTURE_REGIONS; g++)
        planet_gateway(planet, g, GATEWAY_OK);
    planet_run(planet, 10000);
    assert_quiet();
}

static void test_isolated_cloud(void **state)
{
    (void)state;
    split(3, true);
    planet_run(planet, 3000);
    for (uint32_t a = 0; a < FIXTURE_REGIONS; a++)
        assert_int_equal(planet_held_mask(planet, a), a < 2 ? 0 : 3);
    planet_run(planet, 27000);
    split(3, false);
    planet_run(planet, 5000); // they take over what the majority holds, or it is over
    uint32_t held = planet_held_mask(planet, 0);
    assert_held(held);
}

static void test_isolated_regions_of_two_clouds(void **state)
{
    (void)state;
    split(1 | 4, true);
    planet_run(planet, 5000);
    for (uint32_t a = 0; a < FIXTURE_REGIONS; a++)
        assert_int_equal(planet_held_mask(planet, a), a == 0 || a == 2 ? 0 : 5);
}

static void test_even_partitions(void **state)
{
    (void)state;
    split(1 | 4 | 16, true); // one region of each cloud against the others
    planet_run(planet, 10000);
    assert_quiet();
    split(1 | 4 | 16, false);
    planet_run(planet, 10000);
    split(1 | 2 | 4, true);
    planet_run(planet, 10000);
    assert_quiet();
    split(1 | 2 | 4, false);
    planet_run(planet, 10000);
    split(3, true);
    split(12, true); // three clouds, each alone
    planet_run(planet, 10000);
    assert_quiet();
}

static void test_one_way_and_pair_cuts(void **state)
{
    (void)state;
    planet_cut(planet, 3, 0, true);
    planet_run(planet, 10000);
    assert_quiet();
    for (uint32_t a = 0; a < 2; a++)
        for (uint32_t b = 2; b < 4; b++)
            cut_both(a, b, true); // one pair of clouds
    planet_run(planet, 10000);
    assert_quiet();
}

static void test_slow_gateway_sheds_and_stays(void **state)
{
    (void)state;
    for (int64_t ms = 300; ms <= 3000; ms += 300) { // a queue that grows
        planet_slow(planet, 1, ms);
        planet_run(planet, 1000);
    }
    planet_run(planet, 20000);
    assert_quiet();
    assert_int_equal(core_plan(planet_core(planet, 0))->gateways[1].share_ppm, PPM_ONE / 2);
    planet_slow(planet, 1, 0);
    planet_run(planet, 20000);
    assert_int_equal(core_plan(planet_core(planet, 0))->gateways[1].share_ppm, PPM_ONE);
}

static void test_later_than_five_seconds_is_down(void **state)
{
    (void)state;
    planet_slow(planet, 1, 8000);
    planet_run(planet, 5000);
    assert_held(2);
}

static void test_flaps_are_damped(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) { // 20 minutes of 10 s down, 10 s up
        planet_gateway(planet, 1, GATEWAY_HANGS);
        planet_run(planet, 10000);
        planet_gateway(planet, 1, GATEWAY_OK);
        planet_run(planet, 10000);
    }
    uint32_t each = planet_transitions(planet) / FIXTURE_REGIONS;
    assert_in_range(each, 3, 17);
    planet_run(planet, 310000);
    assert_held(0);
}

static void test_returns_in_steps(void **state)
{
    (void)state;
    planet_gateway(planet, 1, GATEWAY_REFUSES);
    planet_run(planet, 30000);
    planet_gateway(planet, 1, GATEWAY_OK);
    planet_run(planet, 3000);
    const uint32_t steps[] = {100000, 250000, 500000, PPM_ONE};
    for (size_t i = 0; i < 4; i++) {
        for (uint32_t a = 0; a < FIXTURE_REGIONS; a++)
            assert_int_equal(core_plan(planet_core(planet, a))->gateways[1].share_ppm, steps[i]);
        planet_run(planet, 5000);
    }
}

static void test_veto_by_real_requests(void **state)
{
    (void)state;
    // The gateway answers requests, but probes of four observers are lost: a soft quorum.
    planet_traffic(planet, 0, 0, 50, 0);
    for (uint32_t a = 2; a < FIXTURE_REGIONS; a++)
        cut_both(a, 0, true);
    planet_run(planet, 6000);
    assert_false(planet_held(planet, 4, 0));
    assert_true(planet_records(planet, RECORD_VERDICT_VETOED) > 0);
    planet_run(planet, 8000); // for ten seconds at most
    assert_true(planet_held(planet, 4, 0));
}

// Other fleets than the guide's: the numbers of the rules follow the number of regions.
static void test_other_fleets(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{2, 2}, {3, 3}, {4, 2}, {5, 3}, {8, 4}};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        Fixture *other = fixture_new(sizes[i][0], sizes[i][1], 2);
        Planet *small = planet_new(other);
        planet_run(small, 10000);
        planet_gateway(small, 1, GATEWAY_REFUSES);
        planet_run(small, 1000);
        // One failing gateway makes no observer sick, even where it is half of the fleet.
        for (uint32_t a = 0; a < sizes[i][0]; a++)
            assert_int_equal(planet_held_mask(small, a), 2);
        planet_run(small, 10000);
        planet_gateway(small, 1, GATEWAY_OK);
        planet_run(small, 3000);
        for (uint32_t a = 0; a < sizes[i][0]; a++)
            assert_int_equal(planet_held_mask(small, a), 0);
        planet_region(small, 0, false);
        planet_run(small, 2200);
        for (uint32_t a = 1; a < sizes[i][0];
             a++) // of two, the other one cannot tell who is cut off
            assert_int_equal(planet_held_mask(small, a), sizes[i][0] > 2 ? 1 : 0);
        planet_free(small);
        fixture_free(other);
    }
}

static void test_same_script_same_run(void **state)
{
    (void)state;
    uint64_t digests[2];
    for (int i = 0; i < 2; i++) {
        Planet *again = planet_new(fixture);
        planet_run(again, 5000);
        planet_gateway(again, 1, GATEWAY_HANGS);
        planet_run(again, 20000);
        planet_gateway(again, 1, GATEWAY_OK);
        planet_run(again, 20000);
        digests[i] = planet_digest(again);
        planet_free(again);
    }
    assert_int_equal(digests[0], digests[1]);
}

#define SCENARIO(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(test_quiet_fleet_agrees),
        SCENARIO(test_kill_within_a_second),
        SCENARIO(test_kill_is_held_for_ten_seconds),
        SCENARIO(test_hang_within_two_and_a_half_seconds),
        SCENARIO(test_kill_with_one_link_cut_for_good),
        SCENARIO(test_short_pauses_change_nothing),
        SCENARIO(test_frozen_agent_changes_nothing),
        SCENARIO(test_restarts_change_nothing),
        SCENARIO(test_kill_while_agents_restart),
        SCENARIO(test_dead_region_and_cloud),
        SCENARIO(test_dead_cloud_then_a_gateway),
        SCENARIO(test_dead_cloud_then_a_region),
        SCENARIO(test_restart_with_half_of_the_fleet_dead),
        SCENARIO(test_restart_beside_a_silent_region),
        SCENARIO(test_two_clouds_at_once),
        SCENARIO(test_two_clouds_one_after_the_other),
        SCENARIO(test_all_refuse),
        SCENARIO(test_isolated_cloud),
        SCENARIO(test_isolated_regions_of_two_clouds),
        SCENARIO(test_even_partitions),
        SCENARIO(test_one_way_and_pair_cuts),
        SCENARIO(test_slow_gateway_sheds_and_stays),
        SCENARIO(test_later_than_five_seconds_is_down),
        SCENARIO(test_flaps_are_damped),
        SCENARIO(test_returns_in_steps),
        SCENARIO(test_veto_by_real_requests),
        SCENARIO(test_other_fleets),
        SCENARIO(test_same_script_same_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
