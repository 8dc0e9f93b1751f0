// SPDX-License-Identifier: MIT
// ports: see ports.h. /proc/net/tcp lists sockets with inode and uid; the program is the one that
// has "socket:[inode]" among its descriptors.
#include "ports.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "files.h"

#define TCP_STATE_LISTEN 0x0a

typedef struct Listener {
    unsigned long inode;
    unsigned uid;
} Listener;

static int bind_address(const char *address, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, address, &in.sin_addr) != 1)
        return EINVAL;
    int fd CLEANUP(fd_closep) = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    // As nginx and PostgreSQL do: connections in TIME-WAIT do not count.
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (const struct sockaddr *)&in, sizeof in) < 0 || listen(fd, 1) < 0)
        return errno;
    return 0;
}

bool port_free(const char *address, uint16_t port)
{
    return bind_address(address, port) == 0;
}

// One line of /proc/net/tcp or tcp6: does it listen on our port, at our address or at all of them?
static bool parse_line(const char *line, uint32_t address, uint16_t port, Listener *ret_listener)
{
    char local[40];
    unsigned local_port, state, uid;
    unsigned long inode;
    if (sscanf(line, " %*d: %39[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %u %*d %lu",
               local, &local_port, &state, &uid, &inode) != 5)
        return false;
    size_t len = strlen(local);
    // IPv6 listeners take IPv4 as well when they listen at "::" or at the mapped address.
    uint32_t last = len >= 8 ? (uint32_t)strtoul(local + len - 8, NULL, 16) : 0;
    if (state != TCP_STATE_LISTEN || local_port != port || (last != 0 && last != address))
        return false;
    *ret_listener = (Listener){.inode = inode, .uid = uid};
    return true;
}

static bool find_listener(const char *table, uint32_t address, uint16_t port,
                          Listener *ret_listener)
{
    FILE *file = fopen(table, "re");
    char line[512];
    bool found = false;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
        found = parse_line(line, address, port, ret_listener);
    if (file != NULL)
        (void)fclose(file);
    return found;
}

static bool has_socket(const char *pid, unsigned long inode)
{
    char path[300], want[64], target[64];
    (void)snprintf(path, sizeof path, "/proc/%s/fd", pid);
    (void)snprintf(want, sizeof want, "socket:[%lu]", inode);
    DIR *list = opendir(path);
    bool found = false;
    for (struct dirent *entry; list != NULL && !found && (entry = readdir(list)) != NULL;) {
        ssize_t n = readlinkat(dirfd(list), entry->d_name, target, sizeof target - 1);
        if (n > 0) {
            target[n] = '\0';
            found = strcmp(target, want) == 0;
        }
    }
    if (list != NULL)
        (void)closedir(list);
    return found;
}

// Writes the pid's text; of several processes with the same socket (nginx and its workers) the one
// that was first.
static bool find_owner(unsigned long inode, long *ret_pid)
{
    DIR *list = opendir("/proc");
    long pid = 0;
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;) {
        if (!isdigit((unsigned char)entry->d_name[0]) || !has_socket(entry->d_name, inode))
            continue;
        long found = strtol(entry->d_name, NULL, 10);
        if (pid == 0 || found < pid)
            pid = found;
    }
    if (list != NULL)
        (void)closedir(list);
    *ret_pid = pid;
    return pid != 0;
}

static void program_name(long pid, char *name, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/comm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(name, (int)size, file) == NULL)
        (void)snprintf(name, size, "?");
    if (file != NULL)
        (void)fclose(file);
    name[strcspn(name, "\n")] = '\0';
}

int port_check(const char *address, uint16_t port, Error *reterr)
{
    int errnum = bind_address(address, port);
    if (errnum == 0)
        return 0;
    if (errnum != EADDRINUSE)
        return error_errno(reterr, errnum, "address %s:%u", address, port);
    struct in_addr in;
    Listener listener;
    if (inet_pton(AF_INET, address, &in) != 1 ||
        (!find_listener("/proc/net/tcp", in.s_addr, port, &listener) &&
         !find_listener("/proc/net/tcp6", in.s_addr, port, &listener)))
        return error_set(reterr, ERROR_UNAVAILABLE, "%s:%u is taken", address, port);
    const struct passwd *user = getpwuid(listener.uid);
    char name[64], number[16];
    (void)snprintf(number, sizeof number, "%u", listener.uid);
    long pid;
    if (!find_owner(listener.inode, &pid))
        return error_set(reterr, ERROR_UNAVAILABLE, "%s:%u is taken by a program of user '%s'",
                         address, port, user != NULL ? user->pw_name : number);
    program_name(pid, name, sizeof name);
    return error_set(reterr, ERROR_UNAVAILABLE, "%s:%u is taken by '%s' (pid %ld, user '%s')",
                     address, port, name, pid, user != NULL ? user->pw_name : number);
}
