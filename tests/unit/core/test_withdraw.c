// SPDX-License-Identifier: MIT
// withdraw: replicas that look well and fail real requests. The region takes itself out, comes back
// after a growing hold, and never when that would help nobody.
#include <string.h>

#include "buf.h"
#include "core_state.h"
#include "planet.h"
#include "snapshot.h"
#include "unit.h"

static Fixture *fixture;
static Planet *planet;

static int fleet(void **state)
{
    fixture = fixture_new(6, 3, 6);
    planet = planet_new(fixture);
    for (uint32_t a = 0; a < 6; a++)
        planet_traffic(planet, a, a, 200, 0);
    planet_run(planet, 15000);
    return 0;
}

static int fleet_down(void **state)
{
    planet_free(planet);
    fixture_free(fixture);
    return 0;
}

static const Plan *plan_of(uint32_t agent)
{
    return core_plan(planet_core(planet, agent));
}

static bool is_out(uint32_t region)
{
    for (uint32_t a = 0; a < 6; a++)
        assert_int_equal(plan_of(a)->fleet_digest, plan_of(0)->fleet_digest);
    return plan_of(0)->gateways[region].classes == 0;
}

static uint32_t first_of(uint32_t agent, uint32_t group)
{
    return plan_route(plan_of(agent), 0, SERVICE_CLASS_READ, group)->entries[0].gateway;
}

static void half_of_the_requests_fail(void **state)
{
    planet_traffic(planet, 1, 1, 200, 100);
    planet_run(planet, 4000);
    assert_true(is_out(1));
    assert_int_equal(planet_records(planet, RECORD_ERROR_RATE), 1);
    for (uint32_t a = 0; a < 6; a++) {
        assert_int_not_equal(first_of(a, 1), 1);
        assert_int_equal(plan_of(a)->gateways[1].state, HEALTH_UP); // its edge hands them on
    }
    for (uint32_t i = 0; i < plan_of(1)->n_replicas; i++) { // last resort
        assert_int_equal(plan_of(1)->replicas[i].state, HEALTH_SUSPECT);
        assert_int_equal(plan_of(1)->replicas[i].classes, CLASS_MASK_ALL);
    }
    assert_int_equal(planet_transitions(planet), 0);
}

static void comes_back_after_its_hold(void **state)
{
    planet_traffic(planet, 1, 1, 200, 100);
    planet_run(planet, 4000);
    assert_true(is_out(1));
    planet_traffic(planet, 1, 1, 0, 0);
    planet_run(planet, 5000);
    assert_true(is_out(1));
    planet_run(planet, 5000);
    assert_false(is_out(1));
    assert_int_equal(first_of(2, 1), 1);
    assert_int_equal(plan_of(1)->replicas[0].state, HEALTH_UP);
    planet_traffic(planet, 1, 1, 200, 0);
    planet_run(planet, 60000);
    assert_false(is_out(1));
    assert_int_equal(planet_records(planet, RECORD_ERROR_RATE), 1);
}

// Still bad: each time for longer, so that ever fewer requests meet it.
static void hold_grows(void **state)
{
    uint32_t out_ms = 0, times = 0;
    bool was_out = false;
    for (uint32_t ms = 0; ms < 300000; ms += 500) {
        planet_traffic(planet, 1, 1, was_out ? 0 : 200, was_out ? 0 : 100);
        planet_run(planet, 500);
        bool out = plan_of(0)->gateways[1].classes == 0;
        times += out && !was_out;
        out_ms += out ? 500 : 0;
        was_out = out;
    }
    assert_in_range(times, 4, 5); // 10, 20, 40, 80, 160 s
    assert_true(out_ms > 270000);
}

static void four_percent_is_nothing(void **state)
{
    planet_traffic(planet, 1, 1, 200, 8);
    for (int i = 0; i < 60; i++) {
        planet_run(planet, 10000);
        assert_false(is_out(1));
    }
    assert_int_equal(planet_records(planet, RECORD_ERROR_RATE), 0);
}

static void a_single_burst_is_nothing(void **state)
{
    planet_traffic(planet, 1, 1, 200, 200);
    planet_run(planet, 1500);
    planet_traffic(planet, 1, 1, 200, 0);
    planet_run(planet, 60000);
    assert_int_equal(planet_records(planet, RECORD_ERROR_RATE), 0);
}

// A client whose requests nobody can serve: it moves on to the next region, and finds it standing.
static void the_same_in_another_cloud_is_not_the_place(void **state)
{
    planet_traffic(planet, 1, 1, 200, 100);
    planet_run(planet, 5000);
    assert_true(is_out(1));
    planet_traffic(planet, 1, 1, 0, 0);
    planet_traffic(planet, 2, 2, 400, 100);
    planet_run(planet, 4000);
    assert_true(is_out(1));
    assert_false(is_out(2));
    assert_int_equal(planet_records(planet, RECORD_VERDICT_LIMITED), 1); // said once
    planet_traffic(planet, 0, 0, 200, 100); // the same cloud may be ill as a whole
    planet_run(planet, 2500);
    assert_int_equal(plan_of(0)->gateways[0].classes, 0);
}

