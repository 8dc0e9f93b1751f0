// SPDX-License-Identifier: MIT
// rows_check: comparing all nodes of the mesh, row by row, while they are written to.
//
//   rows_check_ask.c      one statement on all nodes at once, that Ctrl-C ends at once
//   rows_check_table.c    what is compared of one table: columns, key, the texts of its SQL
//   rows_check_split.c    how its key is cut into ranges
//   rows_check_ranges.c   count and sum of hashes per range, compared; narrower where they differ
//   rows_check_rows.c     what is left of suspect ranges, row by row
//   rows_check_fence.c    until every node has what every other had committed
//   rows_check_looks.c    single keys, read twice with a fence between: what differs for sure
//   rows_check_verdict.c  pure: what the copies of one key mean
//   rows_check_orphans.c  rows whose parent is nowhere
//   rows_check_run.c      all of it, table after table
//   rows_check_report.c   text and JSON; DIR/rows/check.json, from which a run goes on
//
// Why there is no false alarm: a sum that differs only makes a range suspect. Of a suspect row all
// copies are read (first look), then a fence waits until everything that was committed anywhere
// before has been applied everywhere, then they are read again. A node that then is below the
// highest version of the *first* look has missed something that it must have applied.
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "arena.h"
#include "buf.h"
#include "error.h"
#include "instant.h"
#include "mesh.h"
#include "table_shape.h"

#define CHECK_NODES_MAX 64
#define CHECK_KEYS_MAX 10000 // differences told of one table; more are only counted as "more"

typedef enum CheckVerdict {
    CHECK_SAME,
    CHECK_MISSING,   // some nodes have no version of a row that others have
    CHECK_STALE,     // some nodes have an older version
    CHECK_UNDELETED, // a row is there below its tombstone
    CHECK_CONTENT,   // the same version with other content: damage
    CHECK_PARKED,    // parked although its unique values are free, or stale
    CHECK_TOMBSTONE, // a tombstone is missing or older
    CHECK_ORPHAN,    // its parent is nowhere; the same on all nodes
    CHECK_VERDICT_MAX,
} CheckVerdict;

const char *check_verdict_name(CheckVerdict verdict);
const char *check_verdict_text(CheckVerdict verdict); // what it means, for people

#define CHECK_NO_VERSION INT64_C(-1)

// What one node holds of one key, read in one snapshot.
typedef struct CheckCopy {
    bool read;            // the node answered
    bool visible, parked; // at most one of them when all is well
    bool free;            // parked, and no greater visible row holds any of its unique values
    int64_t v, parked_v, tombstone_v; // CHECK_NO_VERSION: none. Insert-only: v is the origin
    uint64_t hash, parked_hash;       // of all compared columns
} CheckCopy;

typedef struct CheckRule {
    TableKind kind;
    uint32_t n;
    int64_t tombstones_from; // version: no node can have collected a tombstone at or above it
} CheckRule;

// The highest version of a copy, CHECK_NO_VERSION without one.
int64_t check_copy_version(const CheckCopy *copy);
// `before` is the first look, `now` the second; between them was a fence for the origin of the
// highest version of `before` (`fenced`). *ret_wrong: mask of the nodes that are to be repaired,
// *ret_target: the version that they should have at least. Pure.
CheckVerdict check_judge(const CheckRule *rule, const CheckCopy *before, const CheckCopy *now,
                         bool fenced, uint64_t *ret_wrong, int64_t *ret_target);
// The version whose origin needs the fence: the highest of the first look.
int64_t check_target(const CheckRule *rule, const CheckCopy *before);

typedef struct CheckDifference {
    CheckVerdict verdict;
    uint32_t table;  // index into Check.tables
    char *key;       // JSON object
    char *detail;    // of an orphan: which parent; else NULL
    uint64_t wrong;  // nodes to repair
    int64_t target;  // version
    CheckCopy *copy; // [mesh->n], second look
} CheckDifference;

typedef struct CheckCounts {
    uint64_t rows, tombstones, parked; // of the node that has most
    uint64_t ranges, suspects;         // after the first comparison
    uint64_t in_flight;                // keys that differ but could not be judged
    uint64_t more;                     // suspect ranges that were not looked into any more
    uint64_t differences;
    int64_t duration_ns, scan_ns;
    bool complete, from_before; // of an earlier, interrupted run
} CheckCounts;

typedef struct CheckColumn {
    const char *name, *type;
    const char *stored; // its name in tombstone_N, parked_N and journal_N
    bool hashable;
} CheckColumn;

typedef enum CheckPart { // of a table
    CHECK_PART_VISIBLE,
    CHECK_PART_PARKED,
    CHECK_PART_TOMBSTONES,
    CHECK_PART_MAX,
} CheckPart;

