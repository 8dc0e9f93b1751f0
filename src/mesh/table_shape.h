// SPDX-License-Identifier: MIT
// table_shape: what the catalog says about one table, as far as federation needs it: columns with
// their types, the primary key, other unique keys, foreign keys, what is generated; and every
// reason why it cannot be federated. Strings live in the caller's arena.
#pragma once
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "error.h"
#include "mesh.h"

typedef enum TableKind {
    TABLE_KIND_LWW,         // last write wins, row by row
    TABLE_KIND_INSERT_ONLY, // rows are never changed; published as they are
} TableKind;

typedef struct TableColumn {
    const char *name, *type; // "character varying(20)", "public.mood[]"
    const char *stored;      // its name in journal_N, tombstone_N and parked_N: table_stored_name
    uint32_t number;         // attnum
    uint32_t width;          // of the type's alignment: 8, 4, 2, 1; 0: values of no fixed size
    bool not_null, generated, identity, has_default;
    bool identity_always; // of `identity`: only OVERRIDING SYSTEM VALUE writes it
    bool hashable; // hash_record works on it (not json, xml ...): else it is compared as text
    // Of columns in a key or unique key; else NULL and false:
    const char *equals; // "OPERATOR(pg_catalog.=)", whatever the search_path is
    bool equal_image;   // equal values are the same bytes (not numeric, float, citext)
    bool order_as_text; // its own order depends on a collation or an extension: ranked as text
    const char *filler; // a value of its type, as SQL: "'0'::bigint"; NULL: none is known
    const char *unlike; // a value like no other's, as SQL; NULL: none is known
} TableColumn;

typedef struct TableKey {
    uint32_t n;
    const uint32_t *columns; // indices into TableShape.columns
    const char *name;        // of the constraint or index
} TableKey;

typedef struct TableForeign {
    TableKey from;
    const char *schema, *table; // that it refers to
} TableForeign;

typedef struct TableShape {
    const char *schema, *name;
    uint32_t n_columns, n_uniques, n_foreigns, n_problems;
    const TableColumn *columns; // without _v, with _origin; dropped ones left out
    TableKey primary;
    const TableKey *uniques; // without the primary key
    const TableForeign *foreigns;
    const char *const *problems;  // texts with what would help: "has no primary key: ..."
    bool has_version, has_origin; // columns _v, _origin are there already
    bool has_before_update;       // a trigger of its own may change any column of an update
    const char *path;             // search_path under which its types' operators are found: SQL
    double rows;                  // the planner's estimate
    int64_t bytes;
} TableShape;

// `table`: "items" (public), "schema.items", quoted as in SQL. ERROR_NOT_FOUND when there is none.
int table_shape_read(Mesh *mesh, MeshNode *node, const char *table, TableKind kind, Arena *arena,
                     TableShape **ret_shape, Error *reterr) MUST_CHECK;
// Appends what differs between two nodes' shapes, one text a line; returns how many.
int table_shape_diff(const TableShape *a, const TableShape *b, Buf *buf);
// "id" is "id"; names that wildcam's own columns have get a prefix: "v" is "c_v", "c_v" is "c_c_v".
const char *table_stored_name(Arena *arena, const char *name);
// Quoted when needed, schema first: public."Odd Name".
void table_shape_identifier(const TableShape *shape, Buf *buf);
