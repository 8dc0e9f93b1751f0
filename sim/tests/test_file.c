// SPDX-License-Identifier: MIT
// Tests of scenario files: what is written is read back as the same scenario, and what is wrong is
// refused with its place.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alloc.h"
#include "sim_file.h"
#include "sim_schedule.h"

// Written, read, written: the same bytes. That they mean the same is told by the digests below.
static void expect_same(const SimScenario *scenario)
{
    Buf first = BUF_INIT(0), second = BUF_INIT(0);
    Error err = ERROR_INIT;
    SimFile *file = NULL;
    sim_file_format(scenario, &first);
    if (sim_file_parse("F", buf_text(&first), first.len, &file, &err) < 0)
        fail_msg("%s: %s\n%s", scenario->name, error_text(&err), buf_text(&first));
    sim_file_format(sim_file_scenario(file), &second);
    assert_string_equal(buf_text(&first), buf_text(&second));
    (void)sim_file_free(file);
    buf_done(&first);
    buf_done(&second);
    error_done(&err);
}

static void all_scenarios_come_back(void **state)
{
    const SimScenario *scenario;
    size_t n = 0;
    for (; (scenario = sim_scenario_at(n)) != NULL; n++)
        expect_same(scenario);
    assert_true(n > 70);
    for (uint64_t seed = 0; seed < 300; seed++) {
        SimScenario random;
        sim_schedule_make(seed, "random", &random);
        expect_same(&random);
    }
}

// Some of them run: a fault or mask that was read wrongly gives another digest.
static void files_run_alike(void **state)
{
    static const char *const NAMES[] = {"split-brain", "old-state",       "most-paths-cut",
                                        "flap-2-3",    "load-cloud-dead", "twelve-cloud-dead",
                                        "overload-3s", "slow-links",      "liar-saves-the-dead",
                                        "clock-wrong"};
    for (size_t i = 0; i < ARRAY_SIZE(NAMES); i++) {
        const SimScenario *scenario = sim_scenario_find(NAMES[i]);
        const SimRunOptions options = {.seed = 3};
        SimRunResult one, other;
        Buf text = BUF_INIT(0);
        SimFile *file;
        sim_file_format(scenario, &text);
        assert_int_equal(sim_file_parse("F", buf_text(&text), text.len, &file, NULL), 0);
        assert_int_equal(sim_scenario_run(scenario, &options, &one, NULL), 0);
        assert_int_equal(sim_scenario_run(sim_file_scenario(file), &options, &other, NULL), 0);
        assert_true(one.digest == other.digest);
        assert_true(one.steps == other.steps && one.virtual_ns == other.virtual_ns);
        (void)sim_file_free(file);
        buf_done(&text);
    }
}

#define HEAD "name: n\ntext: t\nrun: 60s\n"
#define LAYOUT                                                                                     \
    "regions:\n  - {name: a, cloud: x, rtt: {b: 8ms, c: 65ms}}\n  - {name: b, cloud: y, rtt: {c: " \
    "9ms}}\n  - {name: c, cloud: z}\n"

