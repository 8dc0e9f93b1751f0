// SPDX-License-Identifier: MIT
// From facts to states, alarms, JSON and metrics; what a server's log says of an apply error.
#include "unit.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "rowsd_cause.h"
#include "rowsd_facts.h"

#define S NS_PER_S
#define MAX_LAG (10 * S)

static const Wall WALL = {INT64_C(1700000000) * NS_PER_S};
static const Mono NOW = {5000 * NS_PER_S};

// One region whose link from "b" is as it should be.
static RowsdFacts *make(void)
{
    RowsdFacts *facts = calloc(1, sizeof *facts);
    facts->region = "a";
    facts->cloud = "aws";
    facts->origin = 1;
    facts->n = 1;
    facts->database = facts->federated = facts->serving = true;
    facts->beat_ns = S;
    facts->beat_at = NOW;
    facts->read_at = WALL;
    facts->clock_limit_ns = S / 2;
    RowsdLink *link = &facts->links[0];
    link->region = "b";
    link->cloud = "azure";
    link->origin = 2;
    strcpy(link->in_name, "a_from_b");
    strcpy(link->out_name, "b_from_a");
    link->in = (LinkIn){.node = true,
                        .active = true,
                        .linked = true,
                        .subscribed = true,
                        .enabled = true,
                        .working = true,
                        .filled = true,
                        .received = 900,
                        .marked = true,
                        .sent = {WALL.ns - S / 100},
                        .arrived = WALL,
                        .lsn = 1000};
    link->out = (LinkOut){.slot = true, .active = true, .status = "reserved", .flush_ns = -1};
    link->probe =
        (LinkProbe){.asked = true, .reachable = true, .at = NOW, .head = 1500, .slot = true};
    return facts;
}

static LinkState judge(RowsdFacts *facts)
{
    rowsd_facts_judge(facts, MAX_LAG, NOW, WALL);
    rowsd_facts_alarms(facts, MAX_LAG, 60 * S, NOW);
    return facts->links[0].state;
}

static bool has_alarm(const RowsdFacts *facts, const char *name)
{
    for (uint32_t i = 0; i < facts->n_alarms; i++)
        if (strcmp(facts->alarms[i].name, name) == 0)
            return true;
    return false;
}

static void a_good_link_streams(void **state)
{
    RowsdFacts *facts = make();
    assert_int_equal(LINK_STATE_STREAMING, judge(facts));
    assert_int_equal(0, facts->n_alarms);
    assert_int_equal(500, facts->links[0].backlog); // from the watermark: it is further
    assert_int_equal(S / 100, facts->links[0].lag_ns);
    free(facts);
}

static void the_gravest_state_is_shown(void **state)
{
    RowsdFacts *facts = make();
    RowsdLink *link = &facts->links[0];
    link->in.filled = false;
    assert_int_equal(LINK_STATE_FILLING, judge(facts));
    link->silent = true;
    assert_int_equal(LINK_STATE_SILENT, judge(facts));
    link->probe.reachable = false;
    assert_int_equal(LINK_STATE_AWAY, judge(facts));
    assert_true(has_alarm(facts, "silent"));
    link->looping = true;
    assert_int_equal(LINK_STATE_ERROR_LOOP, judge(facts));
    assert_true(has_alarm(facts, "error_loop"));
    link->lost = true;
    assert_int_equal(LINK_STATE_SLOT_LOST, judge(facts));
    assert_true(has_alarm(facts, "slot_lost"));
    link->in.enabled = false;
    assert_int_equal(LINK_STATE_DISABLED, judge(facts));
    assert_non_null(strstr(link->why, "ENABLE"));
    link->in.subscribed = false;
    assert_int_equal(LINK_STATE_ABSENT, judge(facts));
    assert_false(has_alarm(facts, "link_absent")); // it may just be made
    rowsd_facts_alarms(facts, MAX_LAG, 60 * S, mono_add(NOW, 11 * S));
    assert_true(has_alarm(facts, "link_absent"));
    free(facts);
}

static void lag_and_backlog_are_catching_up(void **state)
{
    RowsdFacts *facts = make();
    RowsdLink *link = &facts->links[0];
    link->probe.head = 1000 + (UINT64_C(32) << 20);
    assert_int_equal(LINK_STATE_CATCHING_UP, judge(facts));
    assert_int_equal(0, facts->n_alarms);
    link->in.sent.ns -= 60 * S;
    assert_int_equal(LINK_STATE_CATCHING_UP, judge(facts));
    assert_true(has_alarm(facts, "lag"));
    // a peer that was not asked for a while: its backlog is not known, not 0
    link->probe.at.ns -= 60 * S;
    (void)judge(facts);
    assert_false(link->backlog_known);
    free(facts);
}

static void who_has_left_is_no_alarm(void **state)
{
    RowsdFacts *facts = make();
    facts->links[0].in = (LinkIn){.node = true};
    facts->links[0].silent = true;
    assert_int_equal(LINK_STATE_ABSENT, judge(facts));
    assert_int_equal(0, facts->n_alarms);
    free(facts);
}

