// SPDX-License-Identifier: MIT
// ready: see ready.h. The TCP check binds the target's own address as source, like every connection
// of the fleet.
#include "ready.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <poll.h>

#include "files.h"

void ready_reset(ReadyCheck *check)
{
    files_close(check->fd);
    *check = READY_CHECK_INIT;
}

static void again(ReadyCheck *check, Mono now)
{
    ready_reset(check);
    check->next = mono_add(now, READY_RETRY_NS);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof un.sun_path)
        return -1;
    memcpy(un.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&un, sizeof un) == 0)
        return fd;
    files_close(fd);
    return -1;
}

static int connect_tcp(const char *address, uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)}, from;
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
        return -1;
    from = to;
    from.sin_port = 0;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0 &&
        bind(fd, (const struct sockaddr *)&from, sizeof from) == 0 &&
        (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS))
        return fd;
    files_close(fd);
    return -1;
}

// 1 accepted, 0 not yet, -1 refused.
static int tcp_result(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof error;
    if (poll(&poll_fd, 1, 0) <= 0)
        return 0;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0 ? 1 : -1;
}

static bool ask(int fd, const char *path)
{
    char request[256];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    return n > 0 && (size_t)n < sizeof request &&
           send(fd, request, (size_t)n, MSG_NOSIGNAL) == (ssize_t)n;
}

// 1: 200, 0: not yet, -1: something else.
static int http_result(ReadyCheck *check)
{
    ssize_t n = recv(check->fd, check->answer + check->got, sizeof check->answer - 1 - check->got,
                     MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -1;
    check->got += (size_t)n;
    check->answer[check->got] = '\0';
    if (check->got < 13) // "HTTP/1.1 200 "
        return 0;
    return strncmp(check->answer, "HTTP/1.", 7) == 0 && strncmp(check->answer + 8, " 200 ", 5) == 0
               ? 1
               : -1;
}

bool ready_step(ReadyCheck *check, const Program *program, Mono now)
{
    bool http = program->ready == PROGRAM_READY_HTTP;
    if (check->fd < 0) {
        if (now.ns < check->next.ns)
            return false;
        check->fd = http ? connect_unix(program->ready_socket)
                         : connect_tcp(program->ready_address, program->ready_port);
        check->since = now;
        check->got = 0;
        if (check->fd < 0 || (http && !ask(check->fd, program->ready_path))) {
            again(check, now);
            return false;
        }
    }
    int result = http ? http_result(check) : tcp_result(check->fd);
    if (result > 0) {
        ready_reset(check);
        return true;
    }
    if (result < 0 || mono_since(now, check->since) > READY_ANSWER_NS)
        again(check, now);
    return false;
}

int ready_notify_open(const char *path, Error *reterr)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof un.sun_path)
        return error_errno(reterr, ENAMETOOLONG, "%s", path);
    memcpy(un.sun_path, path, strlen(path));
    (void)unlink(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&un, sizeof un) < 0) {
        int r = error_errno(reterr, errno, "%s", path);
        files_close(fd);
        return r;
    }
    return fd;
}

bool ready_notify_read(int fd)
{
    char message[512];
    bool ready = false;
    ssize_t n;
    while ((n = recv(fd, message, sizeof message - 1, MSG_DONTWAIT)) >= 0) {
        message[n] = '\0';
        // Lines "NAME=value"; at the start or behind a line feed.
        const char *at = strstr(message, "READY=1");
        ready = ready || (at != NULL && (at == message || at[-1] == '\n'));
    }
    return ready;
}
