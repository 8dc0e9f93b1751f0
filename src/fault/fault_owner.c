// SPDX-License-Identifier: MIT
// fault_owner: see fault_owner.h.
#include "fault_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault_mount.h"
#include "files.h"

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
