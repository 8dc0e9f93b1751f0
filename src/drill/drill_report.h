// SPDX-License-Identifier: MIT
// drill_report: what a drill came to: the figures, the objectives they are held against, and both
// as text and as JSON (docs/cli.md). Pure but for nothing: figures in, text out.
#pragma once
#include "buf.h"
#include "conf.h"
#include "stats.h"

#define FIGURE_NONE (-1.0) // not measured: null

#define DRILL_FAILURES 20 // listed in a report

typedef struct DrillReport {
    const char *name;   // "provider-down"
    const char *target; // "aws"
    uint32_t n_regions; // broken ones
    const char *regions[RECORDS_REGIONS];
    uint64_t seed;
    Wall started;
    int64_t duration_ns;
    Stats surviving, dead; // by the gateway of the first try
    uint32_t n_failures;   // the first ones of those that failed after the retry, or at a survivor
    struct {
        double at_ms; // of the due time, since the fault
        CameraRequest request;
    } failures[DRILL_FAILURES];
    const Model *model; // names of the gateways
    uint64_t edge_retries_surviving, edge_retries_dead;
    uint64_t acknowledged;
    double duplicated_writes, lost_now, lost_after_heal; // counts, or FIGURE_NONE
    double rto_edge_ms, rto_plan_ms, recovered_ms;       // or FIGURE_NONE
    double recover_limit_ms;
    char not_recovered[128]; // what was missing at the deadline, or ""
} DrillReport;

typedef struct DrillObjective {
    const char *name;
    const char *unit; // "ms", "%", ""
    double limit, value;
    bool at_least; // the value must not be below the limit; else not above it
    bool held;
} DrillObjective;

#define DRILL_OBJECTIVES 9

// Those that can be judged; a value of FIGURE_NONE is left out and named in *ret_missing ("rpo
// ...", separated by spaces).
uint32_t drill_objectives(const DrillReport *report, const ConfObjectives *limits,
                          DrillObjective ret_objectives[DRILL_OBJECTIVES], Buf *ret_missing);
bool drill_held(const DrillObjective *objectives, uint32_t n);
void drill_report_json(const DrillReport *report, const DrillObjective *objectives, uint32_t n,
                       Buf *out);
void drill_report_text(const DrillReport *report, const DrillObjective *objectives, uint32_t n,
                       Buf *out);
