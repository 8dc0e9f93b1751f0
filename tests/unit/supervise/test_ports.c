// SPDX-License-Identifier: MIT
// test_ports: a free port, one of ours, and one behind a wildcard listener.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ports.h"

#define ADDRESS "127.251.7.1"

// Listens at `address`; the kernel chooses the port.
static int listen_at(const char *address, uint16_t *ret_port)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof in;
    assert_int_equal(inet_pton(AF_INET, address, &in.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    *ret_port = ntohs(in.sin_port);
    return fd;
}

static void assert_ours(uint16_t port)
{
    char pid[32];
    Error err = ERROR_INIT;
    (void)snprintf(pid, sizeof pid, "(pid %ld,", (long)getpid());
    assert_int_equal(port_check(ADDRESS, port, &err), ERROR_UNAVAILABLE);
    assert_non_null(strstr(error_text(&err), "is taken by 'test_supervise_"));
    assert_non_null(strstr(error_text(&err), pid));
    error_done(&err);
}

static void a_listener_is_named(void **state)
{
    uint16_t port;
    int fd = listen_at(ADDRESS, &port);
    assert_false(port_free(ADDRESS, port));
    assert_ours(port);
    assert_true(port_free("127.251.7.2", port));
    assert_int_equal(close(fd), 0);
    assert_true(port_free(ADDRESS, port));
    assert_int_equal(port_check(ADDRESS, port, NULL), 0);
}

static void a_wildcard_listener_counts(void **state)
{
    uint16_t port;
    int fd = listen_at("0.0.0.0", &port);
    assert_ours(port);
    assert_int_equal(close(fd), 0);
}

static void a_wrong_address_is_no_taken_port(void **state)
{
    Error err = ERROR_INIT;
    assert_true(port_check("127.1.1", 1, &err) < 0);
    assert_null(strstr(error_text(&err), "taken"));
    assert_true(port_check("192.0.2.1", 8443, &err) < 0); // not ours to bind
    assert_null(strstr(error_text(&err), "taken"));
    error_done(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_is_named),
        cmocka_unit_test(a_wildcard_listener_counts),
        cmocka_unit_test(a_wrong_address_is_no_taken_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
