// SPDX-License-Identifier: MIT
// owned: see owned.h. The state folder itself is opened first, by whoever we are: it may lie where
// its owner gets in by no path. From there on everything is done as the owner.
#include "owned.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault_mount.h"
#include "fault_owner.h"
#include "files.h"
#include "layout.h"

typedef struct Owned {
    int fd; // of the state folder
    FaultOwner owner;
} Owned;

static int enter(const char *dir, Owned *ret_owned, Error *reterr)
{
    struct stat st;
    int fd = fault_mount_open(dir, ".", O_RDONLY, reterr);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0) {
        int r = error_errno(reterr, errno, "%s", dir);
        files_close(fd);
        return r;
    }
    *ret_owned = (Owned){.fd = fd, .owner = {.uid = st.st_uid, .gid = st.st_gid}};
    fault_owner_become(&ret_owned->owner);
    return 0;
}

static int leave(Owned *owned, int r)
{
    fault_owner_leave(&owned->owner);
    files_close(owned->fd);
    return r;
}

static LayoutPath path_of(const Owned *owned, const char *name)
{
    LayoutPath path;
    (void)snprintf(path.text, sizeof path.text, "/proc/self/fd/%d/%.900s", owned->fd, name);
    return path;
}

int owned_make_dir(const char *dir, const char *name, Error *reterr)
{
    Owned owned;
    int r = enter(dir, &owned, reterr);
    if (r < 0)
        return r;
    if (mkdirat(owned.fd, name, 0755) < 0)
        r = error_errno(reterr, errno, "make '%s/%s'", dir, name);
    return leave(&owned, r);
}

int owned_open_drills(const char *dir, Error *reterr)
{
    Owned owned;
    struct stat st;
    int r = enter(dir, &owned, reterr);
    if (r < 0)
        return r;
    if (mkdirat(owned.fd, "drills", 0755) < 0 && errno != EEXIST)
        r = error_errno(reterr, errno, "make '%s/drills'", dir);
    int fd =
        r < 0 ? -1 : openat(owned.fd, "drills", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (r == 0 && fd < 0)
        r = error_errno(reterr, errno, "%s/drills", dir);
    r = leave(&owned, r);
    if (r == 0 && geteuid() == 0 && fstat(fd, &st) == 0 && st.st_uid == 0 && owned.owner.uid != 0 &&
        fchown(fd, owned.owner.uid, owned.owner.gid) < 0)
        r = error_errno(reterr, errno, "give '%s/drills' to its owner", dir);
    if (r == 0)
        return fd;
    files_close(fd);
    return r;
}

int owned_replace(const char *dir, const char *name, const void *bytes, size_t len, Error *reterr)
{
    Owned owned;
    int r = enter(dir, &owned, reterr);
    if (r < 0)
        return r;
    r = files_replace(path_of(&owned, name).text, bytes, len, NULL, reterr);
    return leave(&owned, r < 0 ? error_wrap(reterr, r, "%s/%s", dir, name) : 0);
}

int owned_read(const char *dir, const char *name, size_t limit, char **ret_bytes, size_t *ret_len,
               Error *reterr)
{
    Owned owned;
    int r = enter(dir, &owned, reterr);
    if (r < 0)
        return r;
    r = files_read(path_of(&owned, name).text, limit, ret_bytes, ret_len, reterr);
    return leave(&owned, r < 0 ? error_wrap(reterr, r, "%s/%s", dir, name) : 0);
}

int owned_create(const char *dir, const char *name, mode_t mode, Error *reterr)
{
    Owned owned;
    int r = enter(dir, &owned, reterr);
    if (r < 0)
        return r;
    int fd = openat(owned.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        r = error_errno(reterr, errno, "%s/%s", dir, name);
    r = leave(&owned, r);
    return r < 0 ? r : fd;
}

int owned_remove_tree(const char *dir, const char *name, Error *reterr)
{
    Owned owned;
    int r = enter(dir, &owned, reterr);
    if (r < 0)
        return r;
    r = files_remove_tree(path_of(&owned, name).text, reterr);
    return leave(&owned, r < 0 ? error_wrap(reterr, r, "%s/%s", dir, name) : 0);
}
