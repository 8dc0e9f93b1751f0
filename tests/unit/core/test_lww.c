// SPDX-License-Identifier: MIT
// lww: the stamp rule, by the table that its other implementations are tested with too.
#include "lww.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "unit.h"

static int check_row(const char *line)
{
    long long now_us;
    unsigned origin;
    char seen_text[32], expected[32], text[LWW_TEXT_MAX];
    if (line[0] == '#' || line[0] == '\n')
        return 0;
    assert_int_equal(sscanf(line, "%lld %31s %u %31s", &now_us, seen_text, &origin, expected), 4);
    int64_t seen = 0, stamp = -1;
    if (strcmp(seen_text, "-") != 0)
        assert_int_equal(lww_stamp_parse(seen_text, &seen), 0);
    Wall now = {now_us > INT64_MAX / NS_PER_US ? INT64_MAX : now_us * NS_PER_US};
    if (now_us >
        INT64_MAX / NS_PER_US) // a Wall ends in 2262: such rows are for the other languages
        return 0;
    int r = lww_stamp_next(now, seen, origin, &stamp);
    if (strcmp(expected, "!") == 0) {
        assert_int_equal(r, ERROR_RANGE);
        assert_int_equal(stamp, -1); // written on success only
        return 1;
    }
    assert_int_equal(r, 0);
    assert_string_equal(lww_stamp_format(stamp, text), expected);
    assert_int_equal(lww_stamp_origin(stamp), origin);
    assert_true(stamp > seen);
    return 1;
}

static void test_table(void **state)
{
    (void)state;
    const char *path = getenv("STAMPS_TABLE");
    assert_non_null(path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char line[256];
    int rows = 0;
    while (fgets(line, sizeof line, file) != NULL)
        rows += check_row(line);
    (void)fclose(file);
    assert_true(rows >= 10);
}

static void test_text(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "060a24181e40000",
                                      "060a24181e4000011",
                                      "060A24181E400001",
                                      " 60a24181e400001",
                                      "0x0a24181e400001",
                                      "060a24181e40000g",
                                      "ffffffffffffffff",
                                      "8000000000000001",
                                      "0000000000000000",
                                      "060a24181e400000"};
    int64_t stamp = -1;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_true(lww_stamp_parse(bad[i], &stamp) < 0);
    assert_int_equal(stamp, -1);
    assert_int_equal(lww_stamp_parse("060a24181e400001", &stamp), 0);
    assert_int_equal(lww_stamp_wall(stamp).ns, INT64_C(1700000000) * NS_PER_S);
    assert_int_equal(lww_stamp_wall(INT64_MAX).ns, INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
