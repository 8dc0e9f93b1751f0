// SPDX-License-Identifier: MIT
// control: the supervisor's socket DIR/supervisor.sock (0600). One command a line, one JSON object
// a line back, in order: {"ok":true,...} or {"ok":false,"error":"...","hint":"..."}. The commands
// are in docs/contracts/processes.md ("Supervisor's socket"); control_commands.c has those about
// whole regions, control_programs.c those about one program.
#pragma once
#include "fleet_state.h"

#define CONTROL_CLIENTS 16
#define CONTROL_LINE 4096
#define CONTROL_REGIONS 64 // named in one command

// What commands do; supervisor.c has them. Each is 0 or a negative code with its text.
typedef struct ControlActions {
    void *context;
    void (*kill)(void *context, RegionView *region);
    int (*start)(void *context, RegionView *region, Error *reterr);
    void (*hang)(void *context, RegionView *region, bool hung);
    int (*tell)(void *context, RegionView *region, const char *message, Error *reterr);
    void (*end)(void *context, bool now);
} ControlActions;

typedef enum ControlWait {
    CONTROL_WAIT_NONE,
    CONTROL_WAIT_DEATH, // of `regions`
    CONTROL_WAIT_REPLY, // of the init of regions[0] about `verb` and `program`
    CONTROL_WAIT_MAX,
} ControlWait;

typedef struct ControlClient {
    int fd; // -1: free
    char line[CONTROL_LINE];
    size_t len;
    ControlWait wait;
    RegionView *regions[CONTROL_REGIONS];
    size_t n_regions;
    char verb[16], program[PROGRAM_NAME_MAX];
    Mono asked, deadline;
} ControlClient;

typedef struct Control {
    int listener;
    ControlClient clients[CONTROL_CLIENTS];
    FleetState *fleet;
    ControlActions actions;
} Control;

int control_open(Control *control, FleetState *fleet, const ControlActions *actions,
                 Error *reterr) MUST_CHECK;
void control_accept(Control *control);
void control_read(Control *control, ControlClient *client, Mono now);
// Answers those whose regions have died meanwhile.
void control_reaped(Control *control, Mono now);
// A message of a region's init: true when it is a reply ("reply VERB PROGRAM ok|error TEXT").
bool control_replied(Control *control, const RegionView *region, const char *message, Mono now);
// Answers those that have waited too long; the next such instant.
Mono control_advance(Control *control, Mono now);
void control_close(Control *control);

// The other end: one command, one answer (malloced). ERROR_NOT_FOUND when no supervisor listens.
int control_ask(const char *dir, const char *command, int64_t timeout_ns, char **ret_answer,
                Error *reterr) MUST_CHECK;
