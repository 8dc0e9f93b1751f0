// SPDX-License-Identifier: MIT
// core: the interface as a shell uses it: first plan, effects and their results, classes, clocks,
// wishes, new configurations; and steps that run out of memory.
#include "core.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "bounds.h"
#include "hash.h"
#include "planet.h"
#include "unit.h"

static Fixture *fixture;
static Planet *planet;
static Core *core;
static Arena *arena;
static CoreUpdate update;
static Mono now;

static int setup(void **state)
{
    (void)state;
    fixture = fixture_new(6, 3, 6);
    CoreOptions options = fixture_options(fixture, 0);
    now = (Mono){NS_PER_S};
    assert_int_equal(core_new(&fixture->model, &options, now, (Wall){NS_PER_S}, &core, NULL), 0);
    arena = arena_new((size_t)16 << 20);
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

static void step(CoreEvent event)
{
    event.now = now;
    event.wall = (Wall){now.ns};
    arena_reset(arena);
    assert_int_equal(core_step(core, arena, &event, &update, NULL), 0);
}

static uint32_t effects_of(CoreEffectKind kind)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < update.n_effects; i++)
        n += update.effects[i].kind == kind;
    return n;
}

// --- one core ---

static void test_first_plan(void **state)
{
    (void)state;
    const Plan *plan = core_plan(core);
    assert_int_equal(plan->number, (UINT64_C(7) << 32) + 1);
    assert_int_equal(plan->n_routes, 12);
    assert_int_equal(plan->n_gateways, 6);
    for (uint32_t i = 0; i < plan->n_routes; i++) {
        assert_int_equal(plan->routes[i].n_entries, 6);
        assert_int_equal(plan->routes[i].entries[0].gateway, i % 6); // nearest of that group
        assert_ptr_equal(plan_route(plan, plan->routes[i].service, plan->routes[i].class_,
                                    plan->routes[i].group),
                         &plan->routes[i]);
    }
    assert_null(plan_route(plan, 1, 0, 0));
    assert_null(plan_route(plan, 0, SERVICE_CLASS_MAX, 0));
    assert_null(plan_route(plan, 0, 0, 6));
    assert_int_equal(plan->n_replicas, 2);
    assert_string_equal(plan->replicas[1].name, "c0-r0/2");
    assert_int_equal(plan->replicas[0].state, HEALTH_UNKNOWN);
    assert_int_equal(plan->n_forward[SERVICE_CLASS_READ], 5);
    step((CoreEvent){.kind = CORE_EVENT_TICK});
    assert_non_null(update.plan);
    assert_int_equal(update.plan->number, plan->number);
    now = mono_add(now, 1);
    step((CoreEvent){.kind = CORE_EVENT_TICK});
    assert_null(update.plan); // nothing new
}

