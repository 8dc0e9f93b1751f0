// SPDX-License-Identifier: MIT
// test_top: frames of `wildcam top`: at every size no line too wide and none too many, what matters
// first, nobody's text as control characters; sorting, selecting, rates.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "top_draw.h"
#include "top_line.h"
#include "top_rates.h"
#include "utf8.h"

static const char *const NAMES[] = {"us-west-2", "us-east-1", "westus2",
                                    "eastus",    "us-west1",  "us-east1"};
static json_t *view, *records;
static TopRates rates[6];
static Buf text;

static json_t *region(uint32_t i)
{
    return json_pack("{s:s,s:s,s:s,s:[s,s],s:{s:i,s:i},s:i,s:i,s:i}", "region", NAMES[i], "cloud",
                     i < 2   ? "aws"
                     : i < 4 ? "azure"
                             : "gcp",
                     "state", "up", "classes", "read", "write", "replicas", "want", 2, "up", 2,
                     "plan_age_ms", 120, "clock_offset_ms", -3, "generation", 7);
}

static json_t *gateway(uint32_t i)
{
    return json_pack("{s:s,s:s,s:i,s:i,s:i}", "region", NAMES[i], "verdict", "up", "p50_us",
                     300 + (int)i, "p99_us", 900 - 100 * (int)i, "projected_load_ppm", 250000);
}

static int setup(void **state)
{
    json_t *regions = json_array(), *gateways = json_array();
    records = json_array();
    for (uint32_t i = 0; i < 6; i++) {
        (void)json_array_append_new(regions, region(i));
        (void)json_array_append_new(gateways, gateway(i));
        rates[i] = (TopRates){.known = true, .requests = 100 + i, .retries = i == 3 ? 2 : 0};
    }
    for (int i = 0; i < 30; i++)
        (void)json_array_append_new(records,
                                    json_pack("{s:s,s:s,s:s,s:s,s:i}", "record",
                                              i % 2 == 0 ? "plan_made" : "verdict_down", "text",
                                              "gateway held down", "subject", "gateway:us-west-2",
                                              "facts", "4 of 6 votes", "at_ms_ago", 1000 * i));
    view = json_pack("{s:i,s:o,s:o,s:[],s:[]}", "generation", 7, "regions", regions, "gateways",
                     gateways, "intents", "alarms");
    text = BUF_INIT(1U << 20);
    return view != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    json_decref(view);
    json_decref(records);
    buf_done(&text);
    return 0;
}

static const char *draw(TopLook look)
{
    const TopState top = {.view = view,
                          .rates = rates,
                          .records = records,
                          .clock = "12:34:56",
                          .wall_ns = INT64_C(1000000000)};
    buf_clear(&text);
    top_draw(&top, &look, &text);
    assert_int_equal(buf_check(&text), 0);
    return buf_text(&text);
}

// Lines within `rows`, characters within `columns`; escapes count nothing, nothing else below 0x20.
static void assert_fits(const char *at, uint32_t columns, uint32_t rows)
{
    uint32_t lines = 1, width = 0;
    for (; *at != '\0'; at++) {
        if (*at == '\033') {
            at = strchr(at, 'm');
            assert_non_null(at);
            continue;
        }
        if (*at == '\n') {
            lines++;
            width = 0;
            continue;
        }
        assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
        width += ((unsigned char)*at & 0xc0) != 0x80;
        assert_in_range(width, 0, columns);
    }
    assert_in_range(lines, 1, rows);
}

static void every_size_fits(void **state)
{
    static const uint32_t COLUMNS[] = {1, 7, 20, 40, 60, 80, 100, 132, 250, 999},
                          ROWS[] = {1, 2, 3, 5, 8, 10, 16, 24, 50, 200};
    for (size_t c = 0; c < ARRAY_SIZE(COLUMNS); c++)
        for (size_t r = 0; r < ARRAY_SIZE(ROWS); r++)
            for (int colour = 0; colour < 2; colour++)
                assert_fits(draw((TopLook){.columns = COLUMNS[c],
                                           .rows = ROWS[r],
                                           .colour = colour != 0,
                                           .keys = colour != 0,
                                           .selected = 4}),
                            COLUMNS[c], ROWS[r]);
}

