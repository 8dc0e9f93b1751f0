// SPDX-License-Identifier: MIT
// path: streaks, deadlines, votes and the probe schedule, each constant at its edge.
#include "path.h"

#include "fixture.h"
#include "unit.h"

#define MS NS_PER_MS

static Fixture *fixture;
static const ModelHealth *health;
static Probe probes[256];
static Path path;
static Rng rng;
static uint64_t next_id;

static int setup(void **state)
{
    (void)state;
    fixture = fixture_new(2, 2, 1);
    health = &fixture->model.health;
    rng = rng_seeded(1);
    next_id = 1;
    path = (Path){.probes = probes, .probes_max = path_probes_max(health)};
    path_start(&path, (Mono){0});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_free(fixture);
    return 0;
}

static Mono at(int64_t ms)
{
    return (Mono){ms * MS};
}

// Sends a probe now, whatever the schedule says; its id.
static uint64_t send(int64_t ms)
{
    Probe probe;
    path.next = at(ms);
    assert_true(path_send(&path, health, &rng, next_id++, at(ms), &probe));
    return probe.id;
}

static void know(int64_t ms)
{
    uint64_t id = send(ms);
    path_answered(&path, health, id, at(ms + 10));
    assert_int_equal(path_vote(&path, health, at(ms + 10)), VOTE_UP);
}

static void test_unknown_until_the_first_result(void **state)
{
    (void)state;
    assert_int_equal(path_vote(&path, health, at(0)), VOTE_UNKNOWN);
    path_failed(&path, health, send(0), at(1));
    path_failed(&path, health, send(100), at(101));
    assert_int_equal(path_vote(&path, health, at(1000)), VOTE_UNKNOWN);
    path_failed(&path, health, send(200), at(201));
    assert_int_equal(path_vote(&path, health, at(1000)), VOTE_DOWN);
}

static void test_three_hard_failures_over_400_ms(void **state)
{
    (void)state;
    know(0);
    path_failed(&path, health, send(1000), at(1001));
    path_failed(&path, health, send(1100), at(1101));
    assert_int_equal(path_vote(&path, health, at(5000)), VOTE_UP); // two are not three
    path_failed(&path, health, send(1200), at(1201));
    assert_int_equal(path_vote(&path, health, at(1399)), VOTE_UP);
    assert_int_equal(path_wake(&path, health, at(1201)).ns / MS, 1300); // next probe comes first
    assert_int_equal(path_vote(&path, health, at(1400)), VOTE_DOWN);
}

static void test_silence_needs_1500_ms(void **state)
{
    (void)state;
    know(0);
    path_failed(&path, health, send(1000), at(1001));
    path_failed(&path, health, send(1100), at(1101));
    (void)send(1200);
    path_expire(&path, health, at(1699));
    assert_int_equal(path.streak, 2);
    path_expire(&path, health, at(1700)); // deadline 500 ms: p99 is small
    assert_int_equal(path.streak, 3);
    assert_true(path.soft);
    assert_int_equal(path_vote(&path, health, at(2499)), VOTE_UP);
    assert_int_equal(path_vote(&path, health, at(2500)), VOTE_DOWN);
}

static void test_late_answer_ends_the_streak(void **state)
{
    (void)state;
    know(0);
    uint64_t first = send(1000);
    (void)send(1100);
    (void)send(1200);
    path_expire(&path, health, at(2600));
    assert_int_equal(path_vote(&path, health, at(2600)), VOTE_DOWN);
    path_answered(&path, health, first, at(6000)); // exactly 5 s after it was sent
    assert_int_equal(path.streak, 0);
    assert_true(path.late);
    assert_int_equal(path_vote(&path, health, at(6000)), VOTE_UP);
    know(7000);
    assert_false(path.late);
}

