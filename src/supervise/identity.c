// SPDX-License-Identifier: MIT
// identity: see identity.h.
#include "identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "hash.h"
#include "parse.h"

#define SYSTEM_USER "wildcam"

static int from_passwd(const struct passwd *entry, Identity *ret_identity)
{
    *ret_identity = (Identity){.uid = entry->pw_uid, .gid = entry->pw_gid, .root = getuid() == 0};
    (void)snprintf(ret_identity->name, sizeof ret_identity->name, "%s", entry->pw_name);
    return 0;
}

int identity_choose(Identity *ret_identity, Error *reterr)
{
    uid_t uid = getuid();
    uint64_t sudo;
    const char *text = getenv("SUDO_UID");
    if (uid == 0 && text != NULL && parse_u64(text, strlen(text), INT32_MAX, &sudo) == 0)
        uid = (uid_t)sudo;
    if (uid == 0) {
        const struct passwd *entry = getpwnam(SYSTEM_USER);
        if (entry != NULL && entry->pw_uid != 0)
            return from_passwd(entry, ret_identity);
        int r = error_set(reterr, ERROR_NOT_FOUND,
                          "we are root and there is no system user '" SYSTEM_USER "' to run as");
        return error_hint(reterr, r,
                          "Make it with: useradd --system --no-create-home --shell "
                          "/usr/sbin/nologin " SYSTEM_USER);
    }
    const struct passwd *entry = getpwuid(uid);
    if (entry != NULL)
        return from_passwd(entry, ret_identity);
    int r = error_set(reterr, ERROR_NOT_FOUND, "user id '%u' has no entry in /etc/passwd",
                      (unsigned)uid);
    return error_hint(reterr, r, "PostgreSQL's initdb needs one; run as a user that has it.");
}

// Keeps the death signal over a change of ids.
static void change(uid_t uid, gid_t gid)
{
    int death = 0;
    (void)prctl(PR_GET_PDEATHSIG, &death);
    // The order matters: only root may change groups.
    bool done =
        uid == 0 ? seteuid(uid) == 0 && setegid(gid) == 0 : setegid(gid) == 0 && seteuid(uid) == 0;
    ASSERT(done);
    if (death != 0)
        (void)prctl(PR_SET_PDEATHSIG, death);
}

void identity_lower(const Identity *identity)
{
    if (identity->root)
        change(identity->uid, identity->gid);
}

void identity_raise(const Identity *identity)
{
    if (identity->root)
        change(0, 0);
}

int identity_drop(const Identity *identity, Error *reterr)
{
    if (!identity->root)
        return 0;
    if (seteuid(0) < 0 || setgroups(0, NULL) < 0 ||
        setresgid(identity->gid, identity->gid, identity->gid) < 0 ||
        setresuid(identity->uid, identity->uid, identity->uid) < 0)
        return error_errno(reterr, errno, "become user '%s'", identity->name);
    return 0;
}

bool identity_reaches(const Identity *identity, const char *path, int mode)
{
    if (!identity->root)
        return access(path, mode) == 0;
    pid_t pid = fork(); // access(2) takes the real ids, which only a child may give away
    if (pid == 0)
        _exit(identity_drop(identity, NULL) == 0 && access(path, mode) == 0 ? 0 : 1);
    int status;
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return pid > 0 && status == 0;
}

static int make_mount_point(const char *folder, LayoutPath *ret_path, Error *reterr)
{
    uint64_t name = hash_mix(hash_text(HASH_SEED, folder));
    (void)snprintf(ret_path->text, sizeof ret_path->text, "/run/wildcam/%08llx",
                   (unsigned long long)(name & 0xffffffff));
    int r = files_make_dirs(ret_path->text, 0755, reterr);
    if (r == 0 && (chmod("/run/wildcam", 0755) < 0 || chmod(ret_path->text, 0755) < 0))
        return error_errno(reterr, errno, "%s", ret_path->text);
    return r;
}

int identity_bind(const char *const *folders, size_t n, LayoutPath *ret_paths, Error *reterr)
{
    if (unshare(CLONE_NEWNS) < 0)
        return error_errno(reterr, errno, "mount namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return error_errno(reterr, errno, "make mounts private");
    for (size_t i = 0; i < n; i++) {
        int r = make_mount_point(folders[i], &ret_paths[i], reterr);
        if (r < 0)
            return r;
        if (mount(folders[i], ret_paths[i].text, NULL, MS_BIND, NULL) < 0)
            return error_errno(reterr, errno, "bind '%s' to '%s'", folders[i], ret_paths[i].text);
    }
    return 0;
}
