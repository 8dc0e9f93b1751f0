// SPDX-License-Identifier: MIT
// test_traffic_projection: what a wish leaves of the shipped fleet: capacity, load, classes, wishes
// that replace others.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "conf.h"
#include "traffic_projection.h"

static const char *root;
static Conf *conf;
static json_t *view; // six gateways of 2,000 requests/s, each up with 500 of them

static int setup(void **state)
{
    char file[1024];
    (void)snprintf(file, sizeof file, "%s/fleet.yaml", root);
    if (conf_load(file, &conf, NULL, NULL) < 0)
        return -1;
    json_t *gateways = json_array();
    for (uint32_t i = 0; i < conf->model.n_regions; i++)
        (void)json_array_append_new(gateways, json_pack("{s:s,s:s,s:[s,s],s:i,s:i}", "region",
                                                        conf->model.regions[i].name, "verdict",
                                                        "up", "classes", "read", "write",
                                                        "share_ppm", 1000000, "load_rps", 500));
    view = json_pack("{s:o,s:[]}", "gateways", gateways, "intents");
    return view != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    json_decref(view);
    conf = conf_free(conf);
    return 0;
}

static void set(uint32_t gateway, const char *key, json_t *value)
{
    json_t *item = json_array_get(json_object_get(view, "gateways"), gateway);
    (void)json_object_set_new(item, key, value);
}

static TrafficProjection project(const char *kind, const char *target, uint32_t value_ppm)
{
    TrafficWish wish = {.kind = kind, .value_ppm = value_ppm};
    (void)snprintf(wish.target, sizeof wish.target, "%s", target);
    return traffic_project(&conf->model, view, &wish);
}

static void regions_and_clouds(void **state)
{
    TrafficProjection one = project("drain", "region:eastus", 0);
    assert_int_equal(one.all_rps, 12000);
    assert_int_equal(one.left_rps, 10000);
    assert_int_equal(one.load_rps, 3000);
    assert_int_equal(traffic_projected_percent(&one), 30);
    assert_string_equal(one.lacking, "");
    assert_int_equal(project("never", "cloud:aws", 0).left_rps, 8000);
    assert_int_equal(project("weight", "region:eastus", 250000).left_rps, 10500);
}

static void what_is_away_does_not_count(void **state)
{
    set(0, "verdict", json_string("down"));
    set(1, "verdict", json_string("drained"));
    set(2, "share_ppm", json_integer(0));
    assert_int_equal(project("drain", "region:eastus", 0).left_rps, 4000);
    set(4, "load_rps", json_integer(4000));
    TrafficProjection projection = project("drain", "region:eastus", 0);
    assert_int_equal(traffic_projected_percent(&projection), 162);
}

static void a_class_that_nobody_has_is_named(void **state)
{
    for (uint32_t i = 0; i < 6; i++)
        if (i != 3)
            set(i, "classes", json_pack("[s]", "read"));
    assert_string_equal(project("drain", "region:us-west-2", 0).lacking, "");
    assert_string_equal(project("drain", "region:eastus", 0).lacking,
                        "service 'api' would have no region for write");
    for (uint32_t i = 0; i < 6; i++)
        set(i, "verdict", json_string("never"));
    TrafficProjection nothing = project("drain", "region:eastus", 0);
    assert_string_equal(nothing.lacking, "service 'api' would have no region for read and write");
    assert_true(traffic_projected_percent(&nothing) == UINT64_MAX);
}

static void a_newer_wish_replaces_the_older_one(void **state)
{
    set(3, "verdict", json_string("drained"));
    assert_int_equal(project("weight", "region:eastus", 500000).left_rps, 10000);
    (void)json_array_append_new(json_object_get(view, "intents"),
                                json_pack("{s:s}", "target", "region:eastus"));
    assert_int_equal(project("weight", "region:eastus", 500000).left_rps, 11000);
    assert_int_equal(project("drain", "region:eastus", 0).left_rps, 10000);
    assert_int_equal(project("drain", "region:westus2", 0).left_rps, 8000);
}

static void a_view_of_another_shape(void **state)
{
    json_t *kept = view;
    view = json_pack("{s:[n,i,{s:i}],s:i}", "gateways", 7, "region", 1, "intents", 3);
    TrafficProjection projection = project("drain", "region:eastus", 0);
    assert_int_equal(projection.left_rps, 0);
    assert_int_equal(traffic_projected_percent(&projection), 0);
    json_decref(view);
    view = kept;
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(regions_and_clouds),
        TEST(what_is_away_does_not_count),
        TEST(a_class_that_nobody_has_is_named),
        TEST(a_newer_wish_replaces_the_older_one),
        TEST(a_view_of_another_shape),
    };
    root = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
