// SPDX-License-Identifier: MIT
// fault_tools: what kinds use to talk to the supervisor and to wait (fault_kind.h).
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "fault_kind.h"
#include "fault_owner.h"
#include "files.h"

#define ASK_MAX_NS (20 * NS_PER_S)
#define LOOK_MS 10
#define COMMAND_MAX 4000 // of a line to the supervisor

const char *fault_region_name(const FaultHeld *held, uint32_t region)
{
    ASSERT(region < held->options->conf->model.n_regions);
    return held->options->conf->model.regions[region].name;
}

void fault_lost(FaultHeld *held, const char *fmt, ...)
{
    if (held->lost[0] != '\0')
        return;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(held->lost, sizeof held->lost, fmt, args);
    va_end(args);
    held->lost_seen = clock_mono();
}

static int ask_text(const FaultHeld *held, const char *command, json_t **ret_root, Error *reterr)
{
    int64_t left_ns = mono_since(held->deadline, clock_mono());
    if (left_ns <= 0)
        return error_set(reterr, ERROR_TIMEOUT, "no time left for '%s'", command);
    char *answer CLEANUP(free_textp) = NULL;
    int r = held->options->ask(held->options->dir, command,
                               left_ns < ASK_MAX_NS ? left_ns : ASK_MAX_NS, &answer, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "supervisor, '%s'", command);
    r = control_answer_read(answer, ret_root, reterr);
    return r < 0 ? error_wrap(reterr, r, "supervisor, '%s'", command) : 0;
}

static int ask_done(const FaultHeld *held, const char *command, Error *reterr)
{
    json_t *root = NULL;
    int r = ask_text(held, command, &root, reterr);
    if (r == ERROR_NOT_FOUND && held->healing) {
        error_done(reterr);
        return 0; // the fleet has ended: nothing of it is broken any more
    }
    json_decref(root);
    return r;
}

int fault_ask(const FaultHeld *held, Error *reterr, const char *fmt, ...)
{
    Buf command CLEANUP(buf_done) = BUF_INIT(COMMAND_MAX);
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&command, fmt, args);
    va_end(args);
    int r = buf_check(&command);
    if (r < 0)
        return error_set(reterr, r, "command to the supervisor");
    return ask_done(held, buf_text(&command), reterr);
}

int fault_ask_answer(const FaultHeld *held, json_t **ret_answer, Error *reterr, const char *fmt,
                     ...)
{
    Buf command CLEANUP(buf_done) = BUF_INIT(COMMAND_MAX);
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&command, fmt, args);
    va_end(args);
    int r = buf_check(&command);
    if (r < 0)
        return error_set(reterr, r, "command to the supervisor");
    return ask_text(held, buf_text(&command), ret_answer, reterr);
}

int fault_ask_regions(const FaultHeld *held, const char *verb, uint64_t regions, Error *reterr)
{
    Buf command CLEANUP(buf_done) = BUF_INIT(0);
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < held->options->conf->model.n_regions; i++) {
        if (!fault_has(regions, i))
            continue;
        if (command.len == 0)
            buf_add_text(&command, verb);
        buf_printf(&command, " %s", fault_region_name(held, i));
        if (command.len < COMMAND_MAX - BOUND_NAME - 2)
            continue;
        if ((r = buf_check(&command)) == 0)
            r = ask_done(held, buf_text(&command), reterr);
        buf_clear(&command);
    }
    if (r == 0 && command.len > 0 && (r = buf_check(&command)) == 0)
        r = ask_done(held, buf_text(&command), reterr);
    return r;
}

int fault_status(const FaultHeld *held, json_t **ret_status, Error *reterr)
{
    return ask_text(held, "status", ret_status, reterr);
}

static int check_owner(const FaultHeld *held, const char *folder, int pid, Error *reterr)
{
    FaultOwner owner;
    int fd CLEANUP(fd_closep) = -1;
    int r = fault_owner_of_region(held->options->dir, folder, &owner, reterr);
    return r < 0 ? r : fault_owner_process(&owner, pid, &fd, reterr);
}

int fault_status_init(const FaultHeld *held, const json_t *status, const char *region,
                      pid_t *ret_pid, Error *reterr)
{
    int pid = control_status_pid(control_status_region(status, region), "init_pid");
    int r = pid > 0 ? check_owner(held, region, pid, reterr) : 0;
    if (r == 0)
        *ret_pid = pid;
    return r;
}

bool fault_status_runs(const json_t *status, const char *region)
{
    return control_status_pid(control_status_region(status, region), "init_pid") > 0;
}

int fault_wait(const FaultHeld *held, FaultCondition *condition, void *context, const char *what,
               Error *reterr)
{
    Mono start = clock_mono();
    for (;;) {
        int r = condition(held, context, reterr);
        if (r != 0)
            return r < 0 ? r : 0;
        struct pollfd gone = {.fd = held->healing ? -1 : held->gone, .events = POLLIN};
        if (poll(&gone, 1, LOOK_MS) > 0)
            return error_set(reterr, ERROR_UNAVAILABLE, "given up: whoever asked for it has gone");
        Mono now = clock_mono();
        if (now.ns > held->deadline.ns)
            return error_set(reterr, ERROR_TIMEOUT, "not within %lld s: %s",
                             (long long)(mono_since(now, start) / NS_PER_S), what);
    }
}

typedef struct WaitReady {
    const char *region, *program;
    int64_t old_pid;
} WaitReady;

static bool is_ready(const json_t *program)
{
    const char *state = json_string_value(json_object_get(program, "state"));
    return state != NULL && (strcmp(state, "ready") == 0 || strcmp(state, "done") == 0);
}

static int program_ready(const FaultHeld *held, void *context, Error *reterr)
{
    const WaitReady *wait = context;
    json_t *status = NULL;
    int r = fault_status(held, &status, reterr);
    if (r < 0)
        return r;
    const json_t *program = control_status_program(status, wait->region, wait->program);
    if (program == NULL)
        r = error_set(reterr, ERROR_NOT_FOUND, "region '%s' has no program '%s'", wait->region,
                      wait->program);
    else if (is_ready(program) && (wait->old_pid == 0 || json_integer_value(json_object_get(
                                                             program, "pid")) != wait->old_pid))
        r = 1;
    json_decref(status);
    return r;
}

int fault_wait_ready(const FaultHeld *held, const char *region, const char *program,
                     int64_t old_pid, Error *reterr)
{
    WaitReady wait = {region, program, old_pid};
    Buf what CLEANUP(buf_done) = BUF_INIT(512);
    buf_printf(&what, "'%s' of region '%s' is ready", program, region);
    return fault_wait(held, program_ready, &wait, buf_text(&what), reterr);
}

static int region_ready(const FaultHeld *held, void *context, Error *reterr)
{
    const char *name = context;
    json_t *status = NULL;
    int r = fault_status(held, &status, reterr);
    if (r < 0)
        return r;
    const json_t *region = control_status_region(status, name);
    const char *state = json_string_value(json_object_get(region, "state"));
    if (region == NULL)
        r = error_set(reterr, ERROR_NOT_FOUND, "no region '%s' in the fleet", name);
    else if (state != NULL && strcmp(state, "up") == 0)
        r = 1;
    json_decref(status);
    return r;
}

int fault_wait_region(const FaultHeld *held, const char *region, Error *reterr)
{
    Buf what CLEANUP(buf_done) = BUF_INIT(512);
    buf_printf(&what, "every program of region '%s' is ready", region);
    return fault_wait(held, region_ready, (void *)(uintptr_t)region, buf_text(&what), reterr);
}
