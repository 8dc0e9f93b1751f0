// SPDX-License-Identifier: MIT
// confirm: durability `two-clouds` (docs/contracts/rows.md, "Durability"): waits until a database
// in another cloud has on disk what was committed here. It reads what the region's own replication
// slots have confirmed, so that it needs no setting of the server and works with managed ones.
// One wait serves all commits that came before it; two are under way at most, each on a connection
// of its own, so that a commit waits for half a wait at most before its own begins.
//
// Ends within about the limit, whatever happens: LATE says that nobody in another cloud has
// confirmed it yet. The row stays, and may be confirmed a moment later.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "error.h"
#include "instant.h"

typedef struct Confirm Confirm;

typedef struct ConfirmOptions {
    const char *conninfo;
    const char *slots; // of the subscribers in other clouds, an array's text: {a,b}
    int64_t limit_ns;  // from the call to LATE
    // After a LATE, until something was confirmed again: LATE at once, one wait at a time looks on.
    bool give_up_early;
} ConfirmOptions;

typedef void ConfirmDone(void *context, bool confirmed);

typedef struct ConfirmCounts {
    uint64_t confirmed, late;
    bool away; // the newest wait that ended was late
} ConfirmCounts;

// Needs the function of migration 0002.
int confirm_new(uv_loop_t *loop, const ConfirmOptions *options, Confirm **ret_confirm,
                Error *reterr) MUST_CHECK;
// For what was committed before this call. done is called exactly once, perhaps at once.
void confirm_wait(Confirm *confirm, ConfirmDone *done, void *context);
ConfirmCounts confirm_counts(const Confirm *confirm);
// What waits is late. Memory goes when the loop has run on. Returns NULL.
Confirm *confirm_free(Confirm *confirm);
