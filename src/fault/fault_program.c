// SPDX-License-Identifier: MIT
// fault_program: PROGRAM_DOWN by the supervisor's halt and resume; PROGRAM_HANG by signals of our
// own: SIGSTOP of nginx's master alone hangs nobody, its workers must stop too. Children are
// looked for until a pass finds none that is new and all are stopped.
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "alloc.h"
#include "fault_kind.h"
#include "fault_processes.h"

typedef struct Hung {
    size_t n; // that were stopped at the begin
    FaultProcesses list;
} Hung;

static int check_program(const FaultHeld *held, const json_t *status, const char *region,
                         Error *reterr)
{
    if (control_status_program(status, region, held->program) == NULL)
        return error_set(reterr, ERROR_NOT_FOUND, "region '%s' has no program '%s'", region,
                         held->program);
    if (!fault_status_runs(status, region))
        return error_set(reterr, ERROR_CONFLICT, "region '%s' does not run", region);
    return 0;
}

static int program_prepare(FaultHeld *held, Error *reterr)
{
    json_t *status = NULL;
    int r = fault_status(held, &status, reterr);
    for (uint32_t i = 0; r == 0 && i < held->options->conf->model.n_regions; i++)
        if (fault_has(held->fault.a, i))
            r = check_program(held, status, fault_region_name(held, i), reterr);
    json_decref(status);
    if (r == 0 && held->fault.kind == FAULT_PROGRAM_HANG &&
        (held->own = alloc_zeroed(1, sizeof(Hung))) == NULL)
        r = error_set(reterr, ERROR_MEMORY, "list of processes");
    return r;
}

// --- down ---
static int halt(FaultHeld *held, Error *reterr)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < held->options->conf->model.n_regions; i++)
        if (fault_has(held->fault.a, i))
            r = fault_ask(held, reterr, "halt %s %s", fault_region_name(held, i), held->program);
    return r;
}

// Goes on after a failure, so that one bad region does not keep the others broken.
static int resume(FaultHeld *held, Error *reterr)
{
    json_t *status = NULL;
    int worst = fault_status(held, &status, reterr);
    if (worst == ERROR_NOT_FOUND) {
        error_done(reterr);
        return 0; // the fleet has ended
    }
    for (uint32_t i = 0; i < held->options->conf->model.n_regions; i++) {
        const char *region = fault_region_name(held, i);
        // A region that was killed since starts whole.
        if (!fault_has(held->fault.a, i) || (status != NULL && !fault_status_runs(status, region)))
            continue;
        int r = fault_ask(held, reterr, "resume %s %s", region, held->program);
        worst = r < 0 ? r : worst;
    }
    json_decref(status);
    return worst;
}

static void look_down(FaultHeld *held)
{
    json_t *status = NULL;
    int r = fault_status(held, &status, NULL);
    for (uint32_t i = 0; r == 0 && i < held->options->conf->model.n_regions; i++) {
        const char *region = fault_region_name(held, i);
        const char *state = json_string_value(
            json_object_get(control_status_program(status, region, held->program), "state"));
        // With a region that is killed the program is down too.
        if (fault_has(held->fault.a, i) && fault_status_runs(status, region) && state != NULL &&
            strcmp(state, "halted") != 0)
            fault_lost(held, "'%s' of region '%s' is '%s', not 'halted'", held->program, region,
                       state);
    }
    json_decref(status);
}

// --- hang ---
typedef struct Stopping {
    FaultProcesses *list;
    size_t first; // of this region
    pid_t init, inner;
} Stopping;

static int stop_pass(const FaultHeld *held, void *context, Error *reterr)
{
    const Stopping *stopping = context;
    size_t before = stopping->list->n;
    int r = fault_processes_add(stopping->list, stopping->init, stopping->inner, reterr);
    if (r >= 0 && stopping->list->n == stopping->first)
        r = error_set(reterr, ERROR_CONFLICT, "'%s' has just ended", held->program);
    if (r < 0)
        return r;
    fault_processes_signal(stopping->list, before, SIGSTOP);
    return r == 0 && fault_processes_stopped(stopping->list) ? 1 : 0;
}

static int stop_in(FaultHeld *held, const char *region, Error *reterr)
{
    json_t *status = NULL;
    int r = fault_status(held, &status, reterr);
    if (r < 0)
        return r;
    pid_t init = 0;
    pid_t inner = control_status_pid(control_status_program(status, region, held->program), "pid");
    r = fault_status_init(held, status, region, &init, reterr);
    json_decref(status);
    if (r < 0)
        return r;
    if (init <= 0 || inner <= 0)
        return error_set(reterr, ERROR_CONFLICT, "'%s' of region '%s' does not run", held->program,
                         region);
    FaultProcesses *list = &((Hung *)held->own)->list;
    Stopping stopping = {.list = list, .first = list->n, .init = init, .inner = inner};
    return fault_wait(held, stop_pass, &stopping, "all its processes are stopped", reterr);
}

static int hang(FaultHeld *held, Error *reterr)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < held->options->conf->model.n_regions; i++)
        if (fault_has(held->fault.a, i))
            r = stop_in(held, fault_region_name(held, i), reterr);
    Hung *hung = held->own;
    hung->n = fault_processes_count_stopped(&hung->list);
    return r;
}

static void look_hung(FaultHeld *held)
{
    const Hung *hung = held->own;
    size_t n = fault_processes_count_stopped(&hung->list);
    if (n < hung->n)
        fault_lost(held, "%zu of %zu processes of '%s' have ended or go on", hung->n - n, hung->n,
                   held->program);
}

static int go_on(FaultHeld *held, Error *reterr)
{
    FaultProcesses *list = &((Hung *)held->own)->list;
    fault_processes_signal(list, 0, SIGCONT);
    fault_processes_done(list);
    return 0;
}

// --- both ---
static int program_begin(FaultHeld *held, Error *reterr)
{
    return held->fault.kind == FAULT_PROGRAM_DOWN ? halt(held, reterr) : hang(held, reterr);
}

static int program_end(FaultHeld *held, Error *reterr)
{
    return held->fault.kind == FAULT_PROGRAM_DOWN ? resume(held, reterr) : go_on(held, reterr);
}

static void program_look(FaultHeld *held)
{
    if (held->fault.kind == FAULT_PROGRAM_DOWN)
        look_down(held);
    else
        look_hung(held);
}

static int program_undo(FaultHeld *held, Error *reterr)
{
    free(held->own);
    held->own = NULL;
    return 0;
}

const FaultKindActions FAULT_KIND_PROGRAM = {
    .prepare = program_prepare,
    .begin = program_begin,
    .end = program_end,
    .look = program_look,
    .undo = program_undo,
};
