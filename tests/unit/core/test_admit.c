// SPDX-License-Identifier: MIT
// admit: the bucket against a plain count of what any second may hold, its edges, and who may take
// what it refuses.
#include "unit.h"

#include "admit.h"
#include "rng.h"

#define AT(ms)                                                                                     \
    (Mono)                                                                                         \
    {                                                                                              \
        INT64_C(5000000000000) + (int64_t)((ms)*NS_PER_MS)                                         \
    }

static bool take(const AdmitRule *rule, int64_t *bucket, Mono now)
{
    int64_t next = admit_next(rule, *bucket, now);
    if (next == ADMIT_SHED)
        return false;
    *bucket = next;
    return true;
}

// Of `n` requests at once.
static uint32_t served(const AdmitRule *rule, int64_t *bucket, uint32_t n, Mono now)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        count += take(rule, bucket, now);
    return count;
}

static void unknown_capacity_sheds_nothing(void **state)
{
    AdmitRule rule = admit_rule(0);
    int64_t bucket = 0;
    assert_int_equal(served(&rule, &bucket, 100000, AT(0)), 100000);
    bucket = AT(0).ns + NS_PER_S; // of a rule that has just gone
    assert_int_equal(served(&rule, &bucket, 1000, AT(0)), 1000);
}

static void burst_is_a_tenth_of_a_second(void **state)
{
    AdmitRule rule = admit_rule(1000);
    int64_t bucket = 0;
    assert_int_equal(served(&rule, &bucket, 5000, AT(0)), 100);
    assert_int_equal(served(&rule, &bucket, 5000, AT(10)), 10);
    assert_int_equal(served(&rule, &bucket, 5000, AT(10)), 0);
    assert_int_equal(served(&rule, &bucket, 5000, AT(60000)), 100); // it never grows beyond
}

static void small_regions_have_a_burst_too(void **state)
{
    AdmitRule rule = admit_rule(2);
    int64_t bucket = 0;
    assert_int_equal(served(&rule, &bucket, 100, AT(0)), ADMIT_BURST_MIN);
    assert_false(take(&rule, &bucket, AT(499)));
    assert_true(take(&rule, &bucket, AT(500)));
    assert_false(take(&rule, &bucket, AT(500)));
}

// Whatever comes, no second holds more than 110 % of the capacity, and 80 % of it is never shed.
static void no_second_holds_more_than_110_percent(void **state)
{
    static const uint32_t capacities[] = {100, 208, 1000, 2000, 99991};
    Rng rng = rng_seeded(7);
    for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
        const uint32_t capacity = capacities[c];
        AdmitRule rule = admit_rule(capacity);
        int64_t bucket = 0;
        uint32_t slots[1000] = {0}, window = 0, total = 0; // admitted per millisecond
        for (uint32_t ms = 0; ms < 20000; ms++) {
            uint32_t offered = (uint32_t)rng_below(&rng, 4 * (uint64_t)capacity / 1000 + 2);
            window -= slots[ms % 1000];
            slots[ms % 1000] = served(&rule, &bucket, offered, AT(ms));
            window += slots[ms % 1000];
            total += slots[ms % 1000];
            assert_in_range(window, 0, (uint64_t)capacity * 11 / 10 + 1);
        }
        assert_in_range(total, (uint64_t)capacity * 20 * 98 / 100,
                        (uint64_t)capacity * 20 * 101 / 100);
    }
}

static void load_below_capacity_is_served(void **state)
{
    AdmitRule rule = admit_rule(1000);
    int64_t bucket = 0;
    for (uint32_t ms = 0; ms < 10000; ms += 50)
        assert_int_equal(served(&rule, &bucket, 40, AT(ms)), 40); // 800/s in lumps
}

// A bucket of a smaller capacity, or of nonsense, is an empty one and no closed door.
static void far_future_counts_as_empty(void **state)
{
    AdmitRule small = admit_rule(1), rule = admit_rule(1000);
    int64_t bucket = 0;
    assert_int_equal(served(&small, &bucket, 100, AT(0)), ADMIT_BURST_MIN);
    assert_int_equal(served(&rule, &bucket, 100, AT(0)), 1); // and now it is a bucket of this rule
    assert_int_equal(served(&rule, &bucket, 100, AT(20)), 20);
    bucket = INT64_MAX;
    assert_int_equal(served(&rule, &bucket, 100, AT(0)), 1);
    bucket = INT64_MIN + 1;
    assert_int_equal(served(&rule, &bucket, 1000, AT(0)), 100);
}

// Two workers read the clock a moment apart: that neither opens the bucket nor closes it.
static void clocks_a_moment_apart(void **state)
{
    AdmitRule rule = admit_rule(1000);
    int64_t bucket = 0;
    assert_int_equal(served(&rule, &bucket, 1000, AT(1)), 100);
    assert_int_equal(served(&rule, &bucket, 1000, AT(0)), 0);
    assert_int_equal(served(&rule, &bucket, 1000, AT(2)), 1);
}

static void extreme_capacities(void **state)
{
    AdmitRule rule = admit_rule(UINT32_MAX);
    assert_int_equal(rule.cost_ns, 1);
    rule = admit_rule(1);
    assert_int_equal(rule.burst_ns, ADMIT_BURST_MIN * NS_PER_S);
}

static void room_is_what_the_plan_expects(void **state)
{
    const PlanGateway good = {
        .state = HEALTH_UP, .share_ppm = PPM_ONE, .load_ppm = PPM_ONE, .capacity_rps = 1000};
    PlanGateway gateway = good;
    assert_true(admit_has_room(&gateway));
    gateway.load_ppm = PPM_ONE + 1;
    assert_false(admit_has_room(&gateway));
    gateway = good;
    gateway.share_ppm = 0; // by weight
    assert_false(admit_has_room(&gateway));
    for (int s = 0; s < HEALTH_MAX; s++) {
        gateway = good;
        gateway.state = (HealthState)s;
        assert_int_equal(admit_has_room(&gateway), s == HEALTH_UP || s == HEALTH_UNKNOWN);
    }
}

static void clients_come_back_apart(void **state)
{
    uint32_t seen[ADMIT_AGAIN_MAX_S + 1] = {0};
    Rng rng = rng_seeded(3);
    for (int i = 0; i < 3000; i++) {
        uint32_t s = admit_again_s((uint32_t)(rng_next(&rng) >> 32));
        assert_in_range(s, ADMIT_AGAIN_MIN_S, ADMIT_AGAIN_MAX_S);
        seen[s]++;
    }
    for (uint32_t s = ADMIT_AGAIN_MIN_S; s <= ADMIT_AGAIN_MAX_S; s++)
        assert_in_range(seen[s], 900, 1100);
    assert_int_equal(admit_again_s(0), ADMIT_AGAIN_MIN_S);
    assert_int_equal(admit_again_s(UINT32_MAX), ADMIT_AGAIN_MAX_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_capacity_sheds_nothing),
        cmocka_unit_test(burst_is_a_tenth_of_a_second),
        cmocka_unit_test(small_regions_have_a_burst_too),
        cmocka_unit_test(no_second_holds_more_than_110_percent),
        cmocka_unit_test(load_below_capacity_is_served),
        cmocka_unit_test(far_future_counts_as_empty),
        cmocka_unit_test(clocks_a_moment_apart),
        cmocka_unit_test(extreme_capacities),
        cmocka_unit_test(room_is_what_the_plan_expects),
        cmocka_unit_test(clients_come_back_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
