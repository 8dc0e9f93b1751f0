// SPDX-License-Identifier: MIT
// What the daemon concludes from times and numbers: rates, ETA, RPO, quantiles, loops, silences.
#include "unit.h"

#include <stdlib.h>

#include "rowsd_lag.h"

#define S NS_PER_S
#define MS NS_PER_MS

static Mono at(int64_t ns)
{
    return (Mono){1000 * S + ns};
}

static void rates_need_a_second(void **state)
{
    LagWindow window = {.n = 0};
    assert_false(lag_rates(&window).known);
    lag_window_add(&window, at(0), 0, 1000);
    lag_window_add(&window, at(S / 2), 50, 1000);
    assert_false(lag_rates(&window).known);
    lag_window_add(&window, at(2 * S), 200, 1000);
    LagRates rates = lag_rates(&window);
    assert_true(rates.known);
    assert_int_equal(100, (int)rates.applied);
    assert_int_equal(0, (int)rates.head);
}

static void rates_forget_what_is_old(void **state)
{
    LagWindow window = {.n = 0};
    uint64_t applied = 0;
    for (int i = 0; i < 200; i++) { // 100 s at 10 B/s, then 100 s at 1,000 B/s
        applied += i < 100 ? 10 : 1000;
        lag_window_add(&window, at(i * S), applied, 1000000);
    }
    assert_in_range((unsigned)lag_rates(&window).applied, 999, 1001);
}

static void another_publisher_begins_anew(void **state)
{
    LagWindow window = {.n = 0};
    lag_window_add(&window, at(0), 1000, 2000);
    lag_window_add(&window, at(5 * S), 2000, 3000);
    assert_true(lag_rates(&window).known);
    lag_window_add(&window, at(6 * S), 10, 20);
    assert_false(lag_rates(&window).known);
}

// A backlog of an outage while the publisher goes on writing: what is shown is within 20 % of what
// happens, from the third second on.
static void eta_holds_on_the_way(void **state)
{
    LagWindow window = {.n = 0};
    uint64_t applied = 1, head = 6000000;
    int64_t shown[4000], t = 0;
    unsigned seed = 7;
    while (applied < head && t < 4000) {
        lag_window_add(&window, at(t * S), applied, head);
        LagRates rates = lag_rates(&window);
        shown[t] = lag_eta_ns(head - applied, &rates);
        seed = seed * 1103515245U + 12345U;
        applied += 20000 + seed / 65536 % 6000; // it is not quite even
        head += 8000;
        t++;
    }
    assert_in_range(t, 300, 1000);
    for (int64_t i = 3; i < t - 20; i++) {
        int64_t real = (t - i) * S;
        assert_true(llabs(shown[i] - real) * 5 <= real);
    }
}

static void eta_says_never_and_unknown(void **state)
{
    const LagRates slow = {true, 100, 100}, fast = {true, 200, 100}, none = {0};
    assert_int_equal(LAG_NEVER, lag_eta_ns(1000, &slow));
    assert_int_equal(LAG_UNKNOWN, lag_eta_ns(1000, &none));
    assert_int_equal(0, lag_eta_ns(0, &none));
    assert_int_equal(10 * S, lag_eta_ns(1000, &fast));
    const LagRates crawling = {true, 100.0001, 100};
    assert_int_equal(LAG_NEVER, lag_eta_ns(UINT64_C(1) << 60, &crawling));
}

static void lag_grows_while_beats_are_overdue(void **state)
{
    Wall sent = {100 * S}, arrived = {100 * S + 30 * MS};
    // between two beats it is what the last one took
    assert_int_equal(30 * MS, lag_of_link_ns(sent, arrived, (Wall){100 * S + 900 * MS}, 0, S));
    // overdue: the age of what arrived last
    assert_int_equal(5 * S, lag_of_link_ns(sent, arrived, (Wall){105 * S}, 0, S));
    // clocks that differ: our clock is 20 ms ahead
    assert_int_equal(10 * MS,
                     lag_of_link_ns(sent, arrived, (Wall){100 * S + 900 * MS}, 20 * MS, S));
    // never negative
    assert_int_equal(0, lag_of_link_ns(sent, arrived, (Wall){100 * S + 900 * MS}, S, S));
    // a backlog: sent long ago, arrived just now
    assert_int_equal(60 * S, lag_of_link_ns(sent, (Wall){160 * S}, (Wall){160 * S}, 0, S));
}

static void rpo_is_the_age_of_what_nobody_has(void **state)
{
    RpoMarks *marks = calloc(1, sizeof *marks);
    assert_int_equal(0, rpo_step(marks, at(0), 100, 100, 0));
    // less than a step outstanding: what the stream says of itself
    assert_int_equal(3 * MS, rpo_step(marks, at(S), 200, 150, 3 * MS));
    assert_int_equal(0, rpo_step(marks, at(2 * S), 300, 300, 0));
    // nothing is confirmed any more: it grows from the last moment that was
    for (int i = 3; i < 10; i++)
        (void)rpo_step(marks, at(i * S), 300 + (uint64_t)i, 300, 0);
    assert_int_equal(8 * S, rpo_step(marks, at(10 * S), 400, 300, 0));
    // half of it arrives
    assert_int_equal(5 * S, rpo_step(marks, at(11 * S), 500, 306, 0));
    assert_int_equal(0, rpo_step(marks, at(12 * S), 500, 500, 0));
    free(marks);
}

