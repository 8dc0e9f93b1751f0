// SPDX-License-Identifier: MIT
// Keys as people write them; from the traces of a row to sentences.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rows_why.h"

#define NONE CHECK_NO_VERSION
#define V(us, origin) ((int64_t)(us) << 8 | (origin))

static const CheckColumn KEY[] = {{"a", "integer", "a", true}, {"b", "text", "b", true}};

static void key_is(uint32_t n, const char *text, const char *json)
{
    const CheckTable table = {.name = "t", .key = KEY, .n_key = n};
    Error err = ERROR_INIT;
    json_t *key = json_object();
    int r = why_parse_key(&table, text, key, &err);
    char *dumped = r == 0 ? json_dumps(key, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (json == NULL) {
        assert_int_equal(r, ERROR_USAGE);
        assert_non_null(strstr(error_text(&err), "HINT: The key of 't' is given as 'a=VALUE"));
    } else {
        assert_int_equal(r, 0);
        assert_string_equal(dumped, json);
    }
    free(dumped);
    json_decref(key);
    error_done(&err);
}

static void test_keys(void **state)
{
    key_is(1, "5", "{\"a\":\"5\"}");
    key_is(1, "a=5", "{\"a\":\"5\"}");
    key_is(1, "x=5", "{\"a\":\"x=5\"}");
    key_is(1, "", "{\"a\":\"\"}");
    key_is(1, "a=5,a=6", NULL);
    key_is(2, "a=5,b=x", "{\"a\":\"5\",\"b\":\"x\"}");
    key_is(2, "b=\"x, \"\"y\"\"\",a=5", "{\"a\":\"5\",\"b\":\"x, \\\"y\\\"\"}");
    key_is(2, "\"a\"=5,b=", "{\"a\":\"5\",\"b\":\"\"}");
    key_is(2, "a=5", NULL);
    key_is(2, "5", NULL);
    key_is(2, "a=5,c=1", NULL);
    key_is(2, "a=5,b=\"x", NULL);
    key_is(2, "a=5,b=\"x\"y", NULL);
    key_is(2, "a=5,", NULL);
    key_is(2, "a=5,b=x,", NULL);
    key_is(2, "a=\xff,b=x", NULL);
}

static MeshNode nodes[] = {{.region = "one", .origin = 1}, {.region = "two", .origin = 2}};
static const Mesh MESH = {.n = 2, .nodes = nodes};

static void add(Why *why, WhyTrace trace)
{
    why->traces = realloc(why->traces, (why->n_traces + 1) * sizeof *why->traces);
    assert_non_null(why->traces);
    why->traces[why->n_traces++] = trace;
    why->nodes[trace.node].read = true;
}

static Why *begin(const CheckTable *table)
{
    Why *why = calloc(1, sizeof *why);
    assert_non_null(why);
    *why = (Why){.mesh = &MESH, .table = table};
    return why;
}

static void end(Why *why)
{
    why_done(why);
    free(why);
}

static void test_a_conflict(void **state)
{
    const CheckTable table = {.name = "t", .kind = TABLE_KIND_LWW};
    Why *why = begin(&table);
    add(why, (WhyTrace){.node = 0,
                        .place = WHY_VISIBLE,
                        .v = V(2000, 2),
                        .pv = NONE,
                        .cur = NONE,
                        .row = strdup("{\"n\": 2}")});
    add(why, (WhyTrace){.node = 0,
                        .place = WHY_LEDGER,
                        .v = V(2000, 2),
                        .pv = V(500, 1),
                        .cur = V(1000, 1),
                        .kind = strdup("over"),
                        .row = strdup("{\"n\": 1}")});
    add(why, (WhyTrace){.node = 1, .place = WHY_VISIBLE, .v = V(500, 1), .pv = NONE, .cur = NONE});
    why->nodes[1].safe[2] = 3000;
    assert_int_equal(why_explain(why, NULL), 0);
    assert_int_equal(why->n_versions, 3);
    assert_int_equal(why->versions[0].v, V(2000, 2));
    assert_string_equal(why->versions[0].row, "{\"n\": 2}");
    assert_string_equal(why->versions[0].text, "won: the greatest version of this key");
    assert_string_equal(why->versions[1].row, "{\"n\": 1}");
    assert_string_equal(why->versions[1].text,
                        "lost to the version of two, which is 1000 us newer. The winner's writer "
                        "had not seen this one: a conflict, the last write won");
    assert_string_equal(why->nodes[0].text, "has it");
    assert_non_null(strstr(why->nodes[1].text, "should have it: everything of two"));
    end(why);
}

static void test_on_its_way_and_same_microsecond(void **state)
{
    const CheckTable table = {.name = "t", .kind = TABLE_KIND_LWW};
    Why *why = begin(&table);
    add(why, (WhyTrace){.node = 1, .place = WHY_VISIBLE, .v = V(2000, 2), .pv = NONE, .cur = NONE});
    add(why, (WhyTrace){.node = 0, .place = WHY_VISIBLE, .v = V(2000, 1), .pv = NONE, .cur = NONE});
    why->nodes[0].safe[2] = 1500;
    assert_int_equal(why_explain(why, NULL), 0);
    assert_non_null(strstr(why->versions[1].text, "the greater origin wins (2 over 1)"));
    assert_string_equal(why->nodes[0].text,
                        "has not got it yet: it is on its way from two; what was written until "
                        "500 us before it is there");
    end(why);
}

static void test_deleted_and_a_zombie(void **state)
{
    const CheckTable table = {.name = "t", .kind = TABLE_KIND_LWW};
    Why *why = begin(&table);
    add(why, (WhyTrace){.node = 0, .place = WHY_TOMBSTONE, .v = V(9, 1), .pv = NONE, .cur = NONE});
    add(why, (WhyTrace){.node = 1, .place = WHY_TOMBSTONE, .v = V(9, 1), .pv = NONE, .cur = NONE});
    add(why, (WhyTrace){.node = 1, .place = WHY_VISIBLE, .v = V(3, 2), .pv = NONE, .cur = NONE});
    assert_int_equal(why_explain(why, NULL), 0);
    assert_true(why->versions[0].deleted);
    assert_non_null(strstr(why->versions[0].text, "one deleted the row"));
    assert_string_equal(why->nodes[0].text, "has it");
    assert_non_null(strstr(why->nodes[1].text, "still shows a row below its tombstone"));
    end(why);
}

static void test_copies_of_an_insert_only_row(void **state)
{
    const CheckTable table = {.name = "t", .kind = TABLE_KIND_INSERT_ONLY};
    Why *why = begin(&table);
    add(why, (WhyTrace){.node = 1, .place = WHY_VISIBLE, .v = 2, .pv = NONE, .cur = NONE});
    add(why, (WhyTrace){.node = 0, .place = WHY_VISIBLE, .v = 1, .pv = NONE, .cur = NONE});
    assert_int_equal(why_explain(why, NULL), 0);
    assert_int_equal(why->versions[0].v, 1);
    assert_non_null(strstr(why->versions[0].text, "the lower origin stays"));
    assert_non_null(strstr(why->versions[1].text, "lost to the copy of one"));
    end(why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_a_conflict),
        cmocka_unit_test(test_on_its_way_and_same_microsecond),
        cmocka_unit_test(test_deleted_and_a_zombie),
        cmocka_unit_test(test_copies_of_an_insert_only_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
