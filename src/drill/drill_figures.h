// SPDX-License-Identifier: MIT
// drill_figures: the figures that objectives are about, by name, and the judgement: those of
// fleet.yaml and those of the drill's own row in the table. Pure.
#pragma once
#include "conf.h"
#include "drill_report.h"

struct DrillObjective {
    char name[96]; // "worst_request", "4%.taken_down"
    const char *unit;
    double limit, value; // or FIGURE_NEVER, FIGURE_UNMEASURED
    bool at_least;       // the value must not be below the limit; else not above it
    bool held;
};

#define DRILL_OBJECTIVES 32

// A figure that does not apply here is left out and named in *ret_missing ("rpo ...", separated by
// spaces). One that does and was not measured does not hold.
uint32_t drill_objectives(const DrillReport *report, const DrillRow *row,
                          const ConfObjectives *limits,
                          DrillObjective ret_objectives[DRILL_OBJECTIVES], Buf *ret_missing);
bool drill_held(const DrillObjective *objectives, uint32_t n);
// In docs and messages: "wrong_verdicts".
const char *drill_figure_name(DrillFigure figure);