static void rpo_of_a_long_outage_stays_right(void **state)
{
    RpoMarks *marks = calloc(1, sizeof *marks);
    (void)rpo_step(marks, at(0), 1, 1, 0);
    int64_t rpo = 0;
    for (int i = 1; i <= 7200; i++)
        rpo = rpo_step(marks, at(i * S), 1 + (uint64_t)i, 1, 0);
    assert_int_equal(7200 * S, rpo);
    assert_true(marks->n <= RPO_MARKS);
    // an hour of it arrives: known as exactly as the marks are apart by then
    rpo = rpo_step(marks, at(7201 * S), 7202, 3601, 0);
    assert_in_range(rpo, 3590 * S, 3640 * S);
    // another database in its place
    assert_int_equal(0, rpo_step(marks, at(7202 * S), 10, 10, 0));
    free(marks);
}

static void quantiles_are_near(void **state)
{
    QuantileWindow *window = calloc(1, sizeof *window);
    quantile_init(window, 60 * S, 12);
    assert_int_equal(0, (int)quantile_read(window, at(0)).n);
    for (int i = 1; i <= 100; i++)
        quantile_add(window, at(i * 100 * MS), i * 10 * MS);
    Quantiles q = quantile_read(window, at(10 * S));
    assert_int_equal(100, (int)q.n);
    assert_in_range(q.p50_ns, 500 * MS, 600 * MS);
    assert_in_range(q.p99_ns, 990 * MS, 1000 * MS);
    assert_int_equal(1000 * MS, q.most_ns);
    // after a minute they have gone
    q = quantile_read(window, at(80 * S));
    assert_int_equal(0, (int)q.n);
    free(window);
}

static void quantiles_take_any_value(void **state)
{
    QuantileWindow *window = calloc(1, sizeof *window);
    quantile_init(window, 86400 * S, QUANTILE_SLOTS);
    quantile_add(window, at(0), 0);
    quantile_add(window, at(0), INT64_MAX);
    Quantiles q = quantile_read(window, at(0));
    assert_int_equal(2, (int)q.n);
    assert_true(q.most_ns == INT64_MAX);
    assert_true(q.p50_ns <= MS);
    free(window);
}

static void one_error_is_no_loop(void **state)
{
    LoopWatch watch = {.known = false};
    assert_false(loop_step(&watch, at(0), 5, 100));
    assert_false(loop_step(&watch, at(S), 6, 100));     // a deadlock ...
    assert_false(loop_step(&watch, at(2 * S), 6, 110)); // ... that went by
    assert_false(loop_step(&watch, at(3 * S), 7, 110));
    assert_true(loop_step(&watch, at(4 * S), 8, 110)); // twice without progress
    assert_true(loop_step(&watch, at(5 * S), 8, 110));
    assert_false(loop_step(&watch, at(6 * S), 8, 120));
    assert_true(loop_step(&watch, at(7 * S), 12, 120)); // several between two looks
    assert_false(loop_step(&watch, at(8 * S), 0, 120)); // another subscription
}

static void a_silence_is_filled_once_per_giver(void **state)
{
    SilenceWatch watch = {.known = false};
    assert_int_equal(0, silence_step(&watch, at(0), 1, 7, S));
    assert_int_equal(0, silence_step(&watch, at(2 * S), 1, 7, S));
    assert_false(watch.silent); // 2.5 beats are not over
    assert_int_equal(7, silence_step(&watch, at(2600 * MS), 1, 7, S));
    assert_true(watch.silent);
    silence_filled(&watch, at(3 * S), 3);
    assert_int_equal(0, silence_step(&watch, at(4 * S), 1, 7, S)); // the pause
    assert_int_equal(4, silence_step(&watch, at(14 * S), 1, 7, S));
    silence_filled(&watch, at(14 * S), 4);
    assert_int_equal(0, silence_step(&watch, at(60 * S), 1, 7, S));
    // one more peer comes back
    assert_int_equal(8, silence_step(&watch, at(61 * S), 1, 15, S));
    // heard again
    assert_int_equal(0, silence_step(&watch, at(62 * S), 2, 15, S));
    assert_false(watch.silent);
}

static void silences_in_a_row_are_filled_less_often(void **state)
{
    SilenceWatch watch = {.known = false};
    int64_t t = 0;
    uint64_t token = 1;
    unsigned fills = 0;
    for (; t < 600 * S; t += S / 10) {
        if (t % (5 * S) == 0)
            token++; // a beat every 5 s only: silent half of the time
        uint64_t givers = silence_step(&watch, at(t), token, 1, S);
        if (givers != 0) {
            silence_filled(&watch, at(t), givers);
            fills++;
        }
    }
    assert_in_range(fills, 3, 10); // not 120
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_need_a_second),
        cmocka_unit_test(rates_forget_what_is_old),
        cmocka_unit_test(another_publisher_begins_anew),
        cmocka_unit_test(eta_holds_on_the_way),
        cmocka_unit_test(eta_says_never_and_unknown),
        cmocka_unit_test(lag_grows_while_beats_are_overdue),
        cmocka_unit_test(rpo_is_the_age_of_what_nobody_has),
        cmocka_unit_test(rpo_of_a_long_outage_stays_right),
        cmocka_unit_test(quantiles_are_near),
        cmocka_unit_test(quantiles_take_any_value),
        cmocka_unit_test(one_error_is_no_loop),
        cmocka_unit_test(a_silence_is_filled_once_per_giver),
        cmocka_unit_test(silences_in_a_row_are_filled_less_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
