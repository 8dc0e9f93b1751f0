// SPDX-License-Identifier: MIT
// files: see files.h. A temporary file is named after its target plus the pid, so that a crash
// leaves at most one stray file a process, which the next write of the same process number
// replaces.
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attr.h"

void files_close(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

bool files_exist(const char *path)
{
    return access(path, F_OK) == 0;
}

static int read_to_end(int fd, const char *path, size_t limit, char **ret_bytes, size_t *ret_len,
                       Error *reterr)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(reterr, errno, "%s", path);
    if (S_ISDIR(st.st_mode))
        return error_errno(reterr, EISDIR, "%s", path);
    if (st.st_size > 0 && (size_t)st.st_size > limit)
        return error_set(reterr, ERROR_LIMIT, "%s: %lld bytes, allowed: %zu", path,
                         (long long)st.st_size, limit);
    size_t capacity = (st.st_size > 0 ? (size_t)st.st_size : 4096) + 2, len = 0;
    char *bytes = malloc(capacity);
    while (bytes != NULL) {
        ssize_t n = read(fd, bytes + len, capacity - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int r = error_errno(reterr, errno, "%s", path);
            free(bytes);
            return r;
        }
        len += (size_t)n;
        if (n == 0) {
            bytes[len] = '\0';
            *ret_bytes = bytes;
            *ret_len = len;
            return 0;
        }
        if (len > limit) {
            free(bytes);
            return error_set(reterr, ERROR_LIMIT, "%s: more than %zu bytes", path, limit);
        }
        if (len + 1 >= capacity) {
            capacity *= 2;
            char *grown = realloc(bytes, capacity);
            if (grown == NULL)
                free(bytes);
            bytes = grown;
        }
    }
    return error_set(reterr, ERROR_MEMORY, "%s: out of memory", path);
}

int files_read(const char *path, size_t limit, char **ret_bytes, size_t *ret_len, Error *reterr)
{
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(reterr, errno, "%s", path);
    return read_to_end(fd, path, limit, ret_bytes, ret_len, reterr);
}

int files_write_all(int fd, const void *bytes, size_t len, Error *reterr)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(reterr, errno, "write");
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

static int sync_folder_of(const char *path, Error *reterr)
{
    char *folder CLEANUP(free_textp) = strdup(path);
    if (folder == NULL)
        return error_set(reterr, ERROR_MEMORY, "%s: out of memory", path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        slash[slash == folder ? 1 : 0] = '\0';
    int fd CLEANUP(fd_closep) =
        open(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return error_errno(reterr, errno, "%s", folder);
    return 0;
}

static int write_temporary(const char *temporary, const void *bytes, size_t len, mode_t mode,
                           bool sync, Error *reterr)
{
    (void)unlink(temporary); // of a process that had our number before
    int fd CLEANUP(fd_closep) =
        open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return error_errno(reterr, errno, "%s", temporary);
    if (fchmod(fd, mode) < 0) // the umask must not widen or narrow it
        return error_errno(reterr, errno, "%s", temporary);
    int r = files_write_all(fd, bytes, len, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "%s", temporary);
    if (sync && fsync(fd) < 0)
        return error_errno(reterr, errno, "%s", temporary);
    return 0;
}

int files_replace(const char *path, const void *bytes, size_t len, const FilesWrite *options,
                  Error *reterr)
{
    static const FilesWrite DEFAULTS;
    if (options == NULL)
        options = &DEFAULTS;
    char temporary[4096];
    int n = snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof temporary)
        return error_errno(reterr, ENAMETOOLONG, "%s", path);
    int r = write_temporary(temporary, bytes, len, options->mode != 0 ? options->mode : 0644,
                            !options->no_sync, reterr);
    if (r == 0 && rename(temporary, path) < 0)
        r = error_errno(reterr, errno, "rename to %s", path);
    if (r < 0) {
        (void)unlink(temporary);
        return r;
    }
    return options->no_sync ? 0 : sync_folder_of(path, reterr);
}

int files_make_dirs(const char *path, mode_t mode, Error *reterr)
{
    char *copy CLEANUP(free_textp) = strdup(path);
    if (copy == NULL)
        return error_set(reterr, ERROR_MEMORY, "%s: out of memory", path);
    for (char *at = copy + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return error_errno(reterr, errno, "%s", copy);
        *at = '/';
    }
    if (mkdir(copy, mode) < 0 && errno != EEXIST)
        return error_errno(reterr, errno, "%s", copy);
    struct stat st;
    if (stat(copy, &st) < 0 || !S_ISDIR(st.st_mode))
        return error_errno(reterr, ENOTDIR, "%s", copy);
    return 0;
}

// Removes the content of an open folder. Takes over `fd`.
static int remove_content(int fd, const char *path, Error *reterr)
{
    DIR *folder = fdopendir(fd);
    if (folder == NULL) {
        files_close(fd);
        return error_errno(reterr, errno, "%s", path);
    }
    int r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(folder), entry->d_name, 0) == 0 || errno == ENOENT)
            continue;
        int sub =
            openat(dirfd(folder), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub < 0) {
            r = error_errno(reterr, errno, "%s/%s", path, entry->d_name);
            break;
        }
        r = remove_content(sub, entry->d_name, reterr);
        if (r == 0 && unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
            r = error_errno(reterr, errno, "%s/%s", path, entry->d_name);
    }
    (void)closedir(folder);
    return r;
}

int files_remove_tree(const char *path, Error *reterr)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(reterr, errno, "%s", path);
    int r = remove_content(fd, path, reterr);
    if (r == 0 && rmdir(path) < 0 && errno != ENOENT)
        r = error_errno(reterr, errno, "%s", path);
    return r;
}
