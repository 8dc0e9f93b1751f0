// SPDX-License-Identifier: MIT
// mesh_lock: one advisory lock a database, held by a session. Its waiting is the server's; a lock
// that is lost with its connection is noticed by the next statement.
#include "mesh.h"

#include <stdio.h>
#include <string.h>

#include "instant.h"

#define LOCK_KEY "131269005375347" // "wcrows" in ASCII; nobody else uses it

static const char HOLDER[] =
    "SELECT coalesce(string_agg(a.application_name || ' (pid ' || a.pid || ')', ', '), '') "
    "FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' "
    "AND l.granted AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_database "
    "WHERE datname = current_database()) AND (l.classid::bigint << 32 | l.objid::bigint) "
    "= " LOCK_KEY;

static int say_holder(Mesh *mesh, MeshNode *node, Error *reterr)
{
    PGresult *result = NULL;
    int r = mesh_query(mesh, node, HOLDER, 0, NULL, &result, reterr);
    if (r < 0)
        return r;
    const char *who = PQgetvalue(result, 0, 0);
    r = error_set(reterr, ERROR_CONFLICT, "%s: the mesh is being changed by %s", node->region,
                  who[0] != '\0' ? who : "somebody who has just ended");
    PQclear(result);
    return r;
}

int mesh_lock(Mesh *mesh, MeshNode *node, int64_t wait_ns, Error *reterr)
{
    char sql[160];
    long long ms = wait_ns / NS_PER_MS, most = mesh->timeout_ns / NS_PER_MS * 8 / 10;
    // lock_timeout 0 would wait for ever
    (void)snprintf(sql, sizeof sql,
                   "SET lock_timeout = %lld; SELECT pg_advisory_lock(" LOCK_KEY
                   "); RESET lock_timeout",
                   ms < 1      ? 1LL
                   : ms < most ? ms
                               : most);
    int r = mesh_script(mesh, node, sql, reterr);
    if (r == ERROR_CONFLICT && strcmp(node->sqlstate, "55P03") == 0)
        return say_holder(mesh, node, reterr);
    return r;
}

void mesh_unlock(Mesh *mesh, MeshNode *node)
{
    int r = node->conn != NULL
                ? mesh_script(mesh, node, "SELECT pg_advisory_unlock(" LOCK_KEY ")", NULL)
                : 0;
    (void)r; // without its connection the lock is gone
}
