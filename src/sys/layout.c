// SPDX-License-Identifier: MIT
// layout: see layout.h. The short folder for sockets exists because a socket's path has 107 bytes;
// its name is a hash of the state folder's absolute path, so several fleets live side by side.
#include "layout.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "files.h"
#include "hash.h"

PRINTF_LIKE(1, 2) static LayoutPath format(const char *fmt, ...)
{
    LayoutPath path;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(path.text, sizeof path.text, fmt, args);
    va_end(args);
    // Too long: an empty path, which no system call accepts; layout_absolute bounds DIR before.
    if (n < 0 || (size_t)n >= sizeof path.text)
        path.text[0] = '\0';
    return path;
}

LayoutPath layout_dir(const char *dir, const char *name)
{
    return format("%s/%s", dir, name);
}

LayoutPath layout_region(const char *dir, const char *region, const char *name)
{
    return format("%s/%s/%s", dir, region, name);
}

LayoutPath layout_pki(const char *dir, const char *region, const char *name)
{
    return format("%s/pki/%s/%s", dir, region, name);
}

int layout_sockets(const char *dir, const char *region, LayoutPath *ret_path, Error *reterr)
{
    LayoutPath link = layout_region(dir, region, "sock"), target;
    ssize_t n = readlink(link.text, target.text, sizeof target.text);
    if (n < 0)
        return errno == ENOENT ? error_set(reterr, ERROR_NOT_FOUND, "%s: no such link", link.text)
                               : error_errno(reterr, errno, "%s", link.text);
    if ((size_t)n >= sizeof target.text)
        return error_errno(reterr, ENAMETOOLONG, "%s", link.text);
    target.text[n] = '\0';
    *ret_path = target;
    return 0;
}

int layout_socket(const char *dir, const char *region, const char *name, LayoutPath *ret_path,
                  Error *reterr)
{
    LayoutPath folder;
    int r = layout_sockets(dir, region, &folder, reterr);
    if (r < 0)
        return r;
    LayoutPath path = layout_dir(folder.text, name);
    size_t len = strlen(path.text);
    if (len == 0 || len > BOUND_PATH)
        return error_set(reterr, ERROR_LIMIT, "socket path '%s/%s': %zu bytes, allowed: %d",
                         folder.text, name, strlen(folder.text) + 1 + strlen(name), BOUND_PATH);
    *ret_path = path;
    return 0;
}

// A private folder: made by us, or a folder (no link) of `uid` that nobody else can write to.
static int make_private(const char *path, unsigned uid, unsigned gid, Error *reterr)
{
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return error_errno(reterr, errno, "%s", path);
    if (made && geteuid() == 0 && lchown(path, uid, gid) < 0)
        return error_errno(reterr, errno, "%s", path);
    struct stat st;
    if (lstat(path, &st) < 0)
        return error_errno(reterr, errno, "%s", path);
    if (!S_ISDIR(st.st_mode) || (st.st_uid != uid && st.st_uid != 0) || (st.st_mode & 022) != 0)
        return error_set(reterr, ERROR_FOREIGN, "%s: not a private folder of user %u", path, uid);
    return 0;
}

static int make_base(unsigned uid, unsigned gid, LayoutPath *ret_path, Error *reterr)
{
    *ret_path = format("/run/wildcam-%u", uid);
    if (make_private(ret_path->text, uid, gid, NULL) == 0)
        return 0;
    *ret_path = format("/tmp/wildcam-%u", uid);
    return make_private(ret_path->text, uid, gid, reterr);
}

int layout_make_sockets(const char *dir, const char *region, unsigned uid, unsigned gid,
                        LayoutPath *ret_path, Error *reterr)
{
    LayoutPath base;
    int r = make_base(uid, gid, &base, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "folder for sockets");
    uint64_t name = hash_mix(hash_text(hash_text(HASH_SEED, dir), region));
    LayoutPath folder =
        format("%s/%012llx", base.text, (unsigned long long)(name & UINT64_C(0xffffffffffff)));
    r = make_private(folder.text, uid, gid, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "folder for sockets");
    LayoutPath link = layout_region(dir, region, "sock");
    (void)unlink(link.text);
    if (symlink(folder.text, link.text) < 0)
        return error_errno(reterr, errno, "%s", link.text);
    *ret_path = folder;
    return 0;
}

int layout_program(const char *name, LayoutPath *ret_path, Error *reterr)
{
    LayoutPath self;
    ssize_t n = readlink("/proc/self/exe", self.text, sizeof self.text - 1);
    if (n < 0)
        return error_errno(reterr, errno, "/proc/self/exe");
    self.text[n] = '\0';
    char *slash = strrchr(self.text, '/');
    if (slash != NULL)
        *slash = '\0';
    LayoutPath beside = layout_dir(self.text, name);
    if (access(beside.text, R_OK) == 0) {
        *ret_path = beside;
        return 0;
    }
    LayoutPath library = format("%s/../lib/wildcam/%s", self.text, name);
    if (access(library.text, R_OK) == 0) {
        *ret_path = library;
        return 0;
    }
    return error_set(reterr, ERROR_NOT_FOUND, "program '%s': not in %s nor in %s/../lib/wildcam",
                     name, self.text, self.text);
}

int layout_absolute(const char *path, LayoutPath *ret_path, Error *reterr)
{
    LayoutPath absolute;
    if (path[0] == '/') {
        absolute = format("%s", path);
    } else {
        char here[LAYOUT_PATH_MAX];
        if (getcwd(here, sizeof here) == NULL)
            return error_errno(reterr, errno, "working folder");
        while (path[0] == '.' && path[1] == '/')
            path += 2;
        absolute = strcmp(path, ".") == 0 ? format("%s", here) : format("%s/%s", here, path);
    }
    size_t len = strlen(absolute.text);
    while (len > 1 && absolute.text[len - 1] == '/')
        absolute.text[--len] = '\0';
    if (len == 0 || len > LAYOUT_PATH_MAX - 200)
        return error_errno(reterr, ENAMETOOLONG, "%s", path);
    *ret_path = absolute;
    return 0;
}
