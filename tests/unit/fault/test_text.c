// SPDX-License-Identifier: MIT
// test_text: the declared list is whole, and the words of a command line become the fault that was
// meant, or an error that says what is allowed.
#include <stdio.h>
#include <string.h>

#include "fault_check.h"
#include "fault_kind.h"
#include "fault_text.h"
#include "shipped.h"
#include "unit.h"

static void every_kind_is_declared_and_done_by_somebody(void **state)
{
    for (int i = 0; i < FAULT_MAX; i++) {
        const FaultInfo *info = &FAULTS[i];
        FaultKind kind = FAULT_MAX;
        assert_true(info->name != NULL && info->name[0] != '\0');
        assert_true(info->breaks[0] != '\0' && info->how[0] != '\0' && info->heals[0] != '\0');
        assert_non_null(info->needs);
        assert_non_null(fault_actions((FaultKind)i));
        assert_non_null(fault_actions((FaultKind)i)->begin);
        assert_non_null(fault_actions((FaultKind)i)->end);
        assert_non_null(fault_actions((FaultKind)i)->look); // none may end early unseen
        assert_int_equal(fault_kind_parse(info->name, &kind, NULL), 0);
        assert_int_equal(kind, i); // names differ
    }
}

static void the_list_fits_a_terminal(void **state)
{
    Buf out = BUF_INIT(0);
    fault_list_text(&out);
    char *rest = out.data;
    for (const char *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (strncmp(line, "           ", 11) != 0) // what is missing here may be longer
            assert_in_range(strlen(line), 0, 80);
    }
    buf_done(&out);
}

static int parse(FaultKind kind, const FaultWords *words, Fault *ret_fault, const char *says)
{
    Error err = ERROR_INIT;
    int r = fault_parse(kind, words, &conf->model, ret_fault, &err);
    if (says != NULL && strstr(error_text(&err), says) == NULL)
        fail_msg("'%s' does not say '%s'", error_text(&err), says);
    error_done(&err);
    return r;
}

static void names_become_regions(void **state)
{
    Fault fault;
    const FaultWords region = {.region = "us-west-2,us-east1"};
    assert_int_equal(parse(FAULT_KILL, &region, &fault, NULL), 0);
    assert_true(fault.a == 0x21 && fault.b == 0);
    const FaultWords cloud = {.cloud = "azure"};
    assert_int_equal(parse(FAULT_HANG, &cloud, &fault, NULL), 0);
    assert_true(fault.a == 0x0c);
    const FaultWords sides = {.from = "aws,eastus", .to = "gcp", .one_way = true, .port = "5432"};
    assert_int_equal(parse(FAULT_CUT, &sides, &fault, NULL), 0);
    assert_true(fault.a == 0x0b && fault.b == 0x30 && fault.one_way && fault.port == 5432);
}

static void packets_go_to_the_rest_unless_said(void **state)
{
    Fault fault;
    const FaultWords one = {.region = "us-west-2"};
    assert_int_equal(parse(FAULT_CUT, &one, &fault, NULL), 0);
    assert_true(fault.a == 0x01 && fault.b == 0x3e);
    const FaultWords all = {.from = "all", .value = "20%"};
    assert_int_equal(parse(FAULT_LOSS, &all, &fault, NULL), 0);
    assert_true(fault.a == 0x3f && fault.b == 0x3f && fault.value == 200000);
}

static void values_have_units(void **state)
{
    int64_t value = 0;
    assert_int_equal(fault_value_parse(FAULT_CLOCK, "-1500ms", &value, NULL), 0);
    assert_true(value == -1500 * NS_PER_MS);
    assert_int_equal(fault_value_parse(FAULT_CLOCK, "+1h", &value, NULL), 0);
    assert_true(value == 3600 * NS_PER_S);
    assert_int_equal(fault_value_parse(FAULT_LOSS, "0.5%", &value, NULL), 0);
    assert_true(value == 5000);
    assert_int_equal(fault_value_parse(FAULT_LOSS, "5s", &value, NULL), ERROR_USAGE);
    assert_int_equal(fault_value_parse(FAULT_LOSS, "-5%", &value, NULL), ERROR_USAGE);
    assert_int_equal(fault_value_parse(FAULT_GATEWAY_SLOW, "-5ms", &value, NULL), ERROR_RANGE);
    assert_int_equal(fault_value_parse(FAULT_GATEWAY_SLOW, "601s", &value, NULL), ERROR_RANGE);
    assert_int_equal(fault_value_parse(FAULT_KILL, "1s", &value, NULL), ERROR_USAGE);
    assert_int_equal(fault_value_parse(FAULT_CLOCK, "--1s", &value, NULL), ERROR_USAGE);
    assert_int_equal(fault_value_parse(FAULT_CLOCK, "", &value, NULL), ERROR_USAGE);
}

