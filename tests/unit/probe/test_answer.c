// SPDX-License-Identifier: MIT
// answer: complete, partial, malformed and hostile answers of a health location.
#include <string.h>

#include "answer.h"
#include "attr.h"
#include "unit.h"

typedef struct Case {
    const char *bytes;
    int result;
    bool ended, ok, close;
    int status;
} Case;

static const Case CASES[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n", 1, false, true, false, 200},
    {"HTTP/1.1 200 OK\r\ncontent-length:2 \r\n\r\nok", 1, false, true, false, 200},
    {"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 1, false, true, false, 200},
    {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nok\n", 1, false, true, true,
     200},
    {"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n", 1, false, true, true, 200},
    {"HTTP/1.1 200 OK\r\n\r\nok", 1, true, true, true, 200},
    {"HTTP/1.1 200 OK\r\n\r\nok", 0, false, false, false, 0},
    {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 1, false, false, false, 503},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", 1, false, false, false, 200},
    {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nokay", 1, false, false, false, 200},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", 0, false, false, false, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", -1, true, false, false, 0},
    {"HTTP/1.1 200 OK\r\nContent-Len", 0, false, false, false, 0},
    {"HTTP/1.1 200 OK\r\nContent-Len", -1, true, false, false, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nok\n", -1, false, false,
     false, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", -1, false, false,
     false, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", -1, false, false, false, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", -1, false, false, false, 0},
    {"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", -1, false, false, false, 0},
    {"HTTP/2 200 OK\r\nContent-Length: 3\r\n\r\nok\n", -1, false, false, false, 0},
    {"HTTP/1.1 2x0 OK\r\nContent-Length: 3\r\n\r\nok\n", -1, false, false, false, 0},
    {"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", -1, false, false, false, 0},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        const Case *c = &CASES[i];
        ProbeAnswer answer = {0};
        int r = probe_answer_parse(c->bytes, strlen(c->bytes), c->ended, &answer);
        if (r != c->result || answer.ok != c->ok || answer.close != c->close ||
            answer.status != c->status)
            fail_msg("case %zu '%s': result %d, ok %d, close %d, status %d", i, c->bytes, r,
                     answer.ok, answer.close, answer.status);
    }
}

// Every prefix of a good answer asks for more, and what follows it is not counted to it.
static void test_prefixes(void **state)
{
    (void)state;
    const char *good = "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 3\r\n\r\nok\nHTTP/1.1";
    size_t whole = strlen(good) - strlen("HTTP/1.1");
    ProbeAnswer answer;
    for (size_t len = 0; len < whole; len++)
        assert_int_equal(probe_answer_parse(good, len, false, &answer), 0);
    for (size_t len = whole; len <= strlen(good); len++) {
        assert_int_equal(probe_answer_parse(good, len, false, &answer), 1);
        assert_int_equal(answer.len, whole);
    }
}

static void test_too_long(void **state)
{
    (void)state;
    char bytes[PROBE_ANSWER_MAX];
    memset(bytes, 'a', sizeof(bytes));
    ProbeAnswer answer;
    assert_int_equal(probe_answer_parse(bytes, sizeof(bytes) - 1, false, &answer), 0);
    assert_int_equal(probe_answer_parse(bytes, sizeof(bytes), false, &answer), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
