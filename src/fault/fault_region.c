// SPDX-License-Identifier: MIT
// fault_region: KILL and HANG of whole regions, both by the supervisor. Healing after an operator
// has ended the fleet is no failure (fault_ask).
#include <string.h>

#include "fault_kind.h"

// What is down or hung already was broken by somebody else, who will want to heal it himself.
static int region_prepare(FaultHeld *held, Error *reterr)
{
    json_t *status = NULL;
    int r = fault_status(held, &status, reterr);
    for (uint32_t i = 0; r == 0 && i < held->options->conf->model.n_regions; i++) {
        if (!fault_has(held->fault.a, i))
            continue;
        const char *name = fault_region_name(held, i);
        const char *state =
            json_string_value(json_object_get(control_status_region(status, name), "state"));
        if (state == NULL)
            r = error_set(reterr, ERROR_NOT_FOUND, "no region '%s' in the running fleet", name);
        else if (strcmp(state, "down") == 0 || strcmp(state, "hung") == 0)
            r = error_set(reterr, ERROR_CONFLICT, "region '%s' is %s already", name, state);
    }
    json_decref(status);
    return r;
}

static void region_look(FaultHeld *held)
{
    const char *want = held->fault.kind == FAULT_KILL ? "down" : "hung";
    json_t *status = NULL;
    int r = fault_status(held, &status, NULL);
    for (uint32_t i = 0; r == 0 && i < held->options->conf->model.n_regions; i++) {
        const char *name = fault_region_name(held, i);
        const char *state =
            json_string_value(json_object_get(control_status_region(status, name), "state"));
        if (fault_has(held->fault.a, i) && state != NULL && strcmp(state, want) != 0)
            fault_lost(held, "region '%s' is '%s', not '%s'", name, state, want);
    }
    json_decref(status);
}

static int region_begin(FaultHeld *held, Error *reterr)
{
    return fault_ask_regions(held, held->fault.kind == FAULT_KILL ? "kill" : "stop", held->fault.a,
                             reterr);
}

static int region_end(FaultHeld *held, Error *reterr)
{
    return fault_ask_regions(held, held->fault.kind == FAULT_KILL ? "start" : "cont", held->fault.a,
                             reterr);
}

const FaultKindActions FAULT_KIND_REGION = {
    .prepare = region_prepare,
    .begin = region_begin,
    .end = region_end,
    .look = region_look,
};
