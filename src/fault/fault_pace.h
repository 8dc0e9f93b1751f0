// SPDX-License-Identifier: MIT
// fault_pace: how long something may take that moves data: as long as it moves. A database is as
// big as it is and a disk as slow; only one that stands still is given up. Whoever waits for the
// keeper's answer is told about once a second that it is still at it.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "instant.h"

#define FAULT_STALL_NS (30 * NS_PER_S) // without a byte

typedef struct FaultPace {
    Mono deadline;    // unless something moves until then
    int64_t stall_ns; // from each byte on
    int socket;       // of the keeper, -1: tell nobody
    uint32_t number;  // of the request that waits
    Mono told;
} FaultPace;

FaultPace fault_pace_new(int64_t stall_ns, int socket, uint32_t number);
void fault_pace_moved(FaultPace *pace);
bool fault_pace_stalled(const FaultPace *pace);
