// SPDX-License-Identifier: MIT
// children: see children.h.
#include "children.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "files.h"

typedef struct Process {
    long pid, parent; // as /proc says
    bool marked;      // is to be killed
    bool followed;    // its children are marked, too
} Process;

typedef struct Processes {
    Process *items;
    size_t n, capacity;
} Processes;

static void processes_done(Processes *list)
{
    free(list->items);
    *list = (Processes){0};
}

static bool read_proc(long pid, const char *name, char *text, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/%s", pid, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t n = fread(text, 1, size - 1, file);
    text[n] = '\0';
    (void)fclose(file);
    return n > 0;
}

// Zombies hold nothing any more and are left out.
static bool read_parent(long pid, long *ret_parent)
{
    char text[1024], state;
    const char *end = read_proc(pid, "stat", text, sizeof text) ? strrchr(text, ')') : NULL;
    return end != NULL && sscanf(end + 1, " %c %ld", &state, ret_parent) == 2 && state != 'Z' &&
           state != 'X';
}

static int list_all(Processes *list)
{
    DIR *folder = opendir("/proc");
    if (folder == NULL)
        return -errno;
    int r = 0;
    for (const struct dirent *entry; r == 0 && (entry = readdir(folder)) != NULL;) {
        char *end;
        Process process = {.pid = strtol(entry->d_name, &end, 10)};
        if (*end != '\0' || process.pid <= 0 || !read_parent(process.pid, &process.parent))
            continue;
        r = alloc_grow((void **)&list->items, &list->capacity, list->n + 1, sizeof process);
        if (r == 0)
            list->items[list->n++] = process;
    }
    (void)closedir(folder);
    return r;
}

// The numbers of a process in all namespaces from /proc's own inwards; how many.
static size_t read_numbers(long pid, long *numbers, size_t max)
{
    char text[4096];
    const char *at = read_proc(pid, "status", text, sizeof text) ? strstr(text, "\nNSpid:") : NULL;
    size_t n = 0;
    for (at = at != NULL ? at + 7 : ""; n < max; n++) {
        char *end;
        while (*at == '\t' || *at == ' ')
            at++;
        numbers[n] = strtol(at, &end, 10);
        if (end == at)
            break;
        at = end;
    }
    return n;
}

// Its number in our namespace, which is `depth` deep in /proc's; 0: gone.
static long own_number(long pid, size_t depth)
{
    long numbers[32];
    return read_numbers(pid, numbers, 32) >= depth ? numbers[depth - 1] : 0;
}

static void mark_children(const Processes *list, long parent)
{
    for (size_t i = 0; i < list->n; i++)
        list->items[i].marked = list->items[i].marked || list->items[i].parent == parent;
}

static void mark_below_marked(const Processes *list)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < list->n; i++) {
            Process *process = &list->items[i];
            if (!process->marked || process->followed)
                continue;
            process->followed = more = true;
            mark_children(list, process->pid);
        }
    }
}

static int kill_marked(const Processes *list, size_t depth)
{
    int count = 0;
    for (size_t i = 0; i < list->n; i++) {
        long number = list->items[i].marked ? own_number(list->items[i].pid, depth) : 0;
        if (number > 1 && kill((pid_t)number, SIGKILL) == 0)
            count++;
    }
    return count;
}

// Everything below `below` (0: not asked), or all of our children but `spared` with what is below.
static int kill_some(pid_t below, const pid_t *spared, size_t n_spared)
{
    Processes list CLEANUP(processes_done) = {0};
    char self[32];
    ssize_t len = readlink("/proc/self", self, sizeof self - 1);
    if (len < 0)
        return -errno;
    self[len] = '\0';
    long own = strtol(self, NULL, 10), numbers[32];
    size_t depth = read_numbers(own, numbers, 32);
    int r = depth > 0 ? list_all(&list) : -ENOENT;
    if (r < 0)
        return r;
    for (size_t i = 0; i < list.n; i++) {
        Process *process = &list.items[i];
        if (process->parent != own)
            continue;
        long number = own_number(process->pid, depth);
        if (below > 0 && number == below)
            mark_children(&list, process->pid);
        bool is_spared = below > 0 || number == 0;
        for (size_t k = 0; k < n_spared; k++)
            is_spared = is_spared || spared[k] == number;
        process->marked = process->marked || !is_spared;
    }
    mark_below_marked(&list);
    return kill_marked(&list, depth);
}

int children_kill_below(pid_t pid)
{
    return kill_some(pid, NULL, 0);
}

int children_kill_orphans(const pid_t *spared, size_t n)
{
    return kill_some(0, spared, n);
}
