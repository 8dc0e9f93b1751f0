// SPDX-License-Identifier: MIT
// Tests of the simulator itself: that it is deterministic, that its checks and expectations fail
// when they should, and that its world breaks requests the way the faults say.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim_check.h"
#include "sim_detect.h"
#include "sim_plan.h"
#include "sim_random.h"
#include "sim_scenario.h"

static void same_seed_same_bytes(void **state)
{
    const SimScenario *scenario = sim_scenario_find("killed-while-agents-restart");
    uint64_t digests[3];
    Buf timelines[3];
    for (int i = 0; i < 3; i++) {
        timelines[i] = BUF_INIT(16U << 20);
        const SimRunOptions options = {.seed = i < 2 ? 5 : 6, .timeline = &timelines[i]};
        SimRunResult result;
        assert_int_equal(sim_scenario_run(scenario, &options, &result, NULL), 0);
        digests[i] = result.digest;
    }
    assert_true(digests[0] == digests[1]);
    assert_true(digests[0] != digests[2]);
    assert_string_equal(buf_text(&timelines[0]), buf_text(&timelines[1]));
    assert_non_null(strstr(buf_text(&timelines[0]), "gateway held down"));
    for (int i = 0; i < 3; i++)
        buf_done(&timelines[i]);
}

static void random_runs_repeat(void **state)
{
    SimRandomResult a, b;
    assert_int_equal(sim_random_core(77, 3000, &a, NULL), 0);
    assert_int_equal(sim_random_core(77, 3000, &b, NULL), 0);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(sim_random_fleet(77, 1000, NULL, &a, NULL), 0);
    assert_int_equal(sim_random_fleet(77, 1000, NULL, &b, NULL), 0);
    assert_memory_equal(&a, &b, sizeof a);
}