static void what_cannot_be_meant_is_refused(void **state)
{
    static const struct {
        FaultKind kind;
        FaultWords words;
        const char *says;
    } WRONG[] = {
        {FAULT_KILL, {0}, "needs regions"},
        {FAULT_KILL, {.region = "mars"}, "allowed: us-west-2"},
        {FAULT_KILL, {.cloud = "us-west-2"}, "allowed: aws"},
        {FAULT_KILL, {.region = ""}, "allowed"},
        {FAULT_KILL, {.region = "eastus", .to = "gcp"}, "one side only"},
        {FAULT_KILL, {.region = "eastus", .program = "nginx"}, "not about a program"},
        {FAULT_KILL, {.region = "eastus", .port = "80"}, "not about packets"},
        {FAULT_KILL, {.region = "eastus", .value = "5s"}, "has no value"},
        {FAULT_PROGRAM_DOWN, {.region = "eastus"}, "needs a program"},
        {FAULT_PROGRAM_HANG, {.region = "eastus", .program = "a b"}, "not a program's name"},
        {FAULT_PROGRAM_HANG, {.region = "eastus", .program = "a\nkill"}, "not a program's name"},
        {FAULT_CUT, {.region = "eastus", .to = "eastus"}, "not apart from itself"},
        {FAULT_CUT, {.region = "eastus", .from = "gcp"}, "other word"},
        {FAULT_CUT, {.region = "eastus", .port = "0"}, "not a port"},
        {FAULT_CUT, {.region = "eastus", .port = "65536"}, "not a port"},
        {FAULT_LOSS, {.region = "eastus", .value = "101%"}, "not like"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(WRONG); i++) {
        Fault fault;
        assert_int_equal(parse(WRONG[i].kind, &WRONG[i].words, &fault, WRONG[i].says), ERROR_USAGE);
    }
}

static void masks_beyond_the_fleet_are_refused(void **state)
{
    Fault fault = {.kind = FAULT_KILL, .a = UINT64_C(1) << 6};
    assert_int_equal(fault_check(&fault, &conf->model, NULL), ERROR_RANGE);
    fault = (Fault){.kind = FAULT_CUT, .a = 1, .b = UINT64_C(1) << 63};
    assert_int_equal(fault_check(&fault, &conf->model, NULL), ERROR_RANGE);
    fault = (Fault){.kind = FAULT_MAX, .a = 1};
    assert_int_equal(fault_check(&fault, &conf->model, NULL), ERROR_USAGE);
}

static void an_unknown_name_lists_the_known_ones(void **state)
{
    Error err = ERROR_INIT;
    FaultKind kind;
    assert_int_equal(fault_kind_parse("cuts", &kind, &err), ERROR_USAGE);
    assert_non_null(strstr(error_text(&err), "program-hang"));
    error_done(&err);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_declared_and_done_by_somebody),
        cmocka_unit_test(the_list_fits_a_terminal),
        cmocka_unit_test(names_become_regions),
        cmocka_unit_test(packets_go_to_the_rest_unless_said),
        cmocka_unit_test(values_have_units),
        cmocka_unit_test(what_cannot_be_meant_is_refused),
        cmocka_unit_test(masks_beyond_the_fleet_are_refused),
        cmocka_unit_test(an_unknown_name_lists_the_known_ones),
    };
    shipped_root = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests(tests, shipped_load, shipped_free);
}
