// SPDX-License-Identifier: MIT
// capacity: spread by hand, and properties over random fleets.
#include "capacity.h"

#include <string.h>

#include "bounds.h"
#include "rng.h"
#include "unit.h"

#define N 6U

static Arena *arena;
static GatewayFacts facts[N];
static uint64_t room[N];
static PlanEntry entries[8][N];
static CapacityRoute routes[8];
static CapacityResult result;

static int setup(void **state)
{
    (void)state;
    arena = arena_new((size_t)1 << 20);
    for (uint32_t g = 0; g < N; g++) {
        facts[g] = (GatewayFacts){.state = HEALTH_UP,
                                  .classes = CLASS_MASK_ALL,
                                  .share_ppm = PPM_ONE,
                                  .capacity_rps = 1000,
                                  .load_rps = 100};
        room[g] = 1000;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena = arena_free(arena);
    return 0;
}

static void route(uint32_t r, uint64_t demand, const char *order) // digits
{
    routes[r] =
        (CapacityRoute){.demand = demand, .n = (uint32_t)strlen(order), .entries = entries[r]};
    for (uint32_t i = 0; i < routes[r].n; i++)
        entries[r][i] = (PlanEntry){.gateway = (uint32_t)(order[i] - '0')};
}

static void spread(uint32_t n_routes)
{
    assert_int_equal(capacity_spread(arena, facts, N, room, routes, n_routes, &result), 0);
    for (uint32_t r = 0; r < n_routes; r++) {
        uint32_t sum = 0;
        for (uint32_t i = 0; i < routes[r].n; i++)
            sum += entries[r][i].share_ppm;
        assert_int_equal(sum, PPM_ONE);
    }
}

static void assert_shares(uint32_t r, uint32_t a, uint32_t b, uint32_t c)
{
    assert_int_equal(entries[r][0].share_ppm, a);
    assert_int_equal(entries[r][1].share_ppm, b);
    assert_int_equal(entries[r][2].share_ppm, c);
}

static void test_what_fits_stays_at_the_nearest(void **state)
{
    (void)state;
    route(0, 1000, "012");
    spread(1);
    assert_shares(0, PPM_ONE, 0, 0);
    assert_false(result.spilled || result.overloaded);
}

static void test_overflow_spills_in_fractions(void **state)
{
    (void)state;
    route(0, 2500, "012");
    spread(1);
    assert_shares(0, 400000, 400000, 200000);
    assert_true(result.spilled);
    assert_false(result.overloaded);
}

static void test_a_full_gateway_takes_equal_parts(void **state)
{
    (void)state;
    route(0, 1500, "012"); // both want gateway 0, which has room for a third
    route(1, 1500, "021");
    spread(2);
    assert_int_equal(entries[0][0].share_ppm, entries[1][0].share_ppm);
    assert_in_range(result.used[0], 998, 1000);
    assert_in_range(entries[0][0].share_ppm, 333000, 333334);
}

static void test_nobody_is_filled_above_room_while_there_is_room(void **state)
{
    (void)state;
    Rng rng = rng_seeded(11);
    for (int round = 0; round < 2000; round++) {
        uint64_t demand = 0, total = 0;
        for (uint32_t g = 0; g < N; g++) {
            facts[g].capacity_rps = 100 + (uint32_t)rng_below(&rng, 2000);
            room[g] = facts[g].capacity_rps;
            total += room[g];
        }
        uint32_t n = 1 + (uint32_t)rng_below(&rng, 8);
        for (uint32_t r = 0; r < n; r++) {
            char order[N + 1] = "012345";
            for (uint64_t i = N - 1; i > 0; i--) {
                uint64_t j = rng_below(&rng, i + 1);
                char swap = order[i];
                order[i] = order[j];
                order[j] = swap;
            }
            route(r, 1 + rng_below(&rng, total / n), order);
            demand += routes[r].demand;
        }
        arena_reset(arena);
        spread(n);
        uint64_t used = 0;
        for (uint32_t g = 0; g < N; g++) {
            used += result.used[g];
            if (demand + 2 * N * n < total) // crumbs of rounding may be left at the last place
                assert_true(result.used[g] <= room[g] + N * n);
        }
        assert_int_equal(used, demand);
    }
}

static void test_overload_is_carried_by_capacity(void **state)
{
    (void)state;
    facts[1].capacity_rps = 3000;
    room[1] = 3000;
    route(0, 8000, "01");
    spread(1);
    assert_true(result.overloaded);
    assert_in_range(entries[0][0].share_ppm, 249000, 251000);
}

static void test_returning_gateway_takes_its_step(void **state)
{
    (void)state;
    facts[0].share_ppm = 100000;
    route(0, 500, "012");
    spread(1);
    assert_shares(0, 100000, 900000, 0);
    facts[1].share_ppm = 0; // weight 0
    spread(1);
    assert_shares(0, 100000, 0, 900000);
}

static void test_the_only_one_takes_all(void **state)
{
    (void)state;
    facts[0].share_ppm = 100000;
    route(0, 500, "0");
    spread(1);
    assert_int_equal(entries[0][0].share_ppm, PPM_ONE);
    facts[0].share_ppm = 0;
    route(0, 0, "0"); // no demand is no division by zero
    spread(1);
    assert_int_equal(entries[0][0].share_ppm, PPM_ONE);
    room[0] = 0;
    facts[0].capacity_rps = 0;
    route(0, UINT64_C(1) << 50, "0");
    spread(1);
    assert_int_equal(entries[0][0].share_ppm, PPM_ONE);
}

static void test_fits_without(void **state)
{
    (void)state;
    for (uint32_t g = 0; g < N; g++)
        facts[g].load_rps = 833;
    assert_true(capacity_fits_without(facts, N, 0)); // 4998 of 5000
    facts[3].load_rps = 836;
    assert_false(capacity_fits_without(facts, N, 0));
    facts[3].load_rps = 100;
    facts[4].state = HEALTH_DOWN; // no room there, and what it had must go somewhere
    assert_false(capacity_fits_without(facts, N, 0));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_what_fits_stays_at_the_nearest),
        T(test_overflow_spills_in_fractions),
        T(test_a_full_gateway_takes_equal_parts),
        T(test_nobody_is_filled_above_room_while_there_is_room),
        T(test_overload_is_carried_by_capacity),
        T(test_returning_gateway_takes_its_step),
        T(test_the_only_one_takes_all),
        T(test_fits_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