static void test_effects_and_their_results(void **state)
{
    (void)state;
    step((CoreEvent){.kind = CORE_EVENT_TICK});
    assert_int_equal(effects_of(CORE_EFFECT_REPORT), 5);
    assert_int_equal(effects_of(CORE_EFFECT_REPLICA), 2);
    uint32_t probes = effects_of(CORE_EFFECT_PROBE);
    for (int i = 0; i < 100 && probes < 6; i++) {
        now = core_next_wake(core);
        step((CoreEvent){.kind = CORE_EVENT_TICK});
        probes += effects_of(CORE_EFFECT_PROBE);
        for (uint32_t e = 0; e < update.n_effects; e++)
            if (update.effects[e].kind == CORE_EFFECT_PROBE) {
                assert_int_equal(update.effects[e].hedge_ns, 250 * NS_PER_MS);
                assert_int_equal(update.effects[e].give_up_ns, 5 * NS_PER_S);
            }
    }
    assert_int_equal(probes, 6);
    assert_true(now.ns <= 1050 * NS_PER_MS); // all have been looked at within 50 ms
    // Ids and indices of nowhere are ordinary.
    const CoreEvent strange[] = {
        {.kind = CORE_EVENT_PROBE_ANSWERED, .gateway = 1, .id = 999999},
        {.kind = CORE_EVENT_PROBE_FAILED, .gateway = 600, .id = 1},
        {.kind = CORE_EVENT_IDLE_CLOSED, .gateway = UINT32_MAX},
        {.kind = CORE_EVENT_EDGE, .u.edge = {.gateway = 6, .failures = 5}},
        {.kind = CORE_EVENT_REPLICA, .u.replica = {.replica = 2, .answered = true}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(strange); i++)
        step(strange[i]);
    Error err CLEANUP(error_done) = ERROR_INIT;
    CoreEvent unknown = {.now = now, .kind = CORE_EVENT_MAX};
    assert_int_equal(core_step(core, arena, &unknown, &update, &err), ERROR_RANGE);
    assert_non_null(strstr(error_text(&err), "unknown kind of event"));
}

static void test_time_never_goes_back(void **state)
{
    (void)state;
    step((CoreEvent){.kind = CORE_EVENT_TICK});
    Mono wake = core_next_wake(core);
    now = (Mono){0};
    step((CoreEvent){.kind = CORE_EVENT_TICK});
    assert_int_equal(update.n_effects, 0);
    assert_int_equal(core_next_wake(core).ns, wake.ns);
}

static uint64_t replica_probe(uint32_t replica)
{
    for (int i = 0; i < 200; i++) {
        for (uint32_t e = 0; e < update.n_effects; e++)
            if (update.effects[e].kind == CORE_EFFECT_REPLICA &&
                update.effects[e].gateway == replica)
                return update.effects[e].id;
        now = core_next_wake(core);
        step((CoreEvent){.kind = CORE_EVENT_TICK});
    }
    fail();
    return 0;
}

static void replica_result(uint32_t replica, bool answered, uint32_t classes)
{
    uint64_t id = replica_probe(replica);
    step((CoreEvent){.kind = CORE_EVENT_REPLICA,
                     .id = id,
                     .u.replica = {.replica = replica, .answered = answered, .classes = classes}});
}

static void test_replica_thresholds(void **state)
{
    (void)state;
    update = (CoreUpdate){0};
    replica_result(0, true, CLASS_MASK_ALL); // the first result decides
    assert_int_equal(core_plan(core)->replicas[0].state, HEALTH_UP);
    assert_int_equal(core_plan(core)->replicas[0].classes, CLASS_MASK_ALL);
    assert_int_equal(core_plan(core)->replicas[1].state, HEALTH_UNKNOWN);
    replica_result(0, false, 0);
    assert_int_equal(core_plan(core)->replicas[0].state, HEALTH_UP);
    replica_result(0, false, 0);
    assert_int_equal(core_plan(core)->replicas[0].state, HEALTH_DOWN);
    assert_int_equal(core_plan(core)->replicas[0].classes, 0);
    replica_result(0, true, CLASS_MASK_READ);
    assert_int_equal(core_plan(core)->replicas[0].state, HEALTH_DOWN);
    replica_result(0, true, CLASS_MASK_READ);
    assert_int_equal(core_plan(core)->replicas[0].state, HEALTH_UP);
    assert_int_equal(core_plan(core)->replicas[0].classes, CLASS_MASK_READ);
    assert_int_equal(core_plan(core)->gateways[0].classes, CLASS_MASK_READ);
    // No answer at all: the core's own deadline.
    (void)replica_probe(0);
    Mono sent = now;
    uint32_t fails = 0;
    while (mono_since(now, sent) < 2 * NS_PER_S &&
           core_plan(core)->replicas[0].state == HEALTH_UP) {
        now = core_next_wake(core);
        step((CoreEvent){.kind = CORE_EVENT_TICK});
        fails++;
    }
    assert_int_equal(core_plan(core)->replicas[0].state, HEALTH_DOWN);
    assert_true(mono_since(now, sent) >= 1000 * NS_PER_MS);
}

static void test_classes_are_stated_when_known(void **state)
{
    (void)state;
    const Report *report;
    assert_int_equal(core_report(core, arena, 1, now, (Wall){0}, &report), 0);
    assert_int_equal(report->n_services, 0); // nothing is known: nothing is stated
    assert_int_equal(core_plan(core)->gateways[0].classes, CLASS_MASK_ALL);
    step((CoreEvent){.kind = CORE_EVENT_TICK});
    uint64_t ids[] = {replica_probe(0), replica_probe(1)};
    step((CoreEvent){.kind = CORE_EVENT_REPLICA, .id = ids[0], .u.replica = {.replica = 0}});
    assert_int_equal(core_report(core, arena, 1, now, (Wall){0}, &report), 0);
    assert_int_equal(report->n_services, 0); // the other one has not answered yet
    step((CoreEvent){.kind = CORE_EVENT_REPLICA,
                     .id = ids[1],
                     .u.replica = {.replica = 1, .answered = true, .classes = CLASS_MASK_ALL}});
    assert_int_equal(core_report(core, arena, 1, now, (Wall){0}, &report), 0);
    assert_int_equal(report->n_services, 1);
    assert_int_equal(report->services[0].classes, CLASS_MASK_ALL);
    assert_int_equal(core_report(core, arena, 6, now, (Wall){0}, &report), ERROR_RANGE);
}

static void test_load_travels_in_steps(void **state)
{
    (void)state;
    static const struct {
        uint32_t rps, stated;
    } rows[] = {{0, 125},   {125, 125},   {126, 250},   {10, 250},    {700, 750},
                {690, 750}, {1000, 1000}, {1031, 1000}, {1032, 1125}, {2300, 2375}};
    const Report *report;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        now = mono_add(now, 10 * NS_PER_MS);
        step((CoreEvent){.kind = CORE_EVENT_EDGE, .u.edge = {.load_rps = rows[i].rps}});
        assert_int_equal(core_report(core, arena, 1, now, (Wall){0}, &report), 0);
        assert_int_equal(report->load_rps, rows[i].stated);
    }
    for (int64_t s = 0; s < 400; s++) { // it falls after ten seconds, in one go
        now = mono_add(now, NS_PER_S);
        step((CoreEvent){.kind = CORE_EVENT_EDGE, .u.edge = {.load_rps = 100}});
        assert_int_equal(core_report(core, arena, 1, now, (Wall){0}, &report), 0);
        if (s == 9)
            assert_int_equal(report->load_rps, 2375);
        if (s == 10)
            assert_int_equal(report->load_rps, 250);
    }
    assert_int_equal(report->load_rps, 250); // 100 is less than 5/4 of a step below that
}