static void test_later_than_five_seconds_is_no_answer(void **state)
{
    (void)state;
    know(0);
    uint64_t first = send(1000);
    path_expire(&path, health, at(1500));
    assert_int_equal(path.streak, 1);
    path_answered(&path, health, first, (Mono){6000 * MS + 1});
    assert_int_equal(path.streak, 1);
    uint64_t second = send(7000);
    path_expire(&path, health, (Mono){12000 * MS + 1}); // dropped
    assert_int_equal(path.n_probes, 0);
    path_answered(&path, health, second, at(12001)); // unknown id now
    assert_int_equal(path.streak, 2);
    uint64_t third = send(20000); // nobody looked at its deadline in time
    path_answered(&path, health, third, (Mono){25000 * MS + 1});
    assert_int_equal(path.streak, 3);
}

static void test_failure_older_than_the_newest_answer(void **state)
{
    (void)state;
    know(0);
    uint64_t old = send(1000), young = send(1100);
    path_answered(&path, health, young, at(1110));
    path_failed(&path, health, old, at(1200));
    assert_int_equal(path.streak, 0);
    // An answer to an older probe does not excuse a younger one's failure from counting later.
    uint64_t older = send(2000), younger = send(2100);
    path_answered(&path, health, older, at(2150));
    path_failed(&path, health, younger, at(2160));
    assert_int_equal(path.streak, 1);
    assert_int_equal(path.first_fail.ns, at(2100).ns);
}

static void test_unknown_and_doubled_results(void **state)
{
    (void)state;
    uint64_t id = send(0);
    path_answered(&path, health, 999, at(5));
    path_failed(&path, health, 998, at(5));
    assert_false(path.known);
    assert_int_equal(path.streak, 0);
    path_answered(&path, health, id, at(10));
    path_failed(&path, health, id, at(11));
    assert_int_equal(path.streak, 0);
    id = send(100);
    path_failed(&path, health, id, at(110));
    path_failed(&path, health, id, at(111));
    assert_int_equal(path.streak, 1);
    path_expire(&path, health, at(5000)); // nor does its deadline count it again
    assert_int_equal(path.streak, 1);
}

static void test_hard_failure_after_the_deadline_counts_once(void **state)
{
    (void)state;
    know(0);
    uint64_t id = send(1000);
    path_expire(&path, health, at(1500));
    path_failed(&path, health, id, at(1600));
    assert_int_equal(path.streak, 1);
    assert_true(path.soft);
}

static void test_deadline_is_clamped(void **state)
{
    (void)state;
    Probe probe;
    assert_true(path_send(&path, health, &rng, 1, at(0), &probe));
    assert_int_equal(mono_since(probe.deadline, probe.sent), 1250 * MS); // nothing measured yet
    path_answered(&path, health, 1, at(10));
    path.p99_us = 62499; // 8 times that is just below 500 ms
    path.next = at(100);
    assert_true(path_send(&path, health, &rng, 2, at(100), &probe));
    assert_int_equal(mono_since(probe.deadline, probe.sent), 500 * MS);
    path.p99_us = 100000;
    path.next = at(200);
    assert_true(path_send(&path, health, &rng, 3, at(200), &probe));
    assert_int_equal(mono_since(probe.deadline, probe.sent), 800 * MS);
    path.p99_us = 900000;
    path.next = at(300);
    assert_true(path_send(&path, health, &rng, 4, at(300), &probe));
    assert_int_equal(mono_since(probe.deadline, probe.sent), 1250 * MS);
}

static void test_schedule(void **state)
{
    (void)state;
    int64_t least = INT64_MAX, most = 0;
    Mono now = at(0);
    know(0);
    for (int i = 0; i < 2000; i++) {
        Probe probe;
        now = path.next;
        assert_false(path_send(&path, health, &rng, 50, (Mono){now.ns - 1}, &probe));
        assert_true(path_send(&path, health, &rng, 50, now, &probe));
        path_answered(&path, health, 50, now);
        int64_t gap = mono_since(path.next, now);
        least = gap < least ? gap : least;
        most = gap > most ? gap : most;
    }
    assert_in_range(least, 225 * MS, 227 * MS); // 250 ms +-10 %
    assert_in_range(most, 273 * MS, 275 * MS);
    // While failing: 100 ms, and the first failure pulls the next probe forward.
    path.next = now;
    Probe probe;
    assert_true(path_send(&path, health, &rng, 51, now, &probe));
    path_failed(&path, health, 51, now);
    assert_int_equal(mono_since(path.next, now), 100 * MS);
    now = path.next;
    assert_true(path_send(&path, health, &rng, 52, now, &probe));
    assert_int_equal(mono_since(path.next, now), 100 * MS);
    // A closed idle connection: at once, but no storm when each new one is closed too.
    path_idle_closed(&path, health, now);
    assert_int_equal(mono_since(path.next, now), 25 * MS);
    now = mono_add(now, 60 * MS);
    path.next = mono_add(now, 100 * MS);
    path_idle_closed(&path, health, now);
    assert_int_equal(path.next.ns, now.ns);
}