static void wrong_files_are_refused(void **state)
{
    static const struct {
        const char *file, *problem;
    } ROWS[] = {
        {"name: n\ntext: t\n", "F:1:1: key 'run': missing"},
        {HEAD "faults:\n  - {kind: hang, at: [nowhere], from: 20s}\n",
         "F:5:23: name 'nowhere': no such region or cloud; allowed: aws, azure, gcp, us-west-2"},
        {HEAD "faults:\n  - {kind: hangs, at: [aws], from: 20s}\n", "not one of the choices"},
        {HEAD "faults:\n  - {kind: hang, at: [aws], from: 20s, until: 10s}\n", "not after `from`"},
        {HEAD "faults:\n  - {kind: hang, at: [aws], from: 20s, share: 5 %}\n",
         "key 'share': means nothing for this kind"},
        {HEAD "faults:\n  - {kind: loss, at: [aws], from: 20s}\n", "key 'share': no share"},
        {HEAD "faults:\n  - {kind: lag, at: [aws], from: 20s, time: 2h}\n", "too long"},
        {HEAD "faults:\n  - {kind: hang, at: [none], from: 20s}\n", "key 'at': nowhere"},
        {HEAD "faults:\n  - {kind: hang, at: [aws], from: 1500us}\n", "whole milliseconds"},
        {HEAD "faults:\n  - {kind: old, at: [aws], from: 20s, time: 30s}\n",
         "before the fleet's start"},
        {HEAD "wishes:\n  - {at: 20s, agent: aws, wish: drain, target: fleet}\n", "name 'aws'"},
        {HEAD "wishes:\n  - {at: 20s, agent: eastus, wish: drain, target: fleet}\n"
              "  - {at: 10s, agent: eastus, wish: drain, target: fleet}\n",
         "before the wish above"},
        {HEAD "expect:\n  - {from: 30s, until: 20s, who: [all]}\n", "F:5:24: key 'until'"},
        {HEAD "helds: 1\n", "unknown key"},
        {"name: n\ntext: t\nrun: 20s\n", "no longer than the warm-up"},
        {HEAD "flap: 1s\n", "nothing that could come again"},
        {HEAD "regions:\n  - {name: a, cloud: x}\n", "allowed: 3 to 12 regions"},
        {HEAD
         "regions:\n  - {name: a, cloud: x}\n  - {name: b, cloud: y}\n  - {name: c, cloud: z}\n",
         "a pair without a round trip"},
        {HEAD
         "regions:\n  - {name: a, cloud: x}\n  - {name: a, cloud: y}\n  - {name: b, cloud: z}\n",
         "a second region of that name"},
        {"- a list\n", "the file is not a map"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        SimFile *file = NULL;
        Error err = ERROR_INIT;
        assert_int_equal(sim_file_parse("F", ROWS[i].file, strlen(ROWS[i].file), &file, &err),
                         ERROR_FORMAT);
        if (strstr(error_text(&err), ROWS[i].problem) == NULL)
            fail_msg("'%s' lacks '%s'", error_text(&err), ROWS[i].problem);
        assert_null(file);
        error_done(&err);
    }
    Buf big = BUF_INIT(0);
    while (big.len <= SIM_FILE_BYTES)
        buf_add_text(&big, "# a comment that goes on and on and on\n");
    SimFile *file = NULL;
    assert_int_equal(sim_file_parse("F", big.data, big.len, &file, NULL), ERROR_LIMIT);
    buf_done(&big);
}

static void a_layout_of_its_own(void **state)
{
    static const char TEXT[] = HEAD LAYOUT "faults:\n  - {kind: refuse, at: [b], from: 20s}\n"
                                           "expect:\n"
                                           "  - {from: 22s, until: 60s, who: [all], held: [b]}\n";
    SimFile *file;
    SimRunResult result;
    assert_int_equal(sim_file_parse("F", TEXT, sizeof TEXT - 1, &file, NULL), 0);
    const SimScenario *scenario = sim_file_scenario(file);
    assert_int_equal(scenario->own->model->n_regions, 3);
    assert_int_equal(scenario->own->model->n_clouds, 3);
    assert_true(scenario->own->rtt_ns[2][0] == 65 * NS_PER_MS);
    expect_same(scenario);
    Error err = ERROR_INIT;
    int r = sim_scenario_run(scenario, &(SimRunOptions){.seed = 1}, &result, &err);
    if (r < 0)
        fail_msg("%s", error_text(&err));
    (void)sim_file_free(file);
}

static void memory_may_run_out(void **state)
{
    static const char TEXT[] = HEAD LAYOUT "faults:\n  - {kind: refuse, at: [b], from: 20s}\n";
    int r = ERROR_MEMORY;
    for (long n = 0; r != 0; n++) {
        SimFile *file = NULL;
        alloc_fail_after(n);
        r = sim_file_parse("F", TEXT, sizeof TEXT - 1, &file, NULL);
        alloc_fail_after(-1);
        assert_true(r == 0 || r == ERROR_MEMORY);
        assert_true((r == 0) == (file != NULL));
        (void)sim_file_free(file);
        assert_true(n < 10000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_scenarios_come_back), cmocka_unit_test(files_run_alike),
        cmocka_unit_test(wrong_files_are_refused), cmocka_unit_test(a_layout_of_its_own),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
