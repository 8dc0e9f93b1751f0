// SPDX-License-Identifier: MIT
// rows_federate_check: everything that can be known before a table is federated. All regions are
// looked at and all problems told at once; nothing is changed.
#include <stdio.h>
#include <string.h>

#include "rows_federate.h"

static void problem(FederateCheck *check, const char *region, const char *what, const char *hint)
{
    buf_printf(&check->problems, "%s: %s%s%s\n", region, what, hint[0] != '\0' ? ": " : "", hint);
    check->n_problems++;
}

static void warn(FederateCheck *check, const char *text)
{
    if (strstr(buf_text(&check->warnings), text) != NULL) // the same in every region: once
        return;
    buf_printf(&check->warnings, "%s\n", text);
    check->n_warnings++;
}

static int read_shapes(const FederateMesh *fm, const char *table, TableKind kind,
                       FederateCheck *check, Error *reterr)
{
    for (uint32_t i = 0; i < fm->mesh->n; i++) {
        Error err CLEANUP(error_done) = ERROR_INIT;
        MeshNode *node = &fm->mesh->nodes[i];
        if (!federate_is_there(fm, i))
            continue;
        int r = table_shape_read(fm->mesh, node, table, kind, fm->arena, &check->shapes[i], &err);
        if (r == ERROR_NOT_FOUND) {
            problem(
                check, node->region, "has no such table",
                "create it there ('wildcam rows migrate' with CREATE TABLE does it everywhere)");
            continue;
        }
        if (r < 0)
            return error_set(reterr, r, "%s", error_text(&err));
        const TableShape *shape = check->shapes[i];
        for (uint32_t p = 0; p < shape->n_problems; p++)
            problem(check, node->region, shape->problems[p], "");
        if (strcmp(shape->schema, "wildcam") == 0)
            problem(check, node->region, "a table of the federation itself", "");
    }
    return 0;
}

static void compare_shapes(const FederateMesh *fm, FederateCheck *check)
{
    const TableShape *first = NULL;
    uint32_t from = 0;
    for (uint32_t i = 0; i < fm->mesh->n; i++) {
        Buf diff CLEANUP(buf_done) = BUF_INIT(65536);
        if (check->shapes[i] == NULL)
            continue;
        if (first == NULL) {
            first = check->shapes[i];
            from = i;
        } else if (table_shape_diff(first, check->shapes[i], &diff) > 0) {
            char what[160];
            (void)snprintf(what, sizeof what, "differs from %s", fm->mesh->nodes[from].region);
            for (char *line = strtok(diff.data, "\n"); line != NULL; line = strtok(NULL, "\n"))
                problem(check, fm->mesh->nodes[i].region, what, line);
        }
    }
}

static int check_owner(const FederateMesh *fm, MeshNode *node, FederateCheck *check, Error *reterr)
{
    PGresult *result = NULL;
    int r =
        mesh_query(fm->mesh, node,
                   "SELECT pg_has_role(c.relowner, 'USAGE'), format('ALTER TABLE %s OWNER TO %I; "
                   "or GRANT %I TO %I', $1::regclass, current_user, pg_get_userbyid(c.relowner), "
                   "current_user), (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) "
                   "FROM pg_class c WHERE c.oid = $1::regclass",
                   1, &check->table, &result, reterr);
    if (r < 0)
        return r;
    if (PQgetvalue(result, 0, 0)[0] != 't')
        problem(check, node->region, "the mesh's role does not own the table",
                PQgetvalue(result, 0, 1));
    PQclear(result);
    return 0;
}

