// SPDX-License-Identifier: MIT
// Tests of pick_health: ejection, trial, ramp, stall, retry budget. Virtual time in milliseconds.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pick.h"
#include "pick_health.h"

static const ModelPick RULES = {
    .eject_failures = 3,
    .eject_ns = NS_PER_S,
    .eject_max_ns = 30 * NS_PER_S,
    .stall_inflight = 2,
    .stall_ns = 200 * NS_PER_MS,
    .stall_min_rps = 20,
    .retry_budget_ppm = 200000,
    .retry_burst = 10,
};

static Mono ms(int64_t t)
{
    return (Mono){(1000000 + t) * NS_PER_MS};
}

static bool request(PickHealth *h, int64_t t, PickResult result)
{
    pick_started(h, ms(t));
    return pick_finished(h, &RULES, result, ms(t));
}

static bool suspect(const PickHealth *h, int64_t t)
{
    return pick_health_suspect(h, ms(t));
}

static void three_failures_in_a_row_eject(void **state)
{
    PickHealth h = {0};
    assert_false(request(&h, 0, PICK_FAILURE));
    assert_false(request(&h, 1, PICK_ERROR));
    assert_false(request(&h, 2, PICK_OK));
    assert_false(request(&h, 3, PICK_FAILURE));
    assert_false(request(&h, 4, PICK_FAILURE));
    assert_false(request(&h, 5, PICK_STALE)); // no evidence
    assert_false(request(&h, 6, PICK_ABORTED));
    assert_false(suspect(&h, 6));
    assert_true(request(&h, 7, PICK_FAILURE));
    assert_true(suspect(&h, 7));
    assert_true(suspect(&h, 1006));
    assert_false(suspect(&h, 1007));
    assert_int_equal(h.inflight, 0);
}

static void failures_in_flight_at_ejection_do_not_lengthen_it(void **state)
{
    PickHealth h = {0};
    for (int i = 0; i < 20; i++)
        pick_started(&h, ms(0));
    int ejections = 0;
    for (int i = 0; i < 20; i++)
        ejections += pick_finished(&h, &RULES, PICK_FAILURE, ms(i));
    assert_int_equal(ejections, 1);
    assert_int_equal(h.ejections, 1);
    assert_false(suspect(&h, 1002));
}

static void time_doubles_and_is_forgotten(void **state)
{
    PickHealth h = {0};
    int64_t t = 0, expected = 1000;
    for (int i = 0; i < 3; i++)
        (void)request(&h, t, PICK_FAILURE);
    for (int round = 0; round < 12; round++) {
        assert_true(suspect(&h, t + expected - 1));
        assert_false(suspect(&h, t + expected));
        t += expected;
        assert_true(request(&h, t, PICK_FAILURE)); // one failure on trial is enough
        expected = expected * 2 < 30000 ? expected * 2 : 30000;
    }
    t += 30000;
    (void)request(&h, t, PICK_OK);
    t += 30000;
    for (int i = 0; i < 3; i++)
        (void)request(&h, t, PICK_FAILURE);
    assert_int_equal(h.ejections, 1);
    assert_false(suspect(&h, t + 1000));
}

static void returns_by_one_then_in_steps(void **state)
{
    PickHealth h = {0};
    for (int i = 0; i < 3; i++)
        (void)request(&h, 0, PICK_FAILURE);
    assert_false(suspect(&h, 5000));
    pick_started(&h, ms(5000));
    assert_true(suspect(&h, 5000)); // the trial runs: nobody else
    assert_false(pick_finished(&h, &RULES, PICK_OK, ms(5010)));
    assert_false(suspect(&h, 5010));
    h.inflight = 3; // the ramp begins with the answer, however late that came
    assert_true(suspect(&h, 5159));
    assert_false(suspect(&h, 5160));

    h = (PickHealth){0};
    for (int i = 0; i < 3; i++)
        (void)request(&h, 0, PICK_FAILURE);
    (void)request(&h, 1000, PICK_OK);
    for (uint32_t inflight = 0; inflight < 25; inflight++)
        for (int64_t t = 1000; t < 2100; t += 10) {
            h.inflight = inflight;
            assert_int_equal(suspect(&h, t), t < 2000 && inflight > (t - 1000) / 50);
        }
}

