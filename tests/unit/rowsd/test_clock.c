// SPDX-License-Identifier: MIT
// Whose clock is off, and when writes are refused for it.
#include "unit.h"

#include "rowsd_clock.h"

#define MS NS_PER_MS
#define LIMIT (500 * MS)

static const Wall NOW = {INT64_C(1700000000) * NS_PER_S};

static ClockFault judge(ClockJudge *judge, uint32_t n, int64_t a, int64_t b, int64_t c)
{
    int64_t skews[] = {a, b, c};
    clock_judge(judge, skews, n, LIMIT, NOW, 0);
    return judge->fault;
}

static void the_median_decides(void **state)
{
    ClockJudge j = {.known = false};
    assert_int_equal(CLOCK_FAULT_NONE, judge(&j, 3, 10 * MS, 9000 * MS, -20 * MS)); // a wrong peer
    assert_int_equal(10 * MS, j.skew_ns);
    assert_int_equal(CLOCK_FAULT_SKEW, judge(&j, 3, 600 * MS, 700 * MS, 0)); // we are ahead
    assert_int_equal(600 * MS, j.skew_ns);
    assert_int_equal(CLOCK_FAULT_NONE, judge(&j, 3, 0, 1 * MS, 2 * MS));
    assert_int_equal(CLOCK_FAULT_SKEW, judge(&j, 3, -501 * MS, -900 * MS, -502 * MS)); // behind
}

static void of_two_the_nearer_one_counts(void **state)
{
    ClockJudge j = {.known = false};
    assert_int_equal(CLOCK_FAULT_NONE, judge(&j, 2, 9000 * MS, 20 * MS, 0));
    assert_int_equal(20 * MS, j.skew_ns);
    assert_int_equal(CLOCK_FAULT_NONE, judge(&j, 2, 9000 * MS, -9000 * MS, 0));
    assert_int_equal(CLOCK_FAULT_SKEW, judge(&j, 2, 800 * MS, 900 * MS, 0));
}

static void who_sees_nobody_goes_on(void **state)
{
    ClockJudge j = {.known = false};
    assert_int_equal(CLOCK_FAULT_NONE, judge(&j, 0, 0, 0, 0));
    assert_int_equal(CLOCK_FAULT_NONE, judge(&j, 1, 9000 * MS, 0, 0));
    assert_false(j.known);
    // but the last judgement stands
    assert_int_equal(CLOCK_FAULT_SKEW, judge(&j, 3, 800 * MS, 900 * MS, 850 * MS));
    assert_int_equal(CLOCK_FAULT_SKEW, judge(&j, 0, 0, 0, 0));
}

static void at_the_limit_it_does_not_flap(void **state)
{
    ClockJudge j = {.known = false};
    assert_int_equal(CLOCK_FAULT_NONE, judge(&j, 3, LIMIT, LIMIT, LIMIT));
    assert_int_equal(CLOCK_FAULT_SKEW, judge(&j, 3, LIMIT + 1, LIMIT + 1, LIMIT + 1));
    assert_int_equal(CLOCK_FAULT_SKEW, judge(&j, 3, LIMIT - MS, LIMIT - MS, LIMIT - MS));
    assert_int_equal(CLOCK_FAULT_NONE, judge(&j, 3, LIMIT / 2, LIMIT / 2, LIMIT / 2));
}

static void a_clock_that_stepped_back_is_refused(void **state)
{
    ClockJudge j = {.known = false};
    int64_t skews[1];
    clock_judge(&j, skews, 0, LIMIT, NOW, NOW.ns / NS_PER_US + 1);
    assert_int_equal(CLOCK_FAULT_BACK, j.fault);
    clock_judge(&j, skews, 0, LIMIT, NOW, NOW.ns / NS_PER_US);
    assert_int_equal(CLOCK_FAULT_NONE, j.fault);
}

static void the_shortest_round_trip_is_believed(void **state)
{
    ClockFilter filter = {.n = 0};
    ClockSample best;
    assert_false(clock_filter_best(&filter, (Mono){0}, &best));
    // 200 ms on the way there, nothing back: seems 100 ms off
    clock_filter_add(&filter, (Mono){0}, NOW, (Wall){NOW.ns + 200 * MS}, (Wall){NOW.ns + 200 * MS});
    assert_true(clock_filter_best(&filter, (Mono){0}, &best));
    assert_int_equal(-100 * MS, best.skew_ns);
    clock_filter_add(&filter, (Mono){NS_PER_S}, NOW, (Wall){NOW.ns + MS}, (Wall){NOW.ns + 2 * MS});
    assert_true(clock_filter_best(&filter, (Mono){NS_PER_S}, &best));
    assert_int_equal(0, best.skew_ns);
    // it contradicts all before: a clock was set
    clock_filter_add(&filter, (Mono){2 * NS_PER_S}, (Wall){NOW.ns + 4000 * MS},
                     (Wall){NOW.ns + 20 * MS}, (Wall){NOW.ns + 4040 * MS});
    assert_true(clock_filter_best(&filter, (Mono){2 * NS_PER_S}, &best));
    assert_int_equal(4000 * MS, best.skew_ns);
    // what is old does not count any more
    assert_false(clock_filter_best(&filter, (Mono){60 * NS_PER_S}, &best));
    // our clock was set between the two readings: no sample
    clock_filter_clear(&filter);
    clock_filter_add(&filter, (Mono){0}, NOW, NOW, (Wall){NOW.ns - 1});
    assert_false(clock_filter_best(&filter, (Mono){0}, &best));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_median_decides),
        cmocka_unit_test(of_two_the_nearer_one_counts),
        cmocka_unit_test(who_sees_nobody_goes_on),
        cmocka_unit_test(at_the_limit_it_does_not_flap),
        cmocka_unit_test(a_clock_that_stepped_back_is_refused),
        cmocka_unit_test(the_shortest_round_trip_is_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
