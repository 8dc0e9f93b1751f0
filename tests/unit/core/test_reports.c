// SPDX-License-Identifier: MIT
// reports: what a core takes from one, how old it judges it to be, and what it makes of nonsense.
#include <string.h>

#include "core_state.h"
#include "fixture.h"
#include "unit.h"

#define MS NS_PER_MS

static Fixture *fixture;
static Core *core;
static Arena *arena;
static Mono now;
static ReportVote votes[2][6];
static ReportView views[2];
static Report report;

static int setup(void **state)
{
    (void)state;
    fixture = fixture_new(6, 3, 2);
    CoreOptions options = fixture_options(fixture, 0);
    now = (Mono){100 * NS_PER_S};
    assert_int_equal(core_new(&fixture->model, &options, now, (Wall){0}, &core, NULL), 0);
    arena = arena_new((size_t)16 << 20);
    for (size_t v = 0; v < 2; v++) {
        for (uint32_t g = 0; g < 6; g++)
            votes[v][g] = (ReportVote){.gateway = fixture->regions[g].name,
                                       .vote = VOTE_UP,
                                       .first_fail_age_ns = AGE_NEVER,
                                       .edge_success_age_ns = AGE_NEVER,
                                       .held_age_ns = AGE_NEVER};
        views[v] = (ReportView){.observer = fixture->regions[v + 1].name,
                                .boot = 5 + v,
                                .sequence = 10,
                                .n_votes = 6,
                                .votes = votes[v]};
    }
    views[1].age_ns = 300 * MS; // relayed
    report = (Report){.version = 1,
                      .region = fixture->regions[1].name,
                      .boot = 5,
                      .sequence = 10,
                      .stamp_ns = 77,
                      .echo_boot = options.boot,
                      .echo_ns = now.ns,
                      .n_views = 2,
                      .views = views};
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

static void step(const Report *with)
{
    CoreUpdate update;
    CoreEvent event = {
        .now = now, .kind = with != NULL ? CORE_EVENT_REPORT : CORE_EVENT_TICK, .u.report = with};
    arena_reset(arena);
    assert_int_equal(core_step(core, arena, &event, &update, NULL), 0);
}

static bool fresh(uint32_t observer)
{
    return view_fresh(core->tables, observer, now);
}

static const ViewVote *vote_of(uint32_t observer, uint32_t gateway)
{
    return &tables_votes(core->tables, observer)[gateway];
}

static void test_age_counts_from_the_echoed_stamp(void **state)
{
    (void)state;
    now = mono_add(now, 1400 * MS);
    report.echo_held_ns = 100 * MS; // so it was made 100 ms after our stamp at the earliest
    step(&report);
    const View *view = &core->tables->live.views[1];
    assert_int_equal(mono_since(now, view->born), 1300 * MS);
    assert_true(fresh(1));
    assert_int_equal(mono_since(now, core->tables->live.views[2].born), 1600 * MS);
    assert_false(fresh(2)); // the relayer's age adds up
    now = mono_add(now, 200 * MS);
    assert_true(fresh(1));
    now = mono_add(now, 1);
    assert_false(fresh(1));
}

static void test_ages_become_instants(void **state)
{
    (void)state;
    votes[0][3] = (ReportVote){.gateway = fixture->regions[3].name,
                               .vote = VOTE_DOWN,
                               .soft = true,
                               .held = true,
                               .first_fail_age_ns = 700 * MS,
                               .edge_success_age_ns = 200 * MS,
                               .streak = 4,
                               .flaps = 2,
                               .held_age_ns = 5000 * MS,
                               .hold_left_ns = 15000 * MS};
    Mono born = now;
    now = mono_add(now, 50 * MS);
    step(&report);
    const ViewVote *vote = vote_of(1, 3);
    assert_int_equal(vote->vote, VOTE_DOWN);
    assert_int_equal(mono_since(born, vote->first_fail), 700 * MS);
    assert_int_equal(mono_since(born, vote->edge_success), 200 * MS);
    assert_int_equal(mono_since(born, vote->held_since), 5000 * MS);
    assert_int_equal(mono_since(vote->hold_until, born), 15000 * MS);
    assert_int_equal(vote_of(1, 2)->first_fail.ns, INT64_MAX);
    assert_int_equal(vote_of(1, 2)->edge_success.ns, INT64_MIN);
}

static void test_without_an_echo_nothing_is_fresh(void **state)
{
    (void)state;
    report.echo_boot = 1; // for the agent that ran here before
    step(&report);
    assert_false(fresh(1));
    report.sequence++;
    report.echo_boot = 1000;
    report.echo_ns = now.ns + 1; // from the future
    step(&report);
    assert_false(fresh(1));
    report.sequence++;
    report.echo_ns = now.ns - 1; // from before the start
    step(&report);
    assert_false(fresh(1));
    // But its facts are taken, and its stamp will be echoed.
    assert_true(core->tables->live.peers[1].have);
    const Report *answer;
    now = mono_add(now, 30 * MS);
    assert_int_equal(core_report(core, arena, 1, now, (Wall){0}, &answer), 0);
    assert_int_equal(answer->echo_boot, 5);
    assert_int_equal(answer->echo_ns, 77);
    assert_int_equal(answer->echo_held_ns, 30 * MS);
}

static void test_newest_table_wins(void **state)
{
    (void)state;
    step(&report);
    votes[0][3].vote = VOTE_DOWN;
    step(&report); // the same sequence again
    assert_int_equal(vote_of(1, 3)->vote, VOTE_UP);
    views[0].sequence = report.sequence = 9; // late
    step(&report);
    assert_int_equal(vote_of(1, 3)->vote, VOTE_UP);
    views[0].sequence = report.sequence = 11;
    step(&report);
    assert_int_equal(vote_of(1, 3)->vote, VOTE_DOWN);
    // A restart is not a rewind: another boot counts from the beginning.
    views[0].boot = report.boot = 6;
    views[0].sequence = report.sequence = 1;
    votes[0][3].vote = VOTE_UP;
    now = mono_add(now, 10 * MS);
    report.echo_held_ns = 10 * MS;
    step(&report);
    assert_int_equal(vote_of(1, 3)->vote, VOTE_UP);
    // And what was relayed of the one before is older.
    views[0].boot = 5;
    views[0].sequence = 99;
    views[0].age_ns = 400 * MS;
    votes[0][3].vote = VOTE_DOWN;
    report.sequence = 2;
    step(&report);
    assert_int_equal(vote_of(1, 3)->vote, VOTE_UP);
}

// A relay with an absurd sequence must not shut out the observer's own reports.
static void test_relay_does_not_shut_out_the_observer(void **state)
{
    (void)state;
    step(&report); // region 1 itself
    Report hostile = report;
    ReportView lies[2] = {views[1], views[0]};
    hostile.region = fixture->regions[2].name;
    hostile.boot = lies[0].boot;
    lies[0].age_ns = 0;
    lies[1].sequence = INT64_MAX;
    votes[1][4].vote = VOTE_DOWN;
    lies[1].votes = votes[1];
    lies[0].votes = votes[0];
    hostile.views = lies;
    for (int i = 0; i < 20; i++) {
        now = mono_add(now, 250 * MS);
        hostile.echo_ns = report.echo_ns = now.ns;
        hostile.sequence = lies[0].sequence = 100 + (uint64_t)i;
        step(&hostile);
        assert_int_equal(vote_of(1, 4)->vote, VOTE_UP);
        report.sequence = views[0].sequence = 11 + (uint64_t)i;
        report.n_views = 1;
        step(&report);
        assert_int_equal(mono_since(now, core->tables->live.views[1].born), 0);
    }
    now = mono_add(now, 1000 * MS); // unheard: now relays speak for it ...
    hostile.echo_ns = now.ns;
    hostile.sequence = lies[0].sequence = 200;
    step(&hostile);
    assert_int_equal(vote_of(1, 4)->vote, VOTE_DOWN);
    now = mono_add(now, 10 * MS); // ... until it does itself
    report.echo_ns = now.ns;
    report.sequence = views[0].sequence = 50;
    step(&report);
    assert_int_equal(vote_of(1, 4)->vote, VOTE_UP);
}

// Most peers hold a gateway whose errors this agent did not see: it joins them, once.
static void test_joins_what_most_peers_hold(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        now = mono_add(now, 200 * MS);
        for (uint32_t peer = 1; peer < 6; peer++) {
            report.region = views[0].observer = fixture->regions[peer].name;
            for (uint32_t g = 0; g < 6; g++)
                core->tables->live.paths[g].n_probes = 0; // nothing is lost here
            report.echo_ns = now.ns;
            report.n_views = 1;
            report.sequence = views[0].sequence = 11 + (uint64_t)i;
            votes[0][3].held = peer <= 3 && i >= 40;
            votes[0][3].held_age_ns = (i - 40) * 200 * MS;
            step(&report);
        }
        assert_int_equal(core->tables->live.verdicts[3].held, i >= 50);
    }
    assert_false(core->tables->live.self.alone);
    assert_int_equal(core->tables->live.verdicts[3].cause, VERDICT_CAUSE_ADOPTED);
}

