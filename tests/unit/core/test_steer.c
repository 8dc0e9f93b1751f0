// SPDX-License-Identifier: MIT
// steer: the order of one group, by hand and against a full sort.
#include "steer.h"

#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "hash.h"
#include "rng.h"
#include "unit.h"

#define N 40U

static Fixture *fixture;
static GatewayFacts facts[N];
static int64_t latency[N];
static uint64_t names[N];
static SteerQuery query;
static SteerOrder order;
static uint8_t tiers[N];

static void prepare(uint32_t n, uint32_t clouds)
{
    fixture = fixture_new(n, clouds, 1);
    for (uint32_t g = 0; g < n; g++) {
        facts[g] = (GatewayFacts){.state = HEALTH_UP,
                                  .classes = CLASS_MASK_ALL,
                                  .share_ppm = PPM_ONE,
                                  .capacity_rps = 1000};
        latency[g] = 10000 * (int64_t)(g + 1);
        names[g] = hash_text(HASH_SEED, fixture->regions[g].name);
    }
    query = (SteerQuery){.model = &fixture->model,
                         .facts = facts,
                         .latency_us = latency,
                         .name_hash = names,
                         .tiers = tiers,
                         .class_ = SERVICE_CLASS_WRITE,
                         .exclude = -1};
}

static int six(void **state)
{
    (void)state;
    prepare(6, 3);
    return 0;
}

