// SPDX-License-Identifier: MIT
// fault_owner: see fault_owner.h.
#include "fault_owner.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

int fault_owner_of(const char *folder, FaultOwner *ret_owner, Error *reterr)
{
    struct stat st;
    if (lstat(folder, &st) < 0)
        return error_errno(reterr, errno, "%s", folder);
    if (!S_ISDIR(st.st_mode))
        return error_set(reterr, -ENOTDIR, "%s: not a folder", folder);
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
