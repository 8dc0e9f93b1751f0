// SPDX-License-Identifier: MIT
// camera_files: see camera_files.h.
#include "camera_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

#define FLAGS (O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

// Only root may change groups: first on the way down, last on the way up.
// A change of ids clears the signal by which this process follows a killed drill: it is set again.
static void become(uid_t uid, gid_t gid)
{
    int follow = 0;
    (void)prctl(PR_GET_PDEATHSIG, &follow);
    pid_t parent = getppid();
    bool down = geteuid() == 0;
    bool done =
        down ? setegid(gid) == 0 && seteuid(uid) == 0 : seteuid(uid) == 0 && setegid(gid) == 0;
    ASSERT(done);
    if (follow == 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, follow);
    if (getppid() != parent)
        _exit(1);
}

// The folder, with its owner's ids on; a descriptor or a negative code.
static int enter(const char *dir, bool *ret_changed, Error *reterr)
{
    struct stat st;
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *ret_changed = false;
    if (fd < 0 || fstat(fd, &st) < 0) {
        int r = error_errno(reterr, errno, "%s", dir);
        files_close(fd);
        return r;
    }
    if (geteuid() == 0 && getuid() == 0 && st.st_uid != 0) {
        become(st.st_uid, st.st_gid);
        *ret_changed = true;
    }
    return fd;
}

static void leave(int fd, bool changed)
{
    if (changed)
        become(0, 0);
    files_close(fd);
}

int camera_file_open(const char *dir, const char *name, int flags, int *ret_fd, Error *reterr)
{
    struct stat st;
    bool changed;
    int at = enter(dir, &changed, reterr), r = 0;
    if (at < 0)
        return at;
    int fd = openat(at, name, FLAGS | flags, 0644);
    if (fd < 0 && errno == EACCES && (flags & O_TRUNC) != 0 && unlinkat(at, name, 0) == 0)
        fd = openat(at, name, FLAGS | flags, 0644);
    if (fd < 0 || fstat(fd, &st) < 0)
        r = error_errno(reterr, errno, "%s/%s", dir, name);
    else if (!S_ISREG(st.st_mode))
        r = error_set(reterr, ERROR_CONFLICT, "%s/%s is no file", dir, name);
    leave(at, changed);
    if (r < 0)
        files_close(fd);
    else
        *ret_fd = fd;
    return r;
}

int camera_file_rename(const char *dir, const char *from, const char *to, Error *reterr)
{
    bool changed;
    int at = enter(dir, &changed, reterr);
    if (at < 0)
        return at;
    int r = renameat(at, from, at, to) == 0 ? 0 : error_errno(reterr, errno, "%s/%s", dir, to);
    leave(at, changed);
    return r;
}
