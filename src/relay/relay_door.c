// SPDX-License-Identifier: MIT
// relay_door: see relay_door.h.
#include "relay_door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parse.h"
#include "relay_link.h"

#define BACKLOG 1024
#define GUARD_PAUSE_NS (20 * NS_PER_MS) // between two connections of the guard
#define ROUND_MAX 64                    // connections accepted before others have their turn

static int add_door(Relay *relay, RelayDoor **ret_door, Error *reterr)
{
    if (relay->n_doors == RELAY_DOORS_MAX)
        return error_set(reterr, ERROR_LIMIT, "more than %d pairs", RELAY_DOORS_MAX);
    RelayDoor *door = &relay->doors[relay->n_doors++];
    *door = (RelayDoor){.relay = relay, .guard_next = MONO_NEVER};
    // The same start for all doors would spoil the same requests of a client that asks in turn.
    door->share.at = relay->n_doors * UINT64_C(0x6A09E667F3BCC909);
    door->watch = (Watch){.kind = WATCH_DOOR, .fd = -1, .owner = door};
    door->guard = (Watch){.kind = WATCH_GUARD, .fd = -1, .owner = door};
    door->changes = (Watch){.kind = WATCH_PLACE, .fd = -1, .owner = door};
    *ret_door = door;
    return 0;
}

static int parse_tcp(const char *text, RelayAddress *ret_address, Error *reterr)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN];
    uint64_t port;
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : sizeof host;
    if (len >= sizeof host || parse_u64(colon + 1, strlen(colon + 1), UINT16_MAX, &port) < 0)
        return error_set(reterr, ERROR_USAGE, "'%s' is no ADDRESS:PORT", text);
    memcpy(host, text, len);
    host[len] = '\0';
    if (inet_pton(AF_INET, host, &in.sin_addr) != 1)
        return error_set(reterr, ERROR_USAGE, "'%s' is no IPv4 address", host);
    in.sin_port = htons((uint16_t)port);
    memset(ret_address, 0, sizeof *ret_address);
    memcpy(ret_address, &in, sizeof in);
    return 0;
}

int relay_door_tcp(Relay *relay, const char *listen, const char *to, Error *reterr)
{
    RelayDoor *door = NULL;
    int r = add_door(relay, &door, reterr);
    if (r == 0)
        r = parse_tcp(listen, &door->listen, reterr);
    if (r == 0)
        r = parse_tcp(to, &door->to, reterr);
    if (r == 0)
        door->to_len = sizeof(struct sockaddr_in);
    return r;
}

static int parse_unix(const char *path, RelayAddress *ret_address, Error *reterr)
{
    memset(ret_address, 0, sizeof *ret_address);
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof ret_address->un.sun_path)
        return error_set(reterr, ERROR_LIMIT, "socket path '%s' has %zu bytes; allowed: 1 to %zu",
                         path, len, sizeof ret_address->un.sun_path - 1);
    ret_address->un.sun_family = AF_UNIX;
    memcpy(ret_address->un.sun_path, path, len + 1);
    return 0;
}

int relay_door_http(Relay *relay, const char *listen, const char *to, Error *reterr)
{
    RelayDoor *door = NULL;
    int r = add_door(relay, &door, reterr);
    if (r == 0)
        r = parse_unix(listen, &door->listen, reterr);
    if (r == 0)
        r = parse_unix(to, &door->to, reterr);
    if (r == 0) {
        door->http = true;
        door->to_len = sizeof door->to.un;
    }
    return r;
}

int relay_door_in_place(Relay *relay, const char *path, Error *reterr)
{
    SocketPlace place;
    int r = socket_place_init(&place, path, reterr);
    if (r == 0)
        r = relay_door_http(relay, path, place.real, reterr);
    if (r == 0) {
        RelayDoor *door = &relay->doors[relay->n_doors - 1];
        door->in_place = true;
        door->place = place;
    }
    return r;
}

static int listen_plain(RelayDoor *door, Error *reterr)
{
    const int one = 1;
    socklen_t len = door->http ? sizeof door->listen.un : sizeof(struct sockaddr_in);
    int fd = socket(door->listen.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_errno(reterr, errno, "make a socket");
    door->watch.fd = fd;
    if (!door->http)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, &door->listen.any, len) < 0 || listen(fd, BACKLOG) < 0 ||
        (!door->http && getsockname(fd, &door->listen.any, &len) < 0))
        return error_errno(reterr, errno, "listen%s%s", door->http ? " on " : "",
                           door->http ? door->listen.un.sun_path : "");
    return 0;
}

