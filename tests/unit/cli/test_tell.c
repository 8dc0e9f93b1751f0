// SPDX-License-Identifier: MIT
// test_tell: durations at their limits; tables line up; no colour into a file.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tell.h"

static void durations_have_the_unit_that_fits(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } ROWS[] = {{0, "0 ms"},       {999, "999 ms"},     {1000, "1.0 s"},
                {59999, "59.9 s"}, {60000, "1 min"},    {3599999, "59 min"},
                {3600000, "1 h"},  {172799999, "47 h"}, {172800000, "2 d"}};
    char text[TELL_DURATION_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++)
        assert_string_equal(tell_duration(ROWS[i].ms, text), ROWS[i].text);
}

static void tables_line_up_and_files_get_no_colour(void **state)
{
    static const char *const HEADS[] = {"A", "LONGER", "END"};
    TellTable table = tell_table(HEADS, 3);
    tell_cell(&table, TELL_RED, "%s", "wide cell");
    tell_cell(&table, TELL_PLAIN, "%d", 7);
    tell_cell(&table, TELL_GREEN, "x");
    tell_cell(&table, TELL_PLAIN, "b");
    tell_cell(&table, TELL_PLAIN, "second");
    tell_cell(&table, TELL_PLAIN, "y");
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    tell_table_print(&table, file);
    assert_int_equal(fclose(file), 0);
    assert_string_equal(text, "A          LONGER  END\n"
                              "wide cell  7       x\n"
                              "b          second  y\n");
    free(text);
    assert_int_equal(table.rows, 0);
}

static void what_steers_a_terminal_is_not_shown(void **state)
{
    static const struct {
        const char *text, *shown;
    } ROWS[] = {{"plain, \xc3\xa4 and \xe2\x82\xac", "plain, \xc3\xa4 and \xe2\x82\xac"},
                {"a\033]0;hi\007\033[2J", "a?]0;hi??[2J"},
                {"two\nrows\ta\x7f", "two?rows a?"},
                {"\xc2\x9b"
                 "2J",
                 "??2J"},
                {"cut \xe2\x82", "cut ??"}};
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "%s", ROWS[i].text);
        assert_string_equal(tell_plain(text), ROWS[i].shown);
    }
    static const char *const HEADS[] = {"A", "B"};
    TellTable table = tell_table(HEADS, 2);
    tell_cell(&table, TELL_PLAIN, "%s", "x\ny");
    tell_cell(&table, TELL_PLAIN, "%s", "\033c");
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    tell_table_print(&table, file);
    tell_line(file, "%s", "b\033c");
    assert_int_equal(fclose(file), 0);
    assert_string_equal(text, "A    B\nx?y  ?c\nb?c\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_have_the_unit_that_fits),
        cmocka_unit_test(tables_line_up_and_files_get_no_colour),
        cmocka_unit_test(what_steers_a_terminal_is_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
