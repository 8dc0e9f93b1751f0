// SPDX-License-Identifier: MIT
// test_fleet_state: messages of a region's init, also malformed ones, and the JSON made of them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "fleet_state.h"

static const RegionSpec SPEC = {
    .name = "us-west-2",
    .n = 2,
    .programs = {{.name = "agent", .log = "/l/agent.log"}, {.name = "nginx"}}};
static RegionView region;
static FleetState fleet;

static int setup(void **state)
{
    region = (RegionView){.spec = &SPEC, .state = REGION_STATE_RUNNING};
    fleet = (FleetState){.n = 1, .regions = &region, .dir = "/with \"quotes\""};
    return 0;
}

static void a_region_is_up_when_all_its_programs_are(void **state)
{
    assert_string_equal(region_state_name(&region), "starting");
    fleet_state_message(&region, "agent ready 7 0 ");
    assert_string_equal(region_state_name(&region), "starting");
    fleet_state_message(&region, "nginx done 0 0 ");
    assert_string_equal(region_state_name(&region), "up");
    fleet_state_message(&region, "agent backoff 0 3 killed by signal 9");
    assert_string_equal(region_state_name(&region), "starting");
    assert_string_equal(region.programs[0].detail, "killed by signal 9");
    assert_int_equal(region.programs[0].restarts, 3);
    region.state = REGION_STATE_HUNG;
    assert_string_equal(region_state_name(&region), "hung");
}

static void malformed_messages_change_nothing(void **state)
{
    static const char *const BAD[] = {"",
                                      "agent",
                                      "agent ready",
                                      "agent ready x y",
                                      "other ready 1 0 ",
                                      "agent flying 1 0 ",
                                      "   ",
                                      "agent ready 1"};
    for (size_t i = 0; i < ARRAY_SIZE(BAD); i++)
        fleet_state_message(&region, BAD[i]);
    assert_int_equal(region.programs[0].state, PROGRAM_STATE_WAITING);
    assert_int_equal(region.programs[0].pid, 0);
}

static void the_json_is_json(void **state)
{
    fleet_state_message(&region, "agent backoff 0 1 a \"quoted\" \\ detail");
    Buf buf CLEANUP(buf_done) = BUF_INIT(0);
    fleet_state_json(&fleet, (Mono){5 * NS_PER_MS}, &buf);
    json_t *root = json_loads(buf_text(&buf), 0, NULL);
    assert_non_null(root);
    const json_t *item = json_array_get(json_object_get(root, "regions"), 0);
    const json_t *program = json_array_get(json_object_get(item, "programs"), 0);
    assert_string_equal(json_string_value(json_object_get(root, "dir")), fleet.dir);
    assert_string_equal(json_string_value(json_object_get(item, "region")), "us-west-2");
    assert_string_equal(json_string_value(json_object_get(program, "detail")),
                        "a \"quoted\" \\ detail");
    assert_string_equal(json_string_value(json_object_get(program, "log")), "/l/agent.log");
    assert_int_equal(json_integer_value(json_object_get(item, "since_ms")), 5);
    json_decref(root);
}

static void names_are_found(void **state)
{
    assert_ptr_equal(fleet_state_find(&fleet, "us-west-2"), &region);
    assert_null(fleet_state_find(&fleet, "us-west"));
    assert_int_equal(fleet_state_program(&region, "nginx"), 1);
    assert_int_equal(fleet_state_program(&region, "ngin"), -1);
    for (int i = 0; i < PROGRAM_STATE_MAX; i++)
        assert_int_equal(program_state_parse(program_state_name((ProgramState)i)), i);
    assert_int_equal(program_state_parse("flying"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_region_is_up_when_all_its_programs_are, setup),
        cmocka_unit_test_setup(malformed_messages_change_nothing, setup),
        cmocka_unit_test_setup(the_json_is_json, setup),
        cmocka_unit_test_setup(names_are_found, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
