// SPDX-License-Identifier: MIT
// mesh_sql_inside: what the files of mesh_sql share.
#pragma once
#include "mesh_sql.h"
#include "mesh_template.h"

// The context of all placeholders; `table` is NULL outside of a table's text.
typedef struct MeshSqlText {
    const MeshSqlNode *node;
    const MeshSqlTable *table;
    const MeshSqlTable *tables; // of the publication
    uint32_t n_tables;
    const char *digest;
    enum {
        MESH_SQL_ROW_NONE, // outside of a merge
        MESH_SQL_ROW_NEW,  // the merged row is the journal's NEW
        MESH_SQL_ROW_R,    // the merged row is the parameter r of merge_N
    } row;
} MeshSqlText;

MeshWord mesh_sql_table_word; // context: MeshSqlText with a table
