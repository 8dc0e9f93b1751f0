// SPDX-License-Identifier: MIT
// drill_run: one drill from steady traffic to the fleet being whole again.
//
//   settle -> traffic -> steady -> FAULT -> plans turn away -> broken for a while -> HEAL ->
//   everything back -> traffic ends -> verify -> report
//
// Whatever goes wrong between FAULT and HEAL, an interrupt included, HEAL is done first.
#pragma once
#include "conf.h"
#include "drill.h"
#include "drill_report.h"

typedef struct DrillOptions {
    const char *name, *target;
    uint64_t regions;  // to break: mask of region indices
    const char *dir;   // absolute
    const char *fleet; // path of fleet.yaml
    const Conf *conf;
    const char *rate, *connections; // as given, for the cameras; NULL: their defaults
    int64_t before_ns, broken_ns;   // steady traffic before; at least so long broken
    int64_t deadline_ns;            // for everything to be back
    DrillAsk *ask;
} DrillOptions;

int drill_run(const DrillOptions *options, DrillReport *ret_report, Error *reterr) MUST_CHECK;
