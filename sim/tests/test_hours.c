// SPDX-License-Identifier: MIT
// Tests of the hours: that the schedule has the rates it says, that a jump is invisible to the
// agents, that skipping quiet time changes no verdict, and that the judge finds what is wrong.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim_hours.h"

#define HOUR_NS (3600 * NS_PER_S)

static void exponentials_have_their_mean(void **state)
{
    Rng rng = rng_seeded(4);
    int64_t sum_ns = 0, longest_ns = 0, over = 0;
    const int64_t mean_ns = 2 * NS_PER_S;
    for (int i = 0; i < 100000; i++) {
        int64_t ns = sim_exponential_ns(&rng, mean_ns);
        assert_true(ns >= 0);
        sum_ns += ns;
        over += ns > mean_ns;
        longest_ns = ns > longest_ns ? ns : longest_ns;
    }
    assert_in_range(sum_ns / 100000, mean_ns / 100 * 99, mean_ns / 100 * 101);
    assert_in_range(over, 36200, 37400); // 1 / e
    assert_in_range(longest_ns, 8 * mean_ns, 45 * mean_ns);
}

static void troubles_come_as_often_as_said(void **state)
{
    SimFaultModel model;
    uint64_t counts[TROUBLE_MAX] = {0};
    int64_t last_ns = 0;
    sim_fault_model_begin(&model, 1, 5, NS_PER_S);
    for (;;) {
        const SimTrouble trouble = *sim_fault_model_next(&model);
        if (trouble.from_ns > 4000 * HOUR_NS)
            break;
        assert_true(trouble.from_ns >= last_ns && trouble.until_ns > trouble.from_ns);
        last_ns = trouble.from_ns;
        counts[trouble.kind]++;
        sim_fault_model_take(&model);
    }
    static const uint32_t PER_1000_HOURS[TROUBLE_MAX] = {3000, 7500, 300, 3000, 20,
                                                         30,   150,  600, 600,  600};
    for (int k = 0; k < TROUBLE_MAX; k++) {
        uint64_t expected = (uint64_t)PER_1000_HOURS[k] * 4;
        assert_in_range(counts[k], expected * 7 / 10, expected * 13 / 10);
    }
}

static SimFleet *fleet_of(const SimFault *faults, size_t n, Buf *timeline)
{
    const SimFleetOptions options = {
        .faults = faults, .n_faults = n, .seed = 3, .loss_ppm = 1000, .timeline = timeline};
    SimFleet *fleet;
    assert_int_equal(sim_fleet_new(&options, &fleet, NULL), 0);
    return fleet;
}

static void run_until(SimFleet *fleet, int64_t at_ns)
{
    int r;
    while ((r = sim_fleet_step(fleet, at_ns, NULL)) > 0)
        ;
    assert_int_equal(r, 0);
}

// Two fleets of one seed; one of them jumps over a day, and its fault comes a day later.
static void a_jump_is_invisible(void **state)
{
    const int64_t jump_ns = 24 * HOUR_NS, at_ns = 20 * NS_PER_S;
    uint64_t held[2][SIM_REGIONS];
    Buf timelines[2];
    for (int k = 0; k < 2; k++) {
        timelines[k] = BUF_INIT(16U << 20);
        SimFleet *fleet = fleet_of(NULL, 0, NULL);
        run_until(fleet, at_ns);
        if (k == 1)
            sim_fleet_shift(fleet, jump_ns);
        int64_t from_ns = fleet->now_ns + NS_PER_S;
        const SimFault fault = {.kind = FAULT_REFUSE,
                                .a = SIM_ONE(2),
                                .from_ns = from_ns,
                                .until_ns = from_ns + 5 * NS_PER_S};
        fleet->world.faults = &fault;
        fleet->world.n_faults = 1;
        sim_world_begin(&fleet->world);
        assert_int_equal(sim_fleet_plan_fault(fleet, &fault, NULL), 0);
        for (int i = 0; i < 400; i++) { // every 100 ms: who holds what
            run_until(fleet, from_ns + i * 100 * NS_PER_MS);
            for (int a = 0; a < SIM_REGIONS; a++)
                buf_printf(&timelines[k], "%u %u ", fleet->agents[a].held,
                           (unsigned)core_plan(fleet->agents[a].core)->gateways[2].share_ppm);
        }
        for (int a = 0; a < SIM_REGIONS; a++)
            held[k][a] = fleet->agents[a].transitions;
        (void)sim_fleet_free(fleet);
    }
    assert_string_equal(buf_text(&timelines[0]), buf_text(&timelines[1]));
    for (int a = 0; a < SIM_REGIONS; a++) {
        assert_int_equal(held[0][a], held[1][a]);
        assert_int_equal(held[0][a], 2); // held and released
    }
    buf_done(&timelines[0]);
    buf_done(&timelines[1]);
}

