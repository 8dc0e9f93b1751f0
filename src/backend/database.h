// SPDX-License-Identifier: MIT
// database: how a process of a region connects to the region's database: "local" is the PostgreSQL
// of the state folder by its UNIX socket as the run user; anything else is a DSN of a managed one,
// without secrets, with the password from the region's passfile.
#pragma once
#include <stdint.h>

#include "buf.h"
#include "error.h"

typedef struct DatabaseOptions {
    const char *database; // of fleet.yaml: "local" or a DSN (keywords or postgresql://...)
    uint16_t port;        // of the local one
    const char *sockets;  // folder of the local one's socket
    const char *passfile;
    const char *application; // for pg_stat_activity
} DatabaseOptions;

// Keywords for libpq. ERROR_FORMAT for a DSN that cannot be read or that holds a password.
int database_conninfo(const DatabaseOptions *options, Buf *out, Error *reterr) MUST_CHECK;
