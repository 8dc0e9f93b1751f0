// SPDX-License-Identifier: MIT
// Tests of the search: it finds what breaks an invariant, and shrinks it to what is needed; and
// liveness is really looked at.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim_schedule.h"
#include "sim_shrink.h"

// Stands for a rule that is broken: it takes two faults, a held gateway while some agent is not
// running.
static int never_held_while_one_is_dead(const SimFleet *fleet, Error *reterr)
{
    bool dead = false, held = false;
    for (uint32_t i = 0; i < fleet->model->n_regions; i++) {
        dead = dead || (fleet->agents[i].core == NULL && fleet->now_ns > NS_PER_S);
        held = held || fleet->agents[i].held != 0;
    }
    return dead && held ? error_set(reterr, ERROR_NOT_HELD, "held while one is dead") : 0;
}

static void found_and_shrunk(void **state)
{
    SimScenario scenario;
    SimRunOptions options = {.invariant = never_held_while_one_is_dead};
    SimRunResult result;
    Error err = ERROR_INIT;
    int r = 0;
    for (uint64_t seed = 1; r == 0; seed++) {
        assert_true(seed < 200);
        options.seed = seed;
        sim_schedule_make(seed, "found", &scenario);
        scenario.live = false; // what is looked for happens early
        scenario.run_ms = 20000;
        scenario.expects[0] = (SimExpect){.until_ms = 20000, .who = SIM_ALL, .care = SIM_MASK_NONE};
        error_done(&err);
        r = sim_scenario_run(&scenario, &options, &result, &err);
        if (sim_scenario_n_faults(&scenario) < 4)
            r = 0; // nothing to shrink
    }
    assert_string_equal(error_text(&err), "held while one is dead");
    SimShrink shrink;
    sim_shrink_begin(&shrink, &scenario, &options, error_text(&err));
    while (sim_shrink_step(&shrink) > 0)
        ;
    size_t n = sim_scenario_n_faults(&shrink.best);
    assert_true(n >= 1 && n <= 3);
    assert_true(n < sim_scenario_n_faults(&scenario));
    assert_int_equal(sim_scenario_n_wishes(&shrink.best), 0);
    error_done(&err);
    // what is left still breaks, and does so again
    SimRunResult again;
    assert_int_equal(sim_scenario_run(&shrink.best, &options, &result, &err), ERROR_NOT_HELD);
    assert_string_equal(error_text(&err), "held while one is dead");
    error_done(&err);
    assert_int_equal(sim_scenario_run(&shrink.best, &options, &again, NULL), ERROR_NOT_HELD);
    assert_true(result.digest == again.digest);
}

static void classes_leave_numbers_out(void **state)
{
    static const struct {
        const char *problem, *broken;
    } ROWS[] = {{"agent 3 at 22.1 s: invariant 2: gateway 4 held", "invariant 2"},
                {"liveness: 12.0 s after the last fault: agent 1", "liveness: "},
                {"", ""}};
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        char broken[SIM_CLASS_MAX];
        sim_shrink_class(ROWS[i].problem, broken);
        assert_string_equal(broken, ROWS[i].broken);
    }
}

// At the end of the run the gateway is still held: `live` waits until it is not, `calm_at_end` does
// not.
static void liveness_is_looked_at(void **state)
{
    SimScenario scenario = {.name = "restless",
                            .run_ms = 10000,
                            .faults = {{.kind = FAULT_REFUSE, .a = 2, .until_ns = 9000}},
                            .live = true};
    SimRunResult result;
    const SimRunOptions options = {.seed = 1};
    assert_int_equal(sim_scenario_run(&scenario, &options, &result, NULL), 0);
    // it was held at the end of the run, so the fleet went on until it was calm
    assert_true(result.virtual_ns > 30 * NS_PER_S && result.transitions >= 12);
    scenario.live = false;
    scenario.calm_at_end = true;
    Error err = ERROR_INIT;
    assert_int_equal(sim_scenario_run(&scenario, &options, &result, &err), ERROR_NOT_HELD);
    assert_non_null(strstr(error_text(&err), "still holds 0x02"));
    error_done(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_leave_numbers_out),
        cmocka_unit_test(liveness_is_looked_at),
        cmocka_unit_test(found_and_shrunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
