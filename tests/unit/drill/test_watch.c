// SPDX-License-Identifier: MIT
// drill: the judgement of plans, the timeline of verdicts, the counting of what edges did.
#include "unit.h"

#include <string.h>

#include "edge_counters.h"
#include "load_watch.h"
#include "plan_watch.h"

static const PlanGateway GATEWAYS[] = {
    {.region = "a", .state = HEALTH_UP, .share_ppm = PPM_ONE, .classes = CLASS_MASK_ALL},
    {.region = "b", .state = HEALTH_UP, .share_ppm = PPM_ONE, .classes = CLASS_MASK_ALL},
    {.region = "c", .state = HEALTH_UP, .share_ppm = PPM_ONE, .classes = CLASS_MASK_ALL},
};

static Plan plan_of(const PlanRoute *routes, uint32_t n)
{
    return (Plan){.n_gateways = 3, .gateways = GATEWAYS, .n_routes = n, .routes = routes};
}

static void test_in_front(void **state)
{
    static const PlanEntry FIRST_A[] = {{0, PPM_ONE}, {1, 0}, {2, 0}};
    static const PlanEntry LAST_A[] = {{1, 600000}, {2, 400000}, {0, 0}};
    static const PlanEntry SHARE_A[] = {{1, 600000}, {0, 400000}, {2, 0}};
    static const PlanRoute ROUTES[] = {{.n_entries = 3, .entries = LAST_A},
                                       {.n_entries = 3, .entries = SHARE_A},
                                       {.n_entries = 3, .entries = FIRST_A}};
    static const char *const A[] = {"a"}, *const BC[] = {"b", "c"}, *const X[] = {"x"};
    Plan plan = plan_of(ROUTES, 1);
    assert_false(plan_in_front(&plan, A, 1)); // last, without a share: turned away
    assert_true(plan_in_front(&plan, BC, 2));
    assert_false(plan_in_front(&plan, X, 1));
    plan = plan_of(ROUTES, 2);
    assert_true(plan_in_front(&plan, A, 1)); // a share alone sends clients there
    plan = plan_of(ROUTES + 2, 1);
    assert_true(plan_in_front(&plan, A, 1));
}

static void test_full(void **state)
{
    PlanGateway gateways[3];
    memcpy(gateways, GATEWAYS, sizeof gateways);
    Plan plan = plan_of(NULL, 0);
    plan.gateways = gateways;
    uint32_t gateway = 9;
    assert_true(plan_is_full(&plan, &gateway));
    gateways[1].share_ppm = 500000; // still returning
    assert_false(plan_is_full(&plan, &gateway));
    assert_int_equal(gateway, 1);
    gateways[1].share_ppm = PPM_ONE;
    gateways[2].state = HEALTH_DRAINED;
    assert_false(plan_is_full(&plan, &gateway));
    assert_int_equal(gateway, 2);
    gateways[2].state = HEALTH_UP;
    gateways[2].classes = CLASS_MASK_READ; // its database is away
    assert_false(plan_is_full(&plan, &gateway));
}

// --- timeline: three observers, three gateways; times in ms ---

static void see(Timeline *timeline, int64_t at, uint32_t observer, uint32_t gateway,
                HealthState state)
{
    assert_int_equal(timeline_gateway(timeline, (Mono){at * NS_PER_MS}, observer, gateway, state,
                                      CLASS_MASK_ALL),
                     0);
}

static void digest(Timeline *timeline, int64_t at, uint32_t observer, uint64_t value)
{
    assert_int_equal(timeline_digest(timeline, (Mono){at * NS_PER_MS}, observer, value), 0);
}

static void begin(Timeline *timeline)
{
    timeline_init(timeline, 3);
    for (uint32_t o = 0; o < 3; o++) {
        digest(timeline, 0, o, 7);
        for (uint32_t g = 0; g < 3; g++)
            see(timeline, 0, o, g, HEALTH_UP);
    }
}