// Connects the guard. False: the program is gone.
static bool guard_connect(RelayDoor *door, Mono now)
{
    relay_unwatch(&door->guard);
    door->guard_next = MONO_NEVER;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, &door->to.any, door->to_len) == 0) {
        door->guard.fd = fd;
        if (relay_watch(door->relay, &door->guard, EPOLLRDHUP | EPOLLET, NULL) == 0)
            return true;
        relay_unwatch(&door->guard);
    } else if (fd >= 0) {
        int problem = errno;
        (void)close(fd);
        if (problem == ECONNREFUSED || problem == ENOENT)
            return false;
    }
    door->guard_next = mono_add(now, GUARD_PAUSE_NS); // busy: look again
    return true;
}

static int take_place(RelayDoor *door, Mono now, Error *reterr)
{
    int r = socket_place_take(&door->place, &door->watch.fd, reterr);
    if (r == 0)
        r = relay_watch(door->relay, &door->watch, EPOLLIN | EPOLLET, reterr);
    // One that has bound but does not listen yet refuses for a moment: looked at again.
    if (r == 0 && !guard_connect(door, now))
        door->guard_next = mono_add(now, GUARD_PAUSE_NS);
    return r;
}

static int watch_folder(RelayDoor *door, Error *reterr)
{
    char folder[SOCKET_PLACE_PATH];
    (void)snprintf(folder, sizeof folder, "%.*s",
                   (int)(strrchr(door->place.path, '/') - door->place.path), door->place.path);
    door->changes.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (door->changes.fd < 0 ||
        inotify_add_watch(door->changes.fd, folder, IN_CREATE | IN_MOVED_TO) < 0)
        return error_errno(reterr, errno, "watch folder '%s'", folder);
    return relay_watch(door->relay, &door->changes, EPOLLIN, reterr);
}

int relay_door_open(RelayDoor *door, Error *reterr)
{
    int r;
    if (door->in_place) {
        r = watch_folder(door, reterr);
        return r < 0 ? r : take_place(door, MONO_DISTANT, reterr);
    }
    r = listen_plain(door, reterr);
    return r < 0 ? r : relay_watch(door->relay, &door->watch, EPOLLIN | EPOLLET, reterr);
}

void relay_door_shut(RelayDoor *door)
{
    if (door->in_place)
        socket_place_give_back(&door->place);
    else if (door->http && door->watch.fd >= 0)
        (void)unlink(door->listen.un.sun_path);
    relay_unwatch(&door->watch);
    relay_unwatch(&door->guard);
    relay_unwatch(&door->changes);
    door->guard_next = MONO_NEVER;
}

unsigned relay_door_port(const RelayDoor *door)
{
    struct sockaddr_in in;
    memcpy(&in, &door->listen, sizeof in);
    return door->http ? 0 : ntohs(in.sin_port);
}

void relay_door_event(RelayDoor *door, Mono now)
{
    Relay *relay = door->relay;
    door->stalled = false;
    for (int i = 0; door->watch.fd >= 0; i++) {
        if (i == ROUND_MAX || relay->n_links >= relay->links_max) {
            door->stalled = true;
            return;
        }
        int fd = accept4(door->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            relay_link_new(door, fd, now);
        else if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

static void program_gone(RelayDoor *door)
{
    relay_unwatch(&door->watch); // connects are refused now, as they are by a dead program
    relay_unwatch(&door->guard);
    door->guard_next = MONO_NEVER;
}

void relay_door_guard_event(RelayDoor *door, Mono now)
{
    relay_unwatch(&door->guard);
    // A program may close an idle connection whenever it likes: only a refusal says that it is
    // gone.
    if (!guard_connect(door, now))
        program_gone(door);
}

void relay_door_place_event(RelayDoor *door, Mono now)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    while (read(door->changes.fd, events, sizeof events) > 0) {
        // only whether the socket is still ours matters
    }
    struct stat st;
    if (socket_place_is_ours(&door->place) || lstat(door->place.path, &st) < 0)
        return;
    program_gone(door);
    (void)take_place(door, now, NULL); // else at the next change
}

void relay_door_timer(RelayDoor *door, Mono now)
{
    if (door->guard_next.ns <= now.ns && !guard_connect(door, now))
        program_gone(door);
    door->relay->next_due = mono_min(door->relay->next_due, door->guard_next);
}
