// SPDX-License-Identifier: MIT
// drill_report: what a drill came to: its figures, as text and as JSON (docs/cli.md). What they are
// held against is in drill_figures.h. Pure: figures in, text out.
#pragma once
#include "buf.h"
#include "conf.h"
#include "drill_table.h"
#include "edge_counters.h"
#include "stats.h"

#define FIGURE_NONE (-1.0)       // does not apply: null, and not judged
#define FIGURE_NEVER (-2.0)      // what it waits for did not happen: null, and missed
#define FIGURE_UNMEASURED (-3.0) // it applies, and nothing measured it: null, and missed

#define DRILL_FAILURES 20 // listed in a report
#define DRILL_HOLDS 64
#define DRILL_VERDICTS 64 // listed in a report

typedef struct DrillScope { // the whole drill, or one phase of it
    const char *name;
    Mono begin, end;       // requests count by the time at which they were due
    Stats surviving, dead; // by the gateway of the first try
    uint32_t taken_down;   // times that a gateway was held down, however many plans said so
    uint32_t wrong_verdicts;
} DrillScope;

typedef struct DrillReport {
    const char *name;   // "provider-down"
    const char *target; // "aws"
    uint32_t n_regions; // broken ones
    const char *regions[RECORDS_REGIONS];
    uint64_t seed;
    Wall started;
    int64_t duration_ns;
    DrillScope whole;
    uint32_t n_phases;
    DrillScope phases[DRILL_PHASES];
    uint32_t n_failures; // the first ones of those that failed after the retry, or at a survivor
    struct {
        double at_ms; // of the due time, since the fault
        CameraRequest request;
    } failures[DRILL_FAILURES];
    const Model *model;                   // names of the gateways
    EdgeCounts edge_surviving, edge_dead; // what the edges did
    uint64_t acknowledged;
    double duplicated_writes, lost_now, lost_after_heal; // counts, or FIGURE_NONE
    double rpo_ms;       // age at the fault of the oldest write that survivors lacked; 0: none
    double converged_ms; // after healing, until every region had what the others had then
    double rows_differ;  // regions whose rows of this run are not the first one's, at the end
    double rto_edge_ms, rto_plan_ms, recovered_ms; // or FIGURE_NONE
    double recover_limit_ms;
    char not_recovered[128]; // what was missing at the deadline, or ""
    uint32_t n_verdicts;
    struct {
        const char *region;
        double at_ms, held_ms; // since the fault; FIGURE_NEVER: not over
        uint32_t plans;        // that said so
        bool right;
    } verdicts[DRILL_VERDICTS];
    uint32_t n_holds; // that were over before healing
    double holds_ms[DRILL_HOLDS];
    double max_apart_ms;
    double intents_agree_ms, verdicts_agree_ms; // after healing
    double class_gone_ms, class_back_ms;        // after the fault, after healing
    double capacity_peak_ppm;                   // of the fullest survivor
    double config_back_ms;                      // until a bad configuration was taken back
    double programs_replaced;
    bool plans_lost;   // the timeline was too short for what plans said
    bool busy_targets; // each replica had more requests than a stall needs to be seen
} DrillReport;

typedef struct DrillObjective DrillObjective; // drill_figures.h

void drill_report_json(const DrillReport *report, const DrillObjective *objectives, uint32_t n,
                       Buf *out);
// drill_text.c
void drill_report_text(const DrillReport *report, const DrillObjective *objectives, uint32_t n,
                       Buf *out);
