// SPDX-License-Identifier: MIT
// error_share: any stretch of a stream has its share of errors.
#include "unit.h"

#include "error_share.h"

static void test_every_prefix_has_its_share(void **state)
{
    const uint32_t shares[] = {1, 4, 1000, 40000, 50000, 333333, 500000, 618034, 960000, 999999};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        ErrorShare share = {0};
        int64_t errors = 0;
        for (int64_t n = 1; n <= 300000; n++) {
            errors += error_share_next(&share, shares[i]);
            int64_t off = errors * ERROR_SHARE_ALL - n * shares[i]; // millionths of a request
            if (off <= -4 * ERROR_SHARE_ALL || off >= 4 * ERROR_SHARE_ALL)
                fail_msg("%u ppm: %lld errors in %lld", shares[i], (long long)errors, (long long)n);
        }
    }
}

static void test_none_and_all(void **state)
{
    ErrorShare share = {.at = 12345};
    for (int i = 0; i < 100000; i++) {
        assert_false(error_share_next(&share, 0));
        assert_true(error_share_next(&share, ERROR_SHARE_ALL));
    }
}

static void test_one_of_two_is_not_every_second(void **state)
{
    // A client that repeats each failed request at once must not always meet an error, or never.
    ErrorShare share = {0};
    int failed_twice = 0, failed = 0;
    for (int i = 0; i < 10000; i++) {
        if (!error_share_next(&share, 500000))
            continue;
        failed++;
        failed_twice += error_share_next(&share, 500000);
    }
    assert_in_range(failed_twice, failed / 10, failed / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_prefix_has_its_share),
        cmocka_unit_test(test_none_and_all),
        cmocka_unit_test(test_one_of_two_is_not_every_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
