// SPDX-License-Identifier: MIT
// What the copies of one key mean; how keys are cut into ranges.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rows_check.h"

#define NONE CHECK_NO_VERSION
#define V(us, origin) ((int64_t)(us) << 8 | (origin))

static CheckCopy none(void)
{
    return (CheckCopy){.read = true, .v = NONE, .parked_v = NONE, .tombstone_v = NONE};
}

static CheckCopy visible(int64_t v, uint64_t hash)
{
    CheckCopy copy = none();
    copy.visible = true;
    copy.v = v;
    copy.hash = hash;
    return copy;
}

static CheckCopy parked(int64_t v, uint64_t hash, bool free_now)
{
    CheckCopy copy = none();
    copy.parked = true;
    copy.parked_v = v;
    copy.parked_hash = hash;
    copy.free = free_now;
    return copy;
}

static CheckCopy deleted(int64_t v)
{
    CheckCopy copy = none();
    copy.tombstone_v = v;
    return copy;
}

static CheckCopy zombie(int64_t v, int64_t tombstone)
{
    CheckCopy copy = visible(v, 1);
    copy.tombstone_v = tombstone;
    return copy;
}

typedef struct Case {
    const char *name;
    CheckCopy before[3], now[3];
    bool late, insert_only; // late: no fence
    int64_t tombstones_from;
    CheckVerdict verdict;
    uint64_t wrong;
    int64_t target;
} Case;

static void judge(const Case *c)
{
    uint64_t wrong = 0;
    int64_t target = 0;
    CheckRule rule = {.kind = c->insert_only ? TABLE_KIND_INSERT_ONLY : TABLE_KIND_LWW,
                      .n = 3,
                      .tombstones_from = c->tombstones_from};
    CheckVerdict verdict = check_judge(&rule, c->before, c->now, !c->late, &wrong, &target);
    if (verdict != c->verdict || wrong != c->wrong)
        print_error("%s: %s, wrong %llx\n", c->name, check_verdict_name(verdict),
                    (unsigned long long)wrong);
    assert_int_equal(verdict, c->verdict);
    assert_int_equal(wrong, c->wrong);
    if (verdict != CHECK_SAME)
        assert_int_equal(target, c->target);
}

#define OLD visible(V(100, 1), 1)
#define NEW visible(V(200, 2), 2)
#define NEWER visible(V(300, 3), 3)

static const CheckCopy away;

static void judge_all(const Case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        judge(&cases[i]);
}

static void test_versions(void **state)
{
    const int64_t a = V(100, 1), b = V(200, 2);
    const CheckCopy old = OLD, new = NEW, newer = NEWER;
    const Case cases[] = {
        {"all the same", {old, old, old}, {old, old, old}, .verdict = CHECK_SAME},
        {"missing",
         {old, none(), old},
         {old, none(), old},
         .verdict = CHECK_MISSING,
         .wrong = 2,
         .target = a},
        {"came meanwhile", {old, none(), old}, {old, old, old}, .verdict = CHECK_SAME},
        {"missing, but no fence",
         {old, none(), old},
         {old, none(), old},
         .late = true,
         .verdict = CHECK_SAME},
        {"a node that is away is not missing",
         {old, away, old},
         {old, away, old},
         .verdict = CHECK_SAME},
        {"version 0 counts",
         {visible(0, 1), none(), visible(0, 1)},
         {visible(0, 1), none(), visible(0, 1)},
         .verdict = CHECK_MISSING,
         .wrong = 2,
         .target = 0},
        {"stale",
         {old, new, new},
         {old, new, new},
         .verdict = CHECK_STALE,
         .wrong = 1,
         .target = b},
        {"newer ones are on their way", {new, new, new}, {new, newer, new}, .verdict = CHECK_SAME},
        {"behind the first look though newer ones are on their way",
         {old, new, new},
         {old, newer, new},
         .verdict = CHECK_STALE,
         .wrong = 1,
         .target = b},
        {"older row beside a tombstone elsewhere",
         {old, deleted(b), deleted(b)},
         {old, deleted(b), deleted(b)},
         .verdict = CHECK_UNDELETED,
         .wrong = 1,
         .target = b},
        {"row below its own tombstone, everywhere",
         {zombie(a, b), zombie(a, b), zombie(a, b)},
         {zombie(a, b), zombie(a, b), zombie(a, b)},
         .verdict = CHECK_UNDELETED,
         .wrong = 7,
         .target = b},
        {"row above an older tombstone is well",
         {zombie(b, a), zombie(b, a), new},
         {visible(b, 1), zombie(b, a), visible(b, 1)},
         .verdict = CHECK_SAME},
        {"a collected tombstone is no difference",
         {none(), deleted(b), deleted(b)},
         {none(), deleted(b), deleted(b)},
         .tombstones_from = b + 1,
         .verdict = CHECK_SAME},
        {"a young tombstone is missing",
         {none(), deleted(b), deleted(b)},
         {none(), deleted(b), deleted(b)},
         .tombstones_from = b,
         .verdict = CHECK_TOMBSTONE,
         .wrong = 1,
         .target = b},
        {"an older tombstone",
         {deleted(a), deleted(b), deleted(b)},
         {deleted(a), deleted(b), deleted(b)},
         .tombstones_from = b + 1,
         .verdict = CHECK_TOMBSTONE,
         .wrong = 1,
         .target = b},
    };
    judge_all(cases, ARRAY_SIZE(cases));
    (void)state;
}