// A region that sheds serves its capacity, with a burst at first: that is all of it and no more.
static void test_load_of_a_full_region(void **state)
{
    (void)state;
    const Report *report;
    for (uint32_t s = 0; s < 120; s++) {
        now = mono_add(now, NS_PER_S);
        uint32_t rps = s == 0 ? 1100 : 990 + s % 4 * 7; // 990 .. 1011
        step((CoreEvent){.kind = CORE_EVENT_EDGE, .u.edge = {.load_rps = rps}});
        assert_int_equal(core_report(core, arena, 1, now, (Wall){0}, &report), 0);
        assert_int_equal(report->load_rps, s < 11 ? 1125 : 1000);
    }
}

static void test_wishes_made_here(void **state)
{
    (void)state;
    const struct {
        Intent intent;
        int code;
        const char *text;
    } rows[] = {
        {{.kind = INTENT_DRAIN, .target = "region:nowhere"},
         ERROR_NOT_FOUND,
         "no region 'nowhere'"},
        {{.kind = INTENT_DRAIN, .target = "cloud:nowhere"}, ERROR_NOT_FOUND, "no cloud 'nowhere'"},
        {{.kind = INTENT_DRAIN, .target = "prefix:10.0.0.0/8"},
         ERROR_FORMAT,
         "cannot have a prefix"},
        {{.kind = INTENT_PIN, .target = "region:c0-r0"}, ERROR_FORMAT, "a pin needs"},
        {{.kind = INTENT_PIN, .target = "prefix:10.0.0.1/8", .region = "c0-r0"},
         ERROR_FORMAT,
         "is not a prefix"},
        {{.kind = INTENT_PIN, .target = "prefix:10.0.0.0/8", .region = "x"},
         ERROR_NOT_FOUND,
         "no region 'x'"},
        {{.kind = INTENT_RESET_FLAPS, .target = "region:c0-r0"}, ERROR_FORMAT, "needs the target"},
        {{.kind = INTENT_KIND_MAX, .target = "fleet"}, ERROR_FORMAT, "unknown kind"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        Error err CLEANUP(error_done) = ERROR_INIT;
        Intent intent = rows[i].intent;
        intent.author = intent.reason = "test";
        intent.region = intent.region != NULL ? intent.region : "";
        CoreEvent event = {.now = now, .kind = CORE_EVENT_INTENT, .u.intent = &intent};
        assert_int_equal(core_step(core, arena, &event, &update, &err), rows[i].code);
        assert_non_null(strstr(error_text(&err), rows[i].text));
    }
    const Intent *kept;
    assert_int_equal(core_intents(core, &kept), 0);
    Intent drain = {.kind = INTENT_DRAIN,
                    .target = "region:c0-r1",
                    .region = "",
                    .author = "ann",
                    .reason = "upgrade",
                    .expires = {INT64_MAX}};
    step((CoreEvent){.kind = CORE_EVENT_INTENT, .u.intent = &drain});
    assert_int_equal(effects_of(CORE_EFFECT_KEEP_INTENTS), 1);
    assert_int_equal(core_intents(core, &kept), 1);
    assert_int_equal(kept->stamp & 0xff, 1); // own origin
    assert_int_equal(core_plan(core)->gateways[1].state, HEALTH_DRAINED);
    Intent older = drain;
    older.stamp = kept->stamp - 256;
    CoreEvent event = {.now = now, .kind = CORE_EVENT_INTENT, .u.intent = &older};
    assert_int_equal(core_step(core, arena, &event, &update, NULL), ERROR_STALE);
}

static void test_wishes_are_bounded(void **state)
{
    (void)state;
    for (int i = 0; i <= BOUND_INTENTS; i++) {
        Error err CLEANUP(error_done) = ERROR_INIT;
        char target[40];
        (void)snprintf(target, sizeof target, "prefix:10.%d.%d.0/24", i / 256, i % 256);
        Intent intent = {.kind = INTENT_PIN,
                         .target = target,
                         .region = "c0-r0",
                         .author = "ann",
                         .reason = "test",
                         .expires = {INT64_MAX}};
        CoreEvent event = {
            .now = now, .wall = {now.ns}, .kind = CORE_EVENT_INTENT, .u.intent = &intent};
        int r = core_step(core, arena, &event, &update, &err);
        assert_int_equal(r, i < BOUND_INTENTS ? 0 : ERROR_LIMIT);
        if (r < 0)
            assert_non_null(strstr(error_text(&err), "256 wishes are in force"));
        arena_reset(arena);
    }
    assert_int_equal(core_plan(core)->n_pins, BOUND_INTENTS);
}

static void test_new_refuses(void **state)
{
    (void)state;
    Core *other = NULL;
    Error err CLEANUP(error_done) = ERROR_INIT;
    CoreOptions options = fixture_options(fixture, 6);
    assert_int_equal(core_new(&fixture->model, &options, now, (Wall){0}, &other, &err),
                     ERROR_RANGE);
    assert_null(other);
    assert_null(core_free(NULL));
}

// --- whole fleets ---

static const Plan *plan_of(uint32_t agent)
{
    return core_plan(planet_core(planet, agent));
}

static void assert_agreed(void)
{
    for (uint32_t a = 1; a < 6; a++)
        assert_int_equal(plan_of(a)->fleet_digest, plan_of(0)->fleet_digest);
}

static void wish(IntentKind kind, const char *target, const char *region, uint32_t ppm,
                 int64_t expires_ms)
{
    Intent intent = {.kind = kind,
                     .target = target,
                     .region = region,
                     .value_ppm = ppm,
                     .author = "ann",
                     .reason = "test",
                     .expires = {INT64_MAX}};
    if (expires_ms > 0)
        intent.expires =
            (Wall){1700000000 * NS_PER_S + (planet_now_ms(planet) + expires_ms) * NS_PER_MS};
    planet_intent(planet, 2, &intent);
    planet_run(planet, 500);
}

static void test_wishes_reach_everybody(void **state)
{
    (void)state;
    wish(INTENT_DRAIN, "cloud:cloud0", "", 0, 0);
    wish(INTENT_NEVER, "region:c2-r5", "", 0, 0);
    wish(INTENT_PIN, "prefix:10.0.0.0/8", "c1-r3", 0, 0);
    wish(INTENT_WEIGHT, "region:c1-r2", "", 200000, 0);
    assert_agreed();
    const Plan *plan = plan_of(5);
    assert_int_equal(plan->gateways[0].state, HEALTH_DRAINED);
    assert_int_equal(plan->gateways[1].state, HEALTH_DRAINED);
    assert_int_equal(plan->gateways[5].state, HEALTH_NEVER);
    assert_int_equal(plan->gateways[2].share_ppm, 200000);
    assert_int_equal(plan->n_pins, 1);
    assert_int_equal(plan->pins[0].gateway, 3);
    const PlanRoute *route = plan_route(plan, 0, SERVICE_CLASS_READ, 2); // nearest to gateway 2
    assert_int_equal(route->n_entries, 5);
    assert_int_equal(route->entries[0].gateway, 2);
    assert_int_equal(route->entries[0].share_ppm, 200000);
    assert_true(route->entries[3].gateway < 2); // drained: last resort
    wish(INTENT_RELEASE, "cloud:cloud0", "", 0, 0);
    static const char *const clouds[] = {"cloud:cloud0", "cloud:cloud1", "cloud:cloud2"};
    for (size_t i = 0; i < ARRAY_SIZE(clouds); i++)
        wish(INTENT_NEVER, clouds[i], "", 0, 0);
    assert_agreed();
    for (uint32_t i = 0; i < plan_of(0)->n_routes; i++) // everything forbidden: not empty
        assert_int_equal(plan_of(0)->routes[i].n_entries, 1);
    assert_int_equal(plan_of(0)->n_pins, 0);
    for (size_t i = 0; i < ARRAY_SIZE(clouds); i++)
        wish(INTENT_RELEASE, clouds[i], "", 0, 0);
    assert_int_equal(plan_of(0)->gateways[0].state, HEALTH_UP);
    assert_int_equal(plan_of(0)->gateways[5].state, HEALTH_NEVER);
}

static void test_wishes_expire_everywhere_at_once(void **state)
{
    (void)state;
    planet_wall_offset(planet, 4, 600000); // ten minutes fast
    planet_run(planet, 3000);
    wish(INTENT_DRAIN, "region:c0-r0", "", 0, 60000);
    planet_run(planet, 58000);
    for (uint32_t a = 0; a < 6; a++)
        assert_int_equal(plan_of(a)->gateways[0].state, HEALTH_DRAINED);
    planet_run(planet, 3000);
    for (uint32_t a = 0; a < 6; a++)
        assert_int_equal(plan_of(a)->gateways[0].state, HEALTH_UP);
    assert_int_equal(planet_records(planet, RECORD_INTENT_EXPIRED), 6);
    assert_agreed();
}

static void test_wrong_clock_loses_write(void **state)
{
    (void)state;
    planet_wall_offset(planet, 3, 450);
    planet_run(planet, 3000);
    assert_int_equal(plan_of(0)->gateways[3].classes, CLASS_MASK_ALL);
    planet_wall_offset(planet, 3, 560);
    planet_run(planet, 3000);
    Mono late = {INT64_MAX / 2};
    assert_true(core_self_status(planet_core(planet, 3), late).clock_refused);
    assert_false(core_self_status(planet_core(planet, 0), late).clock_refused);
    for (uint32_t a = 0; a < 6; a++) {
        assert_int_equal(plan_of(a)->gateways[3].classes, CLASS_MASK_READ);
        const PlanRoute *route = plan_route(plan_of(a), 0, SERVICE_CLASS_WRITE, 3);
        assert_int_not_equal(route->entries[0].gateway, 3);
        route = plan_route(plan_of(a), 0, SERVICE_CLASS_READ, 3);
        assert_int_equal(route->entries[0].gateway, 3);
    }
    assert_int_equal(plan_of(3)->replicas[0].classes, CLASS_MASK_READ);
    // Nor does it stamp anything.
    Error err CLEANUP(error_done) = ERROR_INIT;
    Arena *memory = arena_new((size_t)1 << 20);
    Intent intent = {.kind = INTENT_DRAIN,
                     .target = "region:c0-r0",
                     .region = "",
                     .author = "ann",
                     .reason = "test"};
    CoreEvent event = {.now = {INT64_MAX / 4}, .kind = CORE_EVENT_INTENT, .u.intent = &intent};
    assert_int_equal(core_step(planet_core(planet, 3), memory, &event, &update, &err),
                     ERROR_UNAVAILABLE);
    assert_non_null(strstr(error_text(&err), "clock is -560 ms off"));
    CoreGatewayStatus status;
    assert_int_equal(core_gateway_status(planet_core(planet, 3), memory, 6, late, &status),
                     ERROR_RANGE);
    (void)arena_free(memory);
    planet_wall_offset(planet, 3, 450); // not back at once
    planet_run(planet, 3000);
    assert_int_equal(plan_of(0)->gateways[3].classes, CLASS_MASK_READ);
    planet_wall_offset(planet, 3, 300);
    planet_run(planet, 3000);
    assert_int_equal(plan_of(0)->gateways[3].classes, CLASS_MASK_ALL);
    assert_int_equal(planet_transitions(planet), 0);
}

static void test_classes_keep_their_last_value(void **state)
{
    (void)state;
    planet_replica_classes(planet, 1, CLASS_MASK_READ);
    planet_run(planet, 1000);
    assert_int_equal(plan_of(5)->gateways[1].classes, CLASS_MASK_READ);
    planet_agent_stop(planet, 1);
    planet_run(planet, 20000);
    assert_int_equal(plan_of(5)->gateways[1].classes, CLASS_MASK_READ);
    uint64_t digest = plan_of(5)->fleet_digest;
    planet_agent_start(planet, 1); // a restart moves nothing
    for (int i = 0; i < 40; i++) {
        planet_run(planet, 100);
        assert_int_equal(plan_of(5)->fleet_digest, digest);
    }
    planet_replica_classes(planet, 1, 0);
    planet_run(planet, 1500);
    assert_int_equal(plan_of(5)->gateways[1].classes, 0);
    assert_int_not_equal(plan_route(plan_of(5), 0, SERVICE_CLASS_READ, 1)->entries[0].gateway, 1);
}

static void test_own_view_changes_the_local_part_only(void **state)
{
    (void)state;
    uint64_t digest = plan_of(0)->fleet_digest;
    uint32_t first = plan_of(0)->forward[SERVICE_CLASS_READ][0].gateway;
    planet_cut(planet, 0, first, true);
    planet_run(planet, 4000);
    assert_int_equal(plan_of(0)->fleet_digest, digest);
    assert_int_not_equal(plan_of(0)->forward[SERVICE_CLASS_READ][0].gateway, first);
    assert_int_equal(plan_of(0)->forward[SERVICE_CLASS_READ][4].gateway, first);
    assert_agreed();
}

static void test_load_spills(void **state)
{
    (void)state;
    planet_traffic(planet, 0, 0, 900, 0);
    for (uint32_t a = 1; a < 6; a++)
        planet_traffic(planet, a, a, 900, 0);
    planet_run(planet, 3000);
    assert_agreed();
    for (uint32_t g = 0; g < 6; g++)
        assert_int_equal(plan_of(0)->gateways[g].load_ppm, PPM_ONE);
    planet_gateway(planet, 0, GATEWAY_REFUSES);
    planet_run(planet, 2000);
    assert_agreed();
    assert_true(planet_records(planet, RECORD_SPILL) > 0);
    const PlanRoute *route = plan_route(plan_of(1), 0, SERVICE_CLASS_READ, 0);
    uint32_t parts = 0;
    for (uint32_t i = 0; i < route->n_entries; i++)
        parts += route->entries[i].share_ppm > 0;
    assert_true(parts > 1); // in fractions to several
    assert_int_equal(route->entries[5].gateway, 0);
    assert_int_equal(route->entries[5].share_ppm, 0);
}

#define ONE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define ALL(f) cmocka_unit_test_setup_teardown(f, fleet, fleet_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(test_first_plan),
        ONE(test_effects_and_their_results),
        ONE(test_time_never_goes_back),
        ONE(test_replica_thresholds),
        ONE(test_classes_are_stated_when_known),
        ONE(test_load_travels_in_steps),
        ONE(test_load_of_a_full_region),
        ONE(test_wishes_made_here),
        ONE(test_wishes_are_bounded),
        ONE(test_new_refuses),
        ALL(test_wishes_reach_everybody),
        ALL(test_wishes_expire_everywhere_at_once),
        ALL(test_wrong_clock_loses_write),
        ALL(test_classes_keep_their_last_value),
        ALL(test_own_view_changes_the_local_part_only),
        ALL(test_load_spills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