typedef struct CheckTable {
    uint32_t number;
    TableKind kind;
    const char *name;       // as shown: "items", "other.items"
    const char *identifier; // quoted, with its schema
    uint32_t n_columns, n_key;
    const CheckColumn *columns; // compared ones, key included
    const CheckColumn *key;     // [n_key]
    const TableShape *shape;    // of the first node
    const char *left_out;       // columns that not all nodes have, or ""
    CheckCounts counts;
} CheckTable;

typedef struct Check {
    Mesh *mesh;
    Arena *arena;
    uint64_t nodes; // mask of those compared; one that stops answering is taken out
    const char *why_not[CHECK_NODES_MAX]; // of those that are not
    uint64_t inactive[4]; // origins (bits) that are no active node: nothing of theirs is on its way
    int64_t safe[256];    // per origin: every compared node has its versions up to here (us)
    int64_t margin_us;    // that the daemons leave between the floor and what they collect
    int64_t tombstones_from; // version: older tombstones may have been collected
    int64_t fence_ns;        // how long a fence is waited for
    uint64_t rate;           // rows a second and node; 0: as fast as it goes
    uint32_t slice_rows;     // rows of one statement
    const volatile sig_atomic_t *stop;
    void (*told)(struct Check *check); // progress changed; may be NULL
    // progress
    const CheckTable *now;
    const char *step;
    uint64_t done_rows, all_rows; // of this table
    Mono began, table_began;
    int64_t wall_us; // when it began: versions as time
    uint32_t n_tables;
    CheckTable *tables;
    size_t n_differences, capacity;
    CheckDifference *differences;
    json_t *before; // differences of an interrupted run; NULL: none
} Check;

// -- ask --
// Waits for all compared nodes, at most `timeout_ns`; results[mesh->n], NULL for those not
// compared. A node that is lost meanwhile is taken out of check->nodes. -ECANCELED: check->stop.
// ERROR_UNAVAILABLE: fewer than two nodes are left. Everything else is the statement's own failure.
int check_ask(Check *check, const char *sql, int n_params, const char *const *params,
              PGresult **results, Error *reterr) MUST_CHECK;
// The same on the nodes of `mask` only; one is enough.
int check_ask_some(Check *check, uint64_t mask, const char *sql, int n_params,
                   const char *const *params, PGresult **results, Error *reterr) MUST_CHECK;
void check_results_done(const Check *check, PGresult **results);
// Waits, or until check->stop (-ECANCELED).
int check_pause(const Check *check, int64_t ns);
int check_lose(Check *check, uint32_t node, const char *why, Error *reterr);
static inline bool check_has(const Check *check, uint32_t node)
{
    return check->nodes >> node & 1;
}
int64_t check_int(const PGresult *result, int row, int column); // 0 for NULL

// -- table --
// Reads the federated tables (`wanted`: names of the user; 0: all) and what all nodes have of them.
int check_tables(Check *check, int n_wanted, char *const *wanted, Error *reterr) MUST_CHECK;
void check_quote(Buf *buf, const char *name);   // as identifier, always quoted
void check_literal(Buf *buf, const char *text); // as literal
// The column as this part names it, of alias `t`.
void check_column(CheckPart part, const CheckColumn *column, Buf *buf);
void check_relation(const CheckTable *table, CheckPart part, Buf *buf);
bool check_has_part(const CheckTable *table, CheckPart part);
// Hash over all that is compared in this part, of alias `t`.
void check_hash(const CheckTable *table, CheckPart part, Buf *buf);
// JSON object of the key, of alias `t`, the same text on all nodes for the same key.
void check_key_json(const CheckTable *table, CheckPart part, Buf *buf);
// "id bigint, b text" of the key, to read it from JSON.
void check_key_columns(const CheckTable *table, Buf *buf);
// "id=5,b=x" of a JSON key, as `rows why` takes it; malloced.
char *check_key_text(const char *json);

// -- split --
typedef enum CheckBy { CHECK_BY_INTEGER, CHECK_BY_UUID, CHECK_BY_HASH } CheckBy;

typedef struct CheckSplit {
    CheckBy by;
    unsigned shift;      // integer, uuid: 2^shift values are one range
    int64_t first, last; // ranges; what is outside belongs to these (half-open at both ends)
    uint32_t byte;       // uuid: the three bytes from here are looked at
    uint8_t prefix[16];  // uuid: the bytes before are these
    uint32_t mask;       // hash: number of ranges - 1
} CheckSplit;

int check_split(Check *check, const CheckTable *table, CheckPart part, uint64_t rows,
                CheckSplit *ret_split, Error *reterr) MUST_CHECK;
