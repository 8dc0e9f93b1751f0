// SPDX-License-Identifier: MIT
// ensure: makes one node what it should be: roles, base SQL, federated tables, publication,
// registry, subscriptions to every other node. Idempotent, interruptible anywhere; used by `rows
// init`, by the daemon at its start and after every change, and by join. Holds mesh_lock.
#pragma once
#include <stdbool.h>

#include "buf.h"
#include "mesh.h"

typedef enum EnsureStep {
    ENSURE_STEP_ROLES,
    ENSURE_STEP_BASE,
    ENSURE_STEP_TABLES,
    ENSURE_STEP_PUBLICATION,
    ENSURE_STEP_SUBSCRIPTIONS, // to every node whose publication is there; needs them reachable
    ENSURE_STEP_FILLS,
    ENSURE_STEP_MAX,
} EnsureStep;

typedef struct EnsureOptions {
    bool plan; // nothing is changed: the SQL that would run goes to `sql`
    Buf *sql;
    EnsureStep last; // ENSURE_STEP_MAX: all
} EnsureOptions;

typedef struct EnsureDone {
    unsigned statements, tables, subscriptions, fills; // changed now
    unsigned missing; // links that could not be made because a peer is away or not ready
} EnsureDone;

// Every setting, right and version that is not as it must be, one text a line with where to change
// it, appended to `problems`; returns how many.
int mesh_preflight(Mesh *mesh, MeshNode *node, Buf *problems, Error *reterr) MUST_CHECK;
int mesh_ensure_node(Mesh *mesh, MeshNode *node, const EnsureOptions *options, EnsureDone *ret_done,
                     Error *reterr) MUST_CHECK;
