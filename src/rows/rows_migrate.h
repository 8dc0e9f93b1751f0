// SPDX-License-Identifier: MIT
// rows_migrate: schema changes rolled through the mesh. The file is cut into tokens
// (rows_migrate_lex.c) and statements, each is one of few classes or refused with a reason
// (rows_migrate_classify.c; both pure, fuzzed), each class is a row of phases
// (rows_migrate_phases.c), and the phases run at all regions in an order in which nothing is lost
// (rows_migrate_run.c). What a region has done is written there, in the same transaction as the
// change itself: so a run that was killed, or that missed a region, is ended by the same command.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "error.h"
#include "mesh.h"
#include "rows_federate.h"
#include "table_shape.h"

#define MIGRATE_BYTES_MAX (1u << 20) // of a file
#define MIGRATE_STATEMENTS_MAX 500u
#define MIGRATE_TOKENS_MAX 20000u // of one statement

typedef enum MigrateTokenKind {
    MIGRATE_TOKEN_WORD,   // unquoted: `text` in lower case; also keywords
    MIGRATE_TOKEN_QUOTED, // "Name": `text` without the quotes
    MIGRATE_TOKEN_NUMBER,
    MIGRATE_TOKEN_STRING, // 'x', E'x', $$x$$: `text` is the content as it is written
    MIGRATE_TOKEN_SIGN,   // one character, or "::"
    MIGRATE_TOKEN_END,    // ';', or the end of the file
} MigrateTokenKind;

typedef struct MigrateToken {
    MigrateTokenKind kind;
    const char *text;
    uint32_t begin, end; // bytes of the file
    uint32_t line;       // 1-based
    bool plain;          // a string without escapes: 'x' with nothing doubled inside
} MigrateToken;

typedef struct MigrateTokens {
    MigrateToken *items; // in the arena
    size_t n, capacity;
} MigrateTokens;

// The next statement's tokens from *pos on, with its END. 1: there is one; 0: nothing but space and
// comments is left; ERROR_FORMAT with "line N: ...".
int migrate_lex(const char *bytes, size_t len, size_t *pos, uint32_t *line, Arena *arena,
                MigrateTokens *ret_tokens, Error *reterr) MUST_CHECK;

typedef enum MigrateClass {
    MIGRATE_ADD_COLUMN,
    MIGRATE_DROP_COLUMN,
    MIGRATE_CREATE_TABLE,
    MIGRATE_DROP_TABLE,
    MIGRATE_CREATE_INDEX,
    MIGRATE_DROP_INDEX,
    MIGRATE_ADD_CONSTRAINT,
    MIGRATE_VALIDATE_CONSTRAINT,
    MIGRATE_CREATE_TYPE,
    MIGRATE_ADD_VALUE,
    MIGRATE_COMMENT,
    MIGRATE_CLASS_MAX,
} MigrateClass;

const char *migrate_class_name(MigrateClass class); // "add column"

typedef struct MigrateStatement {
    MigrateClass class;
    const char *text; // as in the file, without the semicolon
    uint32_t line;
    const char *table;          // quoted as in SQL: "items", "shop"."Odd Name"; NULL: none
    const char *name;           // column, index or constraint, as it is (not quoted)
    const char *schema;         // of an index that is dropped; NULL: by the search path
    const char *type;           // of a new column, as written
    const char *default_text;   // of a new column: a constant, as written; NULL: none
    const char *check;          // of a CHECK constraint: the expression with its parentheses
    const char *const *columns; // of an index; NULL for those that are expressions
    uint32_t n_columns;
    bool not_null, concurrently, unique, exists; // exists: IF [NOT] EXISTS was written
    bool partial, nulls_equal;                   // of an index
    bool foreign;                                // constraint
} MigrateStatement;

// `text` is the file. ERROR_USAGE: "line N: ...: why not", and a hint what to do instead.
int migrate_classify(const char *bytes, const MigrateTokens *tokens, Arena *arena,
                     MigrateStatement *ret_statement, Error *reterr) MUST_CHECK;

typedef struct MigrateFile {
    const char *name; // as given
    char id[17];      // 64 bits of hash of its bytes, as hex
    uint32_t n;
    MigrateStatement *statements;
} MigrateFile;

// All of them; strings live in the arena. ERROR_FORMAT, ERROR_USAGE, ERROR_LIMIT.
int migrate_parse(const char *name, const char *bytes, size_t len, Arena *arena,
                  MigrateFile *ret_file, Error *reterr) MUST_CHECK;

// "a" as "\"a\"": for SQL.
void migrate_quote(const char *name, Buf *buf);
void migrate_quote_text(const char *text, Buf *buf); // as a string literal

#define MIGRATE_PHASES_MAX 3

typedef struct MigrateFact { // what a statement is about, kept while it runs
    bool known;
    uint32_t number; // of the federated table; 0: of none
    TableKind kind;
    const char *table; // quoted, with its schema
} MigrateFact;

typedef struct MigrateRun {
    FederateMesh *fm;
    const MigrateFile *file;
    MigrateFact *facts;   // [file->n]
    uint8_t **done;       // [mesh->n][file->n]: bit p: phase p is done there
    bool *known;          // [mesh->n]: has a row of this run
    bool begun, finished; // some node has a row; all that are there say it is over
    bool json, plan, yes, abandon;
} MigrateRun;

typedef struct MigratePhase {
    const char *what;
    bool barrier; // every member must have done the phase before
    bool settle;  // and whatever was written by then must be applied everywhere
    bool all;     // every member must be reachable now
    bool alone;   // cannot be in a transaction
    int (*run)(MigrateRun *run, uint32_t statement, MeshNode *node, Error *reterr);
} MigratePhase;

// rows_migrate_phases.c: how a statement is done; ends with what == NULL.
const MigratePhase *migrate_phases(const MigrateStatement *statement, const MigrateFact *fact);
// rows_migrate_checks.c: finds out what the statement is about.
int migrate_learn(MigrateRun *run, uint32_t statement, Error *reterr) MUST_CHECK;
// Every reason not to begin, one a line; returns how many.
int migrate_check(MigrateRun *run, Buf *problems, Error *reterr) MUST_CHECK;

typedef struct MigrateStop { // where the run came to its end for now
    uint32_t statement, phase;
    bool stopped; // a phase must wait for others
    Buf away;     // regions that have not done everything
    uint32_t ran; // phases run now, over all regions
} MigrateStop;

// rows_migrate_run.c
int migrate_read(MigrateRun *run, Error *reterr) MUST_CHECK;
// Ends a run that cannot go on; ERROR_CONFLICT while a statement is done in some regions only.
int migrate_abandon(MigrateRun *run, Error *reterr) MUST_CHECK;
int migrate_go(MigrateRun *run, MigrateStop *ret_stop, Error *reterr) MUST_CHECK;
// rows_migrate_print.c
void migrate_print_plan(const MigrateRun *run);
void migrate_print_result(const MigrateRun *run, const MigrateStop *stop);