static void test_outstanding_probes_are_bounded(void **state)
{
    (void)state;
    uint32_t sent = 0;
    for (int64_t i = 0; i < 1000; i++) {
        Probe probe;
        path.next = (Mono){i};
        sent += path_send(&path, health, &rng, (uint64_t)i + 1, (Mono){i}, &probe);
    }
    assert_int_equal(sent, path.probes_max);
    assert_int_equal(path.probes_max, 66); // 5 s of one each 100 ms, and some
    ModelHealth fast = *health;
    fast.probe_fast_ns = 1;
    assert_int_equal(path_probes_max(&fast), 256);
}

static void test_loop_gap_forgets(void **state)
{
    (void)state;
    know(0);
    path_failed(&path, health, send(1000), at(1001));
    path_failed(&path, health, send(1100), at(1101));
    path_failed(&path, health, send(1200), at(1201));
    (void)send(1210);
    path_forget(&path, health, at(6210), 5000 * MS);
    path_expire(&path, health, at(6210));
    assert_int_equal(path.n_probes, 0);
    assert_int_equal(path.streak, 3);
    // 210 ms of it were watched: not 400 yet.
    assert_int_equal(path_vote(&path, health, at(6210)), VOTE_UP);
    assert_int_equal(path_vote(&path, health, at(6400)), VOTE_DOWN);
    path_forget(&path, health, at(12000), 5000 * MS); // a vote stays
    assert_int_equal(path_vote(&path, health, at(12000)), VOTE_DOWN);
}

static void test_quantiles_follow(void **state)
{
    (void)state;
    Rng noise = rng_seeded(9);
    for (int i = 0; i < 20000; i++) {
        Probe probe;
        Mono now = path.next;
        assert_true(path_send(&path, health, &rng, 7, now, &probe));
        int64_t us = 40000 + (int64_t)rng_below(&noise, 20000); // 40 .. 60 ms
        path_answered(&path, health, 7, mono_add(now, us * NS_PER_US));
        path.next = mono_max(path.next, mono_add(now, 100 * MS));
    }
    assert_in_range(path.p50_us, 48000, 52000);
    assert_in_range(path.p99_us, 58500, 62000);
    assert_int_equal(path_rtt_floor_us(&path), 32000); // 32 .. 64 ms
}

static void test_first_handshakes_are_forgotten(void **state)
{
    (void)state;
    for (int64_t i = 0; i < 3; i++) // 195 ms, of which 130 are handshakes
        path_answered(&path, health, send(1000 * i), at(1000 * i + (i == 0 ? 195 : 65)));
    assert_in_range(path.p50_us, 64000, 66000);
    assert_in_range(path.p99_us, 66000, 90000);
    for (int64_t i = 3; i < 100; i++)
        path_answered(&path, health, send(1000 * i), at(1000 * i + 65));
    path_answered(&path, health, send(200000), at(200010)); // one fast answer later says little
    assert_in_range(path.p50_us, 60000, 66000);
}

// So many answers in a row.
static void answers(int64_t *ms, uint32_t n, int64_t us)
{
    for (uint32_t i = 0; i < n; i++) {
        *ms += 1000;
        uint64_t id = send(*ms);
        path_answered(&path, health, id, (Mono){*ms * MS + us * NS_PER_US});
    }
}

