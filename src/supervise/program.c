// SPDX-License-Identifier: MIT
// program: names of the states, as the control socket and `status` write them.
#include "program.h"

#include <string.h>

static const char *const NAMES[PROGRAM_STATE_MAX] = {
    [PROGRAM_STATE_WAITING] = "waiting", [PROGRAM_STATE_STARTING] = "starting",
    [PROGRAM_STATE_READY] = "ready",     [PROGRAM_STATE_DONE] = "done",
    [PROGRAM_STATE_BACKOFF] = "backoff", [PROGRAM_STATE_STOPPING] = "stopping",
    [PROGRAM_STATE_STOPPED] = "stopped", [PROGRAM_STATE_HALTED] = "halted",
};

const char *program_state_name(ProgramState state)
{
    return state < PROGRAM_STATE_MAX ? NAMES[state] : "?";
}

int program_state_parse(const char *name)
{
    for (int i = 0; i < PROGRAM_STATE_MAX; i++)
        if (strcmp(NAMES[i], name) == 0)
            return i;
    return -1;
}
