// SPDX-License-Identifier: MIT
// test_traffic_projection: what an agent's preview of a plan means: capacity that stays, the
// fullest gateway, services left without a region.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traffic_projection.h"

static const char *root;
static Conf *conf;
static json_t *preview; // six gateways of 2,000 requests/s, each up with 500 of them

static int setup(void **state)
{
    char file[1024];
    (void)snprintf(file, sizeof file, "%s/fleet.yaml", root);
    if (conf_load(file, &conf, NULL, NULL) < 0)
        return -1;
    json_t *gateways = json_array();
    for (uint32_t i = 0; i < conf->model.n_regions; i++)
        (void)json_array_append_new(
            gateways, json_pack("{s:s,s:s,s:i,s:i,s:[s,s],s:s,s:s,s:i,s:i,s:i,s:i}", "region",
                                conf->model.regions[i].name, "cloud", "c", "capacity_rps", 2000,
                                "load_rps", 500, "classes", "read", "write", "state", "up",
                                "state_after", "up", "share_ppm", 1000000, "share_after_ppm",
                                1000000, "load_ppm", 250000, "load_after_ppm", 250000));
    preview = json_pack("{s:o}", "gateways", gateways);
    return preview != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    json_decref(preview);
    conf = conf_free(conf);
    return 0;
}

static void set(uint32_t gateway, const char *key, json_t *value)
{
    (void)json_object_set_new(json_array_get(json_object_get(preview, "gateways"), gateway), key,
                              value);
}

static TrafficProjection project(void)
{
    return traffic_project(&conf->model, preview);
}

static void nothing_changes(void **state)
{
    TrafficProjection projection = project();
    assert_int_equal(projection.all_rps, 12000);
    assert_int_equal(projection.left_rps, 12000);
    assert_int_equal(projection.load_rps, 3000);
    assert_int_equal(projection.fullest_ppm, 250000);
    assert_string_equal(projection.lacking, "");
}

static void drained_and_weighted(void **state)
{
    set(0, "state_after", json_string("drained"));
    set(1, "state_after", json_string("never"));
    set(2, "state_after", json_string("down"));
    set(3, "share_after_ppm", json_integer(250000));
    set(4, "load_after_ppm", json_integer(1620000));
    TrafficProjection projection = project();
    assert_int_equal(projection.left_rps, 4500);
    assert_int_equal(projection.fullest_ppm, 1620000);
    assert_string_equal(projection.fullest, conf->model.regions[4].name);
    assert_string_equal(projection.lacking, "");
}

static void services_left_alone(void **state)
{
    for (uint32_t i = 0; i < 5; i++)
        set(i, "state_after", json_string("drained"));
    assert_string_equal(project().lacking, "");
    set(5, "classes", json_pack("[s]", "read"));
    assert_string_equal(project().lacking, "service 'api' would have no region for write");
    set(4, "state_after", json_string("suspect")); // goes last, but goes
    assert_string_equal(project().lacking, "");
    set(4, "share_after_ppm", json_integer(0));
    set(5, "share_after_ppm", json_integer(0));
    assert_string_equal(project().lacking, "service 'api' would have no region for read and write");
}

static void strange_answers(void **state)
{
    json_t *empty = json_pack("{s:[n,{},i]}", "gateways", 7);
    TrafficProjection projection = traffic_project(&conf->model, empty);
    assert_int_equal(projection.all_rps, 0);
    assert_true(projection.lacking[0] != '\0');
    traffic_projection_print(empty, stdout);
    json_decref(empty);
    set(0, "capacity_rps", json_integer(-5));
    set(1, "load_after_ppm", json_string("x"));
    assert_int_equal(project().all_rps, 10000);
}

static void the_table_has_every_region(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    set(1, "state_after", json_string("drained"));
    set(2, "share_after_ppm", json_integer(500000));
    traffic_projection_print(preview, file);
    (void)fclose(file);
    for (uint32_t i = 0; i < 6; i++)
        assert_non_null(strstr(text, conf->model.regions[i].name));
    assert_non_null(strstr(text, "PLAN AFTER"));
    assert_non_null(strstr(text, "drained"));
    assert_non_null(strstr(text, "up, 50 % of its share"));
    free(text);
}

static void too_much_is_refused_unless_forced(void **state)
{
    FILE *out = fopen("/dev/null", "w");
    TrafficWish drain = {.kind = "drain", .target = "region:eastus"};
    Error err = ERROR_INIT;
    const Model *model = &conf->model;
    set(2, "load_after_ppm", json_integer(1000000)); // full, and no more
    assert_int_equal(traffic_judge(model, preview, &drain, false, out, &err), 0);
    set(2, "load_after_ppm", json_integer(1010000));
    assert_int_equal(traffic_judge(model, preview, &drain, false, out, &err), ERROR_NOT_HELD);
    assert_non_null(strstr(error_text(&err), "westus2 would get 101 % of its capacity"));
    assert_int_equal(traffic_judge(model, preview, &drain, true, out, &err), 0);
    drain.kind = "release"; // gives back: never refused
    assert_int_equal(traffic_judge(model, preview, &drain, false, out, &err), 0);
    drain.kind = "never";
    for (uint32_t i = 0; i < 6; i++)
        set(i, "state_after", json_string("never"));
    assert_int_equal(traffic_judge(model, preview, &drain, false, out, &err), ERROR_NOT_HELD);
    assert_non_null(strstr(error_text(&err), "no region for read and write"));
    error_done(&err);
    (void)fclose(out);
}

int main(int argc, char **argv)
{
    root = argv[1];
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_changes),
        TEST(drained_and_weighted),
        TEST(services_left_alone),
        TEST(strange_answers),
        TEST(the_table_has_every_region),
        TEST(too_much_is_refused_unless_forced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
