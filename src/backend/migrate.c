// SPDX-License-Identifier: MIT
// migrate: see migrate.h.
#include "migrate.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

// Any constant that nobody else uses: "wcmigr" in ASCII.
#define LOCK "SELECT pg_advisory_lock(131277223585650)"

static void finishp(PGconn **conn)
{
    PQfinish(*conn);
}

static int failed(PGconn *conn, const PGresult *result, const char *what, Error *reterr)
{
    const char *message = result != NULL ? PQresultErrorMessage(result) : PQerrorMessage(conn);
    int code = PQstatus(conn) == CONNECTION_OK ? ERROR_CONFLICT : ERROR_UNAVAILABLE;
    return error_set(reterr, code, "%s: %.*s", what, (int)strcspn(message, "\n"), message);
}

static int run(PGconn *conn, const char *sql, const char *what, Error *reterr)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    int r = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK
                ? 0
                : failed(conn, result, what, reterr);
    PQclear(result);
    return r;
}

// 1: applied with this text, 0: not applied.
static int is_applied(PGconn *conn, const Migration *migration, Error *reterr)
{
    char number[16];
    const char *params[] = {number};
    (void)snprintf(number, sizeof number, "%d", migration->number);
    PGresult *result =
        PQexecParams(conn, "SELECT digest FROM wildcam.migrations WHERE number = $1::integer", 1,
                     NULL, params, NULL, NULL, 0);
    int r;
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        r = failed(conn, result, "read wildcam.migrations", reterr);
    else if (PQntuples(result) == 0)
        r = 0;
    else if (strcmp(PQgetvalue(result, 0, 0), migration->digest) != 0)
        r = error_set(reterr, ERROR_CONFLICT,
                      "migration %d '%s' was applied to this database with another text",
                      migration->number, migration->name);
    else
        r = 1;
    PQclear(result);
    return r;
}

static int record(PGconn *conn, const Migration *migration, Error *reterr)
{
    char number[16];
    const char *params[] = {number, migration->name, migration->digest};
    (void)snprintf(number, sizeof number, "%d", migration->number);
    PGresult *result = PQexecParams(conn,
                                    "INSERT INTO wildcam.migrations (number, name, digest) "
                                    "VALUES ($1::integer, $2, $3)",
                                    3, NULL, params, NULL, NULL, 0);
    int r = PQresultStatus(result) == PGRES_COMMAND_OK
                ? 0
                : failed(conn, result, "record in wildcam.migrations", reterr);
    PQclear(result);
    return r;
}

static int apply(PGconn *conn, const Migration *migration, Error *reterr)
{
    int r = run(conn, "BEGIN", "begin", reterr);
    if (r >= 0)
        r = run(conn, migration->sql, "run", reterr);
    if (r >= 0)
        r = record(conn, migration, reterr);
    if (r >= 0)
        r = run(conn, "COMMIT", "commit", reterr);
    if (r < 0) {
        (void)run(conn, "ROLLBACK", "roll back", NULL);
        return error_wrap(reterr, r, "migration %d '%s'", migration->number, migration->name);
    }
    return 0;
}

static int is_read_only(PGconn *conn, Error *reterr)
{
    PGresult *result = PQexec(conn, "SELECT pg_is_in_recovery()");
    int r = PQresultStatus(result) == PGRES_TUPLES_OK
                ? PQgetvalue(result, 0, 0)[0] == 't'
                : failed(conn, result, "look at the database", reterr);
    PQclear(result);
    return r;
}

static int prepare(PGconn *conn, bool read_only, Error *reterr)
{
    int r = run(conn,
                "SET lock_timeout = '5s'; SET statement_timeout = '30s'; "
                "SET client_min_messages = warning",
                "set limits", reterr);
    if (r < 0 || read_only)
        return r;
    r = run(conn, LOCK, "wait for another program that migrates", reterr);
    if (r < 0)
        return r;
    return run(conn,
               "CREATE SCHEMA IF NOT EXISTS wildcam; "
               "CREATE TABLE IF NOT EXISTS wildcam.migrations ("
               "number integer PRIMARY KEY, name text NOT NULL, digest text NOT NULL, "
               "applied_at timestamptz NOT NULL DEFAULT now())",
               "make wildcam.migrations", reterr);
}

static int migrate(PGconn *conn, unsigned *ret_applied, Error *reterr)
{
    unsigned applied = 0;
    int read_only = is_read_only(conn, reterr);
    if (read_only < 0)
        return read_only;
    int r = prepare(conn, read_only == 1, reterr);
    for (unsigned i = 0; r >= 0 && i < N_MIGRATIONS; i++) {
        r = is_applied(conn, &MIGRATIONS[i], reterr);
        if (r != 0)
            continue;
        if (read_only == 1)
            return error_set(reterr, ERROR_UNAVAILABLE,
                             "migration %d '%s' is missing and the database only reads",
                             MIGRATIONS[i].number, MIGRATIONS[i].name);
        r = apply(conn, &MIGRATIONS[i], reterr);
        applied++;
    }
    if (r >= 0)
        *ret_applied = applied;
    return r < 0 ? r : 0;
}

int migrate_database(const char *conninfo, unsigned *ret_applied, Error *reterr)
{
    CLEANUP(finishp) PGconn *conn = PQconnectdb(conninfo);
    int r;
    if (conn == NULL || PQstatus(conn) != CONNECTION_OK)
        r = failed(conn, NULL, "connect", reterr);
    else
        r = migrate(conn, ret_applied, reterr); // the lock ends with the connection
    return r < 0 ? error_wrap(reterr, r, "migrate the database") : 0;
}