// What the agent before the one that is there now said, and the network kept.
static void test_report_of_an_earlier_boot(void **state)
{
    (void)state;
    const Peer *peer = &core->tables->live.peers[1];
    report.plan_number = 1;
    step(&report);
    Report late = report;
    late.sequence = 12;
    late.plan_number = 2;
    report.boot = views[0].boot = 50; // a new agent, its counter begins again
    report.sequence = views[0].sequence = 1;
    report.plan_number = 3;
    now = mono_add(now, 100 * MS);
    step(&report);
    assert_int_equal(peer->plan_number, 3);
    step(&late);
    assert_int_equal(peer->plan_number, 3);
    assert_int_equal(peer->boot, 50);
    report.boot = views[0].boot = 51; // and one more
    step(&report);
    step(&late);
    assert_int_equal(peer->boot, 51);
    now = mono_add(now, 6 * NS_PER_S); // two agents in turns: the other one stays when one is gone
    late.sequence = 40;
    step(&late);
    assert_int_equal(peer->boot, late.boot);
    assert_int_equal(peer->plan_number, 2);
}

static int64_t stamp_at(int64_t ns)
{
    return ns / NS_PER_US << 8 | 2;
}

static void absorb_wish(Intent *wish, int64_t stamp, Wall wall, CoreUpdate *ret_update)
{
    wish->stamp = stamp;
    report.sequence++;
    report.n_intents = 1;
    report.intents = wish;
    CoreEvent event = {.now = now, .wall = wall, .kind = CORE_EVENT_REPORT, .u.report = &report};
    arena_reset(arena);
    assert_int_equal(core_step(core, arena, &event, ret_update, NULL), 0);
}

