// SPDX-License-Identifier: MIT
// drill_run: one drill from steady traffic to the fleet being whole again.
//
//   settle -> prepare faults -> traffic -> steady -> phase (faults begin, last, end) ... ->
//   everything back -> traffic ends -> undo -> verify -> report
//
// Faults are held by the keeper of src/fault and everything else by a guard (undo.h): whatever
// happens to the drill itself, SIGKILL included, both heal what they hold.
#pragma once
#include "conf.h"
#include "drill.h"
#include "drill_report.h"
#include "drill_table.h"

#define DRILL_TARGET 160

typedef struct DrillOptions {
    const DrillRow *row;
    uint32_t given;            // mask of DrillOption
    char target[DRILL_TARGET]; // for people
    uint64_t regions;          // to break: mask of region indices
    const char *to;            // folder of another build; NULL: a copy of this one
    const char *dir;           // absolute
    const char *fleet;         // path of fleet.yaml
    const Conf *conf;
    const char *rate, *connections; // as given, for the cameras; NULL: their defaults
    int64_t before_ns;              // steady traffic before
    int64_t broken_ns;              // each phase; 0: as the row says
    int64_t deadline_ns;            // for everything to be back
    bool long_form;
    DrillAsk *ask;
    int lock; // of the fleet, for whoever heals; 0: none
} DrillOptions;

int drill_run(const DrillOptions *options, DrillReport *ret_report, Error *reterr) MUST_CHECK;
