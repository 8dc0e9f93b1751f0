// SPDX-License-Identifier: MIT
// region_slots: the programs of one region and their states (the drawing is in program.h): starting
// in order, readiness, restart with backoff, halt, upgrade (region_upgrade.c), the end. No loop in
// here; region_init.c drives it with the time, so that a test can do the same.
#pragma once
#include <signal.h>
#include <sys/types.h>

#include "changes.h"
#include "program.h"
#include "ready.h"

#define SLOTS_BACKOFF_NS (100 * NS_PER_MS) // doubled per failure in a row
#define SLOTS_BACKOFF_MAX_NS (5 * NS_PER_S)
#define SLOTS_STEADY_NS (10 * NS_PER_S) // so long up: the next failure is the first again
#define SLOTS_GRACE_NS (3 * NS_PER_S)   // from the stop signal to SIGKILL
#define SLOTS_SWEEP_NS (5 * NS_PER_MS) // between looks whether a halted program's children are gone
#define SLOTS_UPGRADE_NS (30 * NS_PER_S) // until the new one must be ready
#define SLOTS_LEAVE_NS (1 * NS_PER_S)    // for clients of the one that handed over to hear of it
#define SLOTS_DRAIN_NS (15 * NS_PER_S)   // from QUIT to its SIGKILL

typedef enum UpgradePhase {
    UPGRADE_PHASE_NONE,
    UPGRADE_PHASE_WAIT,    // for the one that handed over the last time
    UPGRADE_PHASE_STEP,    // the configuration is written again
    UPGRADE_PHASE_NEW,     // the new one has the sockets and starts beside the old one
    UPGRADE_PHASE_RESTART, // the old one ends, then the new one starts
    UPGRADE_PHASE_MAX,
} UpgradePhase;

typedef struct SlotUpgrade {
    UpgradePhase phase;
    pid_t pid; // of the step or of the new one; 0: none
    Mono deadline, look;
} SlotUpgrade;

typedef struct Slot {
    const Program *program;
    ProgramState state;
    pid_t pid; // 0: does not run
    Mono started, again, kill_at;
    unsigned restarts, failures;
    bool restart_asked;
    bool halting; // halted once it and its children are gone
    Mono sweep;
    SlotUpgrade upgrade;
    pid_t old_pid; // handed over, leaves and drains; 0: none
    Mono old_quit_at, old_kill_at;
    ReadyCheck check;
    char detail[160];
} Slot;

typedef struct Slots Slots;
typedef void SlotsChanged(void *context, const Slot *slot);
// The end of a halt, resume or upgrade; `error` NULL: done.
typedef void SlotsReplied(void *context, const char *verb, const Slot *slot, const char *error);

struct Slots {
    const RegionSpec *spec;
    const Changes *changes; // may be NULL
    Slot items[PROGRAMS_MAX];
    bool stopping;
    SlotsChanged *changed;
    SlotsReplied *replied; // may be NULL
    void *context;
};

void slots_init(Slots *slots, const RegionSpec *spec, SlotsChanged *changed, void *context);
// Starts what may start, goes on with readiness checks, kills what outstays its stop signal.
void slots_advance(Slots *slots, Mono now);
// A process has been reaped. Those that are no slot's (orphans that pid 1 inherits) are ignored.
void slots_exited(Slots *slots, pid_t pid, int status, Mono now);
void slots_notified(Slots *slots, Mono now); // READY=1 came
// ERROR_NOT_FOUND for an unknown name.
int slots_restart(Slots *slots, const char *name, Mono now) MUST_CHECK;
int slots_signal(Slots *slots, const char *name, int number) MUST_CHECK;
// These answer by `replied`, some of them later. ERROR_NOT_FOUND for an unknown name.
int slots_halt(Slots *slots, const char *name, Mono now) MUST_CHECK;
int slots_resume(Slots *slots, const char *name, Mono now) MUST_CHECK;
int slots_upgrade(Slots *slots, const char *name, Mono now) MUST_CHECK;
void slots_stop(Slots *slots, Mono now); // the end: everything, in its order
bool slots_ended(const Slots *slots);    // nothing runs and nothing will
// The next instant at which slots_advance has something to do by itself.
Mono slots_next(const Slots *slots, Mono now);