static uint32_t refusals(const CoreUpdate *update)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < update->n_records; i++)
        n += update->records[i].kind == RECORD_INTENT_REFUSED;
    return n;
}

// The last stamp there is could never be replaced: a drain for ever. What clocks can make is taken.
static void test_stamps_from_the_future(void **state)
{
    (void)state;
    const Wall wall = {1700000000 * NS_PER_S};
    Intent wish = {.kind = INTENT_DRAIN,
                   .target = "region:c0-r0",
                   .region = "",
                   .author = "eve",
                   .reason = "for ever",
                   .expires = {INT64_MAX}};
    const Intent *intents;
    CoreUpdate update;
    fixture->model.clock_max_skew_ns = 500 * MS;
    absorb_wish(&wish, INT64_MAX - 255 + 2, wall, &update);
    assert_int_equal(core_intents(core, &intents), 0);
    assert_int_equal(refusals(&update), 1);
    absorb_wish(&wish, INT64_MAX - 255 + 2, wall, &update); // four times a second: said once
    assert_int_equal(refusals(&update), 0);
    absorb_wish(&wish, stamp_at(wall.ns + 1001 * MS), wall, &update);
    assert_int_equal(core_intents(core, &intents), 0);
    absorb_wish(&wish, stamp_at(wall.ns + 999 * MS), wall, &update);
    assert_int_equal(core_intents(core, &intents), 1);
    absorb_wish(&wish, stamp_at(wall.ns + 3000 * MS), wall_add(wall, 2500 * MS), &update);
    assert_int_equal(core_intents(core, &intents), 1); // later it is no future any more
    assert_int_equal(intents[0].stamp, stamp_at(wall.ns + 3000 * MS));
}

