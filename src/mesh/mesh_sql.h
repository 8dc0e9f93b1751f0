// SPDX-License-Identifier: MIT
// mesh_sql: all SQL of the federation, expanded from the templates in src/mesh/sql/*.sql (embedded
// when built). Templates have {{name}} placeholders and nothing else; lists of columns come in
// expanded. Every text is idempotent and brings any older version of itself up to date.
#pragma once
#include <stdint.h>

#include "buf.h"
#include "error.h"
#include "table_shape.h"

#define MESH_SQL_VERSION 1 // of the templates; raised with every change that nodes must agree on

typedef struct MeshSqlNode {
    uint32_t origin;
    const char *region, *cloud, *mesh_name;
} MeshSqlNode;

typedef struct MeshSqlTable {
    uint32_t number; // of wildcam.federated
    TableKind kind;
    const TableShape *shape;
} MeshSqlTable;

int mesh_sql_roles(Buf *buf, Error *reterr) MUST_CHECK;                         // needs CREATEROLE
int mesh_sql_base(const MeshSqlNode *node, Buf *buf, Error *reterr) MUST_CHECK; // schema wildcam
int mesh_sql_table(const MeshSqlNode *node, const MeshSqlTable *table, Buf *buf,
                   Error *reterr) MUST_CHECK; // everything of docs/contracts/rows.md for one table
int mesh_sql_drop_table(const MeshSqlTable *table, Buf *buf, Error *reterr) MUST_CHECK;
// Creates the publication or makes it publish exactly these tables, columns and filters.
int mesh_sql_publication(const MeshSqlNode *node, const MeshSqlTable *tables, uint32_t n, Buf *buf,
                         Error *reterr) MUST_CHECK;
// Hex SHA-256 of what mesh_sql_table gives: wildcam.federated.digest.
int mesh_sql_digest(const MeshSqlTable *table, char text[65], Error *reterr) MUST_CHECK;