static void a_late_success_does_not_end_an_ejection_for_failures(void **state)
{
    PickHealth h = {0};
    pick_started(&h, ms(0));
    for (int i = 0; i < 3; i++)
        (void)request(&h, 0, PICK_ERROR);
    assert_false(pick_finished(&h, &RULES, PICK_OK, ms(10)));
    assert_true(suspect(&h, 999));
    assert_true(request(&h, 1001, PICK_ERROR)); // still on trial
}

// A target at 100 requests/s that stops at `t` with `inflight` requests.
static PickHealth stopped(int64_t t, int inflight)
{
    PickHealth h = {0};
    for (int64_t at = t - 3000; at < t; at += 10)
        (void)request(&h, at, PICK_OK);
    for (int i = 0; i < inflight; i++)
        pick_started(&h, ms(t));
    return h;
}

static void silence_of_a_busy_target_is_a_stall(void **state)
{
    PickHealth h = stopped(0, 2);
    assert_in_range(h.rate_milli, 80000, 120000);
    assert_false(pick_check_stall(&h, &RULES, ms(199)));
    assert_true(pick_check_stall(&h, &RULES, ms(200)));
    assert_true(h.stalled);
    assert_true(suspect(&h, 200));
    assert_false(pick_check_stall(&h, &RULES, ms(201))); // told once
    // it is still silent after its time: no trial while old requests hang there
    assert_true(suspect(&h, 1300));
    // the first answer undoes it, in steps
    assert_false(pick_finished(&h, &RULES, PICK_OK, ms(1300)));
    assert_false(h.stalled);
    h.inflight = 0;
    assert_false(suspect(&h, 1300));
    h.inflight = 2;
    assert_true(suspect(&h, 1300));
    assert_false(suspect(&h, 1400));
}

static void no_stall_without_enough_waiting_or_traffic(void **state)
{
    PickHealth h = stopped(0, 1);
    assert_false(pick_check_stall(&h, &RULES, ms(900)));
    h = (PickHealth){0};
    pick_started(&h, ms(0));
    pick_started(&h, ms(0));
    assert_false(pick_check_stall(&h, &RULES, ms(900))); // never completed anything
    // idle long enough to have lost its rate, then two slow requests
    h = stopped(0, 0);
    pick_started(&h, ms(5000));
    pick_started(&h, ms(5000));
    assert_false(pick_check_stall(&h, &RULES, ms(5900)));
    // idle for a moment: the silence begins with the requests, not with the last answer
    h = stopped(0, 0);
    pick_started(&h, ms(190));
    pick_started(&h, ms(190));
    assert_false(pick_check_stall(&h, &RULES, ms(380)));
    assert_true(pick_check_stall(&h, &RULES, ms(390)));
    // nothing waits
    h = stopped(0, 0);
    assert_false(pick_check_stall(&h, &RULES, ms(900)));
}

static void timeouts_and_aborts_are_no_answers(void **state)
{
    PickHealth h = stopped(0, 5);
    assert_false(pick_finished(&h, &RULES, PICK_ABORTED, ms(100)));
    assert_false(pick_finished(&h, &RULES, PICK_FAILURE, ms(150)));
    assert_true(pick_check_stall(&h, &RULES, ms(200)));
}

// It lives and says so: never ejected for it, and back from an ejection.
static void shed_is_an_answer_without_guilt(void **state)
{
    PickHealth h = {0};
    for (int i = 0; i < 100; i++)
        assert_false(request(&h, i, PICK_SHED));
    assert_int_equal(h.ejections, 0);
    assert_int_equal(h.last_done.ns, ms(99).ns);
    for (int i = 0; i < 2; i++)
        assert_false(request(&h, 100, PICK_FAILURE));
    assert_true(request(&h, 101, PICK_FAILURE));
    assert_false(request(&h, 1200, PICK_SHED)); // its trial
    assert_false(h.on_trial);
    assert_false(suspect(&h, 1200));
}

