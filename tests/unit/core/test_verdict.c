// SPDX-License-Identifier: MIT
// verdict: quorum, hold times and tallies at their edges, on views that the test writes itself; and
// error rate, floor, limits, flaps and adoption on whole fleets.
#include <string.h>

#include "core_state.h"
#include "planet.h"
#include "unit.h"

static Fixture *fixture;
static Tables *tables;
static Tally tally;
static const Mono now = {100 * NS_PER_S};

static void build(uint32_t n_regions, uint32_t n_clouds)
{
    fixture = fixture_new(n_regions, n_clouds, 1);
    assert_int_equal(tables_new(&fixture->model, 0, 2, (Mono){0}, 1, &tables), 0);
    for (uint32_t o = 0; o < n_regions; o++) {
        tables->live.views[o] = (View){.have = true, .born = now};
        for (uint32_t g = 0; g < n_regions; g++)
            tables_votes(tables, o)[g] = (ViewVote){.vote = VOTE_UP,
                                                    .first_fail = MONO_NEVER,
                                                    .edge_success = MONO_DISTANT,
                                                    .held_since = MONO_NEVER,
                                                    .hold_until = MONO_DISTANT};
    }
}

static int six(void **state)
{
    (void)state;
    build(6, 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tables = tables_free(tables);
    fixture_free(fixture);
    return 0;
}

// One letter per observer: U up, D hard down, S soft down, x sick and down, y sick and up, ?
// unknown,
// - not fresh and down.
static bool down(const char *votes)
{
    for (uint32_t o = 0; votes[o] != '\0'; o++) {
        View *view = &tables->live.views[o];
        ViewVote *vote = &tables_votes(tables, o)[0];
        char v = votes[o];
        view->sick = v == 'x' || v == 'y';
        view->born = v == '-' ? (Mono){now.ns - fixture->model.health.fresh_ns - 1} : now;
        vote->vote = v == 'U' || v == 'y' ? VOTE_UP : v == '?' ? VOTE_UNKNOWN : VOTE_DOWN;
        vote->soft = v == 'S';
        vote->first_fail = (Mono){90 * NS_PER_S + (int64_t)o};
    }
    Fresh fresh;
    views_find_fresh(tables, now, &fresh);
    views_tally(tables, &fresh, 0, &tally);
    return quorum_down(tables, &tally);
}

static void test_quorum_of_six(void **state)
{
    (void)state;
    // Observers 0,1 | 2,3 | 4,5 lie in one cloud each.
    assert_true(down("DDDDDD"));
    assert_true(down("UUDDDD"));
    assert_false(down("UUUDDD")); // 3 of 6 is half, two thirds are 4
    assert_true(down("-UDDDD"));
    assert_true(down("D-DD-U")); // 3 of 4
    assert_false(down("DUDU--"));
    assert_true(down("--D-DD"));  // 3 of 3
    assert_false(down("--DD--")); // 2 of 2: fewer than half of the fleet
    assert_false(down("DDDUU-")); // 3 of 5
    assert_true(down("?DDDD?"));
    assert_false(down("?DDD??")); // unknown counts in the total
    assert_false(down("xDDDUU")); // a sick DOWN counts in the total and for nothing
    assert_true(down("xDDDD?"));
    assert_false(down("xxxxxx"));
    assert_int_equal(tally.down_all, 6);
    assert_false(down("yyyDDD"));
    assert_int_equal(tally.up, 3); // a success is a success
}

static void test_two_clouds(void **state)
{
    (void)state;
    for (uint32_t r = 0; r < 6; r++)
        fixture->regions[r].cloud = r < 4 ? 0 : 1;
    assert_false(down("DDDD--")); // all from one cloud
    assert_true(down("DDD-D-"));
    for (uint32_t r = 0; r < 6; r++)
        fixture->regions[r].cloud = 0; // a fleet in one cloud has no other to ask
    assert_true(down("DDDDUU"));
}

static void test_tally_details(void **state)
{
    (void)state;
    assert_true(down("SSDSSS"));
    assert_false(tally.all_soft);
    assert_true(down("SSSSSS"));
    assert_true(tally.all_soft);
    assert_int_equal(tally.youngest_fail.ns, 90 * NS_PER_S + 5);
    assert_int_equal(tally.clouds, 7);
    assert_int_equal(tally.fresh, 6);
    Fresh fresh;
    tables->live.views[1].born = (Mono){now.ns - 1500 * NS_PER_MS}; // fresh to the nanosecond
    views_find_fresh(tables, now, &fresh);
    assert_int_equal(fresh.n, 6);
    tables->live.views[1].born.ns--;
    views_find_fresh(tables, now, &fresh);
    assert_int_equal(fresh.n, 5);
}

static void test_other_sizes(void **state)
{
    (void)state;
    static const struct {
        uint32_t regions, clouds, min_votes;
    } rows[] = {{1, 1, 1}, {2, 2, 1}, {3, 3, 1}, {4, 2, 2}, {5, 3, 2}, {12, 3, 6}, {100, 3, 50}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        (void)teardown(NULL);
        build(rows[i].regions, rows[i].clouds);
        assert_int_equal(quorum_min_votes(&fixture->model), rows[i].min_votes);
        char all[101] = "";
        memset(all, 'D', rows[i].regions);
        assert_true(down(all));
        memset(all, 'U', rows[i].regions / 2 + 1);
        assert_false(down(all));
    }
}

static void test_hold_times(void **state)
{
    (void)state;
    static const int64_t seconds[] = {10, 10, 20, 40, 80, 160, 300, 300};
    for (uint32_t flaps = 0; flaps < ARRAY_SIZE(seconds); flaps++)
        assert_int_equal(verdict_hold_ns(flaps, &fixture->model.health), seconds[flaps] * NS_PER_S);
    assert_int_equal(verdict_hold_ns(UINT32_MAX, &fixture->model.health), 300 * NS_PER_S);
}

// --- whole fleets ---

static Planet *planet;

static int fleet(void **state)
{
    (void)state;
    fixture = fixture_new(6, 3, 6);
    planet = planet_new(fixture);
    planet_run(planet, 10000);
    return 0;
}

static int fleet_down(void **state)
{
    (void)state;
    planet_free(planet);
    fixture_free(fixture);
    return 0;
}

static void traffic(uint32_t gateway, uint32_t per_s, uint32_t errors)
{
    for (uint32_t a = 0; a < 6; a++)
        planet_traffic(planet, a, gateway, per_s, errors);
}

static void test_error_rate_removes(void **state)
{
    (void)state;
    traffic(2, 50, 0);
    planet_run(planet, 15000);
    traffic(2, 50, 10); // 20 %
    planet_run(planet, 8000);
    for (uint32_t a = 0; a < 6; a++)
        assert_int_equal(planet_held_mask(planet, a), 4);
    assert_true(planet_records(planet, RECORD_ERROR_RATE) > 0);
    traffic(2, 0, 0); // nothing is sent there any more
    planet_run(planet, 12000);
    for (uint32_t a = 0; a < 6; a++)
        assert_int_equal(planet_held_mask(planet, a), 0); // probes say UP, the hold is over
    traffic(2, 50, 10);
    planet_run(planet, 14000); // it fails again on its way back
    assert_int_equal(planet_held_mask(planet, 5), 4);
    assert_true(planet_records(planet, RECORD_RETURN_FAILED) > 0);
}

static void test_error_rate_needs_more_than_one_observer(void **state)
{
    (void)state;
    traffic(2, 50, 0);
    planet_traffic(planet, 0, 2, 500, 500); // the worst observer is left out
    planet_run(planet, 70000);
    assert_int_equal(planet_held_mask(planet, 1), 0);
    planet_traffic(planet, 1, 2, 500, 500); // two of one cloud are not two clouds
    planet_run(planet, 70000);
    assert_int_equal(planet_held_mask(planet, 4), 0);
    assert_int_equal(planet_transitions(planet), 0);
}

static void test_errors_everywhere_remove_nobody(void **state)
{
    (void)state;
    for (uint32_t g = 0; g < 6; g++)
        traffic(g, 50, 15);
    planet_run(planet, 70000);
    for (uint32_t a = 0; a < 6; a++)
        assert_int_equal(planet_held_mask(planet, a), 0);
    const Plan *plan = core_plan(planet_core(planet, 0));
    for (uint32_t g = 0; g < 6; g++)
        assert_true(plan->gateways[g].share_ppm > 0);
}

static void test_four_percent_is_not_five(void **state)
{
    (void)state;
    for (uint32_t a = 0; a < 6; a++)
        planet_traffic(planet, a, 3, 125, 5);
    planet_run(planet, 300000);
    assert_int_equal(planet_transitions(planet), 0);
}

static void test_no_removal_without_room(void **state)
{
    (void)state;
    for (uint32_t g = 0; g < 6; g++)
        planet_traffic(planet, g, g, 950, 0); // all nearly full
    planet_run(planet, 15000);
    traffic(2, 50, 25);
    planet_traffic(planet, 2, 2, 950, 300);
    planet_run(planet, 40000);
    assert_int_equal(planet_held_mask(planet, 0), 0);
    assert_int_equal(core_plan(planet_core(planet, 0))->gateways[2].share_ppm, PPM_ONE / 2);
}

// Later than 5 s is down. But when nobody could carry its load, a slow answer is better than none.
static void test_overloaded_gateway_keeps_half_its_share(void **state)
{
    (void)state;
    for (uint32_t g = 0; g < 6; g++)
        planet_traffic(planet, g, g, 950, 0);
    for (int64_t ms = 300; ms <= 8100; ms += 300) {
        planet_slow(planet, 2, ms);
        planet_run(planet, 1000);
    }
    planet_run(planet, 12000); // its users' requests still succeed: a veto, for 10 s
    assert_int_equal(planet_held_mask(planet, 0), 4);
    const PlanGateway *gateway = &core_plan(planet_core(planet, 0))->gateways[2];
    assert_int_equal(gateway->state, HEALTH_UP);
    assert_int_equal(gateway->share_ppm, PPM_ONE / 2);
    for (uint32_t g = 0; g < 6; g++)
        planet_traffic(planet, g, g, 100, 0);
    planet_run(planet, 60000); // now the others can
    assert_int_equal(planet_held_mask(planet, 0), 4);
    assert_int_equal(core_plan(planet_core(planet, 0))->gateways[2].state, HEALTH_DOWN);
}

// The commonest order of events: too slow, then dead. What refuses everybody gets nothing, room or
// not; nor does what is drained.
static void test_overloaded_then_dead_gets_nothing(void **state)
{
    (void)state;
    for (uint32_t g = 0; g < 6; g++)
        planet_traffic(planet, g, g, 850, 0);
    planet_slow(planet, 2, 900);
    planet_run(planet, 20000);
    planet_gateway(planet, 2, GATEWAY_REFUSES);
    for (uint32_t g = 0; g < 6; g++)
        planet_traffic(planet, g, g, g == 2 ? 0 : 1000, 0);
    for (int i = 0; i < 70; i++) {
        planet_run(planet, 1000);
        for (uint32_t a = 0; a < 6 && i > 1; a++) {
            assert_int_equal(planet_held_mask(planet, a), 4);
            assert_int_equal(core_plan(planet_core(planet, a))->gateways[2].state, HEALTH_DOWN);
        }
    }
}

// Too slow, then silent. Probes cannot tell the two apart; that no user is served any more can.
static void test_overloaded_then_hung_gets_nothing(void **state)
{
    (void)state;
    for (uint32_t g = 0; g < 6; g++)
        planet_traffic(planet, g, g, 950, 0);
    for (int64_t ms = 300; ms <= 8100; ms += 300) {
        planet_slow(planet, 2, ms);
        planet_run(planet, 1000);
    }
    planet_run(planet, 12000);
    assert_int_equal(core_plan(planet_core(planet, 0))->gateways[2].state, HEALTH_UP);
    planet_gateway(planet, 2, GATEWAY_HANGS);
    planet_traffic(planet, 2, 2, 0, 0);
    for (uint32_t g = 0; g < 6; g++)
        if (g != 2)
            planet_traffic(planet, g, g, 1000, 0); // and nobody has room for its load
    planet_run(planet, 11500);
    for (uint32_t a = 0; a < 6; a++) {
        assert_int_equal(planet_held_mask(planet, a), 4);
        assert_int_equal(core_plan(planet_core(planet, a))->gateways[2].state, HEALTH_DOWN);
    }
}

static void test_overloaded_and_drained_stays_drained(void **state)
{
    (void)state;
    Intent drain = {.kind = INTENT_DRAIN,
                    .target = "region:c1-r2",
                    .region = "",
                    .author = "test",
                    .reason = "repair",
                    .expires = {INT64_MAX}};
    for (uint32_t g = 0; g < 6; g++)
        planet_traffic(planet, g, g, 950, 0);
    for (int64_t ms = 300; ms <= 8100; ms += 300) {
        planet_slow(planet, 2, ms);
        planet_run(planet, 1000);
    }
    planet_run(planet, 12000);
    planet_intent(planet, 0, &drain);
    planet_run(planet, 2000);
    assert_int_equal(planet_held_mask(planet, 0), 4);
    assert_int_equal(core_plan(planet_core(planet, 0))->gateways[2].state, HEALTH_DRAINED);
}

// What it was before it was held leaves no trace in the plan.
static void test_shed_then_held_is_held_like_others(void **state)
{
    (void)state;
    planet_slow(planet, 2, 900);
    planet_run(planet, 5000);
    assert_int_equal(core_plan(planet_core(planet, 0))->gateways[2].share_ppm, PPM_ONE / 2);
    planet_gateway(planet, 2, GATEWAY_REFUSES);
    planet_run(planet, 3000);
    assert_int_equal(planet_held_mask(planet, 0), 4);
    assert_int_equal(core_plan(planet_core(planet, 0))->gateways[2].share_ppm,
                     fixture->model.health.return_steps_ppm[0]);
}

static void test_floor_holds_half_at_most(void **state)
{
    (void)state;
    fixture->model.health.removal_floor_ppm = 170000; // one of six
    planet_gateway(planet, 1, GATEWAY_REFUSES);
    planet_run(planet, 5000);
    planet_gateway(planet, 3, GATEWAY_REFUSES);
    planet_run(planet, 5000);
    for (uint32_t a = 0; a < 6; a++) {
        assert_int_equal(planet_held_mask(planet, a), 2);
        assert_int_equal(core_plan(planet_core(planet, a))->gateways[3].state, HEALTH_SUSPECT);
    }
    assert_true(planet_records(planet, RECORD_VERDICT_LIMITED) >= 6);
}

static void test_reset_of_flaps(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        planet_gateway(planet, 1, GATEWAY_REFUSES);
        planet_run(planet, 3000);
        planet_gateway(planet, 1, GATEWAY_OK);
        planet_run(planet, 45000);
    }
    planet_gateway(planet, 1, GATEWAY_REFUSES);
    planet_run(planet, 3000);
    planet_gateway(planet, 1, GATEWAY_OK); // it would be held for 80 s now
    planet_run(planet, 3000);
    assert_int_equal(planet_held_mask(planet, 3), 2);
    Intent reset = {.kind = INTENT_RESET_FLAPS,
                    .target = "fleet",
                    .region = "",
                    .author = "test",
                    .reason = "next drill",
                    .expires = {INT64_MAX}};
    planet_intent(planet, 5, &reset);
    planet_run(planet, 3000);
    for (uint32_t a = 0; a < 6; a++)
        assert_int_equal(planet_held_mask(planet, a), 0);
    planet_gateway(planet, 1, GATEWAY_REFUSES);
    planet_run(planet, 3000);
    planet_gateway(planet, 1, GATEWAY_OK);
    planet_run(planet, 10000); // the first flap again: 10 s
    for (uint32_t a = 0; a < 6; a++)
        assert_int_equal(planet_held_mask(planet, a), 0);
}

