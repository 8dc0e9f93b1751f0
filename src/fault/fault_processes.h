// SPDX-License-Identifier: MIT
// fault_processes: the processes of one program of a region, found in /proc by their PID namespace
// and their parents (nginx's workers, PostgreSQL's backends have sessions of their own), held by
// pidfd so that a signal never reaches another process that got the same number.
#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "error.h"

#define FAULT_PROCESSES_MAX 512 // max_connections and workers of all replicas

typedef struct FaultProcesses {
    size_t n;
    struct FaultProcess {
        pid_t pid; // as we see it
        int fd;    // pidfd
    } items[FAULT_PROCESSES_MAX];
} FaultProcesses;

// The process with number `inner` in the namespace of `init`, as we see it. ERROR_NOT_FOUND.
int fault_processes_main(pid_t init, pid_t inner, pid_t *ret_pid, Error *reterr) MUST_CHECK;
// Adds the process with number `inner` in the namespace of `init`, and all its descendants, those
// that are not in the list yet. Returns how many were added.
int fault_processes_add(FaultProcesses *list, pid_t init, pid_t inner, Error *reterr) MUST_CHECK;
// To all that still live.
void fault_processes_signal(const FaultProcesses *list, size_t from, int number);
// Every one is stopped, or has ended.
bool fault_processes_stopped(const FaultProcesses *list);
// How many live and are stopped.
size_t fault_processes_count_stopped(const FaultProcesses *list);
void fault_processes_done(FaultProcesses *list); // closes
