// SPDX-License-Identifier: MIT
// drill_table: the declared list of drills. A row says what a drill takes, breaks, needs, for how
// long, and what must hold; the code that runs a row knows no drill by name.
//
//   row = target + phases + limits;  phase = faults + how long + what to wait for + an act
//
// Faults are in force from the beginning of their phase until its end; a fault that two phases
// share is prepared once, and only its value changes.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "fault.h"

#define DRILL_PHASES 3
#define DRILL_FAULTS 2 // of a phase
#define DRILL_LIMITS 10
#define DRILL_VARIANTS 4

typedef enum DrillWho { // what is chosen by --region and --provider
    WHO_NOBODY,         // the whole fleet
    WHO_REGION,
    WHO_CLOUD,
    WHO_REGION_OR_CLOUD,
    WHO_TWO_CLOUDS,
    WHO_CLOUD_AND_REGION, // of another cloud
} DrillWho;

typedef enum DrillOption {
    OPTION_REGION = 1U << 0,
    OPTION_PROVIDER = 1U << 1,
    OPTION_ONE_WAY = 1U << 2,
    OPTION_OBSERVERS = 1U << 3,
    OPTION_PROBES = 1U << 4,
    OPTION_TO = 1U << 5,
} DrillOption;

typedef enum DrillSide {
    SIDE_TARGET,
    SIDE_REST,
    SIDE_ALL,
    SIDE_EACH_CLOUD, // for cuts: every cloud from every other one
} DrillSide;

typedef struct DrillFault {
    FaultKind kind;
    DrillSide a, b;
    const char *program;
    int64_t value;
    uint32_t times_p50; // not 0: value is so many median round trips of the probes
    bool used;
} DrillFault;

typedef enum DrillUntil { // the phase lasts at least its time, and until ...
    UNTIL_TIME,
    UNTIL_AWAY,  // ... no surviving region's plan has the target in front
    UNTIL_CLASS, // ... every plan knows that the target lacks the class
} DrillUntil;

struct Drill;
typedef int DrillAct(struct Drill *drill);

typedef struct DrillPhase {
    const char *name;
    DrillFault faults[DRILL_FAULTS];
    int64_t short_ns, long_ns; // 0: drills.min_duration; the short one
    int64_t on_ns, off_ns;     // in force and healed by turns; 0: in force all the while
    DrillUntil until;
    bool may_fall; // a verdict against the target is right
    bool instant;  // the act is all there is: no time is spent besides
    DrillAct *act; // after the faults began
} DrillPhase;

typedef enum DrillFigure {
    FIGURE_END,
    FIGURE_RTO,
    FIGURE_RPO,
    FIGURE_FAILOVER,
    FIGURE_AVAILABILITY,
    FIGURE_WORST,
    FIGURE_FIRST_TRY,
    FIGURE_FAILED,
    FIGURE_DUPLICATED,
    FIGURE_LOST,
    FIGURE_WORST_BUSY,     // only where a stall can be seen: enough requests per replica
    FIGURE_FIRST_TRY_BUSY, // so this
    FIGURE_QUIET,
    FIGURE_PLAN,
    FIGURE_FAILED_SURVIVING,
    FIGURE_FAILED_ALL,
    FIGURE_WRONG,
    FIGURE_TAKEN_DOWN,
    FIGURE_APART,
    FIGURE_INTENTS,
    FIGURE_VERDICTS,
    FIGURE_HOLDS,
    FIGURE_SHORT_HOLDS,
    FIGURE_CLASS_GONE,
    FIGURE_CLASS_BACK,
    FIGURE_CAPACITY,
    FIGURE_CONFIG_BACK,
    FIGURE_REPLACED,
    FIGURE_CONVERGED,
    FIGURE_ROWS_DIFFER,
    FIGURE_MAX,
} DrillFigure;

typedef struct DrillLimit {
    DrillFigure figure;
    double limit;
    uint8_t phase; // 0: the whole drill
} DrillLimit;

typedef struct DrillRow {
    const char *name, *usage, *help;
    DrillWho who;
    uint32_t options;                  // mask of DrillOption
    uint32_t variants[DRILL_VARIANTS]; // how `drill all` runs it: option masks; first 0: none given
    uint32_t n_variants;
    bool edges_die;        // requests that start at the target notice the fault itself
    bool blind;            // the target's agents cannot see or say anything meanwhile
    bool ask_intents;      // wishes are made on each side, and must be everywhere after healing
    bool reset_after;      // the holds are long by then: spare the wait
    uint32_t lost_classes; // mask that the target's region loses
    uint32_t fleet_limits; // mask of 1 << DrillFigure: objectives of fleet.yaml that apply
    DrillAct *prepare;     // before the traffic
    DrillPhase phases[DRILL_PHASES];
    uint32_t n_phases;
    DrillLimit limits[DRILL_LIMITS]; // up to FIGURE_END
} DrillRow;

extern const DrillRow DRILLS[];
extern const uint32_t DRILLS_N;

const DrillRow *drill_find(const char *name); // NULL: none
// Whether this machine and user can; the error says what is missing.
int drill_possible(const DrillRow *row, Error *reterr) MUST_CHECK;
// "root, nft", or "-".
const char *drill_needs(const DrillRow *row);
// How long a phase lasts. `broken_ns` > 0 is what the user asked for instead.
int64_t drill_phase_ns(const DrillPhase *phase, bool long_form, int64_t broken_ns,
                       int64_t min_duration_ns);
