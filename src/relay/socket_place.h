// SPDX-License-Identifier: MIT
// socket_place: stands in the place of a program's listening UNIX socket, without a moment in which
// nobody listens, and gives the place back. The socket itself keeps listening as PATH.real. The
// folder is locked as the programs lock it that make their sockets there (src/net/http_socket.c).
// A program that starts again meanwhile makes a new socket at PATH; it is never removed by us.
#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "error.h"

#define SOCKET_PLACE_SUFFIX ".real"
#define SOCKET_PLACE_PATH 108 // sun_path

typedef struct SocketPlace {
    char path[SOCKET_PLACE_PATH], real[SOCKET_PLACE_PATH], made[SOCKET_PLACE_PATH];
    dev_t device; // of our own socket at `path`
    ino_t inode;
    bool taken;
} SocketPlace;

// ERROR_LIMIT when PATH.real would be too long.
int socket_place_init(SocketPlace *place, const char *path, Error *reterr) MUST_CHECK;
// Makes a listener with the mode of the socket at `path` and puts it there; may be called again
// after a program has made a new socket. ERROR_NOT_FOUND: nothing is there.
int socket_place_take(SocketPlace *place, int *ret_listener, Error *reterr) MUST_CHECK;
bool socket_place_is_ours(const SocketPlace *place);
// Does not close the listener.
void socket_place_give_back(SocketPlace *place);