// All clocks were put back by an hour since the drain was made: what replaces it is made one step
// beyond its stamp, and taken, or nobody could end it for an hour.
static void test_stamps_after_clocks_went_back(void **state)
{
    (void)state;
    const Wall before = {1700000000 * NS_PER_S};
    const Wall wall = wall_add(before, -3600000 * MS);
    Intent wish = {.kind = INTENT_DRAIN,
                   .target = "region:c0-r0",
                   .region = "",
                   .author = "ann",
                   .reason = "test",
                   .expires = {INT64_MAX}};
    const Intent *intents;
    CoreUpdate update;
    fixture->model.clock_max_skew_ns = 500 * MS;
    absorb_wish(&wish, stamp_at(before.ns), before, &update);
    assert_int_equal(core_intents(core, &intents), 1);
    absorb_wish(&wish, stamp_at(before.ns + 500 * MS), wall, &update); // no writer makes that
    assert_int_equal(refusals(&update), 1);
    assert_int_equal(intents[0].stamp, stamp_at(before.ns));
    wish.kind = INTENT_RELEASE;
    absorb_wish(&wish, stamp_at(before.ns + NS_PER_US), wall, &update);
    assert_int_equal(refusals(&update), 0);
    assert_int_equal(core_intents(core, &intents), 1);
    assert_int_equal(intents[0].kind, INTENT_RELEASE);
    Intent other = wish;
    other.target = "region:c0-r1"; // nothing is held for that one
    absorb_wish(&other, stamp_at(before.ns + NS_PER_US), wall, &update);
    assert_int_equal(core_intents(core, &intents), 1);
}

static void test_numbers_are_clamped(void **state)
{
    (void)state;
    report.load_rps = UINT32_MAX;
    votes[0][3].held = true;
    votes[0][3].held_age_ns = 1000 * MS;
    votes[0][3].hold_left_ns = INT64_MAX - 1;
    votes[0][3].flaps = UINT32_MAX;
    step(&report);
    assert_int_equal(gateway_load_rps(core->tables, 1), 4 * fixture->regions[1].capacity_rps);
    assert_int_equal(mono_since(vote_of(1, 3)->hold_until, now), fixture->model.health.hold_max_ns);
    assert_int_equal(vote_of(1, 3)->flaps, 64);
}

static void test_nonsense_is_skipped(void **state)
{
    (void)state;
    step(&report);
    report.sequence = views[0].sequence = views[1].sequence = 11;
    views[1].observer = fixture->regions[0].name; // about ourselves: we know better
    votes[1][2].vote = VOTE_DOWN;
    votes[0][0].gateway = "nowhere";
    votes[0][1].vote = (Vote)77;
    votes[0][2].first_fail_age_ns = INT64_MIN;
    votes[0][2].held = true;
    votes[0][2].held_age_ns = -5;
    votes[0][2].hold_left_ns = INT64_MAX;
    step(&report);
    assert_int_equal(vote_of(0, 2)->vote, VOTE_UNKNOWN);
    assert_int_equal(vote_of(1, 0)->vote, VOTE_UNKNOWN); // not named any more
    assert_int_equal(vote_of(1, 1)->vote, VOTE_UNKNOWN);
    assert_int_equal(vote_of(1, 2)->first_fail.ns, now.ns);
    report.region = "nowhere";
    report.sequence = 12;
    step(&report);
    report.region = fixture->regions[0].name;
    step(&report);
    assert_false(core->tables->live.peers[0].have);
}

