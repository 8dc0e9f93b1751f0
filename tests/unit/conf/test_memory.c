// SPDX-License-Identifier: MIT
// Each single allocation of a load fails once: the answer is ERROR_MEMORY, or what it is with
// memory enough; never a file taken for right or wrong by accident, never a leak (ASan and valgrind
// look).
#include "unit.h"

#include "alloc.h"
#include "fixture.h"

static void fail_each(const char *path, int result)
{
    size_t len;
    char *text = fixture_read(path, &len);
    Error want_err = ERROR_INIT;
    ConfProblems want;
    Conf *conf = NULL;
    assert_int_equal(conf_parse("F", text, len, &conf, &want, &want_err), result);
    conf = conf_free(conf);
    int r = ERROR_MEMORY;
    long n = 0;
    for (; r == ERROR_MEMORY; n++) {
        Error err = ERROR_INIT;
        ConfProblems problems;
        alloc_fail_after(n);
        r = conf_parse("F", text, len, &conf, &problems, &err);
        alloc_fail_after(-1);
        assert_true(r == ERROR_MEMORY || r == result);
        assert_int_equal(problems.n, r == ERROR_MEMORY ? 0 : want.n);
        for (size_t i = 0; i < problems.n; i++)
            assert_string_equal(problems.items[i].text, want.items[i].text);
        conf_problems_done(&problems);
        error_done(&err);
    }
    print_message("%ld allocations\n", n - 1);
    assert_true(n > 5);
    assert_true((conf != NULL) == (result == 0));
    (void)conf_free(conf);
    conf_problems_done(&want);
    error_done(&want_err);
    free(text);
}

static void test_good_file(void **state)
{
    fail_each(CONF_TESTS "/good/small.yaml", 0);
    fail_each(SHIPPED_FLEET, 0);
}

static void test_bad_files(void **state)
{
    fail_each(CONF_TESTS "/bad/several-at-once.yaml", ERROR_FORMAT);
    fail_each(CONF_TESTS "/bad/second-document.yaml", ERROR_FORMAT);
    fail_each(CONF_TESTS "/bad/unknown-cloud.yaml", ERROR_FORMAT);
    fail_each(CONF_TESTS "/bad/unknown-section.yaml", ERROR_FORMAT);
    fail_each(CONF_TESTS "/bad/warning-capacity.yaml", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_file),
        cmocka_unit_test(test_bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
