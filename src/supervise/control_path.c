// SPDX-License-Identifier: MIT
// control_path: see control_path.h; and the client's side of the control socket, which needs
// nothing else.
#include "control_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <poll.h>

#include "buf.h"
#include "clock.h"
#include "control.h"
#include "files.h"
#include "layout.h"

#define NAME "supervisor.sock"

// Calls bind or connect on DIR/supervisor.sock. 0 or -errno.
static int with_path(const char *dir, int fd, int (*call)(int, const struct sockaddr *, socklen_t))
{
    int folder CLEANUP(fd_closep) = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return -errno;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)snprintf(un.sun_path, sizeof un.sun_path, "/proc/self/fd/%d/" NAME, folder);
    return call(fd, (const struct sockaddr *)&un, sizeof un) < 0 ? -errno : 0;
}

int control_path_listen(const char *dir, Error *reterr)
{
    control_path_remove(dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0177);
    int r = fd < 0 ? -errno : with_path(dir, fd, bind);
    (void)umask(mask);
    if (r == 0 && listen(fd, CONTROL_CLIENTS) == 0)
        return fd;
    r = error_errno(reterr, r < 0 ? -r : errno, "%s/" NAME, dir);
    files_close(fd);
    return r;
}

int control_path_connect(const char *dir, Error *reterr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? -errno : with_path(dir, fd, connect);
    if (r == 0)
        return fd;
    files_close(fd);
    if (r == -ENOENT || r == -ECONNREFUSED || r == -ENOTDIR)
        return error_set(reterr, ERROR_NOT_FOUND, "no fleet runs in '%s'", dir);
    return error_errno(reterr, -r, "%s/" NAME, dir);
}

void control_path_remove(const char *dir)
{
    (void)unlink(layout_dir(dir, NAME).text);
}

static int read_line(int fd, int64_t timeout_ns, Buf *buf, Error *reterr)
{
    Mono until = mono_add(clock_mono(), timeout_ns);
    for (;;) {
        int64_t left_ms = mono_since(until, clock_mono()) / NS_PER_MS;
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int n = left_ms <= 0 ? 0 : poll(&poll_fd, 1, left_ms > 60000 ? 60000 : (int)left_ms);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 && left_ms <= 0)
            return error_set(reterr, ERROR_TIMEOUT, "the supervisor did not answer");
        char bytes[65536];
        ssize_t got = n > 0 ? recv(fd, bytes, sizeof bytes, 0) : 1;
        if (n > 0 && got <= 0)
            return error_set(reterr, ERROR_UNAVAILABLE, "the supervisor closed the connection");
        if (n > 0)
            buf_add(buf, bytes, (size_t)got);
        if (buf_check(buf) < 0)
            return error_wrap(reterr, buf_check(buf), "answer of the supervisor");
        if (buf->len > 0 && buf->data[buf->len - 1] == '\n')
            return 0;
    }
}

int control_ask(const char *dir, const char *command, int64_t timeout_ns, char **ret_answer,
                Error *reterr)
{
    int fd CLEANUP(fd_closep) = control_path_connect(dir, reterr);
    if (fd < 0)
        return fd;
    Buf buf CLEANUP(buf_done) = BUF_INIT(8U << 20);
    buf_add_text(&buf, command);
    buf_add_char(&buf, '\n');
    if (buf_check(&buf) < 0 || send(fd, buf.data, buf.len, MSG_NOSIGNAL) < (ssize_t)buf.len)
        return error_set(reterr, ERROR_UNAVAILABLE, "the supervisor does not take commands");
    buf_clear(&buf);
    int r = read_line(fd, timeout_ns, &buf, reterr);
    if (r < 0)
        return r;
    *ret_answer = buf_take(&buf);
    return 0;
}
