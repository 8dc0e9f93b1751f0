// SPDX-License-Identifier: MIT
// fault_kind: how one kind of fault is built: five functions that run inside the keeper, one after
// the other, never at the same time. The keeper calls them in the order of the drawing in fault.h
// and knows which ones a fault has behind it:
//   prepare failed  -> undo (so undo takes whatever prepare left half done)
//   begin failed    -> end
//   asked to heal   -> end (if in force), undo; a failure is tried again a few times
// So end and undo must do no harm when called twice. A function that is NULL has nothing to do.
// None may block beyond held->deadline: wait with fault_wait and ask with fault_ask, which look.
// Children must not outlive the keeper: fault_child.h.
#pragma once
#include <jansson.h>

#include "bounds.h"
#include "clock.h"
#include "control_answer.h"
#include "fault.h"

#define FAULT_PROGRAM_MAX 64
#define FAULT_LOST_MAX 256

typedef struct FaultHeld {
    uint32_t id;
    Fault fault; // `program` points to the copy below, or is NULL; `value` is the newest
    char program[FAULT_PROGRAM_MAX];
    const FaultOptions *options;
    Mono deadline; // of the function that runs
    bool healing;  // end or undo: goes on when the one who asked has died
    int gone;      // readable when the keeper is to heal: whoever asked has died, or SIGTERM came
    Mono begun;    // in force since
    char lost[FAULT_LOST_MAX]; // why it is not in force any more though nobody ended it; "": it is
    Mono lost_seen;
    int socket; // of the keeper, and the request that it serves: see fault_pace.h
    uint32_t request;
    void *own; // of the kind, from prepare to undo; undo frees it and sets it to NULL
} FaultHeld;

typedef int FaultAction(FaultHeld *held, Error *reterr);

// Of a fault in force, about once a second and before its end: whatever shows that it is over
// already (a child that has ended, a program that was started again) goes to fault_lost. What
// cannot be known now is no proof. Quick, and without a dialogue with a child, which an answer that
// comes too late would put out of step.
typedef void FaultLook(FaultHeld *held);

typedef struct FaultKindActions {
    FaultAction *prepare, *begin, *end, *undo;
    FaultAction *change; // held->fault.value is the new one; NULL: this kind has no value
    FaultLook *look;
} FaultKindActions;

const FaultKindActions *fault_actions(FaultKind kind); // fault_list.c

// One for each family; each looks at held->fault.kind where its members differ.
extern const FaultKindActions FAULT_KIND_REGION;  // fault_region.c: KILL, HANG
extern const FaultKindActions FAULT_KIND_PROGRAM; // fault_program.c: PROGRAM_DOWN, PROGRAM_HANG
extern const FaultKindActions FAULT_KIND_PACKETS; // fault_packets.c: CUT, LOSS
extern const FaultKindActions FAULT_KIND_RELAY;   // fault_relay.c: GATEWAY_SLOW, REPLICA_...
extern const FaultKindActions FAULT_KIND_DISK;    // fault_disk.c: DISK_FULL
extern const FaultKindActions FAULT_KIND_CLOCK;   // fault_clock.c: CLOCK

// --- fault_tools.c: what kinds use ---

static inline bool fault_has(uint64_t regions, uint32_t region)
{
    return region < 64 && (regions >> region & 1) != 0;
}

// It ended before its end was asked for; the first reason stays.
void fault_lost(FaultHeld *held, const char *fmt, ...) PRINTF_LIKE(2, 3);

const char *fault_region_name(const FaultHeld *held, uint32_t region);

// One command to the supervisor, e.g. fault_ask(held, reterr, "halt %s %s", region, program).
// ERROR_NOT_FOUND: no supervisor listens; ERROR_UNAVAILABLE: it said no, with its words and hint.
// While healing, "no supervisor" is no failure of commands to it: 0, since nothing runs any more.
int fault_ask(const FaultHeld *held, Error *reterr, const char *fmt, ...)
    PRINTF_LIKE(3, 4) MUST_CHECK;
// The same for what it answers; json_decref it. No supervisor is always ERROR_NOT_FOUND.
int fault_ask_answer(const FaultHeld *held, json_t **ret_answer, Error *reterr, const char *fmt,
                     ...) PRINTF_LIKE(4, 5) MUST_CHECK;
// "VERB REGION..." for all regions of the mask, in as many commands as their names need.
int fault_ask_regions(const FaultHeld *held, const char *verb, uint64_t regions,
                      Error *reterr) MUST_CHECK;
// The supervisor's `status` (docs/contracts/processes.md); json_decref it. Never "healed": no
// supervisor is ERROR_NOT_FOUND always.
int fault_status(const FaultHeld *held, json_t **ret_status, Error *reterr) MUST_CHECK;
// The init of a region, if it is the fleet's; 0: the region does not run.
int fault_status_init(const FaultHeld *held, const json_t *status, const char *region,
                      pid_t *ret_pid, Error *reterr) MUST_CHECK;
bool fault_status_runs(const json_t *status, const char *region); // the region has processes

// 1: so it is; 0: not yet; negative: it never will be.
typedef int FaultCondition(const FaultHeld *held, void *context, Error *reterr);
// Looks every few milliseconds. ERROR_TIMEOUT "not within N s: WHAT" at held->deadline;
// ERROR_UNAVAILABLE when the one who asked has died and this is no healing.
int fault_wait(const FaultHeld *held, FaultCondition *condition, void *context, const char *what,
               Error *reterr) MUST_CHECK;
// Until the program is `ready` (or `done`) and, if old_pid is not 0, is another process than that.
int fault_wait_ready(const FaultHeld *held, const char *region, const char *program,
                     int64_t old_pid, Error *reterr) MUST_CHECK;
// Until every program of the region is.
int fault_wait_region(const FaultHeld *held, const char *region, Error *reterr) MUST_CHECK;
