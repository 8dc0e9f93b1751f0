// SPDX-License-Identifier: MIT
// program: what runs in a region, as data. The supervisor writes it down before it makes the
// region's namespace; the region's init only follows it. All texts belong to the RegionSpec's
// arena.
//
//   waiting --(all of `after` ready)--> starting --(ready check)--> ready
//      ^                                   |  \--(steps: exit 0)--> done
//      |                                   v                          |
//      +------(backoff over)---------- backoff <---(exit)----------- ready
//   Every state goes to stopping when the region ends, a restart or a halt is asked, then to
//   waiting, stopped or halted; halted goes to waiting when it is resumed.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "error.h"
#include "identity.h"

#define PROGRAM_NAME_MAX 32
#define PROGRAMS_MAX 72 // BOUND_REPLICAS backends and the others

typedef enum ProgramReady {
    PROGRAM_READY_EXIT,   // a step: it is done when it ends with 0
    PROGRAM_READY_NOTIFY, // it writes READY=1 to NOTIFY_SOCKET
    PROGRAM_READY_HTTP,   // GET ready_path on the UNIX socket ready_socket answers 200
    PROGRAM_READY_TCP,    // ready_address:ready_port accepts
    PROGRAM_READY_MAX,
} ProgramReady;

typedef enum ProgramUpgrade {
    PROGRAM_UPGRADE_REFUSED,  // steps and the database
    PROGRAM_UPGRADE_RESTART,  // ended in order, then started: others stand in meanwhile
    PROGRAM_UPGRADE_HANDOVER, // the new one gets the listening sockets of the old one (nginx)
    PROGRAM_UPGRADE_MAX,
} ProgramUpgrade;

typedef struct Program {
    const char *name;
    const char *own;         // file name of a program of ours: it may come from another folder
    const char *module;      // a file beside it that it names by --module then
    const char *const *argv; // ends with NULL; NULL: `step` runs instead
    int (*step)(const void *context, Error *reterr);
    const void *context;
    const char *const *environment; // "NAME=value", ends with NULL; added to the common one
    const char *log;                // file for stdout and stderr
    uint32_t after[3];              // bits: programs that are ready or done first
    ProgramReady ready;
    const char *ready_socket, *ready_path, *ready_address;
    uint16_t ready_port;
    int stop_signal;
    bool stop_last; // after all others have ended: PostgreSQL
    ProgramUpgrade upgrade;
    // For a handover: the step that writes `configuration` runs first; the new one is ready when
    // `pid_file` names it and `workers` of its processes have a file in `counters`.
    size_t step_index;
    const char *configuration, *pid_file, *counters;
    unsigned workers;
} Program;

typedef struct RegionSpec {
    const char *name;
    const char *sockets;      // short folder
    const char *const *stale; // files that only a dead region can have left; ends with NULL
    size_t n;
    Program programs[PROGRAMS_MAX];
} RegionSpec;

typedef enum ProgramState {
    PROGRAM_STATE_WAITING,
    PROGRAM_STATE_STARTING,
    PROGRAM_STATE_READY,
    PROGRAM_STATE_DONE,
    PROGRAM_STATE_BACKOFF,
    PROGRAM_STATE_STOPPING,
    PROGRAM_STATE_STOPPED,
    PROGRAM_STATE_HALTED, // on purpose, until it is resumed or the region starts again
    PROGRAM_STATE_MAX,
} ProgramState;

const char *program_state_name(ProgramState state); // "ready"
int program_state_parse(const char *name);          // ProgramState or -1

static inline void program_after(Program *program, size_t other)
{
    program->after[other / 32] |= UINT32_C(1) << (other % 32);
}

static inline bool program_is_after(const Program *program, size_t other)
{
    return (program->after[other / 32] >> (other % 32) & 1) != 0;
}
