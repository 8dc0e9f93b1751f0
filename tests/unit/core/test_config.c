// SPDX-License-Identifier: MIT
// A new configuration: what both models have in common stays, by name; a model without the own
// region changes nothing.
#include <string.h>

#include "core_state.h"
#include "fixture.h"
#include "unit.h"

static Fixture *before, *after;
static Core *core;
static Arena *arena;
static CoreUpdate update;
static Mono now;

static int setup(void **state)
{
    (void)state;
    before = fixture_new(6, 3, 2);
    after = NULL;
    now = (Mono){100 * NS_PER_S};
    CoreOptions options = fixture_options(before, 2);
    assert_int_equal(core_new(&before->model, &options, now, (Wall){0}, &core, NULL), 0);
    arena = arena_new((size_t)16 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    core = core_free(core);
    arena = arena_free(arena);
    fixture_free(before);
    fixture_free(after);
    return 0;
}

static int step(CoreEvent event, Error *reterr)
{
    event.now = now;
    arena_reset(arena);
    return core_step(core, arena, &event, &update, reterr);
}

static void mark(uint32_t gateway) // something to recognise it by
{
    Tables *tables = core->tables;
    tables->live.verdicts[gateway].flaps = 10 + gateway;
    tables->live.paths[gateway].p99_us = 1000 + gateway;
    tables->live.peers[gateway].plan_number = 50 + gateway;
    tables->live.views[gateway] = (View){.have = true, .boot = gateway, .born = now};
    tables->live.views[gateway].attention[0] = UINT64_C(1) << gateway;
    for (uint32_t g = 0; g < 6; g++)
        tables_votes(tables, gateway)[g].p50_us = 100 * gateway + g;
}

static void test_what_stays_stays_by_name(void **state)
{
    (void)state;
    assert_int_equal(step((CoreEvent){.kind = CORE_EVENT_TICK}, NULL), 0);
    for (uint32_t g = 0; g < 6; g++)
        mark(g);
    // Region 0 is gone, and there is a new one at the end.
    after = fixture_new(6, 3, 3);
    after->model.generation = 2;
    after->model.config_hash = 99;
    static const char *const names[] = {"c0-r1", "c1-r2", "c1-r3", "c2-r4", "c2-r5", "c2-r6"};
    for (uint32_t g = 0; g < 6; g++)
        after->regions[g].name = names[g];
    uint64_t number = core_plan(core)->number;
    assert_int_equal(step((CoreEvent){.kind = CORE_EVENT_CONFIG, .u.model = &after->model}, NULL),
                     0);
    const Tables *tables = core->tables;
    assert_int_equal(tables->own, 1);
    for (uint32_t g = 0; g < 5; g++) {
        assert_int_equal(tables->live.verdicts[g].flaps, 11 + g);
        assert_int_equal(tables->live.paths[g].p99_us, 1001 + g);
        assert_int_equal(tables->live.peers[g].plan_number, 51 + g);
        if (g == 1)
            continue; // the own table is made anew in each step
        assert_int_equal(tables->live.views[g].boot, g + 1);
        assert_int_equal(tables->live.views[g].attention[0], UINT64_C(1) << g);
        for (uint32_t h = 0; h < 5; h++)
            assert_int_equal(tables_votes(tables, g)[h].p50_us, 100 * (g + 1) + h + 1);
    }
    assert_int_equal(tables->live.verdicts[5].flaps, 0);
    assert_false(tables->live.views[5].have);
    assert_non_null(update.plan);
    assert_int_equal(update.plan->number, number + 1);
    assert_int_equal(update.plan->generation, 2);
    assert_int_equal(update.plan->own, 1);
    assert_int_equal(update.plan->n_groups, 3);
    assert_string_equal(update.plan->gateways[5].region, "c2-r6");
    assert_int_equal(update.records[0].kind, RECORD_CONFIG_CHANGED);
    now = mono_add(now, NS_PER_MS);
    assert_int_equal(step((CoreEvent){.kind = CORE_EVENT_TICK}, NULL), 0);
    assert_null(update.plan);
}

static void test_without_the_own_region_nothing_changes(void **state)
{
    (void)state;
    assert_int_equal(step((CoreEvent){.kind = CORE_EVENT_TICK}, NULL), 0);
    after = fixture_new(2, 2, 1); // c0-r0 and c1-r1
    Error err CLEANUP(error_done) = ERROR_INIT;
    const Plan *plan = core_plan(core);
    Mono wake = core_next_wake(core);
    assert_int_equal(step((CoreEvent){.kind = CORE_EVENT_CONFIG, .u.model = &after->model}, &err),
                     ERROR_NOT_FOUND);
    assert_string_equal(error_text(&err), "new configuration: region 'c1-r2' is missing");
    assert_ptr_equal(core_plan(core), plan);
    assert_int_equal(core_next_wake(core).ns, wake.ns);
    assert_int_equal(core->tables->model->n_regions, 6);
}

static void test_too_large_is_refused(void **state)
{
    (void)state;
    after = fixture_new(1025, 3, 1);
    after->regions[1000].name = "c1-r2";
    Error err CLEANUP(error_done) = ERROR_INIT;
    assert_int_equal(step((CoreEvent){.kind = CORE_EVENT_CONFIG, .u.model = &after->model}, &err),
                     ERROR_LIMIT);
    CoreOptions options = fixture_options(after, 0);
    Core *other = NULL;
    assert_int_equal(core_new(&after->model, &options, now, (Wall){0}, &other, &err), ERROR_RANGE);
    assert_null(other);
}

static void test_same_file_again_makes_a_plan_of_the_new_model(void **state)
{
    (void)state;
    assert_int_equal(step((CoreEvent){.kind = CORE_EVENT_TICK}, NULL), 0);
    after = fixture_new(6, 3, 2);
    assert_int_equal(step((CoreEvent){.kind = CORE_EVENT_CONFIG, .u.model = &after->model}, NULL),
                     0);
    fixture_free(before); // nothing points into the old model any more
    before = NULL;
    assert_string_equal(core_plan(core)->gateways[3].region, "c1-r3");
    now = mono_add(now, NS_PER_MS);
    assert_int_equal(step((CoreEvent){.kind = CORE_EVENT_TICK}, NULL), 0);
}

static void test_replicas_follow_as_far_as_sockets_are_known(void **state)
{
    (void)state;
    after = fixture_new(6, 3, 2);
    after->regions[2].replicas = 5;
    after->model.config_hash = 3;
    assert_int_equal(step((CoreEvent){.kind = CORE_EVENT_CONFIG, .u.model = &after->model}, NULL),
                     0);
    assert_int_equal(core_plan(core)->n_replicas, 2);
    after->regions[2].replicas = 1;
    after->model.config_hash = 4;
    assert_int_equal(step((CoreEvent){.kind = CORE_EVENT_CONFIG, .u.model = &after->model}, NULL),
                     0);
    assert_int_equal(core_plan(core)->n_replicas, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_what_stays_stays_by_name),
        T(test_without_the_own_region_nothing_changes),
        T(test_too_large_is_refused),
        T(test_same_file_again_makes_a_plan_of_the_new_model),
        T(test_replicas_follow_as_far_as_sockets_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