static void test_flaps_are_forgotten_after_ten_minutes(void **state)
{
    (void)state;
    planet_gateway(planet, 1, GATEWAY_REFUSES);
    planet_run(planet, 3000);
    planet_gateway(planet, 1, GATEWAY_OK);
    planet_run(planet, 620000);
    planet_gateway(planet, 1, GATEWAY_REFUSES);
    planet_run(planet, 3000);
    planet_gateway(planet, 1, GATEWAY_OK);
    planet_run(planet, 10500);
    for (uint32_t a = 0; a < 6; a++)
        assert_int_equal(planet_held_mask(planet, a), 0);
}

static void test_restarted_agent_takes_over_holds(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) { // three flaps: 40 s
        planet_gateway(planet, 1, GATEWAY_REFUSES);
        planet_run(planet, 3000);
        planet_gateway(planet, 1, GATEWAY_OK);
        planet_run(planet, i < 2 ? 40000 : 100);
    }
    planet_agent_stop(planet, 4);
    planet_run(planet, 1000);
    planet_agent_start(planet, 4);
    planet_run(planet, 5000);
    assert_int_equal(planet_held_mask(planet, 4), 2);
    Arena *arena = arena_new(4096);
    CoreGatewayStatus status;
    assert_int_equal(core_gateway_status(planet_core(planet, 4), arena, 1, (Mono){0}, &status), 0);
    assert_int_equal(status.flaps, 3);
    assert_in_range(status.hold_left_ns, 30 * NS_PER_S, 33 * NS_PER_S); // held 9 s ago
    assert_non_null(strstr(status.reason, "as the peers do"));
    assert_int_equal(planet_records(planet, RECORD_VERDICT_ADOPTED), 1);
    (void)arena_free(arena);
    planet_run(planet, 33000);
    for (uint32_t a = 0; a < 6; a++)
        assert_int_equal(planet_held_mask(planet, a), 0);
    planet_agent_stop(planet, 3); // what the peers saw fail in the last minute is judged already
    planet_agent_start(planet, 3);
    planet_run(planet, 60000);
    assert_int_equal(planet_records(planet, RECORD_ERROR_RATE), 0);
}

#define V(f) cmocka_unit_test_setup_teardown(f, six, teardown)
#define F(f) cmocka_unit_test_setup_teardown(f, fleet, fleet_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        V(test_quorum_of_six),
        V(test_two_clouds),
        V(test_tally_details),
        V(test_other_sizes),
        V(test_hold_times),
        F(test_error_rate_removes),
        F(test_error_rate_needs_more_than_one_observer),
        F(test_errors_everywhere_remove_nobody),
        F(test_four_percent_is_not_five),
        F(test_no_removal_without_room),
        F(test_overloaded_gateway_keeps_half_its_share),
        F(test_overloaded_then_dead_gets_nothing),
        F(test_overloaded_then_hung_gets_nothing),
        F(test_overloaded_and_drained_stays_drained),
        F(test_shed_then_held_is_held_like_others),
        F(test_floor_holds_half_at_most),
        F(test_reset_of_flaps),
        F(test_flaps_are_forgotten_after_ten_minutes),
        F(test_restarted_agent_takes_over_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
