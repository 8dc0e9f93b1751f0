// SPDX-License-Identifier: MIT
// fill_inside: what the files of fill share.
#pragma once
#include "buf.h"
#include "fill.h"

typedef struct FillSide {
    const MeshNode *node;
    PGconn *conn;
} FillSide;

typedef struct FillTable { // texts in SQL's quoting, from the taker's catalog
    uint32_t number;
    bool insert_only, has_uniques, has_parked, many; // many: the taker has enough rows to compare
    const char *name;                                // public."Odd Name"
    const char *key;                                 // a, b
    const char *columns;                             // that the giver sends
    const char *staged;                              // definitions for the staging table
    const char *row;                         // row constructor's fields, all columns of the table
    const char *set;                         // a = EXCLUDED.a, ...
    const char *same_key;                    // t.a = s.a AND ...
    const char *stored_key, *stored_columns; // their names in tombstone_N and parked_N
    const char *same_stored_key;             // d.c_a = s.a
    const char *key_json;                    // 'a', s.a, ...
    const char *hash; // bigint of a key and its origin, the same in all databases
} FillTable;

typedef struct Fill {
    Arena *arena;
    FillSide giver, taker;
    const FillWanted *wanted;
    const char *active; // '{1,2}': origins that are a node
    FillTold *told;
    void *context;
    FillProgress progress;
    Buf batch;
    uint32_t batch_rows;
} Fill;

// A connection of its own like node->conn's, made ready for long statements.
int fill_connect(const MeshNode *node, const char *application, FillSide *ret_side,
                 Error *reterr) MUST_CHECK;
// One or more statements; *ret_result (may be NULL) is the last one's. `state`: the SQLSTATE of a
// failure, "" when the connection broke; may be NULL.
int fill_run(const FillSide *side, const char *sql, int n_params, const char *const *params,
             PGresult **ret_result, char state[6], Error *reterr) MUST_CHECK;
// The same on two sides at once.
int fill_run_both(const FillSide *a, const FillSide *b, const char *sql, PGresult *ret_results[2],
                  Error *reterr) MUST_CHECK;
int fill_copy_out(const FillSide *side, const char *sql, Error *reterr) MUST_CHECK;
// 1: a row (PQfreemem), 0: the end.
int fill_copy_row(const FillSide *side, char **ret_row, size_t *ret_len, Error *reterr) MUST_CHECK;
int fill_copy_in(const FillSide *side, const char *sql, const Buf *rows, char state[6],
                 Error *reterr) MUST_CHECK;

// fill_table.c
int fill_read_tables(Fill *fill, FillTable **ret_tables, uint32_t *ret_n, Error *reterr) MUST_CHECK;
// "(... = ANY ...) AND ...": which versions are wanted; `column` holds versions, or origins.
void fill_condition(const Fill *fill, const char *column, bool is_version, Buf *out);
// fill.c
int fill_stage(Fill *fill, const FillTable *table, const char *name, bool keep,
               Error *reterr) MUST_CHECK;
// Ranges of an insert-only table that differ, as "1,5,7"; *ret_all: so many that all may go.
int fill_compare(Fill *fill, const FillTable *table, Buf *buckets, bool *ret_all,
                 Error *reterr) MUST_CHECK;
#define FILL_BUCKETS 4096
#define FILL_BATCH_BYTES (8U << 20)
#define FILL_ROW_BYTES_MAX (1U << 30) // PostgreSQL's own limit of a row's text
#define FILL_ARENA_BYTES (64U << 20)
