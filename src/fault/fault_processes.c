// SPDX-License-Identifier: MIT
// fault_processes: see fault_processes.h. The pidfd is opened first and the process looked at after
// that: what is read then belongs to the process that the descriptor holds, or it has ended.
#include "fault_processes.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "alloc.h"
#include "files.h"

typedef struct Seen {
    pid_t pid, parent, inner; // as we see them; inner: in its own namespace
    bool ours;
} Seen;

typedef struct SeenList {
    Seen *items;
    size_t n, capacity;
} SeenList;

static long status_number(const char *text, const char *key, bool last)
{
    const char *at = strstr(text, key);
    if (at == NULL)
        return -1;
    at += strlen(key);
    long value = strtol(at, NULL, 10);
    while (last && *at != '\0' && *at != '\n') {
        char *end;
        long next = strtol(at, &end, 10);
        if (end == at)
            break;
        value = next;
        at = end;
    }
    return value;
}

static bool namespace_of(pid_t pid, char text[64])
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/ns/pid", (long)pid);
    ssize_t n = readlink(path, text, 63);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

// A region's. Who answers for the supervisor may be the run user, and we may be root: the processes
// of our own namespace are the machine's.
static int find_space(pid_t init, char space[64], Error *reterr)
{
    char own[64];
    if (!namespace_of(init, space))
        return error_errno(reterr, errno, "PID namespace of process %ld", (long)init);
    if (!namespace_of(getpid(), own) || strcmp(own, space) == 0)
        return error_set(reterr, -EPERM,
                         "process %ld is no region's: it is in our own PID namespace", (long)init);
    return 0;
}

static bool look_at(pid_t pid, const char *space, Seen *ret_seen)
{
    char path[64], own[64], *text CLEANUP(free_textp) = NULL;
    size_t len;
    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    if (!namespace_of(pid, own) || strcmp(own, space) != 0 ||
        files_read(path, 65536, &text, &len, NULL) < 0)
        return false;
    *ret_seen = (Seen){.pid = pid,
                       .parent = (pid_t)status_number(text, "\nPPid:", false),
                       .inner = (pid_t)status_number(text, "\nNSpid:", true)};
    return true;
}

static int list_namespace(const char *space, SeenList *list, Error *reterr)
{
    DIR *folder = opendir("/proc");
    if (folder == NULL)
        return error_errno(reterr, errno, "/proc");
    int r = 0;
    for (const struct dirent *entry; r == 0 && (entry = readdir(folder)) != NULL;) {
        Seen seen;
        if (!isdigit((unsigned char)entry->d_name[0]) ||
            !look_at((pid_t)strtol(entry->d_name, NULL, 10), space, &seen))
            continue;
        r = alloc_grow((void **)&list->items, &list->capacity, list->n + 1, sizeof *list->items);
        if (r == 0)
            list->items[list->n++] = seen;
    }
    (void)closedir(folder);
    return r < 0 ? error_set(reterr, r, "list of processes") : 0;
}

// Marks the process and everything below it, however /proc ordered them.
static void mark(SeenList *list, pid_t inner)
{
    bool changed = true;
    for (size_t i = 0; i < list->n; i++)
        list->items[i].ours = list->items[i].inner == inner;
    while (changed) {
        changed = false;
        for (size_t i = 0; i < list->n; i++)
            for (size_t k = 0; k < list->n && !list->items[i].ours; k++)
                if (list->items[k].ours && list->items[k].pid == list->items[i].parent)
                    list->items[i].ours = changed = true;
    }
}

static bool is_in(const FaultProcesses *list, pid_t pid)
{
    for (size_t i = 0; i < list->n; i++) {
        // A number may have gone to another process since: signal 0 asks whether ours lives.
        if (list->items[i].pid == pid && pidfd_send_signal(list->items[i].fd, 0, NULL, 0) == 0)
            return true;
    }
    return false;
}

static int add_one(FaultProcesses *list, const Seen *seen, const char *space, Error *reterr)
{
    if (is_in(list, seen->pid))
        return 0;
    if (list->n == FAULT_PROCESSES_MAX)
        return error_set(reterr, ERROR_LIMIT, "a program with more than %d processes",
                         FAULT_PROCESSES_MAX);
    int fd = pidfd_open(seen->pid, 0);
    Seen again;
    if (fd < 0 || !look_at(seen->pid, space, &again) || again.inner != seen->inner) {
        files_close(fd);
        return 0; // it has ended meanwhile
    }
    list->items[list->n++] = (struct FaultProcess){.pid = seen->pid, .fd = fd};
    return 1;
}

int fault_processes_add(FaultProcesses *list, pid_t init, pid_t inner, Error *reterr)
{
    char space[64];
    int r = find_space(init, space, reterr);
    if (r < 0)
        return r;
    SeenList seen = {0};
    int added = 0;
    r = list_namespace(space, &seen, reterr);
    if (r == 0)
        mark(&seen, inner);
    for (size_t i = 0; r >= 0 && i < seen.n; i++) {
        if (!seen.items[i].ours)
            continue;
        r = add_one(list, &seen.items[i], space, reterr);
        added += r > 0 ? r : 0;
    }
    free(seen.items);
    return r < 0 ? r : added;
}

void fault_processes_signal(const FaultProcesses *list, size_t from, int number)
{
    for (size_t i = from; i < list->n; i++)
        (void)pidfd_send_signal(list->items[i].fd, number, NULL, 0); // it may have ended
}

// The letter of /proc/PID/stat; 'X' when there is no such process.
static char state_of(pid_t pid)
{
    char path[64], *text CLEANUP(free_textp) = NULL;
    size_t len;
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    const char *at = files_read(path, 4096, &text, &len, NULL) == 0 ? strrchr(text, ')') : NULL;
    return at != NULL && strlen(at) > 2 ? at[2] : 'X';
}

bool fault_processes_stopped(const FaultProcesses *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (strchr("TtZX", state_of(list->items[i].pid)) == NULL)
            return false;
    return true;
}

size_t fault_processes_count_stopped(const FaultProcesses *list)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        // Looked at first: if it lives after that, the number was still its own.
        char state = state_of(list->items[i].pid);
        n +=
            (state == 'T' || state == 't') && pidfd_send_signal(list->items[i].fd, 0, NULL, 0) == 0;
    }
    return n;
}

void fault_processes_done(FaultProcesses *list)
{
    for (size_t i = 0; i < list->n; i++)
        files_close(list->items[i].fd);
    list->n = 0;
}

int fault_processes_main(pid_t init, pid_t inner, pid_t *ret_pid, Error *reterr)
{
    char space[64];
    int r = find_space(init, space, reterr);
    if (r < 0)
        return r;
    SeenList seen = {0};
    r = list_namespace(space, &seen, reterr);
    bool found = false;
    for (size_t i = 0; i < seen.n && !found; i++) {
        if ((found = seen.items[i].inner == inner))
            *ret_pid = seen.items[i].pid;
    }
    free(seen.items);
    return r < 0 || found ? r : error_set(reterr, ERROR_NOT_FOUND, "it has just ended");
}
