// SPDX-License-Identifier: MIT
// test_message: requests and answers of the keeper come through whole, fit into a message always,
// and what is cut, too long or not of this world is refused.
#include <string.h>

#include "fault_message.h"
#include "unit.h"

static FaultRequest example(const char *program)
{
    return (FaultRequest){.number = 7,
                          .verb = FAULT_VERB_CHANGE,
                          .id = 3,
                          .fault = {.kind = FAULT_CLOCK,
                                    .a = UINT64_C(0x8000000000000001),
                                    .b = 5,
                                    .one_way = true,
                                    .port = 65535,
                                    .program = program,
                                    .value = -1500000000}};
}

static void a_request_comes_through(void **state)
{
    unsigned char bytes[FAULT_MESSAGE_MAX];
    FaultRequest in = example("backend-1"), out;
    size_t len = fault_request_encode(&in, bytes);
    assert_int_not_equal(len, 0);
    assert_int_equal(fault_request_decode(bytes, len, &out), 0);
    assert_int_equal(out.number, 7);
    assert_int_equal(out.verb, FAULT_VERB_CHANGE);
    assert_int_equal(out.id, 3);
    assert_int_equal(out.fault.kind, FAULT_CLOCK);
    assert_true(out.fault.a == in.fault.a && out.fault.b == 5 && out.fault.one_way);
    assert_int_equal(out.fault.port, 65535);
    assert_true(out.fault.value == -1500000000);
    assert_string_equal(out.fault.program, "backend-1");
    assert_ptr_equal(out.fault.program, out.program);
}

static void no_program_stays_none(void **state)
{
    unsigned char bytes[FAULT_MESSAGE_MAX];
    FaultRequest in = example(NULL), out;
    size_t len = fault_request_encode(&in, bytes);
    assert_int_equal(fault_request_decode(bytes, len, &out), 0);
    assert_null(out.fault.program);
}

static void the_longest_program_fits_and_no_longer_one(void **state)
{
    unsigned char bytes[FAULT_MESSAGE_MAX];
    char name[FAULT_PROGRAM_MAX + 1];
    memset(name, 'x', sizeof name);
    name[FAULT_PROGRAM_MAX - 1] = '\0';
    FaultRequest in = example(name), out;
    size_t len = fault_request_encode(&in, bytes);
    assert_int_equal(fault_request_decode(bytes, len, &out), 0);
    assert_string_equal(out.fault.program, name);
    name[FAULT_PROGRAM_MAX - 1] = 'x';
    name[FAULT_PROGRAM_MAX] = '\0';
    assert_int_equal(fault_request_encode(&in, bytes), 0);
}

static void every_cut_request_is_refused(void **state)
{
    unsigned char bytes[FAULT_MESSAGE_MAX];
    FaultRequest in = example("nginx"), out;
    size_t len = fault_request_encode(&in, bytes);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(fault_request_decode(bytes, i, &out), ERROR_FORMAT);
    bytes[len] = 0;
    assert_int_equal(fault_request_decode(bytes, len + 1, &out), ERROR_FORMAT);
}

static void unknown_numbers_are_refused(void **state)
{
    unsigned char bytes[FAULT_MESSAGE_MAX];
    FaultRequest in = example("nginx"), out;
    size_t len = fault_request_encode(&in, bytes);
    const size_t places[] = {4, 9, 26}; // verb, kind, one_way
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        unsigned char before = bytes[places[i]];
        bytes[places[i]] = 200;
        assert_int_equal(fault_request_decode(bytes, len, &out), ERROR_FORMAT);
        bytes[places[i]] = before;
    }
    bytes[len - 2] = 0; // in the middle of the name
    assert_int_equal(fault_request_decode(bytes, len, &out), ERROR_FORMAT);
}

static void an_answer_comes_through(void **state)
{
    unsigned char bytes[FAULT_MESSAGE_MAX];
    FaultAnswer in = {.number = 9, .code = -1, .id = 4}, out;
    fault_answer_set_text(&in, "fault 'cut' needs root\nHINT: sudo");
    size_t len = fault_answer_encode(&in, bytes);
    assert_int_equal(fault_answer_decode(bytes, len, &out), 0);
    assert_int_equal(out.number, 9);
    assert_int_equal(out.code, -1);
    assert_int_equal(out.id, 4);
    assert_string_equal(out.text, "fault 'cut' needs root\nHINT: sudo");
    for (size_t i = 0; i < 12; i++)
        assert_int_equal(fault_answer_decode(bytes, i, &out), ERROR_FORMAT);
}

static void a_long_text_is_cut_and_says_so(void **state)
{
    static char text[3 * FAULT_MESSAGE_MAX];
    unsigned char bytes[FAULT_MESSAGE_MAX];
    FaultAnswer in = {.number = 1, .code = -5}, out;
    memset(text, 'y', sizeof text - 1);
    fault_answer_set_text(&in, text);
    size_t len = fault_answer_encode(&in, bytes);
    assert_in_range(len, 1, FAULT_MESSAGE_MAX);
    assert_int_equal(fault_answer_decode(bytes, len, &out), 0);
    assert_string_equal(out.text + strlen(out.text) - 3, "...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_through),
        cmocka_unit_test(no_program_stays_none),
        cmocka_unit_test(the_longest_program_fits_and_no_longer_one),
        cmocka_unit_test(every_cut_request_is_refused),
        cmocka_unit_test(unknown_numbers_are_refused),
        cmocka_unit_test(an_answer_comes_through),
        cmocka_unit_test(a_long_text_is_cut_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