// Triggers of others: those behind ours in the order of names change a row after it was journaled;
// those that fire on apply run in every region.
static int check_triggers(const FederateMesh *fm, MeshNode *node, TableKind kind,
                          FederateCheck *check, Error *reterr)
{
    static const char SQL[] =
        "SELECT tgname, tgenabled, (tgtype & 2) <> 0 AND (tgtype & 1) <> 0 AND (tgtype & 16) <> 0 "
        "AND "
        "tgname COLLATE \"C\" > 'zz_wildcam_update' AS late FROM pg_trigger WHERE tgrelid = "
        "$1::regclass AND NOT tgisinternal AND tgenabled <> 'D' AND tgname !~ '^(zz_)?wildcam_' "
        "ORDER BY tgname";
    PGresult *result = NULL;
    int r = mesh_query(fm->mesh, node, SQL, 1, &check->table, &result, reterr);
    if (r < 0)
        return r;
    for (int row = 0; row < PQntuples(result); row++) {
        const char *name = PQgetvalue(result, row, 0), *enabled = PQgetvalue(result, row, 1);
        char text[400];
        if (PQgetvalue(result, row, 2)[0] == 't' && kind == TABLE_KIND_LWW) {
            (void)snprintf(
                text, sizeof text,
                "its BEFORE UPDATE trigger '%s' sorts behind ours, so other regions would "
                "not get what it changes",
                name);
            problem(check, node->region, text, "ALTER TRIGGER ... RENAME to a name before 'zz'");
        } else if (enabled[0] != 'O') {
            (void)snprintf(
                text, sizeof text,
                "trigger '%s' also fires on rows that arrive (ENABLE %s): it must give the "
                "same in every region",
                name, enabled[0] == 'A' ? "ALWAYS" : "REPLICA");
            warn(check, text);
        }
    }
    PQclear(result);
    return 0;
}

static int check_foreign(const FederateMesh *fm, MeshNode *node, FederateCheck *check,
                         Error *reterr)
{
    static const char SQL[] =
        "SELECT o.conname, o.conrelid::regclass, o.confrelid::regclass FROM pg_constraint o JOIN "
        "pg_class c ON c.oid = CASE WHEN o.conrelid = $1::regclass THEN o.confrelid ELSE "
        "o.conrelid "
        "END JOIN pg_namespace s ON s.oid = c.relnamespace WHERE o.contype = 'f' AND $1::regclass "
        "IN "
        "(o.conrelid, o.confrelid) AND o.conrelid <> o.confrelid AND NOT EXISTS (SELECT FROM "
        "wildcam.federated f WHERE f.schema = s.nspname AND f.name = c.relname) ORDER BY 1";
    PGresult *result = NULL;
    int r = mesh_query(fm->mesh, node, SQL, 1, &check->table, &result, reterr);
    if (r < 0)
        return r;
    for (int row = 0; row < PQntuples(result); row++) {
        char text[400];
        (void)snprintf(
            text, sizeof text,
            "foreign key '%s' (%s to %s) crosses to a table that is not federated: in other "
            "regions rows may point to nothing",
            PQgetvalue(result, row, 0), PQgetvalue(result, row, 1), PQgetvalue(result, row, 2));
        warn(check, text);
    }
    PQclear(result);
    return 0;
}

int federate_check(const FederateMesh *fm, const char *table, TableKind kind, FederateCheck *check,
                   Error *reterr)
{
    Buf name CLEANUP(buf_done) = BUF_INIT(1024);
    *check = (FederateCheck){.problems = BUF_INIT(65536), .warnings = BUF_INIT(65536)};
    check->shapes = arena_new_array(fm->arena, TableShape *, fm->mesh->n);
    check->rows = arena_new_array(fm->arena, uint64_t, fm->mesh->n);
    if (check->shapes == NULL || check->rows == NULL)
        return error_set(reterr, ERROR_MEMORY, "%s", table);
    int r = read_shapes(fm, table, kind, check, reterr);
    if (r < 0)
        return r;
    compare_shapes(fm, check);
    for (uint32_t i = 0; r == 0 && i < fm->mesh->n; i++) {
        MeshNode *node = &fm->mesh->nodes[i];
        if (check->shapes[i] == NULL)
            continue;
        if (check->table == NULL) {
            table_shape_identifier(check->shapes[i], &name);
            check->table = arena_strdup(fm->arena, buf_text(&name));
        }
        r = check_owner(fm, node, check, reterr);
        if (r == 0)
            r = check_triggers(fm, node, kind, check, reterr);
        if (r == 0)
            r = check_foreign(fm, node, check, reterr);
    }
    return r;
}

void federate_check_done(FederateCheck *check)
{
    buf_done(&check->problems);
    buf_done(&check->warnings);
}