static void test_classes_and_clock(void **state)
{
    (void)state;
    ReportService services[] = {{"api", CLASS_MASK_ALL}, {"static", CLASS_MASK_READ}};
    report.wall = (Wall){3 * NS_PER_S};
    step(&report);
    assert_int_equal(gateway_classes(core->tables, 1), CLASS_MASK_ALL); // nothing stated
    report.services = services;
    report.n_services = 2;
    report.sequence++;
    step(&report);
    assert_int_equal(gateway_classes(core->tables, 1), CLASS_MASK_READ); // all services ANDed
    report.n_services = 0;
    report.sequence++;
    step(&report);
    assert_int_equal(gateway_classes(core->tables, 1), CLASS_MASK_READ); // keeps the last value
    assert_int_equal(core->tables->live.peers[1].clock_offset_ns, 3 * NS_PER_S);
}

static void test_own_report(void **state)
{
    (void)state;
    step(&report);
    const Report *made;
    assert_int_equal(core_report(core, arena, 2, now, (Wall){9}, &made), 0);
    assert_int_equal(made->version, 1);
    assert_string_equal(made->region, "c0-r0");
    assert_int_equal(made->wall.ns, 9);
    assert_int_equal(made->stamp_ns, now.ns);
    assert_int_equal(made->plan_fleet_digest, core_plan(core)->fleet_digest);
    assert_int_equal(made->n_views, 2); // own, and that of region 1; not the peer's own back to it
    assert_string_equal(made->views[0].observer, "c0-r0");
    assert_int_equal(made->views[0].sequence, made->sequence);
    assert_int_equal(made->views[0].boot, made->boot);
    assert_string_equal(made->views[1].observer, "c0-r1");
    assert_int_equal(made->views[1].sequence, 10);
    now = mono_add(now, 400 * MS);
    const Report *later;
    assert_int_equal(core_report(core, arena, 3, now, (Wall){9}, &later), 0);
    assert_int_equal(later->sequence, made->sequence + 1);
    assert_int_equal(later->n_views, 3);
    assert_int_equal(later->views[1].age_ns, 400 * MS);
    assert_int_equal(later->views[2].age_ns, 700 * MS);
}

static void test_large_fleet_is_cut_to_size(void **state)
{
    (void)state;
    Fixture *large = fixture_new(40, 3, 2);
    CoreOptions options = fixture_options(large, 0);
    Core *other;
    const Report *made;
    assert_int_equal(core_new(&large->model, &options, now, (Wall){0}, &other, NULL), 0);
    for (uint32_t o = 1; o < 40; o++) {
        other->tables->live.views[o].have = true;
        other->tables->live.views[o].born = now;
    }
    bool seen[40] = {false};
    for (int i = 0; i < 40; i++) {
        assert_int_equal(core_report(other, arena, 1, now, (Wall){0}, &made), 0);
        assert_in_range(made->n_views, 2, 8); // how many bytes that is: tests/unit/agent
        for (uint32_t v = 0; v < made->n_views; v++)
            seen[model_find_region(&large->model, made->views[v].observer)] = true;
    }
    for (uint32_t o = 0; o < 40; o++) // everybody has a turn, but the peer itself
        assert_int_equal(seen[o], o != 1);
    (void)core_free(other);
    fixture_free(large);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_age_counts_from_the_echoed_stamp),
        T(test_ages_become_instants),
        T(test_without_an_echo_nothing_is_fresh),
        T(test_newest_table_wins),
        T(test_relay_does_not_shut_out_the_observer),
        T(test_joins_what_most_peers_hold),
        T(test_report_of_an_earlier_boot),
        T(test_stamps_from_the_future),
        T(test_stamps_after_clocks_went_back),
        T(test_numbers_are_clamped),
        T(test_nonsense_is_skipped),
        T(test_classes_and_clock),
        T(test_own_report),
        T(test_large_fleet_is_cut_to_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
