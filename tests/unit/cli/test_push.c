// SPDX-License-Identifier: MIT
// test_push: what a push refuses, in which order regions get the file, and every check of the
// watch: made to fail alone, and silent while nothing changed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "push_judge.h"
#include "push_rules.h"
#include "push_verb.h"

#define HASH UINT64_C(0x1111111111111111)
#define REGION 2

static const char *root;
static Conf *conf;
static AgentAnswer looks[3][6]; // first, before, now

static json_t *agent(uint32_t index, int requests, const char *hash)
{
    json_t *gateways = json_array();
    for (uint32_t i = 0; i < 6; i++)
        (void)json_array_append_new(gateways, json_pack("{s:s,s:s,s:i}", "region",
                                                        conf->model.regions[i].name, "verdict",
                                                        "up", "projected_load_ppm", 400000));
    return json_pack("{s:{s:s,s:s,s:[s,s],s:{s:i,s:i},s:{s:i,s:i,s:i}},s:o,s:[{s:s,s:s}]}",
                     "region", "region", conf->model.regions[index].name, "config_hash", hash,
                     "classes", "read", "write", "replicas", "want", 2, "up", 2, "edge", "requests",
                     requests, "errors", requests / 500, "retries", requests / 100, "gateways",
                     gateways, "alarms", "name", "alone", "text", "as before");
}

static int setup(void **state)
{
    char file[1024];
    (void)snprintf(file, sizeof file, "%s/fleet.yaml", root);
    if (conf_load(file, &conf, NULL, NULL) < 0)
        return -1;
    for (uint32_t look = 0; look < 3; look++)
        for (uint32_t i = 0; i < 6; i++)
            looks[look][i] =
                (AgentAnswer){.status = 200,
                              .body = agent(i, 1000 * (int)(look + 1),
                                            look == 2 ? "1111111111111111" : "2222222222222222")};
    return 0;
}

static int teardown(void **state)
{
    for (uint32_t look = 0; look < 3; look++)
        agents_done(looks[look], 6);
    conf = conf_free(conf);
    return 0;
}

static json_t *self(uint32_t region)
{
    return json_object_get(looks[2][region].body, "region");
}

static void judges(uint32_t observer, uint32_t gateway, const char *verdict)
{
    json_t *item = json_array_get(json_object_get(looks[2][observer].body, "gateways"), gateway);
    (void)json_object_set_new(item, "verdict", json_string(verdict));
}

static void count(const char *key, int value)
{
    (void)json_object_set_new(json_object_get(self(REGION), "edge"), key, json_integer(value));
}

// The checks that fail now, as names joined by spaces.
static const char *failing(char text[PUSH_TEXT_MAX])
{
    static char names[256];
    const PushView view = {.conf = conf,
                           .region = REGION,
                           .hash = HASH,
                           .first = looks[0],
                           .before = looks[1],
                           .now = looks[2]};
    names[0] = '\0';
    for (int i = 0; i < PUSH_CHECK_MAX; i++) {
        char why[PUSH_TEXT_MAX];
        if (!push_check_fails(&view, (PushCheck)i, why))
            continue;
        assert_true(why[0] != '\0');
        (void)snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s",
                       names[0] != '\0' ? " " : "", push_check_name((PushCheck)i));
        (void)snprintf(text, PUSH_TEXT_MAX, "%s", why);
    }
    return names;
}

static void fails_alone(const char *check, const char *part)
{
    char text[PUSH_TEXT_MAX] = "";
    assert_string_equal(failing(text), check);
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in '%s'", part, text);
}

static void nothing_changed(void **state)
{
    fails_alone("", "");
}

static void silent_agent(void **state)
{
    json_decref(looks[2][REGION].body);
    looks[2][REGION] = (AgentAnswer){.error = "refused"};
    fails_alone("agent", "does not answer: refused");
}

static void other_file(void **state)
{
    (void)json_object_set_new(self(REGION), "config_hash", json_string("3333333333333333"));
    fails_alone("config", "runs 3333333333333333, not 1111111111111111");
}

static void lost_replica(void **state)
{
    (void)json_object_set_new(json_object_get(self(REGION), "replicas"), "up", json_integer(1));
    fails_alone("replicas", "1 of 2");
}

static void lost_class(void **state)
{
    (void)json_array_remove(json_object_get(self(REGION), "classes"), 1);
    fails_alone("classes", "write");
}

static void held_by_one(void **state)
{
    judges(4, REGION, "down");
    fails_alone("down verdict", "us-west1 judges it 'down'");
    assert_true(push_check_is_sudden(PUSH_CHECK_DOWN));
}

static void suspected_by_one(void **state)
{
    judges(4, REGION, "suspect");
    fails_alone("verdict", "us-west1 judges it 'suspect'");
    assert_false(push_check_is_sudden(PUSH_CHECK_VERDICT));
}

