// SPDX-License-Identifier: MIT
// fault_mount: see fault_mount.h. Another namespace is entered by a child that does one thing and
// ends, since a process that has changed its namespace has lost its way back. Its exit code is an
// errno.
#include "fault_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "layout.h"

// 0 or an errno; runs in the namespace.
typedef int InNamespace(const void *context);

static int run_in(pid_t pid, const FaultOwner *owner, InNamespace *action, const void *context,
                  Error *reterr)
{
    int process CLEANUP(fd_closep) = -1;
    int r = fault_owner_process(owner, pid, &process, reterr);
    if (r < 0)
        return r;
    pid_t child = _Fork(); // see fault_child.c
    if (child == 0)
        _exit(setns(process, CLONE_NEWNS) < 0 ? errno : action(context));
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return error_errno(reterr, errno, "mount namespace");
    int error = child < 0 ? errno : (WIFEXITED(status) ? WEXITSTATUS(status) : EINTR);
    return error == 0 ? 0 : error_errno(reterr, error, "mount namespace of process %ld", (long)pid);
}

int fault_mount_open(const char *base, const char *below, int flags, Error *reterr)
{
    int at CLEANUP(fd_closep) = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const struct open_how how = {.flags = (unsigned)flags | O_DIRECTORY | O_CLOEXEC,
                                 .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};
    int fd = at < 0 ? -1 : (int)syscall(SYS_openat2, at, below, &how, sizeof how);
    return fd >= 0 ? fd : error_errno(reterr, errno, "%s/%s", base, below);
}

static bool configure(int fs, const char *source, uint64_t bytes, const FaultOwner *owner)
{
    char texts[4][32];
    (void)snprintf(texts[0], sizeof texts[0], "%llu", (unsigned long long)bytes);
    (void)snprintf(texts[1], sizeof texts[1], "%u", owner->uid);
    (void)snprintf(texts[2], sizeof texts[2], "%u", owner->gid);
    return fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) == 0 &&
           fsconfig(fs, FSCONFIG_SET_STRING, "size", texts[0], 0) == 0 &&
           fsconfig(fs, FSCONFIG_SET_STRING, "uid", texts[1], 0) == 0 &&
           fsconfig(fs, FSCONFIG_SET_STRING, "gid", texts[2], 0) == 0 &&
           fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700", 0) == 0 &&
           fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0;
}

int fault_mount_new(int at, const char *name, const char *source, uint64_t bytes,
                    const FaultOwner *owner, Error *reterr)
{
    int over CLEANUP(fd_closep) = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int fs CLEANUP(fd_closep) = fsopen("tmpfs", FSOPEN_CLOEXEC), disk CLEANUP(fd_closep) = -1;
    if (over >= 0 && fs >= 0 && configure(fs, source, bytes, owner))
        disk = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (disk >= 0 &&
        move_mount(disk, "", over, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0)
        return 0;
    return error_errno(reterr, errno, "mount a small disk");
}

// --- over a folder that another namespace sees ---
typedef struct Attach {
    int tree;
    const char *base, *below;
} Attach;

static int attach(const void *context)
{
    const Attach *attach = context;
    int over CLEANUP(fd_closep) = fault_mount_open(attach->base, attach->below, O_PATH, NULL);
    if (over < 0)
        return -over;
    return move_mount(attach->tree, "", over, "",
                      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0
               ? 0
               : errno;
}

int fault_mount_attach(int at, const char *name, pid_t pid, const FaultOwner *owner,
                       const char *base, const char *below, Error *reterr)
{
    int tree CLEANUP(fd_closep) =
        open_tree(at, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
    if (tree < 0)
        return error_errno(reterr, errno, "bind '%s'", name);
    const Attach context = {tree, base, below};
    int r = run_in(pid, owner, attach, &context, reterr);
    return r < 0 ? error_wrap(reterr, r, "mount over '%s/%s'", base, below) : 0;
}

// --- and away again ---
typedef struct Detach {
    const char *source;
    bool whole;
} Detach;

// \040 and its like are what mountinfo writes for blanks and backslashes.
static void unescape(char *text)
{
    char *out = text;
    for (const char *at = text; *at != '\0'; out++) {
        unsigned code;
        if (at[0] == '\\' && strlen(at) >= 4 && sscanf(at + 1, "%3o", &code) == 1) {
            *out = (char)code;
            at += 4;
        } else {
            *out = *at++;
        }
    }
    *out = '\0';
}

// "36 35 0:30 ROOT POINT rw,nosuid shared:1 - tmpfs SOURCE rw,size=..."
static bool read_line(const char *line, const Detach *detach, char point[LAYOUT_PATH_MAX])
{
    char root[LAYOUT_PATH_MAX], type[32], source[64];
    const char *behind = strstr(line, " - ");
    if (behind == NULL || sscanf(behind, " - %31s %63s", type, source) != 2 ||
        sscanf(line, "%*s %*s %*s %1023s %1023s", root, point) != 2)
        return false;
    unescape(point);
    return strcmp(type, "tmpfs") == 0 && strcmp(source, detach->source) == 0 &&
           (detach->whole || strcmp(root, "/") != 0);
}

static int detach_one(const Detach *detach, bool *ret_found)
{
    char *text CLEANUP(free_textp) = NULL, point[LAYOUT_PATH_MAX];
    size_t len;
    int r = files_read("/proc/thread-self/mountinfo", 16U << 20, &text, &len, NULL);
    char *rest = text;
    *ret_found = false;
    for (const char *line; r == 0 && (line = strsep(&rest, "\n")) != NULL;) {
        if (!read_line(line, detach, point))
            continue;
        *ret_found = true;
        // Nothing uses it any more but perhaps a shell that stands in it.
        return umount2(point, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 ? 0 : errno;
    }
    return r < 0 ? EIO : 0;
}

static int detach_all(const void *context)
{
    for (int i = 0; i < 64; i++) {
        bool found = false;
        int error = detach_one(context, &found);
        if (error != 0 || !found)
            return error;
    }
    return EBUSY;
}

int fault_mount_detach(pid_t pid, const FaultOwner *owner, const char *source, bool whole,
                       Error *reterr)
{
    const Detach context = {source, whole};
    int error = pid > 0 ? 0 : detach_all(&context);
    int r = pid > 0 ? run_in(pid, owner, detach_all, &context, reterr) : 0;
    if (error != 0)
        r = error_errno(reterr, error, "our mount namespace");
    return r < 0 ? error_wrap(reterr, r, "unmount a small disk") : 0;
}
