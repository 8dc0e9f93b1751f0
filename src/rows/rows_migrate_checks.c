// SPDX-License-Identifier: MIT
// rows_migrate_checks: what each statement is about, and every reason not to begin. All of it is
// told before anything is changed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows_migrate.h"

static MeshNode *first_there(const MigrateRun *run)
{
    for (uint32_t i = 0; i < run->fm->mesh->n; i++)
        if (federate_is_there(run->fm, i))
            return &run->fm->mesh->nodes[i];
    return NULL; // never: federate_open needs one
}

// A table that an earlier statement of the file makes.
static bool is_new(const MigrateRun *run, uint32_t statement, const char *table)
{
    for (uint32_t i = 0; table != NULL && i < statement; i++)
        if (run->file->statements[i].class == MIGRATE_CREATE_TABLE &&
            strcmp(run->file->statements[i].table, table) == 0)
            return true;
    return false;
}

// The table's full name and its number; `table` may be that of an index. 0 rows: there is none.
static const char LEARN_TABLE[] =
    "SELECT quote_ident(s.nspname) || '.' || quote_ident(c.relname), f.number, f.kind FROM "
    "pg_class c "
    "JOIN pg_namespace s ON s.oid = c.relnamespace LEFT JOIN wildcam.federated f ON f.schema = "
    "s.nspname AND f.name = c.relname WHERE c.oid = to_regclass($1)";
// An index that makes no key of a federated table is none of its business.
static const char LEARN_INDEX[] =
    "SELECT quote_ident(s.nspname) || '.' || quote_ident(c.relname), CASE WHEN i.indisunique THEN "
    "f.number END, f.kind FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace "
    "s ON "
    "s.oid = c.relnamespace LEFT JOIN wildcam.federated f ON f.schema = s.nspname AND f.name = "
    "c.relname WHERE i.indexrelid = to_regclass($1)";

static void index_name(const MigrateStatement *s, Buf *name)
{
    if (s->schema != NULL) {
        migrate_quote(s->schema, name);
        buf_add_char(name, '.');
    }
    migrate_quote(s->name, name);
}

int migrate_learn(MigrateRun *run, uint32_t i, Error *reterr)
{
    const MigrateStatement *s = &run->file->statements[i];
    MigrateFact *fact = &run->facts[i];
    Buf name CLEANUP(buf_done) = BUF_INIT(1024);
    bool index = s->class == MIGRATE_DROP_INDEX;
    if (fact->known)
        return 0;
    *fact = (MigrateFact){.known = true, .table = s->table};
    if (index)
        index_name(s, &name);
    else if (s->table == NULL || s->class == MIGRATE_CREATE_TABLE || is_new(run, i, s->table))
        return 0;
    const char *params[] = {index ? buf_text(&name) : s->table};
    for (uint32_t k = 0; k < run->fm->mesh->n; k++) {
        PGresult *result = NULL;
        if (!federate_is_there(run->fm, k))
            continue;
        int r = mesh_query(run->fm->mesh, &run->fm->mesh->nodes[k],
                           index ? LEARN_INDEX : LEARN_TABLE, 1, params, &result, reterr);
        if (r < 0)
            return r;
        bool there = PQntuples(result) == 1;
        if (there) {
            fact->table = arena_strdup(run->fm->arena, PQgetvalue(result, 0, 0));
            if (PQgetisnull(result, 0, 1) == 0)
                fact->number = (uint32_t)strtoul(PQgetvalue(result, 0, 1), NULL, 10);
            fact->kind = strcmp(PQgetvalue(result, 0, 2), "lww") == 0 ? TABLE_KIND_LWW
                                                                      : TABLE_KIND_INSERT_ONLY;
        }
        PQclear(result);
        if (there)
            break;
    }
    return fact->table == NULL && !index ? error_set(reterr, ERROR_MEMORY, "%s", s->text) : 0;
}

typedef struct Checking {
    MigrateRun *run;
    const MigrateStatement *s;
    const MigrateFact *fact;
    Buf *problems;
    int n;
} Checking;

static void problem(Checking *checking, const char *region, const char *what)
{
    buf_printf(checking->problems, "line %u: %s%s%s\n", checking->s->line,
               region != NULL ? region : "", region != NULL ? ": " : "", what);
    checking->n++;
}