static void own_sight(void **state)
{
    judges(REGION, 0, "down");
    fails_alone("sight", "it judges us-west-2 'down'");
}

static void too_much_load(void **state)
{
    json_t *item = json_array_get(json_object_get(looks[2][REGION].body, "gateways"), 5);
    (void)json_object_set_new(item, "projected_load_ppm", json_integer(1000000));
    fails_alone("", "");
    (void)json_object_set_new(item, "projected_load_ppm", json_integer(1500000));
    fails_alone("load", "us-east1 150 %");
}

static void errors_at_the_edge(void **state)
{
    count("errors", 4 + 14); // 1.4 % of 1,000, and 0.2 % is usual
    fails_alone("", "");
    count("errors", 4 + 16);
    fails_alone("errors", "16 of 1000 requests");
    count("requests", 100); // a new agent counts from zero
    count("errors", 4);
    count("retries", 1);
    fails_alone("", "");
    count("errors", 5);
    fails_alone("errors", "5 of 100 requests");
}

static void retries_at_the_edge(void **state)
{
    count("retries", 20 + 119);
    fails_alone("", "");
    count("retries", 20 + 122);
    fails_alone("retries", "second try");
}

static void new_alarm(void **state)
{
    (void)json_array_append_new(json_object_get(looks[2][REGION].body, "alarms"),
                                json_pack("{s:s,s:s}", "name", "sick", "text", "4 of 6"));
    fails_alone("alarms", "alarm 'sick': 4 of 6");
}

static void other_regions(void **state)
{
    judges(0, 5, "suspect");
    fails_alone("others", "us-west-2 judges us-east1 'suspect'");
    judges(0, 5, "up");
    (void)json_array_remove(json_object_get(self(4), "classes"), 0);
    fails_alone("others", "us-west1 cannot serve class read");
    looks[1][4].status = looks[2][4].status = 0; // it was away before: not our affair
    fails_alone("", "");
    looks[2][3].status = 0;
    fails_alone("others", "the agent of eastus");
}

// --- Rules and order ---

static void restart_keys(void **state)
{
    static const struct {
        const char *line;
        bool restart;
    } ROWS[] = {
        {"fleet.domain: a.org -> b.org", true},
        {"fleet.generation: 1 -> 2", false},
        {"regions.eastus: added", true},
        {"regions.eastus: removed", true},
        {"regions: in another order", false},
        {"regions.eastus.gateway.address: 127.1.1.1 -> 127.1.1.2", true},
        {"regions.eastus.gateway.https: 8443 -> 9443", true},
        {"regions.eastus.replicas: 2 -> 3", true},
        {"regions.eastus.capacity: 2000 requests/s -> 3000 requests/s", false},
        {"regions.eastus.location: [1, 2] -> [3, 4]", false},
        {"regions.eastus.database: local -> host=db", true},
        {"regions.eastus.database_port: 5432 -> 5433", true},
        {"services.api: removed", false},
        {"clients.world.demand: 40 % -> 50 %", false},
        {"health.hold: 10s -> 12s", false},
        {"certificates.issuer: local -> files", true},
        {"edge.workers: 2 -> 1", true},
        {"edge.read_timeout: 5s -> 6s", false},
        {"certificates.lifetime: 24h -> 12h", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        Buf diff CLEANUP(buf_done) = BUF_INIT(0), lines CLEANUP(buf_done) = BUF_INIT(0);
        buf_printf(&diff, "health.hold: 1s -> 2s\n%s\n", ROWS[i].line);
        assert_int_equal(push_rules_restart(buf_text(&diff), &lines), 0);
        if ((lines.len > 0) != ROWS[i].restart)
            fail_msg("%s: %s", ROWS[i].line, buf_text(&lines));
    }
}

static void order(void **state)
{
    static const uint64_t LOADS[6] = {9, 8, 7, 3, 4, 9};
    static const uint32_t BY_LOAD[6] = {3, 2, 0, 1, 4, 5}, FROM_FIVE[6] = {5, 4, 0, 1, 2, 3};
    uint32_t regions[6];
    push_order(&conf->model, LOADS, -1, regions);
    assert_memory_equal(regions, BY_LOAD, sizeof regions);
    push_order(&conf->model, LOADS, 5, regions);
    assert_memory_equal(regions, FROM_FIVE, sizeof regions);
}

int main(int argc, char **argv)
{
    root = argv[1];
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_changed),
        TEST(silent_agent),
        TEST(other_file),
        TEST(lost_replica),
        TEST(lost_class),
        TEST(held_by_one),
        TEST(suspected_by_one),
        TEST(own_sight),
        TEST(too_much_load),
        TEST(errors_at_the_edge),
        TEST(retries_at_the_edge),
        TEST(new_alarm),
        TEST(other_regions),
        TEST(order),
        cmocka_unit_test(restart_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