static SimHoursResult hours(uint32_t times, int64_t length_ns, bool in_full)
{
    static SimHoursResult result;
    const SimHoursOptions options = {
        .seed = 11, .times = times, .length_ns = length_ns, .in_full = in_full};
    Error err = ERROR_INIT;
    if (sim_hours_run(&options, &result, &err) < 0)
        fail_msg("%s", error_text(&err));
    return result;
}

// The same troubles with and without the quiet in between give the same verdicts. A gateway that
// refuses for just about as long as it takes may be held in one of them: packets are lost
// elsewhere.
static void skipping_changes_no_verdict(void **state)
{
    SimHoursResult full = hours(10, 2 * HOUR_NS, true), skipped = hours(10, 2 * HOUR_NS, false);
    assert_true(full.steps > skipped.steps * 2);
    assert_int_equal(full.simulated_ns, full.length_ns);
    assert_memory_equal(full.tally.troubles, skipped.tally.troubles, sizeof full.tally.troubles);
    assert_true(full.tally.verdicts[SIM_VERDICT_OUTAGE] >= 3);
    for (int k = 0; k < SIM_VERDICT_MAX; k++) {
        uint64_t a = full.tally.verdicts[k], b = skipped.tally.verdicts[k];
        if ((a > b ? a - b : b - a) > (k == SIM_VERDICT_DEAD || k == SIM_VERDICT_BURST ? 2 : 0))
            fail_msg("%s: %u in full, %u with skipping", sim_verdict_name((SimVerdictKind)k),
                     (unsigned)a, (unsigned)b);
    }
    assert_int_equal(full.tally.watched, skipped.tally.watched);
    assert_int_equal(full.tally.missed + skipped.tally.missed, 0);
}

static void hours_repeat(void **state)
{
    SimHoursResult a = hours(1, 20 * HOUR_NS, false), b = hours(1, 20 * HOUR_NS, false);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(a.jumps > 100);
    assert_true(a.simulated_ns < a.length_ns / 10);
}

// A gateway that dies and of which the judge was not told; an outage that did not happen.
static void the_judge_finds_what_is_wrong(void **state)
{
    const SimFault fault = {
        .kind = FAULT_REFUSE, .a = SIM_ONE(1), .from_ns = 20 * NS_PER_S, .until_ns = 30 * NS_PER_S};
    const SimTrouble told = {
        .kind = TROUBLE_UPLINK_OUTAGE, .a = 4, .from_ns = 60 * NS_PER_S, .until_ns = 70 * NS_PER_S};
    const SimTrouble true_one = {.kind = TROUBLE_GATEWAY_RESTART,
                                 .a = 1,
                                 .from_ns = 20 * NS_PER_S,
                                 .until_ns = 30 * NS_PER_S};
    for (int informed = 0; informed < 2; informed++) {
        SimTally tally = {0};
        SimJudge judge;
        SimFleet *fleet = fleet_of(&fault, 1, NULL);
        sim_judge_begin(&judge, &tally, NULL);
        if (informed)
            sim_judge_trouble(&judge, &true_one);
        for (int ms = 10000; ms <= 65000; ms += 5) {
            if (ms == 59000)
                sim_judge_trouble(&judge, &told);
            run_until(fleet, ms * NS_PER_MS);
            sim_judge_look(&judge, fleet);
        }
        assert_int_equal(tally.verdicts[SIM_VERDICT_DEAD], informed);
        assert_int_equal(tally.verdicts[SIM_VERDICT_FALSE], !informed);
        assert_int_equal(tally.joined, SIM_REGIONS - 1);
        assert_int_equal(tally.missed, 1); // region 4 was never gone
        assert_int_equal(tally.watched, informed ? 2 : 1);
        assert_true(judge.wrong);
        (void)sim_fleet_free(fleet);
    }
}

static void lone_links_are_left_out(void **state)
{
    const SimHoursOptions options = {
        .seed = 2, .times = 1, .length_ns = 20 * HOUR_NS, .lone_links_every = 1000};
    SimHoursResult result;
    assert_int_equal(sim_hours_run(&options, &result, NULL), 0);
    uint64_t links =
        result.tally.troubles[TROUBLE_LINK_BURST] + result.tally.troubles[TROUBLE_LINK_SLOW];
    uint64_t left_out = result.left_out[0] + result.left_out[1];
    assert_true(left_out > links / 2 && left_out < links);
    assert_int_equal(result.tally.verdicts[SIM_VERDICT_FALSE], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exponentials_have_their_mean),
        cmocka_unit_test(troubles_come_as_often_as_said),
        cmocka_unit_test(a_jump_is_invisible),
        cmocka_unit_test(the_judge_finds_what_is_wrong),
        cmocka_unit_test(skipping_changes_no_verdict),
        cmocka_unit_test(hours_repeat),
        cmocka_unit_test(lone_links_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