static bool has(const char *part)
{
    return strstr(buf_text(&text), part) != NULL;
}

static void small_screen_keeps_what_matters(void **state)
{
    (void)draw((TopLook){.columns = 40, .rows = 10, .keys = true});
    assert_true(has("6 of 6 up") && has("REGION") && has("VERDICT") && has("REQ/S"));
    assert_false(has("CLOCK") || has("CLOUD") || has("GEN"));
    for (size_t i = 0; i < 6; i++)
        assert_true(has(NAMES[i]));
    assert_true(has("q quit"));
}

static void large_screen_has_all(void **state)
{
    (void)draw((TopLook){.columns = 160, .rows = 50, .keys = true, .selected = 1});
    static const char *const PARTS[] = {"12:34:56",
                                        "615 req/s",
                                        "LOAD",
                                        "RETRY/S",
                                        "SHED/S",
                                        "5XX/S",
                                        "P50",
                                        "P99",
                                        "REPL",
                                        "CLASSES",
                                        "PLAN AGE",
                                        "CLOCK",
                                        "GEN",
                                        "25%",
                                        "0.3ms",
                                        "2/2",
                                        "read+write",
                                        "120 ms",
                                        "-3ms",
                                        ">us-east-1",
                                        "decisions of us-east-1",
                                        "1.0 s ago gateway:us-west-2"};
    for (size_t i = 0; i < ARRAY_SIZE(PARTS); i++)
        if (!has(PARTS[i]))
            fail_msg("'%s' is not in:\n%s", PARTS[i], buf_text(&text));
    assert_false(has("plan_made"));
}

static void without_a_screen_nothing_is_cut_off_below(void **state)
{
    (void)draw((TopLook){.columns = 132, .rows = 0});
    assert_true(has("us-east1") && has("decisions of us-west-2"));
    assert_false(has("q quit") || has(">us") || has("\033"));
    size_t lines = 1;
    for (const char *at = buf_text(&text); *at != '\0'; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 1 + 1 + 6 + 1 + 10);
}

static void silent_and_down(void **state)
{
    json_t *first = json_array_get(json_object_get(view, "regions"), 0);
    (void)json_object_set_new(first, "state", json_string("unreachable"));
    (void)json_object_set_new(first, "plan_age_ms", json_null());
    (void)json_object_set_new(first, "clock_offset_ms", json_null());
    (void)json_object_set_new(first, "generation", json_null());
    (void)json_object_set_new(first, "classes", json_array());
    (void)json_object_set_new(json_object_get(first, "replicas"), "up", json_null());
    (void)json_object_set_new(json_array_get(json_object_get(view, "gateways"), 0), "verdict",
                              json_string("down"));
    rates[0].known = false;
    (void)draw((TopLook){.columns = 160, .rows = 24});
    assert_true(has("5 of 6 up") && has("down (silent)") && has("-/2") && has("515 req/s"));
    (void)json_array_clear(json_object_get(view, "gateways")); // nobody answers
    assert_fits(draw((TopLook){.columns = 80, .rows = 24}), 80, 24);
    assert_true(has("0 of 6 up"));
}

static void texts_of_others_are_harmless(void **state)
{
    static const char EVIL[] = "new\033[2Jdisks\r\n\x07 caf\xc3\xa9 \xc2\x9b";
    (void)json_array_append_new(json_object_get(view, "intents"),
                                json_pack("{s:s,s:s,s:s,s:i,s:s,s:s,s:I}", "kind", "weight",
                                          "target", "region:eastus", "region", "", "value_ppm",
                                          250000, "author", "ann", "reason", EVIL, "expires_ns",
                                          (json_int_t)INT64_C(61000000000)));
    (void)json_array_append_new(
        json_object_get(view, "alarms"),
        json_pack("{s:s,s:s,s:s}", "region", "eastus", "title", "sick", "text", EVIL));
    assert_fits(draw((TopLook){.columns = 132, .rows = 24}), 132, 24);
    assert_true(has("weight region:eastus 25% by ann, left 1 min: new?[2Jdisks??? caf\xc3\xa9 ?"));
    assert_true(has("alarm eastus: sick: new?[2J"));
}