static void test_episodes(void **state)
{
    static Timeline timeline;
    static TimelineEpisode episodes[TIMELINE_EPISODES];
    begin(&timeline);
    // All take gateway 2 down, one after the other, and let it go: one episode, not three.
    see(&timeline, 100, 0, 2, HEALTH_DOWN);
    see(&timeline, 110, 1, 2, HEALTH_DOWN);
    see(&timeline, 110, 1, 2, HEALTH_DOWN); // nothing new
    see(&timeline, 300, 0, 2, HEALTH_UNKNOWN);
    see(&timeline, 320, 1, 2, HEALTH_UP);
    see(&timeline, 500, 0, 1, HEALTH_DOWN); // another one, for good
    see(&timeline, 600, 0, 2, HEALTH_DOWN); // again
    see(&timeline, 610, 0, 2, HEALTH_UP);
    assert_int_equal(timeline_episodes(&timeline, 7, 7, episodes), 3);
    assert_int_equal(episodes[0].gateway, 2);
    assert_int_equal(episodes[0].begin.ns, 100 * NS_PER_MS);
    assert_int_equal(episodes[0].end.ns, 320 * NS_PER_MS);
    assert_int_equal(episodes[1].gateway, 1);
    assert_int_equal(episodes[1].end.ns, MONO_NEVER.ns);
    assert_int_equal(episodes[2].end.ns, 610 * NS_PER_MS);
    assert_int_equal(timeline_episodes(&timeline, 2, 7, episodes), 1); // as observer 1 saw it
    assert_int_equal(episodes[0].begin.ns, 110 * NS_PER_MS);
    assert_int_equal(timeline_episodes(&timeline, 7, 1, episodes), 0);
    timeline_done(&timeline);
}

static void test_more_episodes_than_room(void **state)
{
    static Timeline timeline;
    static TimelineEpisode episodes[TIMELINE_EPISODES];
    begin(&timeline);
    for (int64_t i = 0; i < TIMELINE_EPISODES + 10; i++) {
        see(&timeline, 10 * i, 0, 2, HEALTH_DOWN);
        see(&timeline, 10 * i + 5, 0, 2, HEALTH_UP);
    }
    assert_int_equal(timeline_episodes(&timeline, 7, 7, episodes), TIMELINE_EPISODES);
    timeline_done(&timeline);
}

static void test_apart(void **state)
{
    static Timeline timeline;
    const Mono from = {0}, to = {1000 * NS_PER_MS};
    begin(&timeline);
    assert_int_equal(timeline_apart_ns(&timeline, 7, from, to), 0);
    digest(&timeline, 100, 0, 8);
    digest(&timeline, 120, 1, 8);
    digest(&timeline, 150, 2, 8); // 50 ms
    digest(&timeline, 400, 0, 9);
    digest(&timeline, 410, 1, 9); // observer 2 stays behind until 700
    digest(&timeline, 700, 2, 9);
    digest(&timeline, 900, 0, 10); // to the end
    assert_int_equal(timeline_apart_ns(&timeline, 7, from, to), 300 * NS_PER_MS);
    assert_int_equal(timeline_apart_ns(&timeline, 3, from, to), 100 * NS_PER_MS);
    assert_int_equal(timeline_apart_ns(&timeline, 7, (Mono){500 * NS_PER_MS}, to), 200 * NS_PER_MS);
    assert_int_equal(timeline_apart_ns(&timeline, 1, from, to), 0);
    timeline_done(&timeline);
}

static void test_agreed(void **state)
{
    static Timeline timeline;
    begin(&timeline);
    assert_int_equal(timeline_agreed(&timeline, 7, (Mono){5}).ns, 5); // already
    see(&timeline, 100, 0, 2, HEALTH_DOWN);
    see(&timeline, 100, 1, 2, HEALTH_DOWN);
    const Mono healed = {200 * NS_PER_MS};
    assert_int_equal(timeline_agreed(&timeline, 7, healed).ns, MONO_NEVER.ns);
    see(&timeline, 450, 2, 2, HEALTH_DOWN); // it took over what the others hold
    assert_int_equal(timeline_agreed(&timeline, 7, healed).ns, 450 * NS_PER_MS);
    assert_int_equal(timeline_agreed(&timeline, 3, healed).ns, healed.ns);
    timeline_done(&timeline);
}

