// SPDX-License-Identifier: MIT
// fault_owner: see fault_owner.h.
#include "fault_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault_mount.h"
#include "files.h"

#define RAISED_LOOKS 50
#define RAISED_LOOK_MS 20

int fault_owner_of_region(const char *dir, const char *region, FaultOwner *ret_owner, Error *reterr)
{
    struct stat st;
    int fd CLEANUP(fd_closep) = fault_mount_open(dir, region, O_PATH, reterr);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return error_errno(reterr, errno, "%s/%s", dir, region);
    *ret_owner = (FaultOwner){.uid = st.st_uid, .gid = st.st_gid};
    return 0;
}

// By its effective id: who starts a fleet as root keeps the real one.
static bool read_uid(pid_t pid, uid_t *ret_uid)
{
    char path[64], *text CLEANUP(free_textp) = NULL;
    size_t len;
    unsigned real, effective;
    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    const char *at =
        files_read(path, 65536, &text, &len, NULL) == 0 ? strstr(text, "\nUid:") : NULL;
    if (at == NULL || sscanf(at + 5, "%u %u", &real, &effective) != 2)
        return false;
    *ret_uid = effective;
    return true;
}

static int check_process(const FaultOwner *owner, pid_t pid, int fd, Error *reterr)
{
    uid_t uid = 0;
    // A supervisor that root has started is root for moments.
    for (int i = 0; i < RAISED_LOOKS; i++) {
        if (i > 0)
            (void)poll(NULL, 0, RAISED_LOOK_MS);
        if (!read_uid(pid, &uid) || pidfd_send_signal(fd, 0, NULL, 0) < 0)
            return error_set(reterr, ERROR_NOT_FOUND, "process %ld has just ended", (long)pid);
        if (uid == owner->uid)
            return 0;
    }
    return error_set(reterr, -EPERM,
                     "process %ld is no part of the fleet: it is user %u's, not %u's", (long)pid,
                     (unsigned)uid, (unsigned)owner->uid);
}

int fault_owner_process(const FaultOwner *owner, pid_t pid, int *ret_fd, Error *reterr)
{
    int fd = pidfd_open(pid, 0);
    if (fd < 0)
        return error_errno(reterr, errno, "process %ld", (long)pid);
    int r = check_process(owner, pid, fd, reterr);
    if (r < 0)
        files_close(fd);
    else
        *ret_fd = fd;
    return r;
}

// Who was root stays it by its real and saved ids. Only root may change groups, so that comes
// first on the way down and last on the way up.
static void change(uid_t uid, gid_t gid)
{
    bool down = geteuid() == 0;
    bool done =
        down ? setegid(gid) == 0 && seteuid(uid) == 0 : seteuid(uid) == 0 && setegid(gid) == 0;
    ASSERT(done);
}

void fault_owner_become(const FaultOwner *owner)
{
    if (getuid() == 0)
        change(owner->uid, owner->gid);
}

void fault_owner_leave(const FaultOwner *owner)
{
    if (getuid() == 0 && owner->uid != 0)
        change(0, 0);
}
