// SPDX-License-Identifier: MIT
// fault_init: see fault_init.h. Pids repeat; the start time tells whose it is.
#include "fault_init.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attr.h"
#include "files.h"

static bool is_process(long pid, unsigned long long start)
{
    char path[64], *text CLEANUP(free_textp) = NULL, state;
    size_t len;
    unsigned long long own;
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    // The name in parentheses may hold anything; the fields begin behind the last one.
    const char *at = files_read(path, 4096, &text, &len, NULL) == 0 ? strrchr(text, ')') : NULL;
    return at != NULL &&
           sscanf(at,
                  ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                  "%llu",
                  &state, &own) == 2 &&
           state != 'Z' && state != 'X' && own == start;
}

bool fault_init_lives(int region)
{
    int fd CLEANUP(fd_closep) =
        openat(region, "init.pid", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    char line[64];
    long pid;
    unsigned long long start;
    ssize_t n = fd >= 0 ? read(fd, line, sizeof line - 1) : -1;
    if (n <= 0)
        return false; // it never ran
    line[n] = '\0';
    return sscanf(line, "%ld %llu", &pid, &start) == 2 && pid > 1 && is_process(pid, start);
}
