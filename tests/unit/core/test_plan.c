// SPDX-License-Identifier: MIT
// plan: the fleet part depends on the facts alone, every field of it counts in its digest, and a
// copy is a copy. Also the names of the core's enums.
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core_state.h"
#include "fixture.h"
#include "rng.h"
#include "unit.h"

static Fixture *fixture;
static Arena *arena;
static GatewayFacts facts[6];
static IntentSet *intents;
static PlanReplica replica = {"c0-r0/1", "/run/1.sock", HEALTH_UP, CLASS_MASK_ALL, 1};

static int setup(void **state)
{
    (void)state;
    fixture = fixture_new(6, 3, 4);
    arena = arena_new((size_t)16 << 20);
    for (uint32_t g = 0; g < 6; g++) {
        memset(&facts[g], 0, sizeof facts[g]);
        facts[g].state = HEALTH_UP;
        facts[g].classes = CLASS_MASK_ALL;
        facts[g].share_ppm = PPM_ONE;
        facts[g].capacity_rps = 1000;
        facts[g].load_rps = 500;
    }
    assert_int_equal(intent_set_new(&intents), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena = arena_free(arena);
    intents = intent_set_free(intents);
    fixture_free(fixture);
    return 0;
}

static PlanOutput build(uint32_t own)
{
    PlanInput input = {.model = &fixture->model,
                       .facts = facts,
                       .intents = intents,
                       .own = own,
                       .n_replicas = 1,
                       .replicas = &replica,
                       .number = 5 + own};
    PlanOutput output;
    assert_int_equal(plan_build(arena, &input, &output), 0);
    return output;
}

static void pin(const char *prefix, const char *region)
{
    char target[80];
    (void)snprintf(target, sizeof target, "prefix:%s", prefix);
    Intent intent = {.kind = INTENT_PIN,
                     .target = target,
                     .region = region,
                     .author = "a",
                     .reason = "b",
                     .stamp = 257,
                     .expires = {INT64_MAX}};
    IntentSet *next;
    assert_int_equal(intent_set_with(intents, &intent, 1, (Wall){0}, true, &next), 0);
    (void)intent_set_free(intents);
    intents = next;
}

static void test_fleet_part_is_the_same_everywhere(void **state)
{
    (void)state;
    Rng rng = rng_seeded(8);
    for (int round = 0; round < 300; round++) {
        for (uint32_t g = 0; g < 6; g++) {
            facts[g].state = (HealthState)rng_below(&rng, HEALTH_MAX);
            facts[g].classes = (uint32_t)rng_below(&rng, 4);
            facts[g].share_ppm = (uint32_t)rng_below(&rng, PPM_ONE + 1);
            facts[g].load_rps = (uint32_t)rng_below(&rng, 1500);
        }
        arena_reset(arena);
        PlanOutput first = build(0);
        for (uint32_t own = 1; own < 6; own++) {
            facts[own].own_down = 1; // what only that region sees
            facts[5].own_rtt_us = 1000 * own;
            assert_int_equal(build(own).plan->fleet_digest, first.plan->fleet_digest);
            facts[own].own_down = 0;
        }
        facts[5].own_rtt_us = 0;
        for (uint32_t i = 0; i < first.plan->n_routes; i++) {
            const PlanRoute *route = &first.plan->routes[i];
            uint32_t sum = 0;
            assert_in_range(route->n_entries, 1, 6);
            for (uint32_t e = 0; e < route->n_entries; e++)
                sum += route->entries[e].share_ppm;
            assert_int_equal(sum, PPM_ONE);
        }
    }
}

static void test_class_that_no_service_needs(void **state)
{
    (void)state;
    fixture->services[0].classes = CLASS_MASK_READ;
    const Plan *plan = build(0).plan;
    uint32_t load = 0;
    for (uint32_t g = 0; g < 6; g++)
        load += plan->gateways[g].load_ppm;
    assert_int_equal(load, 3 * PPM_ONE); // 3,000 rps on 1,000 each, all of it reads
    const PlanRoute *route = plan_route(plan, 0, SERVICE_CLASS_WRITE, 0); // exists all the same
    assert_int_equal(route->n_entries, 6);
    assert_int_equal(route->entries[0].share_ppm, PPM_ONE);
}

static void test_everything_counts_in_the_digest(void **state)
{
    (void)state;
    pin("10.0.0.0/8", "c0-r0");
    uint64_t seen[24];
    size_t n = 0;
    seen[n++] = build(0).plan->fleet_digest;
#define CHANGE(statement)                                                                          \
    statement;                                                                                     \
    seen[n++] = build(0).plan->fleet_digest
    CHANGE(facts[1].state = HEALTH_DOWN);
    CHANGE(facts[1].classes = 1);
    CHANGE(facts[2].share_ppm = 1);
    CHANGE(facts[3].load_rps = 900);
    CHANGE(facts[3].capacity_rps = 999);
    CHANGE(fixture->model.generation = 2);
    CHANGE(fixture->model.config_hash = 2);
    CHANGE(fixture->model.prefixes_digest = 2);
    CHANGE(fixture->regions[4].address = "127.0.0.2");
    CHANGE(fixture->regions[4].edge_port = 1);
    CHANGE(fixture->regions[4].peer_port = 1);
    CHANGE(fixture->regions[4].name = "renamed");
    CHANGE(fixture->clouds[2].name = "other");
    CHANGE(fixture->services[0].name = "svc");
    CHANGE(fixture->services[0].open[SERVICE_CLASS_WRITE] = true);
    CHANGE(fixture->groups[0].name = "g");
    CHANGE(fixture->latency_us[5] = 1);
    CHANGE(pin("10.0.0.0/9", "c0-r0"));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(seen[i], seen[j]);
}

static void test_local_part_has_a_digest_of_its_own(void **state)
{
    (void)state;
    PlanOutput before = build(0);
    facts[1].own_down = 1;
    PlanOutput after = build(0);
    assert_int_equal(after.plan->fleet_digest, before.plan->fleet_digest);
    assert_int_not_equal(after.local_digest, before.local_digest);
    facts[1].own_down = 0;
    replica.state = HEALTH_DOWN;
    assert_int_not_equal(build(0).local_digest, before.local_digest);
    replica.state = HEALTH_UP;
    fixture->model.pick.retry_burst++;
    assert_int_not_equal(build(0).local_digest, before.local_digest);
    fixture->model.pick.retry_burst--;
    assert_int_equal(build(0).local_digest, before.local_digest);
}

static void test_pins(void **state)
{
    (void)state;
    pin("10.1.0.0/16", "c1-r2");
    pin("10.0.0.0/8", "c0-r1");
    pin("2001:db8::/32", "c2-r5");
    pin("2001:0db8::/32", "c2-r4"); // the same one in other words
    pin("192.0.2.0/24", "nowhere");
    pin("198.51.100.0/24", "c1-r3");
    facts[3].state = HEALTH_NEVER; // stronger than a pin
    const Plan *plan = build(0).plan;
    assert_int_equal(plan->n_pins, 3);
    for (uint32_t i = 1; i < plan->n_pins; i++)
        assert_true(memcmp(&plan->pins[i - 1].prefix, &plan->pins[i].prefix, 16) <= 0);
}

static void test_clone(void **state)
{
    (void)state;
    pin("10.0.0.0/8", "c0-r0");
    PlanOutput output = build(2);
    Arena *other = arena_new((size_t)1 << 20);
    Plan *copy = plan_clone(other, output.plan);
    assert_int_equal(plan_fleet_digest(copy), output.plan->fleet_digest);
    assert_int_equal(plan_local_digest(copy), output.local_digest);
    arena_reset(arena); // the copy does not lean on it
    memset(arena_alloc(arena, 8192), 0xff, 8192);
    assert_int_equal(plan_fleet_digest(copy), copy->fleet_digest);
    assert_int_equal(plan_local_digest(copy), output.local_digest);
    (void)arena_free(other);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    pin("10.0.0.0/8", "c0-r0");
    PlanInput input = {.model = &fixture->model,
                       .facts = facts,
                       .intents = intents,
                       .n_replicas = 1,
                       .replicas = &replica};
    size_t limit = 1;
    for (int r = -1; r < 0; limit += 8) { // every piece is the first that does not fit once
        PlanOutput output;
        Arena *small = arena_new(limit);
        r = plan_build(small, &input, &output);
        assert_true(r == 0 || r == ERROR_MEMORY);
        if (r == 0)
            for (size_t room = 1; room < 4096; room += 8) {
                Arena *tiny = arena_new(room);
                Plan *copy = plan_clone(tiny, output.plan);
                assert_true(copy == NULL || plan_fleet_digest(copy) == output.plan->fleet_digest);
                (void)arena_free(tiny);
            }
        (void)arena_free(small);
        assert_true(limit < 100000);
    }
}

// A name is its constant in lower case, so that nobody has to look it up.
static void assert_named(const char *name, const char *constant)
{
    char lower[64] = "";
    for (size_t i = 0; constant[i] != '\0' && i < sizeof lower - 1; i++)
        lower[i] = (char)tolower((unsigned char)constant[i]);
    assert_string_equal(name, lower);
}

static void test_names(void **state)
{
    (void)state;
#define X(name, text)                                                                              \
    assert_named(record_kind_name(RECORD_##name), #name);                                          \
    assert_string_equal(record_kind_text(RECORD_##name), text);
    RECORD_KINDS(X)
#undef X
    assert_string_equal(record_kind_name(RECORD_KIND_MAX), "?");
    assert_string_equal(record_kind_text((RecordKind)-1), "?");
    for (int kind = 0; kind < INTENT_KIND_MAX; kind++)
        assert_int_equal(intent_kind_parse(intent_kind_name((IntentKind)kind)), kind);
    assert_int_equal(intent_kind_parse("nonsense"), -1);
    assert_string_equal(intent_kind_name(INTENT_KIND_MAX), "?");
    static const char *const states[] = {"UNKNOWN", "UP", "SUSPECT", "DOWN", "DRAINED", "NEVER"};
    for (int s = 0; s < HEALTH_MAX; s++)
        assert_named(health_state_name((HealthState)s), states[s]);
    assert_string_equal(health_state_name(HEALTH_MAX), "?");
    assert_int_equal(model_find_region(&fixture->model, "c2-r5"), 5);
    assert_int_equal(model_find_region(&fixture->model, "c2"), -1);
    assert_int_equal(model_find_cloud(&fixture->model, "cloud2"), 2);
    assert_int_equal(model_find_cloud(&fixture->model, ""), -1);
    assert_int_equal(model_find_service(&fixture->model, "api"), 0);
    assert_int_equal(model_find_service(&fixture->model, "web"), -1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_fleet_part_is_the_same_everywhere),
        T(test_class_that_no_service_needs),
        T(test_everything_counts_in_the_digest),
        T(test_local_part_has_a_digest_of_its_own),
        T(test_pins),
        T(test_clone),
        T(test_out_of_memory),
        T(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
