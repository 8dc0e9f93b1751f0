// SPDX-License-Identifier: MIT
// doctor_run: a child process with an end: its output until it closes it or the time is over.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "doctor.h"

#define RUN_NS (5 * NS_PER_S)

// The rest of a long output is read too, or the child would wait for us.
static void read_output(int fd, Mono end, char *text, size_t size)
{
    size_t len = 0;
    for (;;) {
        char rest[1024];
        int64_t left_ms = mono_since(end, clock_mono()) / NS_PER_MS;
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (left_ms <= 0 || poll(&poll_fd, 1, (int)left_ms) == 0)
            break;
        bool room = len + 1 < size;
        ssize_t n = room ? read(fd, text + len, size - 1 - len) : read(fd, rest, sizeof rest);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += room ? (size_t)n : 0;
    }
    text[len] = '\0';
}

static int await(pid_t pid, Mono end)
{
    int status;
    for (;;) {
        pid_t gone = waitpid(pid, &status, WNOHANG);
        if (gone == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        if (gone < 0 && errno != EINTR)
            return -1;
        if (clock_mono().ns > end.ns)
            (void)kill(pid, SIGKILL);
        // A child that closed its output is about to end.
        (void)poll(NULL, 0, 2);
    }
}

NORETURN static void become(char *const *argv, int out)
{
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)dup2(in, 0);
    (void)dup2(out, 1);
    (void)dup2(out, 2);
    (void)execvp(argv[0], argv);
    _exit(127);
}

int doctor_run(const char *const *argv, char *text, size_t size)
{
    ASSERT(argv[0] != NULL);
    int fds[2];
    char *copy[32] = {NULL};
    size_t n = 0;
    text[0] = '\0';
    for (; argv[n] != NULL && n + 1 < ARRAY_SIZE(copy); n++)
        copy[n] = (char *)(uintptr_t)argv[n];
    copy[n] = NULL;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    (void)fflush(NULL);
    Mono end = mono_add(clock_mono(), RUN_NS);
    pid_t pid = fork();
    int failed = pid < 0 ? errno : 0;
    if (pid == 0)
        become(copy, fds[1]);
    (void)close(fds[1]);
    if (pid > 0)
        read_output(fds[0], end, text, size);
    (void)close(fds[0]);
    return pid < 0 ? -failed : await(pid, end);
}
