// SPDX-License-Identifier: MIT
// control_answer: the words of an answer of the supervisor, and what a status holds.
#include "unit.h"

#include "control_answer.h"

static void test_codes_and_words(void **state)
{
    static const struct {
        const char *answer;
        int code;
        const char *text;
    } CASES[] = {
        {"{\"ok\":false,\"failed\":true,\"error\":\"it hangs\",\"hint\":\"Use 'cont'.\"}",
         ERROR_UNAVAILABLE, "it hangs\nHINT: Use 'cont'."},
        {"{\"ok\":false,\"failed\":false,\"error\":\"no such region\",\"hint\":\"\"}", ERROR_USAGE,
         "no such region"},
        {"{\"ok\":false}", ERROR_FORMAT, "malformed answer of the supervisor"},
        {"{\"ok\":1}", ERROR_FORMAT, "malformed answer of the supervisor"},
        {"{\"error\":\"\\\"ok\\\":true\"}", ERROR_USAGE, "\"ok\":true"},
        {"ok", ERROR_FORMAT, "malformed answer of the supervisor"},
        {"", ERROR_FORMAT, "malformed answer of the supervisor"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        Error err = ERROR_INIT;
        json_t *root = NULL;
        assert_int_equal(control_answer_read(CASES[i].answer, &root, &err), CASES[i].code);
        assert_null(root);
        assert_string_equal(error_text(&err), CASES[i].text);
        error_done(&err);
    }
    assert_int_equal(control_answer_read("{\"ok\": true}", NULL, NULL), 0);
}

static void test_status(void **state)
{
    static const char STATUS[] =
        "{\"ok\":true,\"pid\":12,\"regions\":[{\"region\":\"a\",\"state\":\"up\",\"init_pid\":13,"
        "\"programs\":[{\"name\":\"agent\",\"state\":\"ready\",\"pid\":4294967297},3]},null]}";
    json_t *root = NULL;
    assert_int_equal(control_answer_read(STATUS, &root, NULL), 0);
    const json_t *region = control_status_region(root, "a");
    const json_t *agent = control_status_program(root, "a", "agent");
    assert_int_equal(control_status_pid(root, "pid"), 12);
    assert_int_equal(control_status_pid(region, "init_pid"), 13);
    assert_int_equal(control_status_pid(agent, "pid"), 0); // no number of a process
    assert_string_equal(control_status_state(region), "up");
    assert_string_equal(control_status_state(agent), "ready");
    assert_null(control_status_region(root, "b"));
    assert_null(control_status_program(root, "a", "nginx"));
    assert_null(control_status_program(root, "b", "agent"));
    assert_string_equal(control_status_state(NULL), "");
    assert_int_equal(control_status_pid(NULL, "pid"), 0);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes_and_words),
        cmocka_unit_test(test_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
