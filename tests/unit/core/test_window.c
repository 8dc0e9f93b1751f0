// SPDX-License-Identifier: MIT
// window: buckets of one second, and the error rate test at the limits that were computed for it.
#include "window.h"

#include "unit.h"

#define LIMIT 50000U // the guide's 5 %

static Mono second(int64_t s)
{
    return (Mono){s * NS_PER_S};
}

// The header's own words, for 5 %.
static bool plain(uint64_t n, uint64_t k)
{
    return n >= 40 && 20 * k >= n + 27 * isqrt(n) + 105;
}

static void test_rule_is_the_plain_one_at_five_percent(void **state)
{
    (void)state;
    for (uint64_t n = 0; n <= 3000; n++)
        for (uint64_t k = 0; k <= n; k += 1 + n / 100)
            assert_int_equal(error_rate_fails(n, k, LIMIT), plain(n, k));
    assert_false(error_rate_fails(39, 39, LIMIT));
    assert_true(error_rate_fails(40, 40, LIMIT));
    assert_false(error_rate_fails(100, 23, LIMIT)); // 20 * 24 = 480 >= 100 + 270 + 105
    assert_true(error_rate_fails(100, 24, LIMIT));
    assert_false(error_rate_fails(1000000, 51355, LIMIT));
    assert_true(error_rate_fails(1000000, 51356, LIMIT));
}

static void test_other_limits_and_sizes(void **state)
{
    (void)state;
    assert_false(error_rate_fails(10000, 2000, 200000)); // 20 % exactly is not above
    assert_true(error_rate_fails(10000, 2300, 200000));
    assert_false(error_rate_fails(10000, 120, 10000));
    assert_true(error_rate_fails(10000, 180, 10000));
    assert_true(error_rate_fails(UINT64_MAX, UINT64_MAX / 2, LIMIT)); // nothing overflows
    assert_false(error_rate_fails(UINT64_MAX, UINT64_MAX / 21, LIMIT));
    assert_false(error_rate_fails(1000, 1000, 1000000)); // a limit of 100 % never fails
}

static void test_isqrt(void **state)
{
    (void)state;
    for (uint64_t root = 0; root < 5000; root++) {
        assert_int_equal(isqrt(root * root), root);
        assert_int_equal(isqrt(root * root + 2 * root), root);
    }
    assert_int_equal(isqrt(UINT64_MAX), UINT32_MAX);
}

static void test_sums_roll(void **state)
{
    (void)state;
    Window window = {0};
    for (int64_t s = 100; s < 200; s++)
        window_add(&window, 10, s % 2 == 0, second(s));
    assert_int_equal(window.long_sum.n, 600);
    assert_int_equal(window.long_sum.k, 30);
    assert_int_equal(window.long_sum.buckets, 30);
    assert_int_equal(window.short_sum.n, 100);
    assert_int_equal(window.short_sum.k, 5);
    window_advance(&window, second(209));
    assert_int_equal(window.short_sum.n, 0);
    assert_int_equal(window.long_sum.n, 500);
    window_advance(&window, second(258));
    assert_int_equal(window.long_sum.n, 10); // second 199
    window_advance(&window, second(259));
    assert_int_equal(window.long_sum.n, 0);
    assert_int_equal(window.long_sum.buckets, 0);
    window_add(&window, 1, 1, second(100)); // time never goes back
    assert_int_equal(window.short_sum.k, 1);
    window_clear(&window, second(300));
    assert_int_equal(window.long_sum.n, 0);
}

static void test_one_bucket_counts_once(void **state)
{
    (void)state;
    Window window = {0};
    for (int i = 0; i < 50; i++)
        window_add(&window, 2, 1, second(5));
    assert_int_equal(window.short_sum.buckets, 1);
    assert_int_equal(window.short_sum.k, 50);
    window_add(&window, UINT32_MAX, UINT32_MAX, second(5)); // clamped, not wrapped
    assert_int_equal(window.short_sum.n, UINT32_MAX / WINDOW_LONG);
    assert_true(window.short_sum.k <= window.short_sum.n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule_is_the_plain_one_at_five_percent),
        cmocka_unit_test(test_other_limits_and_sizes),
        cmocka_unit_test(test_isqrt),
        cmocka_unit_test(test_sums_roll),
        cmocka_unit_test(test_one_bucket_counts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
