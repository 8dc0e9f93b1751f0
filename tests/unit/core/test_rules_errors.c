// SPDX-License-Identifier: MIT
// rules of the error rate, each condition by itself: what six observers say of gateway 2 is written
// into one core's tables, and the rule is asked once.
#include "core_state.h"
#include "fixture.h"
#include "unit.h"

#define GATEWAY 2U

static Fixture *fixture;
static Core *core;
static Arena *arena;
static const Mono now = {1000 * NS_PER_S};

// Observers 0, 1 | 2, 3 | 4, 5 lie in one cloud each. Nobody has seen anything yet.
static int setup(void **state)
{
    (void)state;
    fixture = fixture_new(6, 3, 2);
    CoreOptions options = fixture_options(fixture, 0);
    assert_int_equal(core_new(&fixture->model, &options, (Mono){0}, (Wall){0}, &core, NULL), 0);
    arena = arena_new((size_t)1 << 20);
    core->tables->live.self.together_at = (Mono){0};
    core->tables->live.self.alone = false;
    for (uint32_t o = 0; o < 6; o++) {
        core->tables->live.views[o] = (View){.have = true, .born = now};
        core->tables->live.peers[o].have = o != 0;
        core->tables->live.verdicts[o].seen_up = true;
        for (uint32_t g = 0; g < 6; g++)
            tables_votes(core->tables, o)[g] = (ViewVote){.vote = VOTE_UP,
                                                          .first_fail = MONO_NEVER,
                                                          .edge_success = MONO_DISTANT,
                                                          .held_since = MONO_NEVER,
                                                          .hold_until = MONO_DISTANT,
                                                          .short_window = {.n = 100},
                                                          .long_window = {.n = 100}};
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    core = core_free(core);
    arena = arena_free(arena);
    fixture_free(fixture);
    return 0;
}

// `k` of 100 requests of this observer failed, in so many seconds.
static void saw(uint32_t observer, uint32_t gateway, uint32_t k, uint32_t buckets)
{
    tables_votes(core->tables, observer)[gateway].short_window =
        (ErrorWindow){.n = 100, .k = k, .buckets = buckets};
}

static void all_saw(uint32_t gateway, uint32_t k)
{
    for (uint32_t o = 0; o < 6; o++)
        saw(o, gateway, k, 5);
}

static bool removed(void)
{
    Step step = {.core = core,
                 .tables = core->tables,
                 .state = &core->tables->live,
                 .model = &fixture->model,
                 .arena = arena,
                 .now = now,
                 .intents = core->intents};
    views_find_fresh(core->tables, now, &core->tables->fresh);
    Tally tally;
    views_tally(core->tables, &core->tables->fresh, GATEWAY, &tally);
    errors_advance(&step, GATEWAY, &tally);
    assert_false(step.failed);
    return core->tables->live.verdicts[GATEWAY].held;
}

static void test_a_fifth_fails(void **state)
{
    (void)state;
    assert_false(removed());
    all_saw(GATEWAY, 5); // the limit itself is no proof
    assert_false(removed());
    all_saw(GATEWAY, 20);
    assert_true(removed());
}

static void test_three_seconds_with_failures(void **state)
{
    (void)state;
    for (uint32_t o = 0; o < 6; o++)
        saw(o, GATEWAY, 20, 2);
    assert_false(removed());
    saw(3, GATEWAY, 20, 3);
    saw(0, GATEWAY, 21, 9); // the worst one's do not count
    assert_true(removed());
}

static void test_two_clouds_without_the_worst(void **state)
{
    (void)state;
    for (uint32_t r = 0; r < 4; r++)
        fixture->regions[r].cloud = 0;
    for (uint32_t o = 0; o < 4; o++)
        saw(o, GATEWAY, 20, 5);
    saw(4, GATEWAY, 50, 5); // of another cloud, but the worst
    assert_false(removed());
    saw(5, GATEWAY, 20, 5);
    assert_true(removed());
}

static void test_as_many_as_a_verdict_needs(void **state)
{
    (void)state;
    for (uint32_t o = 0; o < 6; o++)
        saw(o, GATEWAY, 1, 5); // not failing by themselves
    saw(0, GATEWAY, 90, 5);
    saw(2, GATEWAY, 90, 5);
    assert_false(removed());
    saw(4, GATEWAY, 90, 5);
    assert_true(removed());
}

static void test_without_the_worst(void **state)
{
    (void)state;
    for (uint32_t o = 0; o < 6; o++)
        saw(o, GATEWAY, 6, 5); // above the limit each, but within chance together
    saw(5, GATEWAY, 100, 5);
    assert_false(removed());
}

static void test_sick_observers_do_not_count(void **state)
{
    (void)state;
    all_saw(GATEWAY, 20);
    for (uint32_t o = 0; o < 4; o++)
        core->tables->live.views[o].sick = true;
    assert_false(removed());
    core->tables->live.views[1].sick = core->tables->live.views[3].sick = false;
    assert_true(removed());
}

static void test_when_the_rest_fails_too_it_is_shed(void **state)
{
    (void)state;
    for (uint32_t g = 0; g < 6; g++)
        all_saw(g, 20);
    assert_false(removed());
    assert_true(core->tables->live.verdicts[GATEWAY].shed);
}

static void test_when_the_others_have_no_room_it_is_shed(void **state)
{
    (void)state;
    for (uint32_t p = 1; p < 6; p++)
        core->tables->live.peers[p].load_rps = fixture->regions[p].capacity_rps;
    all_saw(GATEWAY, 20);
    assert_false(removed());
    assert_true(core->tables->live.verdicts[GATEWAY].shed);
}

static void test_one_removal_at_a_time(void **state)
{
    (void)state;
    const int64_t gap_ns = fixture->model.health.removal_gap_ns;
    Self *self = &core->tables->live.self;
    all_saw(GATEWAY, 20);
    self->removed_at = mono_add(now, 1 - gap_ns);
    assert_false(removed());
    assert_true(core->tables->live.verdicts[GATEWAY].limited);
    self->removed_at = mono_add(now, -gap_ns);
    assert_true(removed());
}

static void test_one_that_returns_goes_without_a_gap(void **state)
{
    (void)state;
    all_saw(GATEWAY, 20);
    core->tables->live.self.removed_at = now;
    core->tables->live.verdicts[GATEWAY].step = 0;
    assert_true(removed());
}

static void test_a_floor_stays(void **state)
{
    (void)state;
    all_saw(GATEWAY, 20);
    for (uint32_t g = 3; g < 6; g++)
        core->tables->live.verdicts[g].shed = true; // half of the fleet
    assert_false(removed());
    core->tables->live.verdicts[3].shed = false;
    assert_true(removed());
}

static void test_only_what_came_after_the_last_change(void **state)
{
    (void)state;
    all_saw(GATEWAY, 20);
    core->tables->live.verdicts[GATEWAY].last_change = mono_add(now, 1 - 10 * NS_PER_S);
    assert_false(removed());
    core->tables->live.verdicts[GATEWAY].last_change = mono_add(now, -10 * NS_PER_S);
    assert_true(removed());
}

static void test_slow_for_a_while_is_shed(void **state)
{
    (void)state;
    Verdict *verdict = &core->tables->live.verdicts[GATEWAY];
    const int64_t span_ns = fixture->model.health.span_soft_ns;
    verdict->slow = true;
    verdict->slow_since = mono_add(now, 1 - span_ns); // a short pause is nothing
    assert_false(removed());
    assert_false(verdict->shed);
    verdict->slow_since = mono_add(now, -span_ns);
    assert_false(removed());
    assert_true(verdict->shed);
    assert_int_equal(verdict_share_ppm(verdict, &fixture->model.health), PPM_ONE / 2);
}

static void test_shedding_ends_five_seconds_after_its_cause(void **state)
{
    (void)state;
    Verdict *verdict = &core->tables->live.verdicts[GATEWAY];
    verdict->shed = true;
    verdict->shed_ok = mono_add(now, 1 - 5 * NS_PER_S);
    assert_false(removed());
    assert_true(verdict->shed);
    verdict->shed_ok = mono_add(now, -5 * NS_PER_S);
    assert_false(removed());
    assert_false(verdict->shed);
}

// The own replicas fail a third of the requests, and region 0 takes itself out if it may.
static bool withdrawn(void)
{
    Self *self = &core->tables->live.self;
    window_clear(&self->served, now);
    self->served.short_sum = (ErrorWindow){.n = 300, .k = 100, .buckets = 5};
    Step step = {.core = core,
                 .tables = core->tables,
                 .state = &core->tables->live,
                 .model = &fixture->model,
                 .arena = arena,
                 .now = now,
                 .intents = core->intents};
    withdraw_advance(&step);
    assert_false(step.failed);
    return self->withdrawn;
}

static void test_a_region_withdraws_while_a_floor_stays(void **state)
{
    (void)state;
    for (uint32_t g = 3; g < 6; g++)
        core->tables->live.verdicts[g].held = true;
    assert_false(withdrawn());
    assert_true(core->tables->live.self.withdraw_refused);
    core->tables->live.verdicts[3].held = false;
    assert_true(withdrawn());
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_fifth_fails),
        T(test_three_seconds_with_failures),
        T(test_two_clouds_without_the_worst),
        T(test_as_many_as_a_verdict_needs),
        T(test_without_the_worst),
        T(test_sick_observers_do_not_count),
        T(test_when_the_rest_fails_too_it_is_shed),
        T(test_when_the_others_have_no_room_it_is_shed),
        T(test_one_removal_at_a_time),
        T(test_one_that_returns_goes_without_a_gap),
        T(test_a_floor_stays),
        T(test_only_what_came_after_the_last_change),
        T(test_slow_for_a_while_is_shed),
        T(test_shedding_ends_five_seconds_after_its_cause),
        T(test_a_region_withdraws_while_a_floor_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
