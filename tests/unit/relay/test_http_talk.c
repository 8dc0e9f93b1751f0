// SPDX-License-Identifier: MIT
// http_talk: what goes on to the replica, what is answered here, and in which order.
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "error.h"
#include "http_talk.h"

#define GET "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static HttpTalk talk;
static Hold requests, answers;
static ErrorShare share;

static void begin(void)
{
    hold_done(&requests);
    hold_done(&answers);
    share = (ErrorShare){0};
    http_talk_begin(&talk, &share, &requests, &answers);
}

static size_t ask(const char *text, uint32_t ppm)
{
    size_t taken = 0;
    assert_int_equal(http_talk_request(&talk, text, strlen(text), ppm, (Mono){1}, &taken), 0);
    return taken;
}

static void reply(const char *text)
{
    assert_int_equal(http_talk_answer(&talk, text, strlen(text), (Mono){2}), 0);
}

// What is in the hold; the hold is empty after it. A mark is '|'.
static const char *take(Hold *hold)
{
    static char text[4096];
    size_t len = 0;
    while (hold->first != NULL) {
        if (hold->first->kind == HOLD_BYTES) {
            memcpy(text + len, hold->first->bytes, hold->first->len);
            len += hold->first->len;
        } else {
            text[len++] = '|';
        }
        hold_drop(hold, hold->first->len);
    }
    text[len] = '\0';
    return text;
}

static void test_one_request_at_a_time(void **state)
{
    begin();
    assert_true(http_talk_idle(&talk));
    assert_int_equal(ask(GET GET, 0), strlen(GET));
    assert_false(http_talk_idle(&talk));
    assert_string_equal(take(&requests), GET);
    assert_int_equal(ask(GET, 0), 0);
    reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    assert_int_equal(ask(GET, 0), 0);
    reply("k");
    assert_true(http_talk_idle(&talk));
    assert_int_equal(ask(GET, 0), strlen(GET));
    assert_string_equal(take(&answers), OK);
}

static void test_spoiled_ones_stay_here(void **state)
{
    begin();
    const char begun[] = GET "POST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nab";
    assert_int_equal(ask(begun, 1000000), strlen(begun));
    assert_string_equal(take(&requests), "");
    const char *text = take(&answers);
    assert_int_equal(strncmp(text, "HTTP/1.1 500 ", 13), 0);
    assert_null(strstr(text + 1, "HTTP/1.1")); // the second one's body is not complete
    assert_int_equal(ask("c" GET, 0), 1 + strlen(GET));
    assert_int_equal(strncmp(take(&answers), "HTTP/1.1 500 ", 13), 0);
    assert_string_equal(take(&requests), GET);
}

static void test_health_is_never_spoiled(void **state)
{
    begin();
    const char health[] = "GET /api/health HTTP/1.1\r\n\r\n";
    assert_int_equal(ask(health, 1000000), strlen(health));
    assert_string_equal(take(&requests), health);
    assert_string_equal(take(&answers), "");
}

static void test_close_is_obeyed(void **state)
{
    begin();
    (void)ask("GET /a HTTP/1.1\r\nConnection: close\r\n\r\n" GET, 1000000);
    const char *text = take(&answers);
    assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
    assert_int_equal(text[strlen(text) - 1], '|');
    assert_true(talk.last);
    assert_int_equal(ask(GET, 1000000), 0);
}

static void test_body_in_pieces_and_an_early_answer(void **state)
{
    begin();
    (void)ask("POST /b HTTP/1.1\r\nContent-Length: 4\r\n\r\nab", 0);
    reply("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
    assert_false(http_talk_idle(&talk));
    assert_int_equal(ask("cd" GET, 0), 2 + strlen(GET));
    assert_string_equal(take(&requests), "POST /b HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd" GET);
}

static void test_goes_through_after_what_is_not_understood(void **state)
{
    begin();
    (void)ask("EHLO a\r\n" GET, 1000000);
    (void)ask(GET, 1000000);
    assert_string_equal(take(&requests), "EHLO a\r\n" GET GET);
    begin(); // a chunk without a size
    (void)ask("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n" GET, 0);
    (void)ask(GET, 1000000);
    assert_string_equal(take(&requests),
                        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n" GET GET);
    begin(); // an answer that nobody asked for
    reply("220 hello\r\n");
    (void)ask(GET GET, 1000000);
    assert_string_equal(take(&answers), "220 hello\r\n");
    assert_string_equal(take(&requests), GET GET);
}

static void test_an_unfinished_head_goes_on_before_what_goes_through(void **state)
{
    begin();
    (void)ask("GET / HT", 1000000);
    reply("220 hello\r\n");
    (void)ask("TP", 1000000);
    assert_string_equal(take(&requests), "GET / HTTP");
}

static void test_an_unfinished_head_goes_on_at_the_end(void **state)
{
    begin();
    (void)ask("GET / HT", 0);
    assert_false(http_talk_idle(&talk));
    assert_string_equal(take(&requests), "");
    assert_int_equal(http_talk_end(&talk, (Mono){3}), 0);
    assert_string_equal(take(&requests), "GET / HT");
}

static void test_no_memory_is_said(void **state)
{
    begin();
    size_t taken;
    alloc_fail_after(0);
    assert_int_equal(http_talk_request(&talk, GET, strlen(GET), 0, (Mono){1}, &taken),
                     ERROR_MEMORY);
    begin();
    alloc_fail_after(0);
    assert_int_equal(http_talk_request(&talk, GET, strlen(GET), 1000000, (Mono){1}, &taken),
                     ERROR_MEMORY);
    alloc_fail_after(-1);
}

static void test_hold_is_bounded_by_its_user(void **state)
{
    Hold hold = {0};
    assert_int_equal(hold_room(&hold), HOLD_MAX);
    size_t n = 0;
    while (hold_room(&hold) > 0) {
        assert_int_equal(hold_add(&hold, "x", 1, (Mono){0}), 0);
        n++;
    }
    assert_true(n < HOLD_MAX / 16); // single bytes do not cost more memory than the bound
    assert_int_equal(hold_mark(&hold, HOLD_RESET, (Mono){0}), 0);
    hold_done(&hold);
    assert_int_equal(hold_room(&hold), HOLD_MAX);
}

static int finish(void **state)
{
    hold_done(&requests);
    hold_done(&answers);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_request_at_a_time),
        cmocka_unit_test(test_spoiled_ones_stay_here),
        cmocka_unit_test(test_health_is_never_spoiled),
        cmocka_unit_test(test_close_is_obeyed),
        cmocka_unit_test(test_body_in_pieces_and_an_early_answer),
        cmocka_unit_test(test_goes_through_after_what_is_not_understood),
        cmocka_unit_test(test_an_unfinished_head_goes_on_before_what_goes_through),
        cmocka_unit_test(test_an_unfinished_head_goes_on_at_the_end),
        cmocka_unit_test(test_no_memory_is_said),
        cmocka_unit_test(test_hold_is_bounded_by_its_user),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}
