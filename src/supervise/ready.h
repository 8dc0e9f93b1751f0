// SPDX-License-Identifier: MIT
// ready: has a program started? One check in flight per program, never blocking: connect, ask, look
// at the status line. A refused or missing socket is tried again after RETRY; nothing sleeps.
#pragma once
#include <stdbool.h>

#include "instant.h"
#include "program.h"

#define READY_RETRY_NS (10 * NS_PER_MS)
#define READY_ANSWER_NS (2 * NS_PER_S) // then the check begins anew

typedef struct ReadyCheck {
    int fd; // -1: none in flight
    Mono since, next;
    char answer[16];
    size_t got;
} ReadyCheck;

#define READY_CHECK_INIT ((ReadyCheck){.fd = -1})

// For HTTP and TCP checks: goes as far as it can at `now`; true once the program is ready.
bool ready_step(ReadyCheck *check, const Program *program, Mono now);
void ready_reset(ReadyCheck *check);
// The datagram socket for READY=1, in the region's short folder. A descriptor or a negative code.
int ready_notify_open(const char *path, Error *reterr) MUST_CHECK;
// Drains it; true when READY=1 was among the messages.
bool ready_notify_read(int fd);
