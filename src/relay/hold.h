// SPDX-License-Identifier: MIT
// hold: bytes on their way through the relay, with the time at which they came. What is kept is the
// arrival, not the due time, so that a change of the delay acts on what is under way too. Bounded:
// a full hold is back pressure for the sender.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "instant.h"

#define HOLD_MAX (256U << 10) // one direction of one connection: 1,000 of 4 KiB/s for 60 s

typedef enum HoldKind {
    HOLD_BYTES,
    HOLD_END,   // the sender has finished
    HOLD_RESET, // the sender has gone without finishing
} HoldKind;

typedef struct HoldPiece {
    struct HoldPiece *next;
    Mono since;
    HoldKind kind;
    size_t len, at; // bytes[at .. len) are still here
    char bytes[];
} HoldPiece;

typedef struct Hold {
    HoldPiece *first, *last;
    size_t used; // bytes and bookkeeping
} Hold;

size_t hold_room(const Hold *hold);
// Accepts more than hold_room: the caller's bounded overdraft (a head, an answer made here).
int hold_add(Hold *hold, const void *bytes, size_t len, Mono since) MUST_CHECK;
int hold_mark(Hold *hold, HoldKind kind, Mono since) MUST_CHECK;
// The first `len` bytes of the first piece have gone on; a piece without bytes left goes.
void hold_drop(Hold *hold, size_t len);
void hold_done(Hold *hold); // forgets everything; may be used again
