// SPDX-License-Identifier: MIT
// fault_disk_wal: see fault_disk_wal.h. An ordinary client of the region's own socket, as the
// fleet's user: each switch ends a segment, a message in between gives it something to end; neither
// changes a row. When no further segment can be made PostgreSQL panics, and cannot recover either
// until there is space. Nothing here blocks beyond the deadline.
#include "fault_disk_wal.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "fault_owner.h"
#include "layout.h"

#define SQLSTATE_DISK_FULL "53100"
// More segments than any small disk has room for (1 MiB each, 2 GiB at most); it ends far before.
#define SQL                                                                                        \
    "SELECT count(pg_logical_emit_message(false, 'wildcam-disk-full', 'x')), "                     \
    "count(pg_switch_wal()) FROM generate_series(1, 4096)"

static void finishp(PGconn **connection)
{
    PQfinish(*connection);
}

// false: not within the deadline.
static bool wait_for(const FaultHeld *held, const PGconn *connection, short events)
{
    struct pollfd socket = {.fd = PQsocket(connection), .events = events};
    for (;;) {
        int64_t left_ns = mono_since(held->deadline, clock_mono());
        if (left_ns <= 0)
            return false;
        int ready = poll(&socket, 1, (int)(left_ns / NS_PER_MS) + 1);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return ready > 0;
    }
}

static PGconn *connect_to(const FaultHeld *held, const char *sockets, const char *port)
{
    const char *const keys[] = {"host", "port", "user", "dbname", "application_name", NULL};
    const char *const values[] = {sockets, port, "wildcam", "wildcam", "wildcam disk-full", NULL};
    PGconn *connection = PQconnectStartParams(keys, values, 0);
    PostgresPollingStatusType step = PGRES_POLLING_WRITING;
    while (PQstatus(connection) != CONNECTION_BAD && step != PGRES_POLLING_OK &&
           step != PGRES_POLLING_FAILED) {
        if (!wait_for(held, connection, step == PGRES_POLLING_READING ? POLLIN : POLLOUT))
            break;
        step = PQconnectPoll(connection);
    }
    return connection;
}

// The state of the error that the database answered with; "": none, so it has rows left to write,
// or has not answered in time; NULL: it has gone.
static const char *ask(const FaultHeld *held, PGconn *connection, char ret_state[8])
{
    ret_state[0] = '\0';
    if (PQsendQuery(connection, SQL) != 1)
        return NULL;
    while (PQisBusy(connection) != 0) {
        if (!wait_for(held, connection, POLLIN))
            return ret_state;
        if (PQconsumeInput(connection) != 1)
            return NULL;
    }
    PGresult *result = PQgetResult(connection);
    const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    bool rows = result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK;
    (void)snprintf(ret_state, 8, "%s", state != NULL ? state : "");
    PQclear(result);
    return rows || state != NULL ? ret_state : NULL;
}

int fault_disk_wal_use_up(const FaultHeld *held, uint32_t region, Error *reterr)
{
    const char *name = fault_region_name(held, region), *state = NULL;
    LayoutPath sockets;
    FaultOwner owner;
    char port[8], text[8];
    int r = layout_sockets(held->options->dir, name, &sockets, reterr);
    if (r < 0 || (r = fault_owner_of_region(held->options->dir, name, &owner, reterr)) < 0)
        return r;
    (void)snprintf(port, sizeof port, "%u", held->options->conf->regions[region].database_port);
    fault_owner_become(&owner);
    PGconn *connection CLEANUP(finishp) = connect_to(held, sockets.text, port);
    fault_owner_leave(&owner);
    if (PQstatus(connection) != CONNECTION_OK)
        return 0; // it has left by itself, under load
    state = ask(held, connection, text);
    // 57P0x: it ends, or has just panicked in another process.
    if (state == NULL || strcmp(state, SQLSTATE_DISK_FULL) == 0 || strncmp(state, "57P0", 4) == 0)
        return 0;
    return error_set(reterr, ERROR_CONFLICT, "the database of region '%s' still finds space%s%s",
                     name, state[0] != '\0' ? ", state " : "", state);
}