static void test_content_and_parking(void **state)
{
    const int64_t a = V(100, 1);
    const CheckCopy old = OLD;
    const Case cases[] = {
        {"damage: the majority is right",
         {old, visible(a, 9), old},
         {old, visible(a, 9), old},
         .verdict = CHECK_CONTENT,
         .wrong = 2,
         .target = a},
        {"damage needs no fence",
         {old, visible(a, 9), old},
         {old, visible(a, 9), old},
         .late = true,
         .verdict = CHECK_CONTENT,
         .wrong = 2,
         .target = a},
        {"damage without majority",
         {old, visible(a, 9), away},
         {old, visible(a, 9), away},
         .verdict = CHECK_CONTENT,
         .wrong = 3,
         .target = a},
        {"damage, three ways",
         {old, visible(a, 9), visible(a, 8)},
         {old, visible(a, 9), visible(a, 8)},
         .verdict = CHECK_CONTENT,
         .wrong = 7,
         .target = a},
        {"damage of a parked copy",
         {old, parked(a, 9, false), old},
         {old, parked(a, 9, false), old},
         .verdict = CHECK_CONTENT,
         .wrong = 2,
         .target = a},
        {"parked here and visible there",
         {old, parked(a, 1, false), old},
         {old, parked(a, 1, false), old},
         .verdict = CHECK_SAME},
        {"parked for nothing",
         {old, parked(a, 1, true), old},
         {old, parked(a, 1, true), old},
         .verdict = CHECK_PARKED,
         .wrong = 2,
         .target = a},
    };
    judge_all(cases, ARRAY_SIZE(cases));
    (void)state;
}

static void test_insert_only(void **state)
{
    const int64_t a = V(100, 1);
    const CheckCopy old = OLD;
    const Case cases[] = {
        {"insert-only: missing",
         {old, none(), old},
         {old, none(), old},
         .insert_only = true,
         .verdict = CHECK_MISSING,
         .wrong = 2,
         .target = a},
        {"insert-only: came meanwhile",
         {visible(1, 1), none(), none()},
         {visible(1, 1), visible(1, 1), visible(1, 1)},
         .insert_only = true,
         .verdict = CHECK_SAME},
        {"insert-only: the lower origin stays",
         {visible(1, 1), visible(2, 2), visible(1, 1)},
         {visible(1, 1), visible(2, 2), visible(1, 1)},
         .insert_only = true,
         .verdict = CHECK_STALE,
         .wrong = 2,
         .target = 1},
        {"insert-only: damage",
         {visible(1, 1), visible(1, 2), visible(1, 1)},
         {visible(1, 1), visible(1, 2), visible(1, 1)},
         .insert_only = true,
         .verdict = CHECK_CONTENT,
         .wrong = 2,
         .target = 1},
        {"insert-only: gone everywhere meanwhile",
         {visible(1, 1), none(), none()},
         {none(), none(), none()},
         .insert_only = true,
         .verdict = CHECK_SAME},
        {"insert-only: no fence",
         {visible(1, 1), none(), none()},
         {visible(1, 1), none(), none()},
         .insert_only = true,
         .late = true,
         .verdict = CHECK_SAME},
    };
    judge_all(cases, ARRAY_SIZE(cases));
    (void)state;
}

