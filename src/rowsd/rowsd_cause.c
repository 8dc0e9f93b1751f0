// SPDX-License-Identifier: MIT
// rowsd_cause: see rowsd_cause.h.
#include "rowsd_cause.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "layout.h"
#include "rowsd_facts.h"

#define LOG_BYTES 65536

// What the publisher's publication sends: "schema", "table", "column" rows as JSON.
static const char SENT[] =
    "SELECT coalesce(jsonb_agg(jsonb_build_object('s', t.schemaname, 't', t.tablename, 'c', c)), "
    "'[]') FROM pg_publication_tables t, unnest(t.attnames) c WHERE t.pubname = 'wildcam'";
static const char MISSING[] =
    "SELECT string_agg(DISTINCT CASE WHEN r.oid IS NULL THEN format('table %I.%I is missing here', "
    "x.s, x.t) ELSE format('column %I of %I.%I is missing here', x.c, x.s, x.t) END, ', ') "
    "FROM jsonb_to_recordset($1::jsonb) AS x(s name, t name, c name) "
    "LEFT JOIN pg_namespace n ON n.nspname = x.s "
    "LEFT JOIN pg_class r ON r.relnamespace = n.oid AND r.relname = x.t "
    "LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attname = x.c AND NOT a.attisdropped "
    "WHERE a.attname IS NULL";

static void find_mismatch(const CauseWanted *wanted, char *text, size_t size)
{
    PGresult *sent = NULL, *missing = NULL;
    if (wanted->publisher == NULL || wanted->publisher->conn == NULL ||
        mesh_query(wanted->mesh, wanted->publisher, SENT, 0, NULL, &sent, NULL) < 0)
        return;
    const char *params[] = {PQgetvalue(sent, 0, 0)};
    if (mesh_query(wanted->mesh, wanted->own, MISSING, 1, params, &missing, NULL) >= 0 &&
        PQgetisnull(missing, 0, 0) == 0)
        (void)snprintf(text, size, "%s sends more than there is here: %s",
                       wanted->publisher->region, PQgetvalue(missing, 0, 0));
    PQclear(sent);
    PQclear(missing);
}

static void find_in_log(const CauseWanted *wanted, const char *origin, char *text, size_t size)
{
    const LayoutPath path = layout_region(wanted->dir, wanted->own->region, "log/postgres.log");
    int fd CLEANUP(fd_closep) = open(path.text, O_RDONLY | O_CLOEXEC);
    char log[LOG_BYTES + 1];
    if (fd < 0)
        return;
    off_t end = lseek(fd, 0, SEEK_END);
    ssize_t n = pread(fd, log, LOG_BYTES, end > LOG_BYTES ? end - LOG_BYTES : 0);
    if (n <= 0)
        return;
    log[n] = '\0';
    (void)rowsd_cause_of_log(log, origin, text, size);
}

void rowsd_cause_find(const CauseWanted *wanted, char *text, size_t size)
{
    text[0] = '\0';
    find_mismatch(wanted, text, size);
    if (text[0] != '\0')
        return;
    PGresult *result = NULL;
    const char *params[] = {wanted->subscription};
    if (mesh_query(wanted->mesh, wanted->own,
                   "SELECT 'pg_' || oid FROM pg_subscription WHERE subname = $1", 1, params,
                   &result, NULL) >= 0 &&
        PQntuples(result) == 1)
        find_in_log(wanted, PQgetvalue(result, 0, 0), text, size);
    PQclear(result);
}
