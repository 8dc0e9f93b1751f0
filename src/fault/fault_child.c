// SPDX-License-Identifier: MIT
// fault_child: see fault_child.h. Order in the child: namespace, ids, then the death signal (a
// change of ids clears it), then the look whether the keeper had died before that.
#include "fault_child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"

#define END_LOOKS 100
#define END_LOOK_MS 10

static void reset_signals(void)
{
    sigset_t none;
    (void)sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        (void)signal(s, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool become(const FaultChildOptions *options)
{
    if (options->net >= 0 && setns(options->net, CLONE_NEWNET) < 0)
        return false;
    if (options->uid == 0)
        return true;
    return setgroups(0, NULL) == 0 && setresgid(options->gid, options->gid, options->gid) == 0 &&
           setresuid(options->uid, options->uid, options->uid) == 0;
}

NORETURN static void child(const FaultChildOptions *options, int in, int out, int failed,
                           pid_t keeper)
{
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", lang[] = "LANG=C.UTF-8";
    char *environment[] = {path, lang, NULL};
    reset_signals();
    if (become(options) && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == keeper &&
        dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        dup2(out, STDERR_FILENO) >= 0 && close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        (void)execve(options->argv[0], (char *const *)(uintptr_t)options->argv, environment);
    int error = errno;
    (void)!write(failed, &error, sizeof error);
    _exit(127);
}

int fault_child_start(const FaultChildOptions *options, FaultChild *ret_child, Error *reterr)
{
    const char *name = options->argv[0];
    int in[2] = {-1, -1}, out[2] = {-1, -1}, failed[2] = {-1, -1};
    pid_t keeper = getpid(), pid = -1;
    if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(failed, O_CLOEXEC) == 0)
        pid = _Fork(); // not fork: libuv's handler would close numbers that are ours by now
    if (pid == 0)
        child(options, in[0], out[1], failed[1], keeper);
    int error = pid < 0 ? errno : 0;
    files_close(in[0]);
    files_close(out[1]);
    files_close(failed[1]);
    // The end of the pipe without a byte is the exec that worked.
    if (pid > 0 && read(failed[0], &error, sizeof error) == (ssize_t)sizeof error)
        (void)waitpid(pid, NULL, 0);
    files_close(failed[0]);
    if (error != 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) < 0) {
        files_close(in[1]);
        files_close(out[0]);
        return error_errno(reterr, error != 0 ? error : errno, "start %s", name);
    }
    *ret_child = (FaultChild){.pid = pid, .in = in[1], .out = out[0]};
    return 0;
}

bool fault_child_lives(FaultChild *child)
{
    if (child->pid > 0 && waitpid(child->pid, NULL, WNOHANG) != 0)
        child->pid = 0;
    return child->pid > 0;
}

bool fault_child_ended(FaultChild *child)
{
    for (int i = 0; i < END_LOOKS && fault_child_lives(child); i++)
        (void)poll(NULL, 0, END_LOOK_MS);
    return child->pid == 0;
}

void fault_child_kill(FaultChild *child)
{
    if (child->pid > 0) {
        (void)kill(child->pid, SIGKILL);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    files_close(child->in);
    files_close(child->out);
    *child = FAULT_CHILD_NONE;
}
