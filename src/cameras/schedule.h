// SPDX-License-Identifier: MIT
// schedule: when each request of an open-loop run is due, and what it is. Request number i is due
// at start + i / rate whatever happened before, so a slow fleet meets the same load as a fast one
// and latency counts from the due time. Which requests write follows from the seed and the number:
// a run can be repeated.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "instant.h"
#include "ip.h"

typedef struct Schedule {
    Mono start;
    uint32_t rate; // requests per second, > 0
    uint32_t read_ppm;
    uint32_t keyless_ppm; // of the writes: without an Idempotency-Key
    uint64_t seed;
} Schedule;

Mono schedule_due(const Schedule *schedule, uint64_t number);
// How many requests are due at `now`: the numbers below it.
uint64_t schedule_count(const Schedule *schedule, Mono now);
bool schedule_is_write(const Schedule *schedule, uint64_t number);
bool schedule_has_key(const Schedule *schedule, uint64_t number); // of a write
// 127.100.x.y for a client; each of the first 256 is a block of its own, since shares go by block.
Ip schedule_client(uint32_t client);
#define SCHEDULE_CLIENTS_MAX (256U * 254U)
