// SPDX-License-Identifier: MIT
// rows-sql: prints the federation's SQL for one database. For tests that build meshes with plain
// connections, and to read. Every text is a script; tables are given as NUMBER:KIND:TABLE.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attr.h"
#include "mesh.h"
#include "mesh_sql.h"

#define TABLES_MAX 256

typedef struct Job {
    MeshSqlNode node;
    const char *conninfo;
    char **specs;
    uint32_t n;
    Arena *arena;
    MeshSqlTable tables[TABLES_MAX];
    Buf sql;
} Job;

typedef int Verb(Job *job, Error *reterr);

static int read_table(Mesh *mesh, const char *spec, Arena *arena, MeshSqlTable *table,
                      Error *reterr)
{
    char *end = NULL;
    unsigned long number = strtoul(spec, &end, 10);
    const char *name = *end == ':' ? strchr(end + 1, ':') : NULL;
    if (name == NULL || number == 0)
        return error_set(reterr, ERROR_USAGE, "'%s' is not NUMBER:KIND:TABLE", spec);
    bool lww = strncmp(end, ":lww:", 5) == 0;
    if (!lww && strncmp(end, ":insert-only:", 13) != 0)
        return error_set(reterr, ERROR_USAGE, "'%s': kind is lww or insert-only", spec);
    TableShape *shape = NULL;
    TableKind kind = lww ? TABLE_KIND_LWW : TABLE_KIND_INSERT_ONLY;
    int r = table_shape_read(mesh, &mesh->nodes[0], name + 1, kind, arena, &shape, reterr);
    *table = (MeshSqlTable){(uint32_t)number, kind, shape};
    return r;
}

static int read_tables(Job *job, Error *reterr)
{
    MeshOptions options = {.application = "rows-sql"};
    Mesh *mesh = NULL;
    int r = mesh_open_conninfos(&job->conninfo, &job->node.origin, 1, &options, &mesh, reterr);
    if (r == 0)
        r = mesh_need_all(mesh, reterr);
    for (uint32_t i = 0; r == 0 && i < job->n; i++)
        r = read_table(mesh, job->specs[i], job->arena, &job->tables[i], reterr);
    mesh = mesh_free(mesh);
    return r;
}

static int do_problems(Job *job, Error *reterr)
{
    for (uint32_t i = 0; i < job->n; i++) {
        const TableShape *shape = job->tables[i].shape;
        for (uint32_t k = 0; k < shape->n_problems; k++)
            buf_printf(&job->sql, "%s.%s %s\n", shape->schema, shape->name, shape->problems[k]);
    }
    return job->sql.len > 0 ? ERROR_NOT_HELD : 0;
}

static int do_roles(Job *job, Error *reterr)
{
    return mesh_sql_roles(&job->sql, reterr);
}

static int do_base(Job *job, Error *reterr)
{
    return mesh_sql_base(&job->node, &job->sql, reterr);
}

static int do_table(Job *job, Error *reterr)
{
    Error problems CLEANUP(error_done) = ERROR_INIT;
    int r = do_problems(job, &problems);
    for (uint32_t i = 0; r == 0 && i < job->n; i++)
        r = mesh_sql_table(&job->node, &job->tables[i], &job->sql, reterr);
    return r;
}

static int do_drop(Job *job, Error *reterr)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < job->n; i++)
        r = mesh_sql_drop_table(&job->tables[i], &job->sql, reterr);
    return r;
}

static int do_publication(Job *job, Error *reterr)
{
    return mesh_sql_publication(&job->node, job->tables, job->n, &job->sql, reterr);
}

static int do_digest(Job *job, Error *reterr)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < job->n; i++) {
        char text[65];
        r = mesh_sql_digest(&job->tables[i], text, reterr);
        if (r == 0)
            buf_printf(&job->sql, "%u %s\n", job->tables[i].number, text);
    }
    return r;
}

typedef struct Row {
    const char *name;
    Verb *verb;
    int n_min;   // arguments
    bool tables; // ORIGIN REGION CONNINFO TABLE ...; else as `usage` says
    const char *usage;
} Row;

static const Row rows[] = {
    {"roles", do_roles, 0, false, "roles"},
    {"base", do_base, 4, false, "base ORIGIN REGION CLOUD MESH"},
    {"table", do_table, 4, true, "table ORIGIN REGION CONNINFO NUMBER:KIND:TABLE ..."},
    {"publication", do_publication, 3, true, "publication ORIGIN REGION CONNINFO TABLE ..."},
    {"drop", do_drop, 4, true, "drop ORIGIN REGION CONNINFO TABLE ..."},
    {"problems", do_problems, 4, true, "problems ORIGIN REGION CONNINFO TABLE ..."},
    {"digest", do_digest, 4, true, "digest ORIGIN REGION CONNINFO TABLE ..."},
};

static int usage(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        fprintf(stderr, "%s rows-sql %s\n", i == 0 ? "usage:" : "      ", rows[i].usage);
    return 2;
}

static int run(Job *job, const Row *row, char **args, int n, Error *reterr)
{
    int r = 0;
    job->node.mesh_name = job->node.cloud = "";
    if (row->n_min > 0) {
        job->node.origin = (uint32_t)strtoul(args[0], NULL, 10);
        job->node.region = args[1];
    }
    if (row->tables) {
        job->conninfo = args[2];
        job->specs = args + 3;
        job->n = (uint32_t)(n - 3);
        r = read_tables(job, reterr);
    } else if (row->n_min > 0) {
        job->node.cloud = args[2];
        job->node.mesh_name = args[3];
    }
    if (r == 0)
        r = row->verb(job, reterr);
    fputs(buf_text(&job->sql), r == ERROR_NOT_HELD ? stderr : stdout);
    return r;
}

int main(int argc, char **argv)
{
    Error err CLEANUP(error_done) = ERROR_INIT;
    const Row *row = NULL;
    for (size_t i = 0; argc > 1 && i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, argv[1]) == 0)
            row = &rows[i];
    if (row == NULL || argc - 2 < row->n_min || argc - 2 > TABLES_MAX)
        return usage();
    Job job = {.arena = arena_new(64U << 20), .sql = BUF_INIT(64U << 20)};
    int r = job.arena != NULL ? run(&job, row, argv + 2, argc - 2, &err) : ERROR_MEMORY;
    if (r < 0 && r != ERROR_NOT_HELD)
        fprintf(stderr, "rows-sql: %s\n", error_text(&err));
    buf_done(&job.sql);
    job.arena = arena_free(job.arena);
    return error_exit_code(r);
}
