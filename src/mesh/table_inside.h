// SPDX-License-Identifier: MIT
// table_inside: what the files of table_shape share.
#pragma once
#include "table_shape.h"

// Fills n_problems and problems. `oid`: of the table, as text.
int table_problems_find(Mesh *mesh, MeshNode *node, const char *oid, TableKind kind, Arena *arena,
                        TableShape *shape, Error *reterr) MUST_CHECK;
