// SPDX-License-Identifier: MIT
// socket_place: see socket_place.h. Our socket is made under a name of its own and exchanged with
// the program's (RENAME_EXCHANGE), so that the path always leads to a listener.
#include "socket_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "files.h"

#define BACKLOG 1024

int socket_place_init(SocketPlace *place, const char *path, Error *reterr)
{
    size_t len = strlen(path);
    const char *slash = strrchr(path, '/');
    if (slash == NULL || len + strlen(SOCKET_PLACE_SUFFIX) >= SOCKET_PLACE_PATH)
        return error_set(reterr, ERROR_LIMIT,
                         "socket path '%s' has %zu bytes; allowed here: up to %zu, absolute", path,
                         len, SOCKET_PLACE_PATH - 1 - strlen(SOCKET_PLACE_SUFFIX));
    memset(place, 0, sizeof *place);
    (void)snprintf(place->path, sizeof place->path, "%s", path);
    (void)snprintf(place->real, sizeof place->real, "%s" SOCKET_PLACE_SUFFIX, path);
    (void)snprintf(place->made, sizeof place->made, "%.*s/.r", (int)(slash - path), path);
    return 0;
}

static int lock_folder(const SocketPlace *place)
{
    char folder[SOCKET_PLACE_PATH];
    size_t len = (size_t)(strrchr(place->path, '/') - place->path);
    memcpy(folder, place->path, len);
    folder[len] = '\0';
    int fd = open(len > 0 ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;
    do {
        r = fd < 0 ? -1 : flock(fd, LOCK_EX); // held for microseconds by others
    } while (fd >= 0 && r < 0 && errno == EINTR);
    if (r == 0)
        return fd;
    files_close(fd);
    return -1;
}

bool socket_place_is_ours(const SocketPlace *place)
{
    struct stat st;
    return place->taken && lstat(place->path, &st) == 0 && st.st_dev == place->device &&
           st.st_ino == place->inode;
}

static int listen_at(const char *path, mode_t mode, struct stat *ret_st)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    (void)unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        chmod(path, mode) == 0 && lstat(path, ret_st) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int problem = errno;
    files_close(fd);
    (void)unlink(path);
    errno = problem;
    return -1;
}

int socket_place_take(SocketPlace *place, int *ret_listener, Error *reterr)
{
    CLEANUP(fd_closep) int folder = lock_folder(place);
    struct stat old, made;
    if (folder < 0 || lstat(place->path, &old) < 0) {
        int r = error_errno(reterr, errno, "take the place of '%s'", place->path);
        return r == -ENOENT ? ERROR_NOT_FOUND : r;
    }
    if (!S_ISSOCK(old.st_mode))
        return error_set(reterr, ERROR_CONFLICT, "'%s' is no socket", place->path);
    int fd = listen_at(place->made, old.st_mode & 07777, &made);
    if (fd < 0)
        return error_errno(reterr, errno, "listen on '%s'", place->made);
    if (renameat2(AT_FDCWD, place->made, AT_FDCWD, place->path, RENAME_EXCHANGE) < 0 ||
        rename(place->made, place->real) < 0) {
        int r = error_errno(reterr, errno, "take the place of '%s'", place->path);
        files_close(fd);
        (void)unlink(place->made);
        return r;
    }
    place->device = made.st_dev;
    place->inode = made.st_ino;
    place->taken = true;
    *ret_listener = fd;
    return 0;
}

void socket_place_give_back(SocketPlace *place)
{
    MAYBE_UNUSED CLEANUP(fd_closep) int folder = lock_folder(place);
    if (!place->taken)
        return;
    if (socket_place_is_ours(place)) {
        if (rename(place->real, place->path) < 0)
            (void)unlink(place->path);
    } else {
        (void)unlink(place->real); // a newer socket is at `path`
    }
    place->taken = false;
}