static void wrong_expectations_are_noticed(void **state)
{
    static const struct {
        SimExpect expect;
        const char *text;
    } CASES[] = {
        {{.from_ms = 1000, .until_ms = 5000, .who = SIM_ALL}, "holds 0x02, expected 0x00"},
        {{.from_ms = 500, .until_ms = 5000, .who = SIM_ALL, .held = 4}, "expected 0x04"},
        {{.from_ms = 6000, .until_ms = 7000, .who = SIM_ALL}, "never looked at"},
        {{.from_ms = 0, .until_ms = 5000, .who = SIM_ALL, .care = 1, .last = SIM_ALL},
         "stands first"},
        {{.from_ms = 0, .until_ms = 5000, .who = SIM_ALL, .care = 1, .slow = 1}, "slow"},
        {{.who = 0}, "expects nothing"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        SimScenario scenario = {
            .name = "wrong",
            .run_ms = 5000,
            .faults = {{.kind = FAULT_REFUSE, .a = SIM_ONE(1), .until_ns = 5000}},
            .expects = {CASES[i].expect},
        };
        Error err = ERROR_INIT;
        SimRunResult result;
        assert_int_equal(sim_scenario_run(&scenario, &(SimRunOptions){.seed = 1}, &result, &err),
                         ERROR_NOT_HELD);
        assert_non_null(strstr(error_text(&err), CASES[i].text));
        error_done(&err);
    }
}

// A good plan, in parts that a test may spoil.
typedef struct Parts {
    Plan plan;
    PlanGateway gateways[SIM_REGIONS];
    PlanRoute routes[64];
    PlanEntry entries[SIM_REGIONS];
} Parts;

static void parts_of(Parts *parts, const Plan *plan)
{
    *parts = (Parts){.plan = *plan};
    assert_true(plan->n_routes <= ARRAY_SIZE(parts->routes));
    assert_int_equal(plan->routes[0].n_entries, SIM_REGIONS);
    memcpy(parts->gateways, plan->gateways, sizeof parts->gateways);
    memcpy(parts->routes, plan->routes, plan->n_routes * sizeof parts->routes[0]);
    memcpy(parts->entries, plan->routes[0].entries, sizeof parts->entries);
    parts->plan.gateways = parts->gateways;
    parts->plan.routes = parts->routes;
    parts->routes[0].entries = parts->entries;
}

static void expect_broken(const Parts *parts, SimDigests *digests, const char *text)
{
    Error err = ERROR_INIT;
    int r = sim_check_plan(sim_model(), &parts->plan, digests, &err);
    if (text == NULL) {
        assert_int_equal(r, 0);
    } else {
        assert_int_equal(r, ERROR_NOT_HELD);
        if (strstr(error_text(&err), text) == NULL)
            fail_msg("'%s' lacks '%s'", error_text(&err), text);
    }
    error_done(&err);
}

static void broken_plans_are_noticed(void **state)
{
    Core *core;
    const CoreOptions options = {
        .seed = 1, .boot = 1, .first_plan = 1, .replica_sockets = sim_model_sockets()};
    assert_int_equal(core_new(sim_model(), &options, (Mono){0}, (Wall){0}, &core, NULL), 0);
    static SimDigests digests;
    Parts p;
    parts_of(&p, core_plan(core));
    expect_broken(&p, &digests, NULL);
    p.routes[0].n_entries = 0;
    expect_broken(&p, &digests, "1: empty");
    parts_of(&p, core_plan(core));
    p.entries[1] = p.entries[0];
    expect_broken(&p, &digests, "1: gateway twice");
    parts_of(&p, core_plan(core));
    p.entries[2].gateway = 99;
    expect_broken(&p, &digests, "1: unknown gateway");
    parts_of(&p, core_plan(core));
    p.gateways[p.entries[0].gateway].state = HEALTH_DOWN;
    expect_broken(&p, &digests, "2: a gateway stands before a better one");
    parts_of(&p, core_plan(core));
    p.gateways[p.entries[3].gateway].state = HEALTH_NEVER;
    expect_broken(&p, &digests, "2: ");
    parts_of(&p, core_plan(core));
    p.routes[0].n_entries--;
    expect_broken(&p, &digests, "");
    parts_of(&p, core_plan(core));
    p.entries[0].share_ppm++;
    expect_broken(&p, &digests, "4: shares");
    parts_of(&p, core_plan(core));
    p.gateways[0].load_ppm = 3 * PPM_ONE;
    expect_broken(&p, &digests, "3: overload");
    parts_of(&p, core_plan(core));
    p.plan.generation++;
    expect_broken(&p, &digests, "5: one digest");
    (void)core_free(core);
}

static SimAnswer ask(const SimFault *fault, bool kept, int64_t *took_ns)
{
    SimWorld world = {
        .rtt_ns = SIM_RTT_GUIDE, .faults = fault, .n_faults = fault != NULL, .rng = rng_seeded(1)};
    int64_t at_ns = NS_PER_S;
    SimAnswer answer =
        kept ? sim_world_kept(&world, 0, 1, &at_ns) : sim_world_fresh(&world, 0, 1, &at_ns);
    *took_ns = at_ns - NS_PER_S;
    return answer;
}

static void faults_break_requests(void **state)
{
    int64_t took_ns;
    assert_int_equal(ask(NULL, true, &took_ns), SIM_ANSWER_OK);
    assert_in_range(took_ns, 52 * NS_PER_MS, 78 * NS_PER_MS);
    assert_int_equal(ask(NULL, false, &took_ns), SIM_ANSWER_OK); // handshakes take two round trips
    assert_in_range(took_ns, 156 * NS_PER_MS, 234 * NS_PER_MS);
    static const struct {
        SimFaultKind kind;
        SimAnswer answer;
    } ROWS[] = {{FAULT_REFUSE, SIM_ANSWER_REFUSED}, {FAULT_HANG, SIM_ANSWER_NONE},
                {FAULT_DEAD, SIM_ANSWER_NONE},      {FAULT_ERRORS, SIM_ANSWER_BAD},
                {FAULT_LOSS, SIM_ANSWER_NONE},      {FAULT_SLOW, SIM_ANSWER_OK}};
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        SimFault fault = {.kind = ROWS[i].kind,
                          .a = SIM_ONE(1),
                          .b = SIM_ONE(0),
                          .until_ns = 2000 * NS_PER_S,
                          .value = PPM_ONE};
        assert_int_equal(ask(&fault, true, &took_ns), ROWS[i].answer);
        assert_int_equal(ask(&fault, false, &took_ns), ROWS[i].answer);
        fault.a = SIM_ONE(2);
        assert_int_equal(ask(&fault, true, &took_ns), SIM_ANSWER_OK);
    }
    // half of the packets lost: an answer all the same, later
    SimFault loss = {.kind = FAULT_LOSS,
                     .a = SIM_ONE(0),
                     .b = SIM_ONE(1),
                     .both = true,
                     .until_ns = 2000 * NS_PER_S,
                     .value = 500000};
    assert_int_equal(ask(&loss, true, &took_ns), SIM_ANSWER_OK);
}

static void events_come_in_order(void **state)
{
    SimHeap heap = {0};
    Rng rng = rng_seeded(3);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(sim_heap_push(&heap, (SimEvent){.at_ns = (int64_t)rng_below(&rng, 50)}),
                         0);
    SimEvent last = {.at_ns = -1}, event;
    int n = 0;
    for (; sim_heap_pop(&heap, &event); n++) {
        assert_true(event.at_ns > last.at_ns ||
                    (event.at_ns == last.at_ns && event.order > last.order));
        last = event;
    }
    assert_int_equal(n, 1000);
    sim_heap_done(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_in_order),
        cmocka_unit_test(faults_break_requests),
        cmocka_unit_test(broken_plans_are_noticed),
        cmocka_unit_test(same_seed_same_bytes),
        cmocka_unit_test(random_runs_repeat),
        cmocka_unit_test(wrong_expectations_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
