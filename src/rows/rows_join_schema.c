// SPDX-License-Identifier: MIT
// rows_join_schema: tables of a donor, made in another database: pg_dump writes the SQL, we run it.
// Triggers stay out: ours are made by the federation's own SQL, and those of others call functions
// that need not be there. Types and functions that a column needs must be there: the error says so.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "files.h"
#include "rows_join.h"

#define PG_DUMP "/usr/lib/postgresql/15/bin/pg_dump"
#define OUTPUT_MAX (16U << 20)
#define TABLES_MAX 1000

static int read_all(int fd, Buf *out)
{
    char bytes[16384];
    for (;;) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        buf_add(out, bytes, (size_t)n);
    }
}

static int run_dump(char **argv, Buf *out, Error *reterr)
{
    int pipes[2];
    pid_t pid = 0;
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return error_errno(reterr, errno, "pipe");
    pid = fork();
    if (pid == 0) {
        if (dup2(pipes[1], STDOUT_FILENO) >= 0)
            (void)execv(argv[0], argv);
        (void)dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    int failed = pid < 0 ? errno : 0;
    files_close(pipes[1]);
    int r = failed != 0 ? error_errno(reterr, failed, "%s", argv[0]) : 0;
    if (r == 0 && read_all(pipes[0], out) < 0)
        r = error_set(reterr, -EIO, "%s: its output could not be read", argv[0]);
    files_close(pipes[0]);
    int status = 0;
    while (failed == 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (r == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        r = error_set(reterr, ERROR_CONFLICT, "%s failed; its words are above", argv[0]);
    return r < 0 ? r
           : buf_check(out) < 0
               ? error_set(reterr, ERROR_LIMIT, "the tables' SQL is longer than %u MiB",
                           OUTPUT_MAX >> 20)
               : 0;
}

// pg_dump writes each trigger, and each change of one, on a line of its own; "\\restrict" is for
// psql.
static bool is_left_out(const char *line, size_t len)
{
    char text[4096];
    (void)snprintf(text, sizeof text, "%.*s", (int)(len < sizeof text ? len : sizeof text - 1),
                   line);
    return text[0] == '\\' || strncmp(text, "CREATE TRIGGER ", 15) == 0 ||
           strncmp(text, "CREATE CONSTRAINT TRIGGER ", 26) == 0 ||
           (strncmp(text, "ALTER TABLE ", 12) == 0 && strstr(text, " TRIGGER ") != NULL);
}

static void without_triggers(const char *sql, Buf *out)
{
    buf_add_text(out, "BEGIN;\n");
    while (*sql != '\0') {
        size_t len = strcspn(sql, "\n");
        if (!is_left_out(sql, len)) {
            buf_add(out, sql, len);
            buf_add_char(out, '\n');
        }
        sql += len + (sql[len] == '\n' ? 1 : 0);
    }
    buf_add_text(out, "COMMIT;\nRESET ALL;\n");
}

static void undo(const Members *members)
{
    int back = mesh_script(members->mesh, members->target, "ROLLBACK; RESET ALL", NULL);
    (void)back; // a lost connection has rolled back by itself
}

int join_copy_schema(Members *members, MeshNode *donor, const char *names, Error *reterr)
{
    char **argv = arena_new_array(members->arena, char *, 2 * TABLES_MAX + 16);
    char *list = arena_strdup(members->arena, names), *rest = NULL;
    char *conninfo = arena_strdup(members->arena, donor->conninfo);
    if (argv == NULL || list == NULL || conninfo == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for the tables");
    static char program[] = PG_DUMP, only[] = "--schema-only", owner[] = "--no-owner",
                rights[] = "--no-privileges", publications[] = "--no-publications", table[] = "-t",
                database[] = "-d";
    size_t n = 0;
    argv[n++] = program;
    argv[n++] = only;
    argv[n++] = owner;
    argv[n++] = rights;
    argv[n++] = publications;
    argv[n++] = database;
    argv[n++] = conninfo;
    for (char *name = strtok_r(list, "\n", &rest); name != NULL && n < 2 * TABLES_MAX;
         name = strtok_r(NULL, "\n", &rest)) {
        argv[n++] = table;
        argv[n++] = name;
    }
    Buf dump CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX), sql CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    int r = run_dump(argv, &dump, reterr);
    if (r < 0)
        return r;
    without_triggers(buf_text(&dump), &sql);
    if (buf_check(&sql) < 0)
        return error_set(reterr, ERROR_MEMORY, "no memory for the tables");
    r = mesh_script(members->mesh, members->target, buf_text(&sql), reterr);
    if (r < 0 && members->target->conn != NULL)
        undo(members);
    return r < 0 ? error_wrap(reterr, r, "make the tables of %s", donor->region) : 0;
}
