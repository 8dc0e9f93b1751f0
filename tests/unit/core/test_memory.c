// SPDX-License-Identifier: MIT
// Out of memory: a core whose every step fails at every allocation before it succeeds must do
// exactly what its twin does that never fails. So a failed step leaves no trace.
#include "alloc.h"
#include "fixture.h"
#include "hash.h"
#include "unit.h"

#define MOST_ALLOCATIONS 200

static Fixture *fixture, *wider;
static Core *twin, *unlucky, *peer; // twin and unlucky are region 0, peer is region 1
static Mono now;
static uint64_t failures;

static Core *core_of(const Model *model, uint32_t own)
{
    Core *core;
    CoreOptions options = fixture_options(fixture, own);
    assert_int_equal(core_new(model, &options, now, (Wall){0}, &core, NULL), 0);
    return core;
}

static int setup(void **state)
{
    (void)state;
    fixture = fixture_new(6, 3, 2);
    wider = fixture_new(7, 3, 3);
    wider->model.generation = 2;
    wider->model.config_hash = 2;
    now = (Mono){NS_PER_S};
    twin = core_of(&fixture->model, 0);
    unlucky = core_of(&fixture->model, 0);
    peer = core_of(&fixture->model, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    twin = core_free(twin);
    unlucky = core_free(unlucky);
    peer = core_free(peer);
    fixture_free(fixture);
    fixture_free(wider);
    return 0;
}

static uint64_t digest(const CoreUpdate *update)
{
    uint64_t hash = HASH_SEED;
    for (uint32_t i = 0; i < update->n_effects; i++) {
        const CoreEffect *effect = &update->effects[i];
        hash = hash_u64(hash, effect->id);
        hash = hash_u64(hash, (uint64_t)effect->kind << 32 | effect->gateway);
    }
    for (uint32_t i = 0; i < update->n_records; i++) {
        hash = hash_u64(hash, (uint64_t)update->records[i].kind);
        hash = hash_text(hash_text(hash, update->records[i].subject), update->records[i].facts);
    }
    if (update->plan != NULL)
        hash = hash_u64(hash_u64(hash, update->plan->number), update->plan->fleet_digest);
    return hash;
}

static void step_unlucky(CoreEvent *event, uint64_t expected)
{
    for (long successes = 0; successes < MOST_ALLOCATIONS; successes++) {
        Arena *arena = arena_new((size_t)16 << 20);
        CoreUpdate update = {0};
        alloc_fail_after(successes);
        int r = core_step(unlucky, arena, event, &update, NULL);
        alloc_fail_after(-1);
        uint64_t got = r == 0 ? digest(&update) : 0;
        (void)arena_free(arena);
        if (r == 0) {
            assert_int_equal(got, expected);
            return;
        }
        assert_int_equal(r, -1000); // ERROR_MEMORY
        failures++;
    }
    fail();
}

// Steps both; returns the twin's update in `arena`.
static CoreUpdate step(Arena *arena, CoreEvent event)
{
    CoreUpdate update;
    event.now = now;
    event.wall = (Wall){now.ns + 1000 * NS_PER_S};
    assert_int_equal(core_step(twin, arena, &event, &update, NULL), 0);
    step_unlucky(&event, digest(&update));
    assert_int_equal(core_next_wake(unlucky).ns, core_next_wake(twin).ns);
    assert_int_equal(core_plan(unlucky)->number, core_plan(twin)->number);
    assert_int_equal(core_plan(unlucky)->fleet_digest, core_plan(twin)->fleet_digest);
    const Intent *a, *b;
    assert_int_equal(core_intents(unlucky, &a), core_intents(twin, &b));
    return update;
}

// One exchange of reports: the peer's answer echoes the twin's stamp.
static void exchange(void)
{
    Arena *arena = arena_new((size_t)16 << 20);
    const Report *report, *same;
    CoreUpdate update;
    assert_int_equal(core_report(twin, arena, 1, now, (Wall){0}, &report), 0);
    assert_int_equal(core_report(unlucky, arena, 1, now, (Wall){0}, &same), 0);
    assert_int_equal(same->sequence, report->sequence);
    CoreEvent event = {.now = now, .kind = CORE_EVENT_REPORT, .u.report = report};
    assert_int_equal(core_step(peer, arena, &event, &update, NULL), 0);
    assert_int_equal(core_report(peer, arena, 0, now, (Wall){0}, &report), 0);
    (void)step(arena, (CoreEvent){.kind = CORE_EVENT_REPORT, .u.report = report});
    (void)arena_free(arena);
}

// Half a second: gateway 2 refuses, the others answer.
static void run(void)
{
    for (int i = 0; i < 30; i++) {
        Arena *arena = arena_new((size_t)16 << 20);
        now = core_next_wake(twin);
        CoreUpdate update = step(arena, (CoreEvent){.kind = CORE_EVENT_TICK});
        now = mono_add(now, NS_PER_MS);
        for (uint32_t e = 0; e < update.n_effects; e++) {
            const CoreEffect *effect = &update.effects[e];
            if (effect->kind == CORE_EFFECT_PROBE)
                (void)step(arena,
                           (CoreEvent){.kind = effect->gateway == 2 ? CORE_EVENT_PROBE_FAILED
                                                                    : CORE_EVENT_PROBE_ANSWERED,
                                       .id = effect->id,
                                       .gateway = effect->gateway});
            else if (effect->kind == CORE_EFFECT_REPLICA)
                (void)step(arena, (CoreEvent){.kind = CORE_EVENT_REPLICA,
                                              .id = effect->id,
                                              .u.replica = {.replica = effect->gateway,
                                                            .answered = true,
                                                            .classes = CLASS_MASK_ALL}});
        }
        (void)arena_free(arena);
        if (i % 5 == 0)
            exchange();
    }
}

static void test_failed_steps_leave_no_trace(void **state)
{
    (void)state;
    Arena *arena = arena_new((size_t)16 << 20);
    run();
    Intent drain = {.kind = INTENT_DRAIN,
                    .target = "region:c1-r3",
                    .region = "",
                    .author = "ann",
                    .reason = "upgrade",
                    .expires = {INT64_MAX}};
    (void)step(arena, (CoreEvent){.kind = CORE_EVENT_INTENT, .u.intent = &drain});
    (void)step(arena, (CoreEvent){.kind = CORE_EVENT_EDGE,
                                  .u.edge = {.gateway = 3, .successes = 9, .failures = 1}});
    run();
    (void)step(arena, (CoreEvent){.kind = CORE_EVENT_CONFIG, .u.model = &wider->model});
    assert_int_equal(core_plan(unlucky)->n_gateways, 7);
    run();
    now = mono_add(now, 3 * NS_PER_S); // a frozen loop
    (void)step(arena, (CoreEvent){.kind = CORE_EVENT_TICK});
    run();
    print_message("%llu failed steps\n", (unsigned long long)failures);
    assert_true(failures > 100); // most steps need no more than two blocks of memory
    (void)arena_free(arena);
}

static void test_new_and_report_without_memory(void **state)
{
    (void)state;
    CoreOptions options = fixture_options(fixture, 0);
    Intent intent = {.kind = INTENT_DRAIN,
                     .target = "region:c1-r3",
                     .region = "",
                     .author = "ann",
                     .reason = "upgrade",
                     .stamp = 257,
                     .expires = {INT64_MAX}};
    options.intents = &intent;
    options.n_intents = 1;
    Core *core = NULL;
    int r = -1;
    long successes = 0;
    for (; r < 0 && successes < MOST_ALLOCATIONS; successes++) {
        alloc_fail_after(successes);
        r = core_new(&fixture->model, &options, now, (Wall){0}, &core, NULL);
        alloc_fail_after(-1);
        assert_true(r == 0 || core == NULL);
    }
    assert_int_equal(r, 0);
    assert_true(successes > 8);
    assert_int_equal(core_plan(core)->gateways[3].state, HEALTH_DRAINED);
    Arena *arena = arena_new(1); // nothing fits
    const Report *report = NULL;
    assert_true(core_report(core, arena, 1, now, (Wall){0}, &report) < 0);
    assert_null(report);
    CoreGatewayStatus status;
    assert_true(core_gateway_status(core, arena, 1, now, &status) < 0);
    (void)arena_free(arena);
    (void)core_free(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_failed_steps_leave_no_trace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_new_and_report_without_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
