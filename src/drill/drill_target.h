// SPDX-License-Identifier: MIT
// drill_target: which regions a drill breaks: from --region and --provider, or chosen by `drill
// all`. Pure.
#pragma once
#include "drill_run.h"

// What the command line said; NULL where it said nothing.
typedef struct DrillGiven {
    const char *provider, *region, *to;
    bool one_way, observers, probes;
} DrillGiven;

// Fills options->regions, target and given. ERROR_USAGE says what is allowed.
int drill_target(const Model *model, const DrillRow *row, const DrillGiven *given,
                 DrillOptions *options, Error *reterr) MUST_CHECK;
// What `drill all` gives to variant `variant` of a row: another region or cloud with each `turn`.
// The texts point into `ret_text` and the model.
DrillGiven drill_target_default(const Model *model, const DrillRow *row, uint32_t variant,
                                uint32_t turn, char ret_text[DRILL_TARGET]);
