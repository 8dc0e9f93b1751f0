// SPDX-License-Identifier: MIT
// http_socket: see http_socket.h. The new socket is made as ".n" in the same folder, which is never
// longer than the final name, gets its mode before it listens, and is renamed over the old one. The
// folder stays locked meanwhile (flock), so ".n" belongs to one program at a time.
#include "http_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "files.h"

#define BACKLOG 1024
_Static_assert(sizeof((HttpSocket){0}.path) == sizeof((struct sockaddr_un){0}.sun_path),
               "HttpSocket.path");

// Locks the folder of `path`; *ret_fd is closed by the caller.
static int lock_folder(const char *path, int *ret_fd, Error *reterr)
{
    char folder[sizeof((HttpSocket){0}.path)];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    memcpy(folder, slash == NULL ? "." : path, len);
    folder[len] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(reterr, errno, "open folder '%s'", folder);
    int r;
    do {
        r = flock(fd, LOCK_EX); // held for microseconds by others
    } while (r < 0 && errno == EINTR);
    if (r < 0) {
        int errnum = errno;
        files_close(fd);
        return error_errno(reterr, errnum, "lock folder '%s'", folder);
    }
    *ret_fd = fd;
    return 0;
}

// 0: free or stale.
static int check_old(const struct sockaddr_un *address, Error *reterr)
{
    struct stat st;
    if (lstat(address->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : error_errno(reterr, errno, "look at '%s'", address->sun_path);
    if (!S_ISSOCK(st.st_mode))
        return error_set(reterr, ERROR_CONFLICT, "'%s' is there and is no socket",
                         address->sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_errno(reterr, errno, "make a socket");
    int r = connect(fd, (const struct sockaddr *)address, sizeof *address);
    int errnum = errno;
    files_close(fd);
    if (r < 0 && (errnum == ECONNREFUSED || errnum == ENOENT))
        return 0;
    if (r < 0 && errnum != EAGAIN) // EAGAIN: its backlog is full, so it lives
        return error_errno(reterr, errnum, "connect to '%s'", address->sun_path);
    return error_set(reterr, ERROR_RUNNING, "another program accepts connections on '%s'",
                     address->sun_path);
}

static int make_new(const char *path, unsigned mode, HttpSocket *made, Error *reterr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *slash = strrchr(path, '/');
    int folder_len = slash == NULL ? 0 : (int)(slash - path + 1);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.*s.n", folder_len, path);
    if (unlink(address.sun_path) < 0 && errno != ENOENT)
        return error_errno(reterr, errno, "remove '%s'", address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_errno(reterr, errno, "make a socket");
    const char *step = "bind";
    struct stat st;
    bool ok = bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
              (step = "chmod", chmod(address.sun_path, mode) == 0) &&
              (step = "look at", lstat(address.sun_path, &st) == 0) &&
              (step = "listen on", listen(fd, BACKLOG) == 0) &&
              (step = "rename", rename(address.sun_path, path) == 0);
    if (!ok) {
        int errnum = errno;
        files_close(fd);
        (void)unlink(address.sun_path);
        return error_errno(reterr, errnum, "%s '%s' for '%s'", step, address.sun_path, path);
    }
    made->fd = fd;
    made->device = st.st_dev;
    made->inode = st.st_ino;
    return 0;
}

int http_socket_listen(const char *path, unsigned mode, HttpSocket *ret_socket, Error *reterr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    const char *slash = strrchr(path, '/');
    if (len >= sizeof address.sun_path || strlen(slash != NULL ? slash + 1 : path) < 2)
        return error_set(reterr, ERROR_LIMIT, "socket path '%s' has %zu bytes; allowed: up to %zu",
                         path, len, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, len + 1);
    HttpSocket made = {.fd = -1};
    memcpy(made.path, path, len + 1);
    CLEANUP(fd_closep) int folder = -1;
    int r = lock_folder(path, &folder, reterr);
    if (r >= 0)
        r = check_old(&address, reterr);
    if (r >= 0)
        r = make_new(path, mode, &made, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "listen on '%s'", path);
    *ret_socket = made;
    return 0;
}

void http_socket_hide(HttpSocket *socket)
{
    CLEANUP(fd_closep) int folder = -1;
    struct stat st;
    if (socket->path[0] != '\0' && lock_folder(socket->path, &folder, NULL) >= 0 &&
        lstat(socket->path, &st) == 0 && st.st_dev == socket->device && st.st_ino == socket->inode)
        (void)unlink(socket->path);
    socket->path[0] = '\0';
}

void http_socket_done(HttpSocket *socket)
{
    http_socket_hide(socket);
    if (socket->fd >= 0)
        files_close(socket->fd);
    socket->fd = -1;
}