static int ask(Checking *checking, MeshNode *node, const char *sql, char *text, size_t size,
               Error *reterr)
{
    PGresult *result = NULL;
    int r = mesh_query(checking->run->fm->mesh, node, sql, 0, NULL, &result, reterr);
    if (r < 0)
        return r;
    (void)snprintf(text, size, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return 0;
}

static const TableColumn *find_column(const TableShape *shape, const char *name, uint32_t *ret_at)
{
    for (uint32_t i = 0; name != NULL && i < shape->n_columns; i++)
        if (strcmp(shape->columns[i].name, name) == 0) {
            *ret_at = i;
            return &shape->columns[i];
        }
    return NULL;
}

static bool in_key(const TableKey *key, uint32_t column)
{
    for (uint32_t i = 0; i < key->n; i++)
        if (key->columns[i] == column)
            return true;
    return false;
}

static void check_dropped(Checking *checking, const TableShape *shape, const char *region)
{
    uint32_t at;
    char what[256];
    if (find_column(shape, checking->s->name, &at) == NULL) {
        if (!checking->s->exists)
            problem(checking, region, "the table has no such column");
        else
            problem(checking, region,
                    "the table has no such column; a column that some regions lack: leave the "
                    "statement out, or add it there first");
        return;
    }
    if (in_key(&shape->primary, at))
        problem(checking, region,
                "the column is part of the primary key, which names rows everywhere");
    for (uint32_t k = 0; k < shape->n_uniques; k++)
        if (in_key(&shape->uniques[k], at)) {
            (void)snprintf(what, sizeof what,
                           "the column is part of the unique key '%s': DROP INDEX that first",
                           shape->uniques[k].name);
            problem(checking, region, what);
        }
    for (uint32_t k = 0; k < shape->n_foreigns; k++)
        if (in_key(&shape->foreigns[k].from, at))
            problem(checking, region,
                    "the column is part of a foreign key: drop that constraint first");
}

// Values that rows share already, rows of a check that does not hold.
static int check_rows(Checking *checking, MeshNode *node, Error *reterr)
{
    const MigrateStatement *s = checking->s;
    Buf sql CLEANUP(buf_done) = BUF_INIT(65536);
    char count[32], what[160];
    if (s->check != NULL) {
        buf_printf(&sql, "SELECT count(*) FROM %s WHERE (%s) IS FALSE", checking->fact->table,
                   s->check);
    } else {
        Buf names CLEANUP(buf_done) = BUF_INIT(8192), set CLEANUP(buf_done) = BUF_INIT(8192);
        for (uint32_t c = 0; c < s->n_columns; c++) {
            buf_add_text(&names, c > 0 ? ", " : "");
            buf_add_text(&set, c > 0 ? " AND " : "");
            migrate_quote(s->columns[c], &names);
            migrate_quote(s->columns[c], &set);
            buf_add_text(&set, " IS NOT NULL");
        }
        buf_printf(
            &sql,
            "SELECT coalesce(sum(n), 0) FROM (SELECT count(*) - 1 AS n FROM %s WHERE %s GROUP BY "
            "%s HAVING count(*) > 1) x",
            checking->fact->table, buf_text(&set), buf_text(&names));
    }
    int r = ask(checking, node, buf_text(&sql), count, sizeof count, reterr);
    if (r < 0 || strcmp(count, "0") == 0)
        return r;
    (void)snprintf(what, sizeof what,
                   s->check != NULL
                       ? "%s rows violate it: correct them first, in one region"
                       : "%s rows have a value that another row has: correct them first, "
                         "in one region",
                   count);
    problem(checking, node->region, what);
    return 0;
}

static int check_key(Checking *checking, const TableShape *shape, MeshNode *node, Error *reterr)
{
    const MigrateStatement *s = checking->s;
    uint32_t at;
    if (s->partial || s->nulls_equal)
        problem(checking, NULL,
                "a unique index with WHERE or NULLS NOT DISTINCT cannot be federated");
    if (s->concurrently)
        problem(
            checking, NULL,
            "a unique key of a federated table is made while writers wait: leave CONCURRENTLY out");
    for (uint32_t c = 0; c < s->n_columns; c++)
        if (s->columns[c] == NULL) {
            problem(checking, NULL, "a unique index on an expression cannot be federated");
            return 0;
        } else if (find_column(shape, s->columns[c], &at) == NULL) {
            return 0; // a column that this file adds
        }
    return check_rows(checking, node, reterr);
}

static bool adds_column(const MigrateRun *run, uint32_t statement, const MigrateStatement *s)
{
    for (uint32_t i = 0; i < statement; i++) {
        const MigrateStatement *before = &run->file->statements[i];
        if (before->class == MIGRATE_ADD_COLUMN && strcmp(before->table, s->table) == 0)
            return true;
    }
    return false;
}

static int check_federated(Checking *checking, MeshNode *node, uint32_t i, Error *reterr)
{
    const MigrateStatement *s = checking->s;
    FederatedTable table = {.number = checking->fact->number,
                            .kind = checking->fact->kind,
                            .table = checking->fact->table};
    const TableShape *shape = NULL;
    uint32_t at;
    int r = federate_shape(checking->run->fm, node, &table, NULL, &shape, reterr);
    if (r < 0)
        return r;
    switch (s->class) {
    case MIGRATE_ADD_COLUMN:
        if (find_column(shape, s->name, &at) != NULL)
            problem(checking, node->region, "the table has this column already");
        return 0;
    case MIGRATE_DROP_COLUMN:
        if (!adds_column(checking->run, i, s))
            check_dropped(checking, shape, node->region);
        return 0;
    case MIGRATE_CREATE_INDEX:
        if (s->unique && checking->fact->kind == TABLE_KIND_INSERT_ONLY)
            problem(
                checking, NULL,
                "a unique key of an insert-only table: two regions could not agree on the loser");
        else if (s->unique)
            return check_key(checking, shape, node, reterr);
        return 0;
    case MIGRATE_ADD_CONSTRAINT:
        return s->check != NULL && !adds_column(checking->run, i, s)
                   ? check_rows(checking, node, reterr)
                   : 0;
    case MIGRATE_DROP_INDEX:
        if (s->concurrently)
            problem(checking, NULL, "a unique key of a federated table: leave CONCURRENTLY out");
        return 0;
    case MIGRATE_CREATE_TABLE:
    case MIGRATE_DROP_TABLE:
    case MIGRATE_VALIDATE_CONSTRAINT:
    case MIGRATE_CREATE_TYPE:
    case MIGRATE_ADD_VALUE:
    case MIGRATE_COMMENT:
    case MIGRATE_CLASS_MAX:
        break;
    }
    return 0;
}

// Tables that are not there, that are there already, that are federated.
static int check_there(Checking *checking, MeshNode *node, uint32_t i, Error *reterr)
{
    const MigrateStatement *s = checking->s;
    Buf sql CLEANUP(buf_done) = BUF_INIT(4096);
    char there[8];
    ASSERT(node != NULL);
    bool needs =
        s->table != NULL && s->class != MIGRATE_CREATE_TABLE && !is_new(checking->run, i, s->table);
    if (s->table == NULL || (!needs && s->class != MIGRATE_CREATE_TABLE))
        return 0;
    buf_add_text(&sql, "SELECT to_regclass(");
    migrate_quote_text(s->table, &sql);
    buf_add_text(&sql, ") IS NOT NULL");
    int r = ask(checking, node, buf_text(&sql), there, sizeof there, reterr);
    if (r < 0)
        return r;
    if (needs && there[0] != 't' && !(s->class == MIGRATE_DROP_TABLE && s->exists))
        problem(checking, node->region, "there is no such table");
    if (s->class == MIGRATE_CREATE_TABLE && there[0] == 't' && !s->exists)
        problem(checking, node->region, "the table is there already");
    return 0;
}

int migrate_check(MigrateRun *run, Buf *problems, Error *reterr)
{
    Checking checking = {.run = run, .problems = problems};
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < run->file->n; i++) {
        checking.s = &run->file->statements[i];
        r = migrate_learn(run, i, reterr);
        checking.fact = &run->facts[i];
        if (r == 0 && checking.s->class == MIGRATE_DROP_TABLE && checking.fact->number != 0)
            problem(
                &checking, NULL,
                "the table is federated: 'wildcam rows federate TABLE --drop' takes it out first");
        if (r == 0 && checking.s->class == MIGRATE_DROP_INDEX && checking.fact->table == NULL &&
            !checking.s->exists && first_there(run) != NULL)
            problem(&checking, NULL, "there is no such index");
        for (uint32_t k = 0; r == 0 && k < run->fm->mesh->n; k++) {
            int before = checking.n;
            if (!federate_is_there(run->fm, k))
                continue;
            r = check_there(&checking, &run->fm->mesh->nodes[k], i, reterr);
            if (r == 0 && checking.n == before && checking.fact->number != 0)
                r = check_federated(&checking, &run->fm->mesh->nodes[k], i, reterr);
        }
    }
    return r < 0 ? r : checking.n;
}
