// SPDX-License-Identifier: MIT
// sim_fault_kind: the kinds of faults by name: what each one means and which values it takes. One
// table for scenario files, timelines, the random search and the documentation.
#pragma once
#include "buf.h"
#include "sim_world.h"

// What SimFault.value is.
typedef enum SimValue {
    SIM_VALUE_NONE,
    SIM_VALUE_SHARE, // parts per million
    SIM_VALUE_TIME,  // nanoseconds
    SIM_VALUE_CLOCK, // nanoseconds, may be negative
    SIM_VALUE_LIE,   // SimLie
} SimValue;

typedef struct SimFaultRow {
    const char *name;
    const char *text; // one line
    SimValue value;
    bool to;       // has a second mask
    bool optional; // value may be missing
    int64_t max;   // of the value
} SimFaultRow;

extern const SimFaultRow SIM_FAULT_ROWS[FAULT_MAX];
extern const char *const SIM_FAULT_NAMES[FAULT_MAX + 1]; // NULL at the end
extern const char *const SIM_LIE_NAMES[SIM_LIE_MAX + 1];

// "loss us-west-2, westus2 -> all 30 %"
void sim_fault_tell(const SimFault *fault, const Model *model, Buf *text);
// Names of the regions of a mask: whole clouds by their name, "all".
void sim_mask_tell(uint32_t mask, const Model *model, const char *between, Buf *text);