// Eight or more times narrower; false: it cannot be.
bool check_split_narrower(CheckSplit *split);
// The number of a row's range, of alias `t`.
void check_split_range(const CheckTable *table, CheckPart part, const CheckSplit *split, Buf *buf);
// Condition: in one of these ranges (sorted).
void check_split_where(const CheckTable *table, CheckPart part, const CheckSplit *split,
                       const int64_t *ranges, size_t n, Buf *buf);

// -- ranges --
typedef struct CheckSuspects {
    int64_t *ranges; // sorted
    size_t n, capacity;
    uint64_t rows; // in them, on the node that has most
    uint64_t most; // in one of them
} CheckSuspects;

// Count and sum per range of one part, all nodes at once, slice by slice.
int check_compare(Check *check, const CheckTable *table, CheckPart part, const CheckSplit *split,
                  uint64_t rows, uint64_t *ret_rows, uint64_t *ret_ranges, CheckSuspects *suspects,
                  Error *reterr) MUST_CHECK;
// The same inside suspect ranges, cut narrower until few rows are left. Changes `split`.
int check_narrow(Check *check, const CheckTable *table, CheckPart part, CheckSplit *split,
                 CheckSuspects *suspects, Error *reterr) MUST_CHECK;
uint64_t check_modular(const char *text); // of a numeric of any size, modulo 2^64
// Keys (JSON, malloced) in suspect ranges whose rows are not the same on all nodes.
typedef struct CheckKeys {
    char **keys;
    size_t n, capacity;
    bool full; // CHECK_KEYS_MAX
} CheckKeys;
int check_rows(Check *check, const CheckTable *table, CheckPart part, const CheckSplit *split,
               const CheckSuspects *suspects, CheckKeys *keys, Error *reterr) MUST_CHECK;
void check_keys_done(CheckKeys *keys);
// Not there yet: added (malloced copy).
int check_keys_add(CheckKeys *keys, const char *key, Error *reterr) MUST_CHECK;

// -- fence --
typedef struct CheckFence {
    uint64_t origins[4]; // everything that these committed before is applied on all compared nodes
    char late[160];      // which link was not, or ""
} CheckFence;
int check_fence(Check *check, CheckFence *ret_fence, Error *reterr) MUST_CHECK;
bool check_fenced(const Check *check, const CheckFence *fence, uint32_t origin, int64_t v);

// -- looks --
// Reads the copies of keys: copies[n * mesh->n].
int check_look(Check *check, const CheckTable *table, char *const *keys, size_t n,
               CheckCopy *copies, Error *reterr) MUST_CHECK;
// Both looks, the fence between them, and the differences that are sure.
int check_judge_keys(Check *check, uint32_t table, char *const *keys, size_t n,
                     Error *reterr) MUST_CHECK;
// Sets check->tombstones_from. Asked after a look: the floor only rises.
int check_floor(Check *check, Error *reterr) MUST_CHECK;
int check_orphans(Check *check, uint32_t table, Error *reterr) MUST_CHECK;
int check_add(Check *check, const CheckDifference *difference, Error *reterr) MUST_CHECK;

// -- run --
typedef struct CheckOptions {
    const char *dir; // state folder
    const Conf *conf;
    int n_tables;
    char *const *tables;
    uint64_t rate;
    const char *application;
    const volatile sig_atomic_t *stop;
    void (*told)(Check *check);
} CheckOptions;

// Connects, reads who takes part and what is compared.
int check_open(const CheckOptions *options, Check *ret_check, Error *reterr) MUST_CHECK;
// With a mesh of the caller's (tests, benches).
int check_open_mesh(Mesh *mesh, const CheckOptions *options, Check *ret_check,
                    Error *reterr) MUST_CHECK;
void check_done(Check *check);
// One table. -ECANCELED: stopped; what was found so far is in check.
int check_table(Check *check, uint32_t table, Error *reterr) MUST_CHECK;
bool check_suspended(const Check *check); // check->stop was raised
void check_forget_differences(Check *check);

// -- report and state: both are the same JSON --
// `started` as text; NULL: now.
json_t *check_json(const Check *check);
void check_print(const json_t *report, FILE *out);
void check_print_difference(const json_t *difference, FILE *out);
void check_progress(Check *check); // a line on stderr, replaced on a terminal
void check_progress_end(void);
int check_state_write(const Check *check, const char *dir, Error *reterr) MUST_CHECK;
// Tables that an interrupted run has done are marked, its differences kept in check->before.
// ERROR_NOT_FOUND: there is none.
int check_state_read(Check *check, const char *dir, Error *reterr) MUST_CHECK;
void check_state_remove(const char *dir);
