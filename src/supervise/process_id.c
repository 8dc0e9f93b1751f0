// SPDX-License-Identifier: MIT
// process_id: see process_id.h.
#include "process_id.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "files.h"
#include "parse.h"

int process_id_of(pid_t pid, ProcessId *ret_id, Error *reterr)
{
    char path[64], *text CLEANUP(alloc_freep) = NULL;
    size_t len;
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int r = files_read(path, 4096, &text, &len, NULL);
    // The name in parentheses may hold anything; the fields begin behind the last one.
    const char *at = r == 0 ? strrchr(text, ')') : NULL;
    char state;
    unsigned long long start;
    if (at == NULL ||
        sscanf(at,
               ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
               &state, &start) != 2 ||
        state == 'Z' || state == 'X')
        return error_set(reterr, ERROR_NOT_FOUND, "no process %ld", (long)pid);
    *ret_id = (ProcessId){.pid = pid, .start = start};
    return 0;
}

bool process_id_lives(const ProcessId *id)
{
    ProcessId now;
    return process_id_of(id->pid, &now, NULL) == 0 && now.start == id->start;
}

int process_id_read(const char *path, ProcessId *ret_id, Error *reterr)
{
    char *text CLEANUP(alloc_freep) = NULL;
    size_t len;
    int r = files_read(path, 256, &text, &len, reterr);
    if (r < 0)
        return r == -ENOENT ? ERROR_NOT_FOUND : r;
    char *space = strchr(text, ' '), *end = strchr(text, '\n');
    uint64_t pid, start;
    if (space == NULL || end == NULL || space > end ||
        parse_u64(text, (size_t)(space - text), INT32_MAX, &pid) < 0 ||
        parse_u64(space + 1, (size_t)(end - space - 1), UINT64_MAX, &start) < 0 || pid == 0)
        return error_set(reterr, ERROR_FORMAT, "%s: not 'PID START'", path);
    *ret_id = (ProcessId){.pid = (pid_t)pid, .start = start};
    return 0;
}

int process_id_write(int fd, const ProcessId *id, Error *reterr)
{
    char line[64];
    int n = snprintf(line, sizeof line, "%ld %llu\n", (long)id->pid, (unsigned long long)id->start);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, line, (size_t)n, 0) != (ssize_t)n)
        return error_errno(reterr, errno, "write process id");
    return 0;
}