static void an_alarm_keeps_its_time(void **state)
{
    RowsdFacts *facts = make();
    facts->dead_letters = 3;
    (void)judge(facts);
    assert_true(has_alarm(facts, "dead_letters"));
    rowsd_facts_alarms(facts, MAX_LAG, 60 * S, mono_add(NOW, 100 * S));
    assert_int_equal(NOW.ns, facts->alarms[0].since.ns);
    facts->dead_letters = 0;
    rowsd_facts_alarms(facts, MAX_LAG, 60 * S, mono_add(NOW, 101 * S));
    assert_int_equal(0, facts->n_alarms);
    free(facts);
}

static void own_faults_are_alarms(void **state)
{
    RowsdFacts *facts = make();
    facts->clock = (ClockJudge){true, 734 * NS_PER_MS, CLOCK_FAULT_SKEW};
    facts->beats_missed = 3;
    facts->rpo_ns = 61 * S;
    facts->slot_limit_ppm = 500000;
    facts->links[0].out.limited = true;
    facts->links[0].out.limit = 64 << 20;
    facts->links[0].out.retained = 32 << 20;
    facts->links[0].out.left = 32 << 20;
    (void)judge(facts);
    assert_false(has_alarm(facts, "slot_limit"));
    facts->links[0].out.retained++;
    (void)judge(facts);
    assert_true(has_alarm(facts, "clock"));
    assert_non_null(strstr(facts->alarms[0].text, "+734 ms"));
    assert_true(has_alarm(facts, "beat"));
    assert_true(has_alarm(facts, "rpo"));
    assert_true(has_alarm(facts, "slot_limit"));
    facts->database = false;
    strcpy(facts->database_why, "connection refused");
    (void)judge(facts);
    assert_true(has_alarm(facts, "database"));
    free(facts);
}

static void json_is_json_with_nulls(void **state)
{
    RowsdFacts *facts = make();
    strcpy(facts->dead_letter, "public.t {\"id\": 1} from b: \"quoted\"\n");
    facts->rpo_ns = -1;
    (void)judge(facts);
    Buf out = BUF_INIT(0);
    rowsd_facts_json(facts, NOW, &out);
    json_t *json = json_loads(buf_text(&out), 0, NULL);
    assert_non_null(json);
    assert_true(json_is_null(json_object_get(json, "rpo_ms")));
    assert_string_equal(facts->dead_letter,
                        json_string_value(json_object_get(json, "dead_letter")));
    const json_t *link = json_array_get(json_object_get(json, "links"), 0);
    assert_string_equal("streaming", json_string_value(json_object_get(link, "state")));
    assert_int_equal(500, json_integer_value(json_object_get(link, "backlog_bytes")));
    assert_true(json_is_null(json_object_get(link, "apply_bytes_per_s")));
    json_decref(json);
    buf_clear(&out);
    rowsd_facts_metrics(facts, NOW, &out);
    assert_non_null(strstr(buf_text(&out),
                           "wildcam_rows_lag_seconds{region=\"a\",cloud=\"aws\",peer=\"b\"} 0.01"));
    assert_null(strstr(buf_text(&out), "wildcam_rpo_seconds{"));
    buf_done(&out);
    free(facts);
}

static void a_log_tells_the_right_error(void **state)
{
    static const char LOG[] =
        "cut line ERROR:  not this\n"
        "2026 [7] ERROR:  duplicate key value violates unique constraint \"x\"\n"
        "2026 [7] DETAIL:  Key (a)=(1) already exists.\n"
        "2026 [7] CONTEXT:  processing remote data for replication origin \"pg_16400\" during\n"
        "2026 [8] ERROR:  another origin's\n"
        "2026 [8] CONTEXT:  processing remote data for replication origin \"pg_16401\" during\n"
        "2026 [9] LOG:  background worker exited\n"
        "2026 [9] ERROR:  without a context";
    char text[ROWSD_TEXT] = "";
    assert_true(rowsd_cause_of_log(LOG, "pg_16400", text, sizeof text));
    assert_string_equal("duplicate key value violates unique constraint \"x\"", text);
    assert_true(rowsd_cause_of_log(LOG, "pg_16401", text, sizeof text));
    assert_string_equal("another origin's", text);
    assert_false(rowsd_cause_of_log(LOG, "pg_1640", text, sizeof text));
    assert_false(rowsd_cause_of_log("", "pg_16400", text, sizeof text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_link_streams),
        cmocka_unit_test(the_gravest_state_is_shown),
        cmocka_unit_test(lag_and_backlog_are_catching_up),
        cmocka_unit_test(who_has_left_is_no_alarm),
        cmocka_unit_test(an_alarm_keeps_its_time),
        cmocka_unit_test(own_faults_are_alarms),
        cmocka_unit_test(json_is_json_with_nulls),
        cmocka_unit_test(a_log_tells_the_right_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
