// SPDX-License-Identifier: MIT
// pg_setup: the region's PostgreSQL data folder. Made once by initdb (into a folder beside, renamed
// when it is whole, so that a killed first start begins anew); our settings are written again
// before every start, since addresses come from fleet.yaml. Superuser and owner: role `wildcam`;
// database `wildcam`; scram with the password in DIR/REGION/pg.pass; plain text connections are
// refused. The other regions come in by TLS with their peer certificate and get the two roles that
// replication needs, nothing else; those roles have no password.
#pragma once
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

#define PG_BIN "/usr/lib/postgresql/15/bin"
#define PG_SERVER "/usr/lib/postgresql/15/bin/postgres"
#define PG_INITDB "/usr/lib/postgresql/15/bin/initdb"
#define PG_DATABASE "wildcam"
#define PG_OWNER "wildcam"
#define PG_ANALYTICS "analytics_user"

typedef struct PgSetup {
    const char *folder;   // DIR/REGION/pg
    const char *passfile; // DIR/REGION/pg.pass
    const char *sockets;  // short folder
    const char *address;
    uint16_t port;
    const char *certificate, *key;
    const char *authority;      // that peers' certificates are checked against
    const char *const *regions; // [n_regions] names of all regions
    uint32_t n_regions;
    const char *run_user; // its name, for peer authentication on the socket
} PgSetup;

// `context` is a PgSetup: a step of the region's init, run as the run user.
int pg_setup_step(const void *context, Error *reterr) MUST_CHECK;