static void test_classes(void **state)
{
    static Timeline timeline;
    begin(&timeline);
    const Mono fault = {50 * NS_PER_MS};
    assert_int_equal(timeline_classes(&timeline, 7, 1, CLASS_MASK_WRITE, 0, fault).ns,
                     MONO_NEVER.ns);
    for (uint32_t o = 0; o < 3; o++)
        assert_int_equal(timeline_gateway(&timeline, (Mono){(100 + o) * NS_PER_MS}, o, 1, HEALTH_UP,
                                          CLASS_MASK_READ),
                         0);
    assert_int_equal(timeline_classes(&timeline, 7, 1, CLASS_MASK_WRITE, 0, fault).ns,
                     102 * NS_PER_MS);
    assert_int_equal(timeline_classes(&timeline, 1, 1, CLASS_MASK_WRITE, 0, fault).ns,
                     100 * NS_PER_MS);
    assert_int_equal(timeline_classes(&timeline, 7, 1, CLASS_MASK_READ, 0, fault).ns,
                     MONO_NEVER.ns);
    timeline_done(&timeline);
}

// --- what edges did ---

static EdgeCounter worker(uint32_t region, uint64_t pid, uint64_t started, uint64_t retries,
                          uint64_t served)
{
    return (EdgeCounter){region, pid, started, {.retries = retries, .served = served}};
}

static void test_edge_counters(void **state)
{
    static EdgeCounters before, after;
    before.n = 2;
    before.items[0] = worker(0, 10, 1, 100, 0);
    before.items[1] = worker(1, 10, 1, 7, 50);
    // Region 0: the same worker, and its successor after a reload. Region 1: killed, a new worker
    // with the same pid in its namespace.
    after.n = 3;
    after.items[0] = worker(0, 10, 1, 130, 9);
    after.items[1] = worker(0, 11, 5, 4, 2);
    after.items[2] = worker(1, 10, 2, 3, 60);
    assert_int_equal(edge_counters_between(&before, &after, 1).retries, 34);
    assert_int_equal(edge_counters_between(&before, &after, 2).retries, 3);
    assert_int_equal(edge_counters_between(&before, &after, 2).served, 60);
    assert_int_equal(edge_counters_between(&before, &after, 3).retries, 37);
    after.items[0].counts.retries = 50; // went backwards: damage, not minus
    assert_int_equal(edge_counters_between(&before, &after, 1).retries, 4);
}

static void test_peak_load(void **state)
{
    static const ModelRegion REGIONS[] = {{.name = "a"}, {.name = "b"}};
    static const Model MODEL = {.n_regions = 2, .regions = REGIONS};
    static LoadWatch load = {.model = &MODEL};
    static EdgeCounters counters;
    load_watch_begin(&load);
    const uint64_t served[] = {0, 100, 200, 700, 800, 900};
    for (uint32_t i = 0; i < ARRAY_SIZE(served); i++) {
        counters.n = 2;
        counters.items[0] = worker(0, 10, 1, 0, served[i]);
        counters.items[1] = worker(1, 10, 1, 0, 40UL * i);
        load_watch_add(&load, (Mono){i * NS_PER_S}, &counters);
    }
    assert_true(load.peak_rps[0] == 300); // 600 in two seconds
    assert_true(load.peak_rps[1] == 40);
    assert_int_equal(load.measured, 3);
}

// Two readings are no two seconds, and a region whose counters were not there was not measured.
static void test_load_that_was_not_measured(void **state)
{
    static const ModelRegion REGIONS[] = {{.name = "a"}, {.name = "b"}};
    static const Model MODEL = {.n_regions = 2, .regions = REGIONS};
    static LoadWatch load = {.model = &MODEL};
    static EdgeCounters counters;
    load_watch_begin(&load);
    for (uint32_t i = 0; i < LOAD_WATCH_SAMPLES; i++) {
        assert_int_equal(load.measured, 0);
        counters.n = 1;
        counters.items[0] = worker(0, 10, 1, 0, 100UL * i);
        load_watch_add(&load, (Mono){i * NS_PER_S}, &counters);
    }
    assert_int_equal(load.measured, 1);
    load_watch_begin(&load);
    assert_int_equal(load.measured, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_front),  cmocka_unit_test(test_full),
        cmocka_unit_test(test_episodes),  cmocka_unit_test(test_more_episodes_than_room),
        cmocka_unit_test(test_apart),     cmocka_unit_test(test_agreed),
        cmocka_unit_test(test_classes),   cmocka_unit_test(test_edge_counters),
        cmocka_unit_test(test_peak_load), cmocka_unit_test(test_load_that_was_not_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