static void test_round_trip_class_has_hysteresis(void **state)
{
    (void)state;
    know(0);
    path.p99_us = 400000;
    static const struct {
        uint32_t us, floor_us;
    } rows[] = {{15000, 0},     {19000, 0},     {20100, 16000}, {13000, 16000},   {12700, 0},
                {41000, 32000}, {26000, 32000}, {25500, 16000}, {300000, 256000}, {210000, 256000}};
    int64_t ms = 0;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        answers(&ms, 20, rows[i].us);
        assert_int_equal(path_rtt_floor_us(&path), rows[i].floor_us);
    }
}

// Four seconds of a path that got longer, two of one that is itself again, whatever the median is.
static void test_round_trip_class_follows_at_once(void **state)
{
    (void)state;
    know(0);
    int64_t ms = 0;
    answers(&ms, 500, 30000);
    assert_int_equal(path_rtt_floor_us(&path), 16000);
    answers(&ms, 15, 150000);
    assert_int_equal(path_rtt_floor_us(&path), 16000);
    answers(&ms, 1, 150000);
    assert_int_equal(path_rtt_floor_us(&path), 128000);
    answers(&ms, 16, 900000); // late, and an answer all the same
    assert_int_equal(path_rtt_floor_us(&path), 512000);
    answers(&ms, 7, 30000);
    assert_int_equal(path_rtt_floor_us(&path), 512000);
    answers(&ms, 1, 30000);
    assert_int_equal(path_rtt_floor_us(&path), 16000);
}

// A path that is long from the start: late answers say how long, and the median, which does not
// learn from them, must not say every now and then that it is short.
static void test_round_trip_class_of_a_late_path_stays(void **state)
{
    (void)state;
    know(0);
    int64_t ms = 0;
    answers(&ms, 15, 900000);
    assert_int_equal(path_rtt_floor_us(&path), 0);
    for (int i = 0; i < 40; i++) {
        answers(&ms, 1, 900000);
        assert_int_equal(path_rtt_floor_us(&path), 512000);
    }
}

// One packet in ten is lost and sent again: no other path than before.
static void test_round_trip_class_ignores_retransmissions(void **state)
{
    (void)state;
    know(0);
    Rng noise = rng_seeded(5);
    int64_t ms = 0;
    answers(&ms, 100, 30000);
    for (int i = 0; i < 5000; i++) {
        answers(&ms, 1, rng_below(&noise, 10) == 0 ? 260000 : 30000);
        assert_int_equal(path_rtt_floor_us(&path), 16000);
    }
}

static void test_window_counts_wrong_answers_only(void **state)
{
    (void)state;
    know(0);
    path_failed(&path, health, send(1000), at(1001));
    (void)send(1100); // silence is for the votes
    path_expire(&path, health, at(7000));
    assert_int_equal(path.window.long_sum.n, 2);
    assert_int_equal(path.window.long_sum.k, 1);
    uint64_t before = send(8000);
    path_clear_window(&path, at(8100));
    path_failed(&path, health, before, at(8200));
    assert_int_equal(path.window.long_sum.n, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_unknown_until_the_first_result),
        T(test_three_hard_failures_over_400_ms),
        T(test_silence_needs_1500_ms),
        T(test_late_answer_ends_the_streak),
        T(test_later_than_five_seconds_is_no_answer),
        T(test_failure_older_than_the_newest_answer),
        T(test_unknown_and_doubled_results),
        T(test_hard_failure_after_the_deadline_counts_once),
        T(test_deadline_is_clamped),
        T(test_schedule),
        T(test_outstanding_probes_are_bounded),
        T(test_loop_gap_forgets),
        T(test_quantiles_follow),
        T(test_first_handshakes_are_forgotten),
        T(test_round_trip_class_has_hysteresis),
        T(test_round_trip_class_follows_at_once),
        T(test_round_trip_class_of_a_late_path_stays),
        T(test_round_trip_class_ignores_retransmissions),
        T(test_window_counts_wrong_answers_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
