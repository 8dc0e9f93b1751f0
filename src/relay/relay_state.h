// SPDX-License-Identifier: MIT
// relay_state: what the files of this room share. One thread, one epoll descriptor, edge-triggered:
// a descriptor is registered once and its owner remembers whether it can be read or written.
// Whatever is registered begins with a Watch that says who it belongs to.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "error.h"
#include "error_share.h"
#include "instant.h"
#include "socket_place.h"

#define RELAY_DOORS_MAX 64
#define RELAY_LINKS_MAX 4096 // of the whole relay: the others wait in the listeners' backlogs

typedef enum WatchKind {
    WATCH_COMMANDS, // stdin
    WATCH_DOOR,     // a listener
    WATCH_LINK,     // one side of a connection
    WATCH_PLACE,    // changes of a folder
    WATCH_GUARD,    // a connection that shows that the server lives
} WatchKind;

typedef struct Watch {
    WatchKind kind;
    int fd;
    void *owner;
} Watch;

typedef union RelayAddress {
    struct sockaddr any;
    struct sockaddr_storage storage;
    struct sockaddr_un un;
} RelayAddress;

typedef struct Relay Relay;
typedef struct RelayLink RelayLink;

// A listener and where its connections go.
typedef struct RelayDoor {
    Relay *relay;
    Watch watch;
    RelayAddress listen, to;
    socklen_t to_len;
    bool http;      // UNIX sockets and http_talk; else TCP
    bool bind_peer; // TCP: connect from the client's own address
    bool in_place;  // stands in the place of a listening socket
    bool stalled;   // connections may wait to be accepted
    SocketPlace place;
    Watch guard, changes;
    Mono guard_next; // when to connect the guard again
    ErrorShare share;
} RelayDoor;

struct Relay {
    int epoll;
    int64_t delay_ns;
    uint32_t errors_ppm, mark;
    RelayDoor doors[RELAY_DOORS_MAX];
    size_t n_doors;
    RelayLink *links, *dead; // dead: freed when no event of this round can point at them
    size_t n_links, links_max;
    Mono next_due; // of all links; MONO_NEVER: nothing is held for time's sake
    bool draining, ended;
    Mono give_up; // when draining: what is still open is reset
};

int relay_watch(Relay *relay, Watch *watch, uint32_t events, Error *reterr) MUST_CHECK;
void relay_unwatch(Watch *watch); // closes; -1 is fine
