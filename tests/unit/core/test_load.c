// SPDX-License-Identifier: MIT
// load: a fleet that has too much to do, or whose paths got longer. Plans must spread the excess by
// capacity, follow what is measured, and then stand still.
#include <string.h>

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

static const Plan *plan_of(uint32_t agent)
{
    return core_plan(planet_core(planet, agent));
}

static void assert_agreed(uint32_t from)
{
    for (uint32_t a = from; a < 6; a++)
        assert_int_equal(plan_of(a)->fleet_digest, plan_of(from)->fleet_digest);
}

static void serve(uint32_t from, uint32_t rps)
{
    for (uint32_t a = from; a < 6; a++)
        planet_traffic(planet, a, a, rps, 0);
}

static uint64_t shares_on(const Plan *plan, uint32_t before)
{
    uint64_t sum = 0;
    for (uint32_t r = 0; r < plan->n_routes; r++)
        for (uint32_t i = 0; i < plan->routes[r].n_entries; i++)
            if (plan->routes[r].entries[i].gateway < before)
                sum += plan->routes[r].entries[i].share_ppm;
    return sum;
}

// A cloud dies while all regions run at 80 %: the others are full, and shed what exceeds that.
static void dead_cloud_at_80_percent(void **state)
{
    serve(0, 800);
    planet_run(planet, 3000);
    for (uint32_t g = 0; g < 6; g++) // steps of an eighth: 87.5 %, in whole percents
        assert_in_range(plan_of(2)->gateways[g].load_ppm, 870000, 880000);
    planet_region(planet, 0, false);
    planet_region(planet, 1, false);
    serve(2, 1000); // as the bucket lets through, now and then one more
    planet_run(planet, 2500);
    assert_agreed(2);
    // The dead ones' load is counted until the others have it.
    for (uint32_t g = 2; g < 6; g++)
        assert_true(plan_of(2)->gateways[g].load_ppm > PPM_ONE);
    assert_int_equal(shares_on(plan_of(2), 2), 0);
    for (int ms = 0; ms < 12000; ms += 500) {
        serve(2, 990 + (uint32_t)(ms / 500 % 4) * 7);
        planet_run(planet, 500);
    }
    assert_agreed(2);
    const uint64_t number = plan_of(2)->number;
    for (uint32_t g = 2; g < 6; g++) // full, but not expected to get more: room if it has any
        assert_int_equal(plan_of(2)->gateways[g].load_ppm, PPM_ONE);
    for (int ms = 0; ms < 60000; ms += 500) {
        serve(2, 990 + (uint32_t)(ms / 500 % 4) * 7);
        planet_run(planet, 500);
        assert_int_equal(plan_of(2)->number, number); // and it stands still
    }
    for (uint32_t g = 2; g < 6; g++)
        assert_false(planet_held(planet, 3, g));
}

// What does not fit goes to all by their capacity, whoever is nearest.
static void excess_is_spread_by_capacity(void **state)
{
    fixture->regions[5].capacity_rps = 3000;
    serve(0, 2000);
    planet_traffic(planet, 5, 5, 6000, 0);
    planet_run(planet, 3000);
    assert_agreed(0);
    for (uint32_t g = 0; g < 6; g++)
        assert_int_equal(plan_of(0)->gateways[g].load_ppm, 2 * PPM_ONE);
    assert_true(planet_records(planet, RECORD_OVERLOAD) >= 6);
}

static uint32_t place(uint32_t agent, uint32_t gateway)
{
    const Plan *plan = plan_of(agent);
    for (uint32_t i = 0; i < plan->n_forward[SERVICE_CLASS_READ]; i++)
        if (plan->forward[SERVICE_CLASS_READ][i].gateway == gateway)
            return i;
    return UINT32_MAX;
}

// Answers take five times as long: no verdict, no other fleet part; the edges' own orders follow.
static void longer_path_moves_own_order_only(void **state)
{
    uint64_t digest = plan_of(0)->fleet_digest, number = plan_of(0)->number;
    uint32_t first = plan_of(0)->forward[SERVICE_CLASS_READ][0].gateway;
    planet_slow(planet, first, 300);
    planet_run(planet, 8000);
    assert_int_equal(place(0, first), 4);
    assert_int_equal(plan_of(0)->fleet_digest, digest);
    assert_int_equal(plan_of(0)->gateways[first].state, HEALTH_UP);
    uint64_t moved = plan_of(0)->number;
    assert_in_range(moved, number + 1, number + 2);
    planet_run(planet, 60000);
    assert_int_equal(plan_of(0)->number, moved); // once
    assert_int_equal(planet_transitions(planet), 0);
    planet_slow(planet, first, 0);
    planet_run(planet, 5000);
    assert_int_equal(place(0, first), 0);
    assert_int_equal(plan_of(0)->fleet_digest, digest);
}

// A path that is as long as the map says is where it was.
static void map_stands_while_paths_are_no_longer(void **state)
{
    uint32_t order[5];
    for (uint32_t i = 0; i < 5; i++)
        order[i] = plan_of(3)->forward[SERVICE_CLASS_READ][i].gateway;
    planet_rtt(planet, 1);
    planet_run(planet, 20000);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(plan_of(3)->forward[SERVICE_CLASS_READ][i].gateway, order[i]);
}

#define ALL(f) cmocka_unit_test_setup_teardown(f, fleet, fleet_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALL(dead_cloud_at_80_percent),
        ALL(excess_is_spread_by_capacity),
        ALL(longer_path_moves_own_order_only),
        ALL(map_stands_while_paths_are_no_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
