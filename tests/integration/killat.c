// SPDX-License-Identifier: MIT
// killat: preloaded into a program that uses libpq, kills it while statement number KILL_AT of
// those that change something is under way: after it was sent, without its answer. The statement is
// written to KILL_LOG, without its parameters.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct pg_conn PGconn;
typedef int Flush(PGconn *conn);
typedef int SendQuery(PGconn *conn, const char *sql);
typedef int SendQueryParams(PGconn *conn, const char *sql, int n, const unsigned *types,
                            const char *const *values, const int *lengths, const int *formats,
                            int format);

int PQsendQuery(PGconn *conn, const char *sql);
int PQsendQueryParams(PGconn *conn, const char *sql, int n, const unsigned *types,
                      const char *const *values, const int *lengths, const int *formats,
                      int format);

static int changes(const char *sql)
{
    return strncmp(sql, "SELECT", 6) != 0 || strstr(sql, "_replication_slot(") != NULL;
}

static void kill_at(PGconn *conn, const char *sql)
{
    static long count;
    const char *wanted = getenv("KILL_AT"), *log = getenv("KILL_LOG");
    if (wanted == NULL || !changes(sql) || ++count != atol(wanted))
        return;
    Flush *flush = (Flush *)dlsym(RTLD_NEXT, "PQflush");
    while (flush(conn) > 0)
        continue;
    int fd = log != NULL ? open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
    if (fd >= 0 && write(fd, sql, strlen(sql)) < 0)
        abort();
    (void)kill(getpid(), SIGKILL);
}

int PQsendQuery(PGconn *conn, const char *sql)
{
    SendQuery *real = (SendQuery *)dlsym(RTLD_NEXT, "PQsendQuery");
    int r = real(conn, sql);
    kill_at(conn, sql);
    return r;
}

int PQsendQueryParams(PGconn *conn, const char *sql, int n, const unsigned *types,
                      const char *const *values, const int *lengths, const int *formats, int format)
{
    SendQueryParams *real = (SendQueryParams *)dlsym(RTLD_NEXT, "PQsendQueryParams");
    int r = real(conn, sql, n, types, values, lengths, formats, format);
    kill_at(conn, sql);
    return r;
}
