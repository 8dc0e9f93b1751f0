// SPDX-License-Identifier: MIT
// region: see region.h. Order in the child: map ids, drop ids, then the death signal (a change of
// ids clears it), then the look whether the parent had gone before that. getppid() is 0 in a new
// namespace and says nothing; the pipe does.
#include "region.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "region_init.h"

static bool write_proc(const char *path, const char *text)
{
    int fd CLEANUP(fd_closep) = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static bool map_ids(uid_t uid, gid_t gid)
{
    char line[64];
    (void)snprintf(line, sizeof line, "%u %u 1", uid, uid);
    if (!write_proc("/proc/self/uid_map", line) || !write_proc("/proc/self/setgroups", "deny"))
        return false;
    (void)snprintf(line, sizeof line, "%u %u 1", gid, gid);
    return write_proc("/proc/self/gid_map", line);
}

NORETURN static void child(const Identity *identity, const RegionSpec *spec, Changes *changes,
                           const int alive[2], int channel, uid_t uid, gid_t gid)
{
    // Only what the region needs: other regions' channels and the control socket are not.
    int keep_channel = fcntl(channel, F_DUPFD_CLOEXEC, 500), keep = fcntl(alive[0], F_DUPFD, 501);
    if (keep_channel < 0 || keep < 0)
        _exit(1);
    (void)close_range(3, 499, 0);
    (void)close_range((unsigned)(keep > keep_channel ? keep : keep_channel) + 1, ~0U, 0);
    if (!identity->root && !map_ids(uid, gid))
        _exit(1);
    if (identity_drop(identity, NULL) < 0)
        _exit(1);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    char byte;
    if (fcntl(keep, F_SETFL, O_NONBLOCK) < 0 || read(keep, &byte, 1) == 0)
        _exit(1);
    (void)close(keep);
    (void)setsid();
    char name[16];
    (void)snprintf(name, sizeof name, "wc:%s", spec->name);
    (void)prctl(PR_SET_NAME, name);
    region_init_run(spec, changes, keep_channel);
}

static int explain(int errnum, const Identity *identity, const char *region, Error *reterr)
{
    int r = error_errno(reterr, errnum, "region '%s': make its namespace", region);
    if (identity->root)
        return error_hint(reterr, r,
                          "Root needs CAP_SYS_ADMIN for that; containers often have it "
                          "taken away (docker run --privileged gives it).");
    return error_hint(reterr, r,
                      "A normal user needs user namespaces: look at "
                      "/proc/sys/user/max_user_namespaces and "
                      "/proc/sys/kernel/unprivileged_userns_clone, or run as root.");
}

static int flags_for(const Identity *identity)
{
    return CLONE_NEWPID | (identity->root ? 0 : CLONE_NEWUSER);
}

int region_check(const Identity *identity, Error *reterr)
{
    identity_raise(identity);
    pid_t pid = fork();
    if (pid == 0)
        _exit(unshare(flags_for(identity)) == 0 ? 0 : errno > 0 && errno < 256 ? errno : EPERM);
    identity_lower(identity);
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0)
        return error_errno(reterr, errno, "fork");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? 0
               : explain(WIFEXITED(status) ? WEXITSTATUS(status) : EPERM, identity, "any", reterr);
}

int region_start(const Identity *identity, const RegionSpec *spec, Changes *changes,
                 const int alive[2], RegionProcess *ret_process, Error *reterr)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return error_errno(reterr, errno, "channel");
    uid_t uid = getuid();
    gid_t gid = getgid();
    struct clone_args args = {
        .flags = (unsigned)flags_for(identity),
        .exit_signal = SIGCHLD,
    };
    identity_raise(identity);
    long pid = syscall(SYS_clone3, &args, sizeof args);
    int errnum = errno;
    if (pid == 0)
        child(identity, spec, changes, alive, pair[1], uid, gid);
    identity_lower(identity);
    (void)close(pair[1]);
    if (pid < 0) {
        (void)close(pair[0]);
        return explain(errnum, identity, spec->name, reterr);
    }
    *ret_process = (RegionProcess){.pid = (pid_t)pid, .channel = pair[0]};
    return 0;
}
