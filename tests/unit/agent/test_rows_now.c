// SPDX-License-Identifier: MIT
// What the agent takes from rows.now, whatever stands there.
#include "unit.h"

#include <string.h>

#include "rows_now.h"

static void a_good_file_is_known(void **state)
{
    RowsNow now;
    rows_now_parse("{\"at_ms\": 5000, \"rpo_ms\": 12, \"alarms\": []}", 6000, &now);
    assert_true(now.known);
    assert_int_equal(12, now.rpo_ms);
    assert_string_equal("", now.alarm);
}

static void alarms_are_taken(void **state)
{
    RowsNow now;
    rows_now_parse("{\"at_ms\": 5000, \"rpo_ms\": null, \"alarms\": [{\"name\": \"lag\", \"text\": "
                   "\"from b: 20 s behind\"}, {\"name\": \"clock\"}]}",
                   6000, &now);
    assert_false(now.known);
    assert_string_equal("lag: from b: 20 s behind (and 1 more)", now.alarm);
}

static void an_old_file_is_an_alarm(void **state)
{
    RowsNow now;
    rows_now_parse("{\"at_ms\": 5000, \"rpo_ms\": 12, \"alarms\": []}", 20000, &now);
    assert_false(now.known);
    assert_non_null(strstr(now.alarm, "nothing for 15 s"));
}

static void nonsense_is_an_alarm(void **state)
{
    static const char *const TEXTS[] = {"", "{", "[]", "7", "{\"at_ms\": \"x\"}"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        RowsNow now;
        rows_now_parse(TEXTS[i], 0, &now);
        assert_false(now.known);
        assert_string_not_equal("", now.alarm);
    }
}

static void without_a_file_nothing_is_known(void **state)
{
    RowsNow now = {.known = true};
    rows_now_read("/nonexistent", "a", &now);
    assert_false(now.known);
    assert_string_equal("", now.alarm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_is_known),
        cmocka_unit_test(alarms_are_taken),
        cmocka_unit_test(an_old_file_is_an_alarm),
        cmocka_unit_test(nonsense_is_an_alarm),
        cmocka_unit_test(without_a_file_nothing_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
