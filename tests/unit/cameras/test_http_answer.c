// SPDX-License-Identifier: MIT
// http_answer: answers whole, byte by byte, cut, and malformed.
#include "unit.h"

#include <string.h>

#include "attr.h"
#include "http_answer.h"

#define FIXED                                                                                      \
    "HTTP/1.1 201 Created\r\nContent-Length: 12\r\nwildcam-region:  us-west-2 "                    \
    "\r\n\r\n{\"id\":\"abc\"}"
#define CHUNKED                                                                                    \
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nWiki\r\nA\r\n0123456789\r\n"    \
    "0\r\nTrailer: t\r\n\r\n"

static HttpAnswer answer;

static void test_fixed(void **state)
{
    http_answer_begin(&answer);
    assert_int_equal(http_answer_feed(&answer, FIXED "HTTP", strlen(FIXED) + 4), strlen(FIXED));
    assert_int_equal(answer.state, HTTP_ANSWER_DONE);
    assert_int_equal(answer.status, 201);
    assert_string_equal(answer.region, "us-west-2");
    assert_string_equal(answer.body, "{\"id\":\"abc\"}");
    assert_false(answer.close);
}

static void test_byte_by_byte(void **state)
{
    static const char *const TEXTS[] = {FIXED, CHUNKED};
    for (size_t i = 0; i < 2; i++) {
        http_answer_begin(&answer);
        for (size_t at = 0; TEXTS[i][at] != '\0'; at++) {
            assert_int_not_equal(answer.state, HTTP_ANSWER_DONE);
            assert_false(http_answer_end(&answer)); // cut here: not an answer
            assert_int_equal(http_answer_feed(&answer, TEXTS[i] + at, 1), 1);
        }
        assert_int_equal(answer.state, HTTP_ANSWER_DONE);
    }
    assert_string_equal(answer.body, "Wiki0123456789");
}

// Both headers say that it was shed: a backend whose database is gone says Retry-After too.
static void test_shed(void **state)
{
    static const char shed[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                               "Retry-After: 2\r\nWildcam-Shed: capacity\r\n\r\n";
    static const char broken[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                                 "Retry-After: 1\r\n\r\n";
    http_answer_begin(&answer);
    (void)http_answer_feed(&answer, shed, strlen(shed));
    assert_int_equal(answer.state, HTTP_ANSWER_DONE);
    assert_true(answer.retry_after && answer.shed);
    http_answer_begin(&answer);
    (void)http_answer_feed(&answer, broken, strlen(broken));
    assert_true(answer.retry_after);
    assert_false(answer.shed);
}

static void test_other_ends(void **state)
{
    static const char to_end[] = "HTTP/1.0 200 OK\r\n\r\nhello";
    http_answer_begin(&answer);
    assert_int_equal(http_answer_feed(&answer, to_end, strlen(to_end)), strlen(to_end));
    assert_true(http_answer_end(&answer));
    assert_true(answer.close);
    static const char none[] = "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n";
    http_answer_begin(&answer);
    (void)http_answer_feed(&answer, none, strlen(none));
    assert_int_equal(answer.state, HTTP_ANSWER_DONE);
    assert_true(answer.close);
    static const char later[] = "HTTP/1.1 100 Continue\r\n\r\n" FIXED;
    http_answer_begin(&answer);
    (void)http_answer_feed(&answer, later, strlen(later));
    assert_int_equal(answer.state, HTTP_ANSWER_DONE);
    assert_int_equal(answer.status, 201);
}

static void test_long_body_is_counted(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
    static char body[5001];
    memset(body, 'x', sizeof body - 1);
    http_answer_begin(&answer);
    (void)http_answer_feed(&answer, head, strlen(head));
    assert_int_equal(http_answer_feed(&answer, body, 4999), 4999);
    assert_int_equal(answer.state, HTTP_ANSWER_FIXED);
    assert_int_equal(http_answer_feed(&answer, body, 2), 1);
    assert_int_equal(answer.state, HTTP_ANSWER_DONE);
    assert_int_equal(answer.body_len, HTTP_ANSWER_BODY);
}

static void test_malformed(void **state)
{
    static const char *const TEXTS[] = {
        "HTTP/2 200 OK\r\n",
        "HTTP/1.1 20 OK\r\n",
        "HTTP/1.1 2000 OK\r\n",
        "HTTP/1.1 099 Low\r\n",
        "ICY 200 OK\r\n",
        "HTTP/1.1 200 OK\n",
        "HTTP/1.1 101 Switching\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(TEXTS); i++) {
        http_answer_begin(&answer);
        (void)http_answer_feed(&answer, TEXTS[i], strlen(TEXTS[i]));
        if (answer.state != HTTP_ANSWER_BAD)
            fail_msg("taken: %s", TEXTS[i]);
        assert_false(http_answer_end(&answer));
    }
    http_answer_begin(&answer);
    (void)http_answer_feed(&answer, "HTTP/1.1 200 OK\r\nX: ", 20);
    for (int i = 0; i < HTTP_ANSWER_LINE; i++)
        (void)http_answer_feed(&answer, "x", 1);
    assert_int_equal(answer.state, HTTP_ANSWER_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_shed),
        cmocka_unit_test(test_other_ends),
        cmocka_unit_test(test_long_body_is_counted),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
