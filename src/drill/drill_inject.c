// SPDX-License-Identifier: MIT
// drill_inject: from the rows of the table to faults of the keeper: sides become masks of regions,
// options of the command line become ports and directions.
#include <string.h>

#include "agents_ask.h"
#include "clock.h"
#include "drill_state.h"

#define PROBE_LOSS_PPM 50000 // loss with --probes

// An edge's listener is where gateways are probed; all regions of a fleet share the number.
static uint16_t probe_port(const Drill *drill)
{
    return drill->model->n_regions > 0 ? drill->model->regions[0].edge_port : 0;
}

static Fault fault_of(const Drill *drill, const DrillFault *row)
{
    uint32_t given = drill->options->given;
    Fault fault = {.kind = row->kind, .program = row->program, .value = row->value};
    fault.a = drill_side(drill, row->a);
    if (row->kind == FAULT_CUT || row->kind == FAULT_LOSS) {
        fault.b = drill_side(drill, row->b);
        fault.one_way = (given & OPTION_ONE_WAY) != 0;
        fault.port = (given & (OPTION_OBSERVERS | OPTION_PROBES)) != 0 ? probe_port(drill) : 0;
    }
    if (row->kind == FAULT_LOSS && (given & OPTION_PROBES) != 0)
        fault.value = PROBE_LOSS_PPM;
    return fault;
}

static bool same_place(const Fault *one, const Fault *other)
{
    bool program =
        one->program == other->program || (one->program != NULL && other->program != NULL &&
                                           strcmp(one->program, other->program) == 0);
    return one->kind == other->kind && one->a == other->a && one->b == other->b && program &&
           one->one_way == other->one_way && one->port == other->port;
}

static DrillHeld *find_held(Drill *drill, const Fault *fault)
{
    for (uint32_t i = 0; i < drill->n_held; i++) {
        if (same_place(&drill->held[i].fault, fault))
            return &drill->held[i];
    }
    return NULL;
}

static int prepare_one(Drill *drill, const Fault *fault)
{
    if (find_held(drill, fault) != NULL)
        return 0;
    if (drill->n_held == DRILL_HELD)
        return error_set(drill->reterr, ERROR_LIMIT, "more than %d faults at once", DRILL_HELD);
    uint32_t id;
    int r = fault_prepare(drill->keeper, fault, &id, drill->reterr);
    if (r == 0)
        drill->held[drill->n_held++] = (DrillHeld){*fault, id, false};
    return r;
}

typedef int OnFault(Drill *drill, const Fault *fault);

// One fault, or one per pair of clouds.
static int each_fault(Drill *drill, const DrillFault *row, OnFault *run)
{
    Fault fault = fault_of(drill, row);
    if (row->a != SIDE_EACH_CLOUD)
        return run(drill, &fault);
    int r = 0;
    for (uint32_t i = 0; r == 0 && i + 1 < drill->model->n_clouds; i++) {
        for (uint32_t k = i + 1; r == 0 && k < drill->model->n_clouds; k++) {
            fault.a = drill_cloud(drill, i);
            fault.b = drill_cloud(drill, k);
            r = run(drill, &fault);
        }
    }
    return r;
}

int drill_prepare_faults(Drill *drill)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < drill->row->n_phases; i++) {
        const DrillPhase *phase = &drill->row->phases[i];
        for (uint32_t k = 0; r == 0 && k < DRILL_FAULTS && phase->faults[k].used; k++)
            r = each_fault(drill, &phase->faults[k], prepare_one);
    }
    return r;
}

static int begin_one(Drill *drill, const Fault *fault)
{
    DrillHeld *held = find_held(drill, fault);
    ASSERT(held != NULL);
    int r = 0;
    if (fault->value != held->fault.value)
        r = fault_change(drill->keeper, held->id, fault->value, drill->reterr);
    held->fault.value = fault->value;
    if (r == 0 && !held->in_force)
        r = fault_begin(drill->keeper, held->id, drill->reterr);
    held->in_force = r == 0;
    return r;
}

int drill_begin_faults(Drill *drill, const DrillPhase *phase)
{
    int r = 0;
    for (uint32_t k = 0; r == 0 && k < DRILL_FAULTS && phase->faults[k].used; k++) {
        DrillFault row = phase->faults[k];
        if (row.times_p50 > 0) {
            uint32_t gateway = (uint32_t)__builtin_ctzll(drill->options->regions);
            int64_t median;
            r = agents_p50(drill->options->dir, drill->model, gateway, &median, drill->reterr);
            if (r < 0)
                return r;
            row.value = median * row.times_p50;
            drill_say("the median round trip is %.2f ms", (double)median / 1e6);
        }
        r = each_fault(drill, &row, begin_one);
    }
    return r;
}

int drill_end_faults(Drill *drill)
{
    int first = 0;
    for (uint32_t i = drill->n_held; i > 0; i--) {
        DrillHeld *held = &drill->held[i - 1];
        if (!held->in_force)
            continue;
        int r = fault_end(drill->keeper, held->id, first == 0 ? drill->reterr : NULL);
        held->in_force = r < 0;
        first = first == 0 ? r : first;
    }
    return first;
}
