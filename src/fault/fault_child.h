// SPDX-License-Identifier: MIT
// fault_child: a program that the keeper runs (nft, relays). It dies with the keeper, SIGKILL
// included, gets no file descriptor but 0 to 2, default signals and a clean environment.
#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "error.h"

typedef struct FaultChild {
    pid_t pid; // 0: none
    int in;    // writing end of its stdin, -1: none
    int out;   // reading end of its stdout and stderr, not blocking, -1: none
} FaultChild;

#define FAULT_CHILD_NONE ((FaultChild){.in = -1, .out = -1})

typedef struct FaultChildOptions {
    const char *const *argv; // argv[0]: absolute path; ends with NULL
    uid_t uid;               // with gid: become them; 0: as the keeper
    gid_t gid;
    int net; // descriptor of a network namespace to enter first; -1: the keeper's
} FaultChildOptions;

// An exec that fails is an error here, not an early end of the child.
int fault_child_start(const FaultChildOptions *options, FaultChild *ret_child,
                      Error *reterr) MUST_CHECK;
bool fault_child_lives(FaultChild *child); // reaps it when it has ended
// For one that hung up: a process that dies closes its descriptors some moments before it can be
// reaped, so this waits up to a second for its end.
bool fault_child_ended(FaultChild *child);
void fault_child_kill(FaultChild *child); // SIGKILL, reaped, descriptors closed; forgiving