static void a_stopped_target_costs_one_request_per_trial(void **state)
{
    PickHealth h = stopped(0, 4);
    assert_true(pick_check_stall(&h, &RULES, ms(200)));
    for (int i = 0; i < 4; i++) // moved on by the caller
        assert_false(pick_finished(&h, &RULES, PICK_FAILURE, ms(200)));
    assert_true(suspect(&h, 1199));
    assert_false(suspect(&h, 1200));
    pick_started(&h, ms(1200));
    assert_true(suspect(&h, 1200));
    assert_false(pick_check_stall(&h, &RULES, ms(1599))); // twice the limit on the first trial
    assert_true(pick_check_stall(&h, &RULES, ms(1600)));
    assert_false(pick_finished(&h, &RULES, PICK_FAILURE, ms(1600)));
    assert_true(suspect(&h, 3599)); // 2 s
    assert_false(suspect(&h, 3600));
    // a slow but sound target comes back: the next trial may take four times the limit
    pick_started(&h, ms(3600));
    assert_false(pick_check_stall(&h, &RULES, ms(4399)));
    assert_false(pick_finished(&h, &RULES, PICK_OK, ms(4399)));
    assert_false(h.on_trial);
}

static void rate_follows_completions(void **state)
{
    static const int64_t RATES[] = {1, 20, 100, 1000, 20000};
    for (size_t i = 0; i < sizeof RATES / sizeof RATES[0]; i++) {
        PickHealth h = {0};
        int64_t gap_ns = NS_PER_S / RATES[i];
        Mono t = ms(0);
        for (int64_t k = 0; k < 8 * RATES[i]; k++) {
            t = mono_add(t, gap_ns);
            pick_started(&h, t);
            (void)pick_finished(&h, &RULES, PICK_OK, t);
        }
        assert_in_range(h.rate_milli, RATES[i] * 800, RATES[i] * 1000 + 1500);
    }
}

static void a_clock_that_stands_or_goes_back_changes_nothing(void **state)
{
    PickHealth h = stopped(0, 2);
    uint32_t rate = h.rate_milli;
    assert_false(pick_finished(&h, &RULES, PICK_OK, ms(-5000)));
    assert_int_equal(h.rate_milli, rate + 1000);
    assert_false(pick_check_stall(&h, &RULES, ms(-5000)));
    assert_int_equal(pick_decayed(1000, -1, NS_PER_S), 1000);
    assert_int_equal(pick_decayed(UINT64_MAX, INT64_MAX, 1), 0);
    assert_int_equal(pick_decayed(1000, NS_PER_S, NS_PER_S), 500);
    assert_int_equal(pick_decayed(1000, NS_PER_S / 2, NS_PER_S), 750);
}

static void retries_stay_within_their_share(void **state)
{
    PickBudget budget = {0};
    // a quiet edge has its burst and no more
    int granted = 0;
    for (int i = 0; i < 100; i++)
        granted += pick_budget_retry(&budget, &RULES, ms(0));
    assert_int_equal(granted, 10);
    // 1,000 requests/s for a minute, every one asks for a retry
    granted = 0;
    for (int64_t t = 0; t < 60000; t++) {
        pick_budget_request(&budget, ms(t));
        granted += pick_budget_retry(&budget, &RULES, ms(t));
    }
    assert_in_range(granted, 60000 / 5 - 100, 60000 / 5 + 100);
    // a failure of everything after a good minute: a share of the last seconds, then the share
    budget = (PickBudget){0};
    for (int64_t t = 0; t < 60000; t++)
        pick_budget_request(&budget, ms(t));
    granted = 0;
    for (int64_t t = 60000; t < 61000; t++) {
        pick_budget_request(&budget, ms(t));
        granted += pick_budget_retry(&budget, &RULES, ms(t));
    }
    assert_in_range(granted, 900, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_failures_in_a_row_eject),
        cmocka_unit_test(failures_in_flight_at_ejection_do_not_lengthen_it),
        cmocka_unit_test(time_doubles_and_is_forgotten),
        cmocka_unit_test(returns_by_one_then_in_steps),
        cmocka_unit_test(a_late_success_does_not_end_an_ejection_for_failures),
        cmocka_unit_test(silence_of_a_busy_target_is_a_stall),
        cmocka_unit_test(no_stall_without_enough_waiting_or_traffic),
        cmocka_unit_test(timeouts_and_aborts_are_no_answers),
        cmocka_unit_test(shed_is_an_answer_without_guilt),
        cmocka_unit_test(a_stopped_target_costs_one_request_per_trial),
        cmocka_unit_test(rate_follows_completions),
        cmocka_unit_test(a_clock_that_stands_or_goes_back_changes_nothing),
        cmocka_unit_test(retries_stay_within_their_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
