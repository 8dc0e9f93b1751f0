// SPDX-License-Identifier: MIT
// sim_message: a report under way. It is copied whole, so that it outlives its sender, as JSON
// would.
#pragma once
#include "arena.h"
#include "report.h"
#include "sim_heap.h"

struct SimMessage {
    SimMessage *next; // in the pool
    Arena *arena;
    const Report *report;
};

typedef struct SimMessages {
    SimMessage *idle;
} SimMessages;

// NULL when memory is short.
SimMessage *sim_message_new(SimMessages *pool, const Report *report);
// Back into the pool; takes NULL.
void sim_message_release(SimMessages *pool, SimMessage *message);
void sim_messages_done(SimMessages *pool);
// A deep copy in the arena, or NULL.
Report *sim_report_copy(Arena *arena, const Report *report);