// It withdrew, and that is the last that was heard of it: no sign that the cause is everywhere.
static void a_witness_that_is_gone_is_none(void **state)
{
    planet_traffic(planet, 1, 1, 200, 100);
    planet_run(planet, 5000);
    assert_true(is_out(1));
    planet_traffic(planet, 1, 1, 0, 0);
    planet_agent_stop(planet, 1);
    planet_run(planet, 4000);
    assert_int_equal(planet_held_mask(planet, 2), 0); // its nginx goes on
    planet_traffic(planet, 2, 2, 400, 100);
    planet_run(planet, 4000);
    assert_int_equal(plan_of(0)->gateways[2].classes, 0);
    assert_int_equal(planet_records(planet, RECORD_VERDICT_LIMITED), 0);
}

static void a_witness_that_is_held_is_none(void **state)
{
    planet_traffic(planet, 1, 1, 200, 100);
    planet_run(planet, 5000);
    assert_true(is_out(1));
    planet_traffic(planet, 1, 1, 0, 0);
    planet_gateway(planet, 1, GATEWAY_REFUSES);
    planet_run(planet, 2000);
    assert_true(planet_held(planet, 2, 1));
    planet_traffic(planet, 2, 2, 400, 100);
    planet_run(planet, 3500);
    assert_int_equal(plan_of(0)->gateways[2].classes, 0);
    assert_int_equal(planet_records(planet, RECORD_VERDICT_LIMITED), 0);
}

// What the last step knew is not in a snapshot: it is found again.
static void a_snapshot_knows_who_is_fresh(void **state)
{
    Core *core = planet_core(planet, 2), *twin = NULL;
    CoreOptions options = fixture_options(fixture, 2);
    Buf buf CLEANUP(buf_done) = BUF_INIT(16U << 20);
    Error err CLEANUP(error_done) = ERROR_INIT;
    assert_int_equal(core_save(core, &buf), 0);
    if (core_load(&fixture->model, &options, buf.data, buf.len, &twin, &err) < 0)
        fail_msg("%s", error_text(&err));
    assert_int_equal(twin->tables->fresh.n, 6);
    assert_int_equal(twin->tables->fresh.n, core->tables->fresh.n);
    // A step that fails after a change restores what was saved before it.
    tables_save(twin->tables, true);
    const Window before = twin->tables->live.self.served;
    assert_true(before.long_sum.n > 0);
    window_add(&twin->tables->live.self.served, 5, 5, twin->tables->live.self.now);
    tables_restore(twin->tables);
    assert_int_equal(twin->tables->live.self.served.long_sum.n, before.long_sum.n);
    (void)core_free(twin);
}

static void nobody_leaves_whose_load_has_no_room(void **state)
{
    for (uint32_t a = 0; a < 6; a++)
        planet_traffic(planet, a, a, 950, 0);
    planet_run(planet, 5000);
    planet_traffic(planet, 1, 1, 950, 500);
    planet_run(planet, 10000);
    assert_false(is_out(1));
    assert_int_equal(planet_records(planet, RECORD_VERDICT_LIMITED), 1);
}

static void all_at_once_still_serve(void **state)
{
    for (uint32_t a = 0; a < 6; a++)
        planet_traffic(planet, a, a, 200, 100);
    planet_run(planet, 5000);
    for (uint32_t a = 0; a < 6; a++) {
        assert_true(plan_of(a)->n_replicas > 0);
        assert_int_not_equal(plan_of(a)->replicas[0].classes, 0);
        assert_true(plan_route(plan_of(a), 0, SERVICE_CLASS_READ, a)->n_entries >= 5);
    }
    assert_int_equal(planet_transitions(planet), 0);
}

static void operator_ends_the_hold(void **state)
{
    planet_traffic(planet, 1, 1, 200, 100);
    planet_run(planet, 4000);
    assert_true(is_out(1));
    planet_traffic(planet, 1, 1, 200, 0);
    Intent reset = {.kind = INTENT_RESET_FLAPS,
                    .target = "fleet",
                    .region = "",
                    .author = "ann",
                    .reason = "healed",
                    .expires = {INT64_MAX}};
    planet_intent(planet, 3, &reset);
    planet_run(planet, 1500);
    assert_false(is_out(1));
}

#define ALL(f) cmocka_unit_test_setup_teardown(f, fleet, fleet_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALL(half_of_the_requests_fail),
        ALL(comes_back_after_its_hold),
        ALL(hold_grows),
        ALL(four_percent_is_nothing),
        ALL(a_single_burst_is_nothing),
        ALL(the_same_in_another_cloud_is_not_the_place),
        ALL(a_witness_that_is_gone_is_none),
        ALL(a_witness_that_is_held_is_none),
        ALL(a_snapshot_knows_who_is_fresh),
        ALL(nobody_leaves_whose_load_has_no_room),
        ALL(all_at_once_still_serve),
        ALL(operator_ends_the_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
