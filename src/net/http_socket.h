// SPDX-License-Identifier: MIT
// http_socket: a listening UNIX socket at a path. A stale one (nobody accepts there) is replaced in
// one step, so that a client finds either the old or the new socket and never none; a living one is
// an error. Two programs that start at the same time are kept apart by a lock on the folder.
#pragma once
#include <stdint.h>

#include "error.h"

typedef struct HttpSocket {
    int fd; // listening; -1: none
    uint64_t device, inode;
    char path[108];
} HttpSocket;

// ERROR_RUNNING when a living one is there, ERROR_CONFLICT when the path is no socket, ERROR_LIMIT
// when it is too long for sun_path.
int http_socket_listen(const char *path, unsigned mode, HttpSocket *ret_socket,
                       Error *reterr) MUST_CHECK;
// Removes the path if it is still ours; whoever has connected is still to be accepted.
void http_socket_hide(HttpSocket *socket);
// Closes the descriptor unless it was handed over (fd -1), and removes the path if it is still
// ours.
void http_socket_done(HttpSocket *socket);
