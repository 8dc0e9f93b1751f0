// SPDX-License-Identifier: MIT
// fault_check: see fault_check.h.
#include "fault_check.h"

#include <string.h>

#include "fault_kind.h"

typedef enum Wants { WANTS_NOT, WANTS_MAYBE, WANTS } Wants;

static const struct {
    Wants b, packets, program, value; // packets: one_way and port
    int64_t least, most;
} SHAPES[FAULT_MAX] = {
    [FAULT_KILL] = {0},
    [FAULT_HANG] = {0},
    [FAULT_PROGRAM_DOWN] = {.program = WANTS},
    [FAULT_PROGRAM_HANG] = {.program = WANTS},
    [FAULT_CUT] = {.b = WANTS, .packets = WANTS_MAYBE},
    [FAULT_LOSS] = {.b = WANTS, .packets = WANTS_MAYBE, .value = WANTS, .most = PPM_ONE},
    [FAULT_GATEWAY_SLOW] = {.value = WANTS, .most = FAULT_VALUE_DELAY_MAX},
    [FAULT_REPLICA_SLOW] = {.program = WANTS_MAYBE, .value = WANTS, .most = FAULT_VALUE_DELAY_MAX},
    [FAULT_REPLICA_ERRORS] = {.program = WANTS_MAYBE, .value = WANTS, .most = PPM_ONE},
    [FAULT_DISK_FULL] = {0},
    [FAULT_CLOCK] = {.program = WANTS_MAYBE,
                     .value = WANTS,
                     .least = -FAULT_VALUE_CLOCK_MAX,
                     .most = FAULT_VALUE_CLOCK_MAX},
};

int fault_check_value(FaultKind kind, int64_t value, Error *reterr)
{
    const char *name = FAULTS[kind].name;
    if (SHAPES[kind].value == WANTS_NOT && value != 0)
        return error_set(reterr, ERROR_USAGE, "fault '%s' has no value", name);
    if (value < SHAPES[kind].least || value > SHAPES[kind].most)
        return error_set(reterr, ERROR_RANGE, "fault '%s': '%lld' is not between %lld and %lld",
                         name, (long long)value, (long long)SHAPES[kind].least,
                         (long long)SHAPES[kind].most);
    return 0;
}

static int check_regions(const char *name, const char *which, uint64_t mask, const Model *model,
                         Error *reterr)
{
    uint64_t known = model->n_regions < 64 ? (UINT64_C(1) << model->n_regions) - 1 : UINT64_MAX;
    if (mask == 0)
        return error_set(reterr, ERROR_USAGE, "fault '%s' needs %s", name, which);
    if ((mask & ~known) != 0)
        return error_set(reterr, ERROR_RANGE, "fault '%s': %s: no such region", name, which);
    return 0;
}

static int check_program(FaultKind kind, const char *program, Error *reterr)
{
    const char *name = FAULTS[kind].name;
    if (SHAPES[kind].program == WANTS && program == NULL)
        return error_set(reterr, ERROR_USAGE, "fault '%s' needs a program", name);
    if (SHAPES[kind].program == WANTS_NOT && program != NULL)
        return error_set(reterr, ERROR_USAGE, "fault '%s' is not about a program", name);
    if (program == NULL)
        return 0;
    // It becomes a word of a command to the supervisor.
    size_t len = strlen(program);
    if (len == 0 || len >= FAULT_PROGRAM_MAX ||
        strspn(program, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
        return error_set(reterr, ERROR_USAGE, "fault '%s': '%s' is not a program's name", name,
                         program);
    return 0;
}

int fault_check(const Fault *fault, const Model *model, Error *reterr)
{
    if ((unsigned)fault->kind >= FAULT_MAX)
        return error_set(reterr, ERROR_USAGE, "no such kind of fault");
    const char *name = FAULTS[fault->kind].name;
    bool wants_b = SHAPES[fault->kind].b == WANTS;
    int r = check_regions(name, wants_b ? "regions on the one side" : "regions", fault->a, model,
                          reterr);
    if (r == 0 && wants_b)
        r = check_regions(name, "regions on the other side", fault->b, model, reterr);
    if (r == 0 && !wants_b && fault->b != 0)
        r = error_set(reterr, ERROR_USAGE, "fault '%s' has one side only", name);
    if (r == 0 && wants_b && fault->a == fault->b && (fault->a & (fault->a - 1)) == 0)
        r = error_set(reterr, ERROR_USAGE, "fault '%s': a region is not apart from itself", name);
    if (r == 0 && SHAPES[fault->kind].packets == WANTS_NOT && (fault->one_way || fault->port != 0))
        r = error_set(reterr, ERROR_USAGE, "fault '%s' is not about packets", name);
    if (r == 0)
        r = check_program(fault->kind, fault->program, reterr);
    return r < 0 ? r : fault_check_value(fault->kind, fault->value, reterr);
}
