// SPDX-License-Identifier: MIT
// mesh: the databases of all regions as one thing: who they are, one connection each, the same
// statement on all of them at once. Blocking with a deadline (poll over all sockets): for verbs and
// for the daemon's worker thread, never for an event loop.
// Owner: mesh_free closes and frees everything. A node that cannot be reached is no error of
// mesh_open: `conn` is NULL and `why` says it; verbs decide what that means.
#pragma once
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "conf.h"
#include "error.h"

typedef struct MeshNode {
    const char *region, *cloud;
    uint32_t index;         // of the region in the model
    uint32_t origin;        // 1..255
    const char *conninfo;   // keywords, no password in it
    const char *identifier; // region with '-' as '_': part of subscription names
    PGconn *conn;           // NULL: not reachable
    Error why;
    char sqlstate[6]; // of the last statement, when it failed; else ""
} MeshNode;

typedef struct Mesh {
    Arena *arena;
    const Conf *conf;
    const char *dir;
    uint32_t n;
    MeshNode *nodes; // in the order of fleet.yaml
    int64_t timeout_ns;
} Mesh;

typedef enum MeshAs {
    MESH_AS_OWNER, // `wildcam`: by the socket where the region runs here, else by the DSN
    MESH_AS_ROWS,  // `wildcam_rows`: by TLS with the peer certificate of `from`; `from` itself as
                   // its owner
} MeshAs;

typedef struct MeshOptions {
    const char *dir; // state folder, absolute
    MeshAs as;
    const char *from;        // region whose certificate is used; NULL with MESH_AS_OWNER
    const char *application; // application_name: "wildcam rows check"
    uint64_t only;           // mask of model indices; 0: all
    int64_t connect_ns;      // 0: 3 s, for all of them together
    int64_t statement_ns;    // 0: 30 s: deadline of mesh_query and mesh_each
} MeshOptions;

int mesh_open(const Conf *conf, const MeshOptions *options, Mesh **ret_mesh,
              Error *reterr) MUST_CHECK;
// The same from plain conninfos (tests, benches, databases without a fleet.yaml): nodes "n1", "n2"
// ... with origins 1, 2 ... unless `origins` says otherwise.
int mesh_open_conninfos(const char *const *conninfos, const uint32_t *origins, uint32_t n,
                        const MeshOptions *options, Mesh **ret_mesh, Error *reterr) MUST_CHECK;
Mesh *mesh_free(Mesh *mesh); // returns NULL
// Connects again those that are not connected. Returns how many are.
int mesh_reconnect(Mesh *mesh);
// ERROR_UNAVAILABLE naming every node that is not reachable, with why.
int mesh_need_all(const Mesh *mesh, Error *reterr) MUST_CHECK;
MeshNode *mesh_find(Mesh *mesh, const char *region); // NULL: no such node

// One statement (with parameters as text; NULL is SQL NULL). *ret_result (PQclear; may be NULL when
// nobody wants it) is a tuples or command result. The error has the server's message, detail and
// SQLSTATE, and the region's name.
int mesh_query(Mesh *mesh, MeshNode *node, const char *sql, int n_params, const char *const *params,
               PGresult **ret_result, Error *reterr) MUST_CHECK;
// Several statements, as psql would send them (one transaction unless they say otherwise): results
// are dropped. After a failure inside BEGIN the transaction is still open.
int mesh_script(Mesh *mesh, MeshNode *node, const char *sql, Error *reterr) MUST_CHECK;

typedef struct MeshAnswer {
    PGresult *result; // NULL: failed
    int code;         // 0, or an error code
    Error err;
} MeshAnswer;

// The same statement on every connected node at once. `answers[mesh->n]`; mesh_answers_done frees
// them. Returns how many failed; nodes without a connection count as failed (ERROR_UNAVAILABLE).
int mesh_each(Mesh *mesh, const char *sql, int n_params, const char *const *params,
              MeshAnswer *answers);
void mesh_answers_done(MeshAnswer *answers, uint32_t n);

// "us_east_1_from_us_west_2": subscription, slot and application name (docs/contracts/rows.md).
#define MESH_NAME_MAX 64
void mesh_subscription_name(const MeshNode *subscriber, const MeshNode *publisher,
                            char name[MESH_NAME_MAX]);
// The advisory lock of one node's federation, held by this session until it ends.
// ERROR_CONFLICT names who holds it (application_name) after `wait_ns`.
int mesh_lock(Mesh *mesh, MeshNode *node, int64_t wait_ns, Error *reterr) MUST_CHECK;
void mesh_unlock(Mesh *mesh, MeshNode *node);
