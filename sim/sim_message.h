// SPDX-License-Identifier: MIT
// sim_message: a report under way. The core makes it in the message's own arena, so that it
// outlives the sender's step (and the sender); only names point elsewhere, into the model.
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

// An empty one, for the core to fill. NULL when memory is short.
SimMessage *sim_message_take(SimMessages *pool);
// One with a whole copy of the report.
SimMessage *sim_message_new(SimMessages *pool, const Report *report);
// Back into the pool; takes NULL.
void sim_message_release(SimMessages *pool, SimMessage *message);
void sim_messages_done(SimMessages *pool);
// A deep copy in the arena, or NULL.
Report *sim_report_copy(Arena *arena, const Report *report);
