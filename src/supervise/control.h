// SPDX-License-Identifier: MIT
// control: the supervisor's socket DIR/supervisor.sock (0600). One command a line, one JSON object
// a line back, in order:
//   status                        what fleet_state_json says
//   kill REGION...                SIGKILL of whole regions; answers when every process of them is
//   gone start REGION...               of killed or waiting ones stop REGION... / cont REGION...
//   hang (SIGSTOP of everything in it) and back restart REGION PROGRAM        stop it, start it
//   again at once signal REGION PROGRAM SIGNAL  KILL, TERM, HUP, STOP, CONT, USR1, USR2, QUIT, INT
//   down [now]                    end of the fleet; answers at once
// {"ok":true,...} or {"ok":false,"error":"...","hint":"..."}. docs/contracts/processes.md has it,
// too.
#pragma once
#include "fleet_state.h"

#define CONTROL_CLIENTS 16
#define CONTROL_LINE 1024
#define CONTROL_REGIONS 64 // named in one command

// What commands do; supervisor.c has them. Each is 0 or a negative code with its text.
typedef struct ControlActions {
    void *context;
    void (*kill)(void *context, RegionView *region);
    int (*start)(void *context, RegionView *region, Error *reterr);
    void (*hang)(void *context, RegionView *region, bool hung);
    void (*tell)(void *context, RegionView *region, const char *message);
    void (*end)(void *context, bool now);
} ControlActions;

typedef struct ControlClient {
    int fd; // -1: free
    char line[CONTROL_LINE];
    size_t len;
    bool waiting; // for the death of `regions`
    RegionView *regions[CONTROL_REGIONS];
    size_t n_regions;
    Mono asked;
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
void control_close(Control *control);

// The other end: one command, one answer (malloced). ERROR_NOT_FOUND when no supervisor listens.
int control_ask(const char *dir, const char *command, int64_t timeout_ns, char **ret_answer,
                Error *reterr) MUST_CHECK;
