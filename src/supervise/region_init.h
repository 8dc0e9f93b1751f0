// SPDX-License-Identifier: MIT
// region_init: pid 1 of a region. Starts the programs in their order, restarts what ends with a
// growing pause, tells the supervisor every change of state, and obeys it:
//   from it:  "restart PROGRAM", "signal PROGRAM NUMBER", "halt PROGRAM", "resume PROGRAM",
//             "upgrade PROGRAM", "environment PROGRAM [NAME=VALUE ...]", "programs [FOLDER]",
//             "stop"
//   to it:    "PROGRAM STATE PID RESTARTS DETAIL" (one message per change)
//             "reply VERB PROGRAM ok|error TEXT" (the end of a halt, resume or upgrade)
// SIGUSR1 stops every process of the region but this one (hang), SIGUSR2 continues them. When this
// process dies the kernel kills all the others; when the supervisor dies, this process does.
#pragma once
#include "changes.h"
#include "program.h"

#define REGION_MESSAGE_MAX 1536

// Does not return. `channel` is our end of a SOCK_SEQPACKET pair; `changes` is our own copy.
NORETURN void region_init_run(const RegionSpec *spec, Changes *changes, int channel);
