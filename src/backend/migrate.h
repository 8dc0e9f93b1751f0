// SPDX-License-Identifier: MIT
// migrate: brings the database's schema to the newest of the migrations in this program. Each one
// runs in a transaction of its own, under one advisory lock, so that replicas may start at the same
// time; what was applied stands in wildcam.migrations with the digest of its text. A migration that
// was applied is never edited: another digest is an error. Ones newer than this program are left
// alone.
#pragma once
#include "error.h"

typedef struct Migration {
    int number;
    const char *name, *digest, *sql;
} Migration;

extern const Migration MIGRATIONS[]; // made from migrations/*.sql
extern const unsigned N_MIGRATIONS;

// Blocks, for some seconds at most; for a thread or a main. On a database that only reads it checks
// that all of them are there. ret_applied: how many this call applied.
int migrate_database(const char *conninfo, unsigned *ret_applied, Error *reterr) MUST_CHECK;
