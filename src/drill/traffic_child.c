// SPDX-License-Identifier: MIT
// traffic_child: see traffic_child.h.
#include "traffic_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "layout.h"

#define READY_FD 3
#define ARGUMENTS 32

static NORETURN void become(const char *program, const char *const *argv, int ready, pid_t parent)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0); // Ctrl-C is for the drill, which heals first
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    const char *arguments[ARGUMENTS + 3];
    size_t n = 0;
    arguments[n++] = program;
    for (size_t i = 1; argv[i] != NULL && n < ARGUMENTS; i++)
        arguments[n++] = argv[i];
    arguments[n++] = "--ready-fd";
    arguments[n++] = "3";
    arguments[n] = NULL;
    int nothing = open("/dev/null", O_RDWR);
    (void)dup2(nothing, STDIN_FILENO);
    (void)dup2(nothing, STDOUT_FILENO);
    if (ready == READY_FD)
        (void)fcntl(ready, F_SETFD, 0);
    else
        (void)dup2(ready, READY_FD);
    (void)execv(program, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

int traffic_child_start(const char *const *argv, TrafficChild *ret_child, Error *reterr)
{
    LayoutPath program;
    int r = layout_program("wildcam-cameras", &program, reterr);
    if (r < 0)
        return r;
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) < 0)
        return error_errno(reterr, errno, "pipe");
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(program.text, argv, ready[1], parent);
    files_close(ready[1]);
    if (pid < 0) {
        files_close(ready[0]);
        return error_errno(reterr, errno, "fork");
    }
    *ret_child = (TrafficChild){.pid = pid, .ready = ready[0]};
    return 0;
}

int traffic_child_ready(TrafficChild *child, Error *reterr)
{
    if (child->ready < 0)
        return 1;
    struct pollfd poll_fd = {.fd = child->ready, .events = POLLIN};
    if (poll(&poll_fd, 1, 0) <= 0)
        return 0;
    char byte;
    ssize_t n = read(child->ready, &byte, 1);
    if (n == 1) {
        files_close(child->ready);
        child->ready = -1;
        return 1;
    }
    return error_set(reterr, ERROR_UNAVAILABLE, "the cameras did not start");
}

int traffic_child_ended(TrafficChild *child, Error *reterr)
{
    int status;
    pid_t pid = child->pid > 0 ? waitpid(child->pid, &status, WNOHANG) : -1;
    if (pid == 0)
        return 0;
    child->pid = 0;
    if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 1;
    return error_set(reterr, ERROR_UNAVAILABLE, "the cameras ended with %s %d",
                     pid > 0 && WIFSIGNALED(status) ? "signal" : "exit code",
                     pid > 0 && WIFSIGNALED(status) ? WTERMSIG(status)
                                                    : WEXITSTATUS(pid > 0 ? status : 0));
}

void traffic_child_stop(const TrafficChild *child)
{
    if (child->pid > 0)
        (void)kill(child->pid, SIGTERM);
}

void traffic_child_kill(TrafficChild *child)
{
    files_close(child->ready);
    child->ready = -1;
    if (child->pid <= 0)
        return;
    (void)kill(child->pid, SIGKILL);
    (void)waitpid(child->pid, NULL, 0);
    child->pid = 0;
}
