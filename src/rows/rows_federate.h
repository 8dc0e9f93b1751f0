// SPDX-License-Identifier: MIT
// rows_federate: what changes a federated table's place in the mesh: the steps that `federate` and
// `migrate` are made of. Each step looks at what is there and does only what is missing, so any of
// them may be interrupted and run again; the order between them is the callers'.
// While they run, the advisory lock of every node is held, so no daemon changes the same things.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "context.h"
#include "mesh.h"
#include "mesh_sql.h"
#include "table_shape.h"

#define FEDERATE_LOCK_NS (30 * INT64_C(1000000000)) // waits this long for locks of writers
#define FEDERATE_TABLES_MAX 1000u

typedef struct FederatedTable { // a row of wildcam.federated
    uint32_t number;
    TableKind kind;
    const char *schema, *name, *digest;
    const char *table; // quoted: "public"."items"
} FederatedTable;

typedef struct FederateMesh {
    Context context;
    Mesh *mesh;
    Arena *arena;
    const char *name; // of the mesh
    bool *member;     // [mesh->n]: active or joining; others are left alone
    uint32_t members;
} FederateMesh;

// Opens DIR's mesh as the owner: the members, their names, equal settings in every session.
// ERROR_UNAVAILABLE when nobody answers, ERROR_NOT_FOUND (with a hint) before `rows init`.
int federate_open(const char *dir, const char *application, FederateMesh *ret_mesh,
                  Error *reterr) MUST_CHECK;
void federate_close(FederateMesh *fm);
bool federate_is_there(const FederateMesh *fm, uint32_t i); // a member, and connected
int federate_need_all(const FederateMesh *fm, Error *reterr) MUST_CHECK;
// ERROR_CONFLICT while `rows migrate` has begun and not ended: tables are between two shapes.
int federate_need_no_migration(const FederateMesh *fm, Error *reterr) MUST_CHECK;
// The lock of every node that is there, in the order of the fleet.
int federate_lock(const FederateMesh *fm, Error *reterr) MUST_CHECK;

int federate_registry(const FederateMesh *fm, MeshNode *node, FederatedTable **ret_tables,
                      uint32_t *ret_n, Error *reterr) MUST_CHECK;
// The kind that `table` is federated as, anywhere; ERROR_NOT_FOUND: nowhere.
int federate_kind_of(const FederateMesh *fm, const char *table, TableKind *ret_kind,
                     Error *reterr) MUST_CHECK;
// NULL: not federated there. `shape` is found by schema and name.
const FederatedTable *federate_find(const FederatedTable *tables, uint32_t n,
                                    const TableShape *shape);
MeshSqlNode federate_sql_node(const FederateMesh *fm, const MeshNode *node);
// `sql` in one transaction that waits for nobody's lock longer than a moment, again and again for
// FEDERATE_LOCK_NS: writers queue behind it only that long.
int federate_apply(const FederateMesh *fm, MeshNode *node, const char *sql,
                   Error *reterr) MUST_CHECK;
// The catalog's shape, but for one column (NULL: all).
int federate_shape(const FederateMesh *fm, MeshNode *node, const FederatedTable *table,
                   const char *without, const TableShape **ret_shape, Error *reterr) MUST_CHECK;
// Appends the SQL that publishes what wildcam.federated says, with the columns of the catalog but
// for `without` of table `number` ("": all of them), or without that whole table (`without` NULL);
// number 0: everything. The table of that number is locked against writers.
int federate_publication(const FederateMesh *fm, MeshNode *node, uint32_t number,
                         const char *without, Buf *sql, Error *reterr) MUST_CHECK;
// Does `node` publish the table of that number?
int federate_is_published(const FederateMesh *fm, MeshNode *node, const FederatedTable *table,
                          bool *ret_is, Error *reterr) MUST_CHECK;
// Makes the subscription know what its publisher publishes. *ret_changed: it did not before.
int federate_refresh(const FederateMesh *fm, MeshNode *subscriber, const MeshNode *publisher,
                     bool *ret_changed, Error *reterr) MUST_CHECK;
// Waits until everything that any member has written up to now is applied at every member.
// ERROR_TIMEOUT names the links that are behind.
int federate_settle(const FederateMesh *fm, int64_t wait_ns, Error *reterr) MUST_CHECK;

// One problem or warning a line.
typedef struct FederateCheck {
    TableShape **shapes; // [mesh->n]
    uint64_t *rows;      // [mesh->n]
    uint64_t keys;       // distinct keys in all regions
    uint64_t differing;  // of these: in several regions with different content
    Buf problems, warnings;
    uint32_t n_problems, n_warnings;
    const char *table; // quoted
    bool counted;
} FederateCheck;

// rows_federate_check.c
int federate_check(const FederateMesh *fm, const char *table, TableKind kind, FederateCheck *check,
                   Error *reterr) MUST_CHECK;
void federate_check_done(FederateCheck *check);
// rows_federate_count.c: rows, keys, differing
int federate_count(const FederateMesh *fm, FederateCheck *check, Error *reterr) MUST_CHECK;

typedef struct FederateDone {
    uint32_t number, installed, published, refreshed, links;
    uint64_t filled_rows;
    bool already; // nothing had to be done
} FederateDone;