static const CheckColumn ID = {"id", "bigint", "id", true};

static CheckTable table_of(const CheckColumn *key, uint32_t n)
{
    return (CheckTable){.number = 1, .name = "t", .identifier = "public.t", .key = key, .n_key = n};
}

static void where_is(const CheckSplit *split, const int64_t *ranges, size_t n, const char *want)
{
    CheckTable table = table_of(&ID, 1);
    Buf buf CLEANUP(buf_done) = BUF_INIT(65536);
    check_split_where(&table, CHECK_PART_VISIBLE, split, ranges, n, &buf);
    assert_string_equal(buf_text(&buf), want);
}

static void test_ranges_cover_everything(void **state)
{
    const int64_t all[] = {-1, 0, 1}, ends[] = {-1, 1}, middle[] = {0};
    const CheckSplit split = {.by = CHECK_BY_INTEGER, .shift = 10, .first = -1, .last = 1};
    where_is(&split, all, 3, "((true))");
    where_is(&split, ends, 2,
             "((true AND t.\"id\" < 0::bigint) OR (true AND t.\"id\" >= 1024::bigint))");
    where_is(&split, middle, 1, "((true AND t.\"id\" >= 0::bigint AND t.\"id\" < 1024::bigint))");
    where_is(&split, NULL, 0, "false");
    (void)state;
}

static void test_narrower_ranges_stay_inside(void **state)
{
    CheckSplit split = {.by = CHECK_BY_INTEGER, .shift = 7, .first = -2, .last = 3};
    assert_true(check_split_narrower(&split));
    assert_int_equal(split.shift, 2);
    assert_int_equal(split.first, -64);
    assert_int_equal(split.last, 127);
    assert_true(check_split_narrower(&split));
    assert_int_equal(split.shift, 0);
    assert_false(check_split_narrower(&split));
    CheckSplit hash = {.by = CHECK_BY_HASH, .mask = 15};
    assert_false(check_split_narrower(&hash));
    (void)state;
}

static void test_uuid_edges(void **state)
{
    const CheckColumn uuid = {"id", "uuid", "id", true};
    CheckTable table = table_of(&uuid, 1);
    const int64_t ranges[] = {5};
    CheckSplit split = {
        .by = CHECK_BY_UUID, .shift = 20, .first = 0, .last = 15, .byte = 1, .prefix = {0xab}};
    Buf buf CLEANUP(buf_done) = BUF_INIT(65536);
    check_split_where(&table, CHECK_PART_VISIBLE, &split, ranges, 1, &buf);
    assert_string_equal(buf_text(&buf),
                        "((true AND t.\"id\" >= 'ab500000-0000-0000-0000-000000000000'"
                        " AND t.\"id\" < 'ab600000-0000-0000-0000-000000000000'))");
    (void)state;
}

static void test_sums_are_modular(void **state)
{
    assert_int_equal(check_modular("0"), 0);
    assert_int_equal(check_modular("-1"), UINT64_MAX);
    assert_int_equal(check_modular("18446744073709551617"), 1);
    assert_int_equal(check_modular("-18446744073709551617"), UINT64_MAX);
    assert_int_equal(check_modular("9223372036854775807000"), UINT64_C(9223372036854775807) * 1000);
    (void)state;
}

static void test_key_text(void **state)
{
    static const char *const CASES[][2] = {
        {"{\"id\": 5}", "id=5"},
        {"{\"a\": 1, \"b\": \"x\"}", "a=1,b=x"},
        {"{\"a\": \"x, y\", \"b=\": \"\"}", "a=\"x, y\",\"b=\"=\"\""},
        {"{\"a\": \"say \\\"hi\\\"\"}", "a=\"say \"\"hi\"\"\""},
        {"{\"t\": true, \"n\": 1.50}", "t=true,n=1.5"},
        {"no JSON", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        char *text = check_key_text(CASES[i][0]);
        assert_string_equal(text != NULL ? text : "", CASES[i][1]);
        free(text);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_content_and_parking),
        cmocka_unit_test(test_insert_only),
        cmocka_unit_test(test_ranges_cover_everything),
        cmocka_unit_test(test_narrower_ranges_stay_inside),
        cmocka_unit_test(test_uuid_edges),
        cmocka_unit_test(test_sums_are_modular),
        cmocka_unit_test(test_key_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
