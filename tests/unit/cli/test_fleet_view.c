// SPDX-License-Identifier: MIT
// test_fleet_view: answers of agents merged: silent, foreign and disagreeing agents, the newest
// intent.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet_view.h"

static const char *root;
static Conf *conf;
static AgentAnswer answers[6];

static json_t *agent(const char *region, const char *verdict_of_first, const char *stamp)
{
    json_t *gateways = json_array(), *intents = json_array();
    for (uint32_t i = 0; i < 6; i++)
        (void)json_array_append_new(gateways,
                                    json_pack("{s:s,s:s}", "region", conf->model.regions[i].name,
                                              "verdict", i == 0 ? verdict_of_first : "up"));
    if (stamp != NULL)
        (void)json_array_append_new(intents, json_pack("{s:s,s:s,s:s}", "kind", "drain", "target",
                                                       "cloud:aws", "stamp", stamp));
    return json_pack("{s:i,s:{s:s,s:s,s:[s,s],s:{s:i,s:i}},s:o,s:o,s:[{s:s}]}", "generation", 4,
                     "region", "region", region, "state", "up", "classes", "read", "write",
                     "replicas", "want", 2, "up", 2, "gateways", gateways, "intents", intents,
                     "alarms", "name", "disk_full");
}

static int setup(void **state)
{
    char file[1024];
    (void)snprintf(file, sizeof file, "%s/fleet.yaml", root);
    if (conf_load(file, &conf, NULL, NULL) < 0)
        return -1;
    for (uint32_t i = 0; i < 6; i++)
        answers[i] =
            (AgentAnswer){.status = 200, .body = agent(conf->model.regions[i].name, "up", NULL)};
    return 0;
}

static int teardown(void **state)
{
    agents_done(answers, 6);
    conf = conf_free(conf);
    return 0;
}

static void replace(uint32_t index, int status, json_t *body)
{
    json_decref(answers[index].body);
    answers[index] = (AgentAnswer){.status = status, .body = body};
}

static const char *text_of(const json_t *list, size_t index, const char *key)
{
    const char *text = json_string_value(json_object_get(json_array_get(list, index), key));
    return text != NULL ? text : "";
}

static void all_well(void **state)
{
    json_t *view = fleet_view_merge(conf, answers);
    assert_true(fleet_view_all_healthy(view));
    assert_int_equal(json_integer_value(json_object_get(view, "generation")), 4);
    const json_t *alarms = json_object_get(view, "alarms");
    assert_int_equal(json_array_size(alarms), 6);
    assert_string_equal(text_of(alarms, 5, "region"), conf->model.regions[5].name);
    json_decref(view);
}

static void silent_and_foreign_agents_are_unreachable(void **state)
{
    char why[160];
    replace(0, 0, NULL);
    replace(1, 200, agent("us-west-2", "up", NULL)); // answers for another region
    replace(2, 500, json_object());
    replace(3, 200, json_string("not an object"));
    json_t *view = fleet_view_merge(conf, answers);
    const json_t *regions = json_object_get(view, "regions");
    for (uint32_t i = 0; i < 4; i++) {
        assert_string_equal(text_of(regions, i, "state"), "unreachable");
        assert_string_equal(text_of(regions, i, "region"), conf->model.regions[i].name);
        assert_true(json_is_null(json_object_get(json_array_get(regions, i), "plan")));
        assert_false(fleet_view_healthy(view, i, why, sizeof why));
    }
    assert_true(fleet_view_healthy(view, 5, why, sizeof why));
    assert_false(fleet_view_all_healthy(view));
    json_decref(view);
}

static void nobody_answers(void **state)
{
    for (uint32_t i = 0; i < 6; i++)
        replace(i, 0, NULL);
    json_t *view = fleet_view_merge(conf, answers);
    assert_int_equal(json_array_size(json_object_get(view, "regions")), 6);
    assert_int_equal(json_array_size(json_object_get(view, "gateways")), 0);
    assert_int_equal(json_integer_value(json_object_get(view, "generation")),
                     conf->model.generation);
    json_decref(view);
}

static void disagreement_is_an_alarm(void **state)
{
    char why[160];
    replace(3, 200, agent(conf->model.regions[3].name, "down", NULL));
    json_t *view = fleet_view_merge(conf, answers);
    const json_t *alarms = json_object_get(view, "alarms");
    bool found = false;
    for (size_t i = 0; i < json_array_size(alarms); i++)
        found = found || (strcmp(text_of(alarms, i, "name"), "agents_disagree") == 0 &&
                          strcmp(text_of(alarms, i, "region"), conf->model.regions[3].name) == 0);
    assert_true(found);
    assert_true(fleet_view_healthy(view, 0, why, sizeof why)); // by the first agent's word
    json_decref(view);
}

static void what_is_missing_is_said(void **state)
{
    char why[160];
    json_t *bodies[4];
    for (uint32_t i = 0; i < 4; i++)
        bodies[i] = json_object_get(answers[i].body, "region");
    (void)json_object_set_new(json_object_get(bodies[0], "replicas"), "up", json_integer(1));
    (void)json_object_set_new(bodies[1], "classes", json_pack("[s]", "read"));
    (void)json_object_set_new(bodies[2], "classes", json_array());
    json_t *view = fleet_view_merge(conf, answers);
    assert_false(fleet_view_healthy(view, 0, why, sizeof why));
    assert_string_equal(why, "1 of 2 replicas up");
    assert_false(fleet_view_healthy(view, 1, why, sizeof why));
    assert_string_equal(why, "cannot serve writes");
    assert_false(fleet_view_healthy(view, 2, why, sizeof why));
    assert_string_equal(why, "cannot serve reads");
    json_decref(view);
    replace(0, 200, agent(conf->model.regions[0].name, "down", NULL));
    view = fleet_view_merge(conf, answers);
    assert_false(fleet_view_healthy(view, 0, why, sizeof why));
    assert_string_equal(why, "its gateway is judged 'down'");
    json_decref(view);
}

static void the_newest_intent_for_a_target_counts(void **state)
{
    replace(1, 200, agent(conf->model.regions[1].name, "up", "0000000000000002"));
    replace(2, 200, agent(conf->model.regions[2].name, "up", "0000000000000009"));
    replace(4, 200, agent(conf->model.regions[4].name, "up", "0000000000000005"));
    json_t *view = fleet_view_merge(conf, answers);
    const json_t *intents = json_object_get(view, "intents");
    assert_int_equal(json_array_size(intents), 1);
    assert_string_equal(text_of(intents, 0, "stamp"), "0000000000000009");
    json_decref(view);
}

static void printing_survives_every_shape(void **state)
{
    replace(0, 0, NULL);
    replace(1, 200,
            json_pack("{s:{s:s},s:[n,i],s:s,s:[i]}", "region", "region",
                      conf->model.regions[1].name, "gateways", 7, "intents", "x", "alarms", 3));
    json_t *view = fleet_view_merge(conf, answers);
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    fleet_view_print(view, file);
    assert_int_equal(fclose(file), 0);
    assert_non_null(strstr(text, "us-west-2"));
    assert_non_null(strstr(text, "unreachable"));
    free(text);
    json_decref(view);
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(all_well),
        TEST(silent_and_foreign_agents_are_unreachable),
        TEST(nobody_answers),
        TEST(disagreement_is_an_alarm),
        TEST(what_is_missing_is_said),
        TEST(the_newest_intent_for_a_target_counts),
        TEST(printing_survives_every_shape),
    };
    root = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
