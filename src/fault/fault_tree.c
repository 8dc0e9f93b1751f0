// SPDX-License-Identifier: MIT
// fault_tree: see fault_tree.h.
#include "fault_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

#define BLOCK 4096U
#define DEPTH_MAX 32 // a database has three levels

typedef struct Copy {
    FaultPace *pace;
    unsigned depth;
} Copy;

static DIR *open_folder(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder == NULL)
        files_close(fd);
    return folder;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

// The next entry; NULL at the end with 0 in errno.
static const struct dirent *next(DIR *folder)
{
    const struct dirent *entry;
    errno = 0;
    while ((entry = readdir(folder)) != NULL && is_dots(entry->d_name))
        errno = 0;
    return entry;
}

// NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX
static int add_size(int at, const char *name, unsigned depth, uint64_t *bytes, Error *reterr)
{
    struct stat st;
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return depth > 0 && errno == ENOENT ? 0 : error_errno(reterr, errno, "%s", name);
    *bytes +=
        ((uint64_t)st.st_size + BLOCK - 1) / BLOCK * BLOCK + (S_ISDIR(st.st_mode) ? BLOCK : 0);
    if (!S_ISDIR(st.st_mode))
        return 0;
    DIR *folder = depth < DEPTH_MAX ? open_folder(at, name) : NULL;
    if (folder == NULL && depth > 0 && depth < DEPTH_MAX && errno == ENOENT)
        return 0;
    if (folder == NULL)
        return error_errno(reterr, depth < DEPTH_MAX ? errno : ELOOP, "%s", name);
    int r = 0;
    for (const struct dirent *entry; r == 0 && (entry = next(folder)) != NULL;)
        r = add_size(dirfd(folder), entry->d_name, depth + 1, bytes, reterr);
    if (r == 0 && errno != 0)
        r = error_errno(reterr, errno, "%s", name);
    (void)closedir(folder);
    return r;
}

int fault_tree_size(int at, const char *name, uint64_t *ret_bytes, Error *reterr)
{
    uint64_t bytes = 0;
    int r = add_size(at, name, 0, &bytes, reterr);
    if (r == 0)
        *ret_bytes = bytes;
    return r;
}

static int copy_bytes(int from, int to, const Copy *copy)
{
    static char bytes[256 << 10];
    for (;;) {
        ssize_t n = read(from, bytes, sizeof bytes);
        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        int r = files_write_all(to, bytes, (size_t)n, NULL);
        if (r < 0)
            return r;
        if (fault_pace_stalled(copy->pace))
            return -ETIMEDOUT;
        fault_pace_moved(copy->pace);
    }
}

static int copy_file(int from_at, const char *from, int to_at, const char *to, mode_t mode,
                     const Copy *copy)
{
    int in CLEANUP(fd_closep) = openat(from_at, from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int out CLEANUP(fd_closep) =
        openat(to_at, to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 0777);
    if (in < 0 || out < 0 || fchmod(out, mode & 07777) < 0)
        return -errno;
    return copy_bytes(in, out, copy);
}

static int copy_link(int from_at, const char *from, int to_at, const char *to)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(from_at, from, target, sizeof target - 1);
    if (n < 0)
        return -errno;
    target[n] = '\0';
    return symlinkat(target, to_at, to) < 0 ? -errno : 0;
}

static int copy_folder(int from_at, const char *from, int to_at, const char *to, mode_t mode,
                       const Copy *copy, Error *reterr);

// NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX
static int copy_entry(int from_at, const char *from, int to_at, const char *to, const Copy *copy,
                      Error *reterr)
{
    struct stat st;
    int r = 0;
    if (fstatat(from_at, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(reterr, errno, "%s", from);
    if (S_ISDIR(st.st_mode))
        return copy_folder(from_at, from, to_at, to, st.st_mode, copy, reterr);
    if (S_ISREG(st.st_mode))
        r = copy_file(from_at, from, to_at, to, st.st_mode, copy);
    else if (S_ISLNK(st.st_mode))
        r = copy_link(from_at, from, to_at, to);
    if (r == -ETIMEDOUT)
        return error_set(reterr, ERROR_TIMEOUT, "'%s' has stood still for too long", from);
    return r < 0 ? error_errno(reterr, -r, "copy '%s'", from) : 0;
}

// NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX
static int copy_folder(int from_at, const char *from, int to_at, const char *to, mode_t mode,
                       const Copy *copy, Error *reterr)
{
    if (copy->depth > DEPTH_MAX)
        return error_errno(reterr, ELOOP, "copy '%s'", from);
    if (mkdirat(to_at, to, 0700) < 0)
        return error_errno(reterr, errno, "make '%s'", to);
    int made CLEANUP(fd_closep) =
        openat(to_at, to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = open_folder(from_at, from);
    if (folder == NULL || made < 0) {
        int error = errno;
        if (folder != NULL)
            (void)closedir(folder);
        return error_errno(reterr, error, "copy '%s'", from);
    }
    const Copy deeper = {.pace = copy->pace, .depth = copy->depth + 1};
    int r = 0;
    for (const struct dirent *entry; r == 0 && (entry = next(folder)) != NULL;)
        r = copy_entry(dirfd(folder), entry->d_name, made, entry->d_name, &deeper, reterr);
    if (r == 0 && (errno != 0 || fchmod(made, mode & 07777) < 0))
        r = error_errno(reterr, errno, "copy '%s'", from);
    (void)closedir(folder);
    return r;
}

int fault_tree_copy(int from_at, const char *from, int to_at, const char *to, FaultPace *pace,
                    Error *reterr)
{
    const Copy copy = {.pace = pace};
    return copy_entry(from_at, from, to_at, to, &copy, reterr);
}
