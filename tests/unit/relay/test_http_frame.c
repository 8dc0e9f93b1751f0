// SPDX-License-Identifier: MIT
// http_frame: where messages end, and what is left alone.
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "http_frame.h"

static HttpFrame frame;

// Feeds all of `text` in pieces of `step` bytes; returns what was consumed.
static size_t feed(const char *text, size_t step)
{
    size_t len = strlen(text), at = 0;
    while (at < len && frame.state != HTTP_FRAME_DONE && frame.state != HTTP_FRAME_BAD) {
        size_t n = len - at < step ? len - at : step, taken = 0;
        while (taken < n) { // stops at the end of the head
            size_t now = http_frame_feed(&frame, text + at + taken, n - taken);
            taken += now;
            if (now == 0 || frame.state == HTTP_FRAME_DONE || frame.state == HTTP_FRAME_BAD)
                break;
        }
        at += taken;
    }
    return at;
}

typedef struct Case {
    const char *text;
    HttpFrameState state; // after all of it
    size_t used;          // 0: everything
} Case;

static void check(const Case *c, bool answer, bool to_head)
{
    size_t steps[] = {1, 2, 7, 4096};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (answer)
            http_frame_begin_answer(&frame, to_head);
        else
            http_frame_begin_request(&frame);
        size_t used = feed(c->text, steps[i]);
        if (frame.state != c->state ||
            (c->state == HTTP_FRAME_DONE && used != (c->used > 0 ? c->used : strlen(c->text))))
            fail_msg("'%s' by %zu: state %d, used %zu", c->text, steps[i], (int)frame.state, used);
    }
}

static void test_requests(void **state)
{
    const Case cases[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_FRAME_DONE, 0},
        {"GET / HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n", HTTP_FRAME_DONE, 18},
        {"GET / HTTP/1.1\r\n\r", HTTP_FRAME_HEAD, 0},
        {"POST / HTTP/1.1\r\ncontent-length:  3 \r\n\r\nabcd", HTTP_FRAME_DONE, 43},
        {"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", HTTP_FRAME_DONE, 0},
        {"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", HTTP_FRAME_FIXED, 0},
        {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
         HTTP_FRAME_DONE, 0},
        {"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n1;a=\"b\"\r\nx\r\n0A\r\n0123456789"
         "\r\n000\r\nTrailer: t\r\n\r\nrest",
         HTTP_FRAME_DONE, 94},
        {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_FRAME_CHUNK_SIZE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(&cases[i], false, false);
}

static void test_requests_left_alone(void **state)
{
    const char *const texts[] = {
        "EHLO x\r\n",
        "\r\n",
        " GET / HTTP/1.1\r\n",
        "GET  / HTTP/1.1\r\n",
        "GET / HTTP/1.1 \r\n",
        "GET / HTTP/2.0\r\n",
        "GET / HTTP/1.1\n",
        "GET /\r\n",
        "CONNECT a:1 HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n folded: line\r\n",
        "GET / HTTP/1.1\r\nExpect: 100-continue\r\n",
        "GET / HTTP/1.1\r\nUpgrade: h2c\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n;a\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\nx",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1234567890123456\r\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check(&(Case){texts[i], HTTP_FRAME_BAD, 0}, false, false);
}

static void test_answers(void **state)
{
    const Case cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", HTTP_FRAME_DONE, 0},
        {"HTTP/1.1 200\r\n\r\nto the end", HTTP_FRAME_TO_END, 0},
        {"HTTP/1.1 204 No Content\r\n\r\n", HTTP_FRAME_DONE, 0},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", HTTP_FRAME_DONE, 0},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
         HTTP_FRAME_DONE, 0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
         HTTP_FRAME_DONE, 0},
        {"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n", HTTP_FRAME_BAD, 0},
        {"HTTP/1.1 099 x\r\n", HTTP_FRAME_BAD, 0},
        {"HTTP/1.1 2000 x\r\n", HTTP_FRAME_BAD, 0},
        {"HTTP/1.2 200 x\r\n", HTTP_FRAME_BAD, 0},
        {"nonsense\r\n", HTTP_FRAME_BAD, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(&cases[i], true, false);
    check(&(Case){"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP", HTTP_FRAME_DONE, 38}, true,
          true);
    check(&(Case){"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
                  HTTP_FRAME_DONE, 0},
          true, true);
}

static void test_what_is_read_from_a_head(void **state)
{
    http_frame_begin_request(&frame);
    (void)feed("HEAD /api/health?x=/y HTTP/1.0\r\n\r\n", 3);
    assert_true(frame.is_head && frame.is_health && frame.close);
    http_frame_begin_request(&frame);
    (void)feed("GET /api/healthy HTTP/1.1\r\nConnection: Close\r\n\r\n", 3);
    assert_true(!frame.is_head && !frame.is_health && frame.close);
    http_frame_begin_answer(&frame, false);
    (void)feed("HTTP/1.1 503 Busy\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", 3);
    assert_int_equal(frame.status, 503);
    assert_false(frame.close);
}

static void test_head_is_bounded(void **state)
{
    http_frame_begin_request(&frame);
    const char begin[] = "GET / HTTP/1.1\r\nA: ";
    size_t used = http_frame_feed(&frame, begin, sizeof begin - 1), n;
    while ((n = http_frame_feed(&frame, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 31)) > 0)
        used += n;
    assert_int_equal(frame.state, HTTP_FRAME_BAD);
    assert_int_equal(used, HTTP_FRAME_HEAD_MAX);
    assert_int_equal(frame.head_len, HTTP_FRAME_HEAD_MAX); // all of it can still be passed on
}

static void test_trailer_and_size_line_are_bounded(void **state)
{
    const char *const begins[] = {"0\r\n", "1;"};
    const size_t limits[] = {HTTP_FRAME_HEAD_MAX, HTTP_FRAME_LINE_MAX};
    for (int i = 0; i < 2; i++) {
        http_frame_begin_request(&frame);
        (void)feed("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 1);
        (void)feed(begins[i], 1);
        size_t n = 0;
        while (n < 2 * HTTP_FRAME_HEAD_MAX && http_frame_feed(&frame, "x", 1) == 1)
            n++;
        assert_int_equal(frame.state, HTTP_FRAME_BAD);
        assert_in_range(n, limits[i] - 8, limits[i] + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_requests_left_alone),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_what_is_read_from_a_head),
        cmocka_unit_test(test_head_is_bounded),
        cmocka_unit_test(test_trailer_and_size_line_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