static void many_regions_scroll_to_the_selected_one(void **state)
{
    (void)draw((TopLook){.columns = 60, .rows = 6, .keys = true, .selected = 5});
    assert_true(has(">us-east1"));
    assert_false(has("us-west-2 "));
}

static void sorting(void **state)
{
    const TopState top = {.view = view, .rates = rates, .clock = ""};
    TopLook look = {.columns = 80, .rows = 24, .keys = true, .sort = TOP_SORT_REQUESTS};
    (void)draw(look);
    assert_true(strstr(buf_text(&text), "us-east1") < strstr(buf_text(&text), "us-west-2"));
    look.selected = 5; // the first row now
    assert_int_equal(top_step(&top, &look, -1), 5);
    assert_int_equal(top_step(&top, &look, 1), 4);
    look.sort = TOP_SORT_ERRORS; // 3 has retries
    (void)draw(look);
    assert_true(strstr(buf_text(&text), "eastus") < strstr(buf_text(&text), "us-west-2"));
    look.sort = TOP_SORT_LATENCY;
    (void)draw(look);
    assert_true(strstr(buf_text(&text), "us-west-2") < strstr(buf_text(&text), "us-east-1"));
    look.sort = TOP_SORT_FLEET;
    look.selected = 0;
    assert_int_equal(top_step(&top, &look, -1), 0);
    look.selected = 5;
    assert_int_equal(top_step(&top, &look, 1), 5);
}

static void rates_between_two_answers(void **state)
{
    TopCounters counters = {0};
    TopRates out;
    json_t *a = json_pack("{s:s,s:{s:i,s:i,s:i,s:i}}", "boot", "x", "edge", "requests", 100,
                          "retries", 10, "shed", 0, "errors", 4);
    json_t *b = json_pack("{s:s,s:{s:i,s:i,s:i,s:i}}", "boot", "x", "edge", "requests", 300,
                          "retries", 11, "shed", 0, "errors", 4);
    json_t *c = json_pack("{s:s,s:{s:i,s:i,s:i,s:i}}", "boot", "y", "edge", "requests", 400,
                          "retries", 11, "shed", 0, "errors", 4);
    top_rates_take(&counters, a, (Mono){1 * NS_PER_S}, &out);
    assert_false(out.known);
    top_rates_take(&counters, b, (Mono){3 * NS_PER_S}, &out);
    assert_true(out.known && out.requests > 99.9 && out.requests < 100.1);
    assert_true(out.retries > 0.49 && out.retries < 0.51 && out.errors <= 0);
    top_rates_take(&counters, c, (Mono){4 * NS_PER_S}, &out);
    assert_false(out.known); // started anew
    top_rates_take(&counters, NULL, (Mono){5 * NS_PER_S}, &out);
    assert_false(out.known);
    top_rates_take(&counters, c, (Mono){6 * NS_PER_S}, &out);
    assert_false(out.known); // nothing to compare with
    json_decref(a);
    json_decref(b);
    json_decref(c);
}

static void lines_are_cut_by_characters(void **state)
{
    TopLine line = top_line(5, true);
    top_line_add(&line, TELL_RED, "%s", "caf\xc3\xa9\xc3\xa9\xc3\xa9");
    top_line_add(&line, TELL_GREEN, "never seen");
    buf_clear(&text);
    top_line_flush(&line, &text);
    assert_string_equal(buf_text(&text), "\033[31mcaf\xc3\xa9\xc3\xa9\033[0m");
    line = top_line(20, false);
    top_line_cell(&line, TELL_PLAIN, "7", 4, true);
    top_line_cell(&line, TELL_PLAIN, "longer", 3, false);
    top_line_cell(&line, TELL_PLAIN, "x", 9, false);
    buf_clear(&text);
    top_line_flush(&line, &text);
    assert_string_equal(buf_text(&text), "   7lonx");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(every_size_fits),
                                       TEST(small_screen_keeps_what_matters),
                                       TEST(large_screen_has_all),
                                       TEST(without_a_screen_nothing_is_cut_off_below),
                                       TEST(silent_and_down),
                                       TEST(texts_of_others_are_harmless),
                                       TEST(many_regions_scroll_to_the_selected_one),
                                       TEST(sorting),
                                       TEST(rates_between_two_answers),
                                       TEST(lines_are_cut_by_characters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