static int forty(void **state)
{
    (void)state;
    prepare(N, 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_free(fixture);
    return 0;
}

static void steer(void)
{
    steer_tiers(&query, tiers);
    steer_order(&query, &order);
}

static void assert_order(const char *expected) // digits are gateways
{
    steer();
    char text[BOUND_ORDER + 1] = "";
    for (uint32_t i = 0; i < order.n; i++)
        text[i] = (char)('0' + order.gateways[i]);
    assert_string_equal(text, expected);
}

static void test_nearest_first(void **state)
{
    (void)state;
    assert_order("012345");
    assert_int_equal(order.n_first, 6);
    latency[4] = 1;
    assert_order("401235");
}

static void test_tiers(void **state)
{
    (void)state;
    facts[0].state = HEALTH_DOWN;
    facts[1].state = HEALTH_DRAINED;
    facts[2].classes = CLASS_MASK_READ; // its edge would have to forward writes
    facts[3].state = HEALTH_SUSPECT;
    facts[4].state = HEALTH_NEVER;
    facts[5].state = HEALTH_UNKNOWN; // unknown is not down
    assert_order("53210");
    assert_int_equal(order.n_first, 1);
    query.class_ = SERVICE_CLASS_READ;
    assert_order("25310");
    assert_int_equal(order.n_first, 2);
}

static void test_own_votes_count_in_own_orders_only(void **state)
{
    (void)state;
    facts[0].own_down = 1;
    assert_order("012345");
    query.own_votes_count = true;
    query.exclude = 3;
    assert_order("12450");
}

static void test_never_empty(void **state)
{
    (void)state;
    for (uint32_t g = 0; g < 6; g++)
        facts[g].state = HEALTH_NEVER;
    assert_order("0"); // the nearest of the forbidden ones
    assert_int_equal(order.n_first, 1);
    for (uint32_t g = 0; g < 6; g++)
        facts[g].state = HEALTH_DOWN;
    assert_order("012345");
    assert_int_equal(order.n_first, 6);
}

static void test_cost_within_the_latency_budget(void **state)
{
    (void)state;
    fixture->regions[0].egress_cost = 90;
    fixture->regions[1].egress_cost = 80;
    fixture->regions[2].egress_cost = 10;
    assert_order("012345"); // no budget: latency
    query.budget_us = 10000;
    assert_order("102345"); // region 2 is 20 ms farther than the nearest
    query.budget_us = 20000;
    assert_order("210345");
    query.budget_us = INT64_MAX; // saturates
    assert_int_equal((steer(), order.n), 6);
}

static void test_ties_by_rendezvous(void **state)
{
    (void)state;
    uint32_t firsts[6] = {0};
    for (uint32_t g = 0; g < 6; g++)
        latency[g] = 5;
    for (uint64_t group = 0; group < 600; group++) {
        query.hash = hash_u64(HASH_SEED, group);
        steer();
        firsts[order.gateways[0]]++;
        // When the first goes down, its groups move and no other's order changes.
        SteerOrder before = order;
        facts[before.gateways[0]].state = HEALTH_DOWN;
        steer();
        assert_memory_equal(order.gateways, before.gateways + 1, 5 * sizeof(uint32_t));
        facts[before.gateways[0]].state = HEALTH_UP;
    }
    for (uint32_t g = 0; g < 6; g++)
        assert_in_range(firsts[g], 60, 140);
}

static void test_unknown_latency_goes_last(void **state)
{
    (void)state;
    latency[0] = LATENCY_UNKNOWN;
    query.budget_us = 1000;
    assert_order("123450");
    for (uint32_t g = 0; g < 6; g++)
        latency[g] = LATENCY_UNKNOWN;
    steer();
    assert_int_equal(order.n, 6);
}

static int by_latency(const void *a, const void *b)
{
    int64_t x = latency[*(const uint32_t *)a], y = latency[*(const uint32_t *)b];
    return (x > y) - (x < y);
}

static void test_selection_is_the_front_of_the_sort(void **state)
{
    (void)state;
    Rng rng = rng_seeded(5);
    for (int round = 0; round < 300; round++) {
        uint32_t sorted[N];
        for (uint32_t g = 0; g < N; g++) {
            latency[g] = (int64_t)rng_below(&rng, 1U << 30);
            sorted[g] = g;
        }
        qsort(sorted, N, sizeof *sorted, by_latency);
        steer();
        assert_int_equal(order.n, BOUND_ORDER);
        assert_memory_equal(order.gateways, sorted, (BOUND_ORDER - 1) * sizeof *sorted);
    }
}

static int by_cost(const void *a, const void *b)
{
    const ModelRegion *x = &fixture->regions[*(const uint32_t *)a];
    const ModelRegion *y = &fixture->regions[*(const uint32_t *)b];
    return (x->egress_cost > y->egress_cost) - (x->egress_cost < y->egress_cost);
}

static void test_selection_by_cost(void **state)
{
    (void)state;
    Rng rng = rng_seeded(6);
    query.budget_us = INT64_MAX;
    for (int round = 0; round < 300; round++) {
        uint32_t sorted[N];
        for (uint32_t g = 0; g < N; g++) {
            fixture->regions[g].egress_cost = (int64_t)rng_below(&rng, UINT64_C(1) << 40);
            sorted[g] = g;
        }
        qsort(sorted, N, sizeof *sorted, by_cost);
        steer();
        assert_memory_equal(order.gateways, sorted, (BOUND_ORDER - 1) * sizeof *sorted);
    }
}

static void test_a_second_cloud_is_kept(void **state)
{
    (void)state;
    fixture_free(fixture);
    prepare(N, 2); // 20 of the nearest cloud
    steer();
    assert_int_equal(order.n, BOUND_ORDER);
    for (uint32_t i = 0; i + 1 < BOUND_ORDER; i++)
        assert_int_equal(order.gateways[i], i);
    assert_int_equal(order.gateways[BOUND_ORDER - 1], 20); // the nearest of the other one
    facts[20].state = HEALTH_DOWN;
    steer();
    assert_int_equal(order.gateways[BOUND_ORDER - 1], 21);
}

#define T6(f) cmocka_unit_test_setup_teardown(f, six, teardown)
#define T40(f) cmocka_unit_test_setup_teardown(f, forty, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T6(test_nearest_first),
        T6(test_tiers),
        T6(test_own_votes_count_in_own_orders_only),
        T6(test_never_empty),
        T6(test_cost_within_the_latency_budget),
        T6(test_ties_by_rendezvous),
        T6(test_unknown_latency_goes_last),
        T40(test_selection_is_the_front_of_the_sort),
        T40(test_selection_by_cost),
        T40(test_a_second_cloud_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
