// SPDX-License-Identifier: MIT
// test_ready: readiness against sockets that are missing, silent, wrong, cut off, and right.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ready.h"

static char folder[] = "/tmp/test_ready.XXXXXX";
static char path[64];
static ReadyCheck check;
static Mono now;

static const Program HTTP = {
    .name = "p", .ready = PROGRAM_READY_HTTP, .ready_socket = path, .ready_path = "/v1/ready"};

static int setup(void **state)
{
    check = READY_CHECK_INIT;
    now = (Mono){NS_PER_S};
    (void)unlink(path);
    return 0;
}

static int teardown(void **state)
{
    ready_reset(&check);
    return 0;
}

static int listen_unix(int type)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&un, sizeof un), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

// One exchange: lets the check ask, answers with `text` in two pieces, and says what it made of it.
static bool answered(int listener, const char *text)
{
    now = mono_add(now, READY_RETRY_NS);
    assert_false(ready_step(&check, &HTTP, now));
    int peer = accept(listener, NULL, NULL);
    char request[512];
    ssize_t n = recv(peer, request, sizeof request - 1, 0);
    assert_true(n > 0);
    request[n] = '\0';
    assert_non_null(strstr(request, "GET /v1/ready HTTP/1.1\r\n"));
    assert_false(ready_step(&check, &HTTP, now)); // silence is no answer
    size_t len = strlen(text), half = len / 2;
    assert_int_equal(send(peer, text, half, MSG_NOSIGNAL), (ssize_t)half);
    assert_false(ready_step(&check, &HTTP, now));
    if (check.fd >= 0)
        assert_int_equal(send(peer, text + half, len - half, MSG_NOSIGNAL), (ssize_t)(len - half));
    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    bool ready = ready_step(&check, &HTTP, now) || ready_step(&check, &HTTP, now);
    assert_int_equal(close(peer), 0);
    return ready;
}

static void only_200_is_ready(void **state)
{
    int listener = listen_unix(SOCK_STREAM);
    assert_false(answered(listener, "HTTP/1.1 503 no\r\n\r\n"));
    assert_false(answered(listener, "HTTP/1.1 2"));
    assert_false(answered(listener, "SSH-2.0-whatever"));
    assert_false(answered(listener, "HTTP/1.1 2000000"));
    assert_true(answered(listener, "HTTP/1.1 200 OK\r\n\r\n"));
    assert_int_equal(check.fd, -1);
    assert_int_equal(close(listener), 0);
}

static void a_missing_socket_is_tried_again_later(void **state)
{
    assert_false(ready_step(&check, &HTTP, now));
    assert_int_equal(check.next.ns, mono_add(now, READY_RETRY_NS).ns);
    int listener = listen_unix(SOCK_STREAM);
    assert_false(ready_step(&check, &HTTP, now)); // too early to look
    assert_int_equal(check.fd, -1);
    assert_true(answered(listener, "HTTP/1.1 200 OK\r\n\r\n"));
    assert_int_equal(close(listener), 0);
}

static void a_silent_program_is_asked_anew(void **state)
{
    int listener = listen_unix(SOCK_STREAM);
    assert_false(ready_step(&check, &HTTP, now));
    assert_true(check.fd >= 0);
    now = mono_add(now, READY_ANSWER_NS + 1);
    assert_false(ready_step(&check, &HTTP, now));
    assert_int_equal(check.fd, -1);
    int old = accept(listener, NULL, NULL);
    assert_true(answered(listener, "HTTP/1.1 200 OK\r\n\r\n"));
    assert_int_equal(close(old), 0);
    assert_int_equal(close(listener), 0);
}

static void a_tcp_port_is_ready_when_it_accepts(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof in;
    assert_int_equal(inet_pton(AF_INET, "127.251.7.3", &in.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    const Program tcp = {.name = "p",
                         .ready = PROGRAM_READY_TCP,
                         .ready_address = "127.251.7.3",
                         .ready_port = ntohs(in.sin_port)};
    for (unsigned i = 0; i < 5; i++) {
        assert_false(ready_step(&check, &tcp, now)); // refused
        now = mono_add(now, READY_RETRY_NS);
    }
    assert_int_equal(listen(fd, 1), 0);
    bool ready = false;
    for (unsigned i = 0; i < 1000 && !ready; i++, now = mono_add(now, READY_RETRY_NS))
        ready = ready_step(&check, &tcp, now);
    assert_true(ready);
    struct sockaddr_in peer;
    len = sizeof peer;
    int accepted = accept(fd, (struct sockaddr *)&peer, &len);
    assert_int_equal(peer.sin_addr.s_addr, in.sin_addr.s_addr); // bound its source
    assert_int_equal(close(accepted), 0);
    assert_int_equal(close(fd), 0);
}

static void notifications_are_read_by_line(void **state)
{
    int fd = ready_notify_open(path, NULL);
    assert_true(fd >= 0);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    static const struct {
        const char *text;
        bool ready;
    } ROWS[] = {
        {"STATUS=starting", false}, {"READY=1", true},     {"MAINPID=7\nREADY=1\nSTATUS=up", true},
        {"NOT_READY=1", false},     {"STOPPING=1", false}, {"", false}};
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        assert_false(ready_notify_read(fd));
        assert_int_equal(sendto(sender, ROWS[i].text, strlen(ROWS[i].text), 0,
                                (const struct sockaddr *)&un, sizeof un),
                         (ssize_t)strlen(ROWS[i].text));
        assert_int_equal(ready_notify_read(fd), ROWS[i].ready);
    }
    assert_int_equal(close(sender), 0);
    assert_int_equal(close(fd), 0);
    char longer[200];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_true(ready_notify_open(longer, NULL) < 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(only_200_is_ready),
        TEST(a_missing_socket_is_tried_again_later),
        TEST(a_silent_program_is_asked_anew),
        TEST(a_tcp_port_is_ready_when_it_accepts),
        TEST(notifications_are_read_by_line),
    };
    if (mkdtemp(folder) == NULL)
        return 1;
    (void)snprintf(path, sizeof path, "%s/s", folder);
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    (void)rmdir(folder);
    return r;
}
