// SPDX-License-Identifier: MIT
// drill_table: see drill_table.h. Limits with their reasons are in docs/reliability.md.
#include "drill_table.h"

#include <string.h>

#include "drill_acts.h"
#include "drill_rows.h"
#include "instant.h"
#include "model.h"

#define S NS_PER_S
#define MIN (60 * NS_PER_S)
#define BIT(figure) (UINT32_C(1) << (figure))
#define WRITES_KEPT (BIT(FIGURE_DUPLICATED) | BIT(FIGURE_LOST) | BIT(FIGURE_ROWS_DIFFER))
#define SURVIVORS_SERVED (WRITES_KEPT | BIT(FIGURE_WORST) | BIT(FIGURE_FIRST_TRY))
#define ALL_SERVED (SURVIVORS_SERVED | BIT(FIGURE_AVAILABILITY) | BIT(FIGURE_FAILED))
#define TURNED_AWAY (BIT(FIGURE_RTO) | BIT(FIGURE_RPO) | BIT(FIGURE_FAILOVER))

#define HANG_PLAN_MS 2500 // what the probes promise: silence is less than proof
#define KILL_PLAN_MS 1000
#define CONVERGED_MS 10000       // the guide's lag of 5 to 10 seconds
#define CONVERGED_EMPTY_MS 60000 // everything was copied first

#define FAULT(...)                                                                                 \
    {                                                                                              \
        __VA_ARGS__, .used = true                                                                  \
    }
#define BREAK(KIND) FAULT(.kind = (KIND), .a = SIDE_TARGET)
#define BREAK_PROGRAM(KIND, PROGRAM) FAULT(.kind = (KIND), .a = SIDE_TARGET, .program = (PROGRAM))
#define CUT_OFF FAULT(.kind = FAULT_CUT, .a = SIDE_TARGET, .b = SIDE_REST)

const DrillRow DRILLS[] = {
    {.name = "provider-down",
     .usage = "--provider CLOUD",
     .help = "SIGKILL of a whole cloud",
     .who = WHO_CLOUD,
     .edges_die = true,
     .blind = true,
     .fleet_limits = ALL_SERVED | TURNED_AWAY,
     .phases =
         {{.name = "killed", .faults = {BREAK(FAULT_KILL)}, .until = UNTIL_AWAY, .may_fall = true}},
     .n_phases = 1,
     .limits = {{FIGURE_PLAN, KILL_PLAN_MS, 0}, {FIGURE_WRONG, 0, 0}}},
    {.name = "region-down",
     .usage = "--region REGION",
     .help = "SIGKILL of a whole region, database included",
     .who = WHO_REGION,
     .edges_die = true,
     .blind = true,
     .fleet_limits = ALL_SERVED | TURNED_AWAY,
     .phases =
         {{.name = "killed", .faults = {BREAK(FAULT_KILL)}, .until = UNTIL_AWAY, .may_fall = true}},
     .n_phases = 1,
     .limits = {{FIGURE_PLAN, KILL_PLAN_MS, 0}, {FIGURE_WRONG, 0, 0}}},
    {.name = "database-lost",
     .usage = "--region REGION",
     .help = "SIGKILL of a whole region, and its database is deleted: it comes back empty",
     .who = WHO_REGION,
     .edges_die = true,
     .blind = true,
     .fleet_limits = (ALL_SERVED & ~BIT(FIGURE_LOST)) | TURNED_AWAY, // the loss is the RPO
     .phases = {{.name = "deleted",
                 .faults = {BREAK(FAULT_KILL)},
                 .until = UNTIL_AWAY,
                 .may_fall = true,
                 .act = act_delete_database}},
     .n_phases = 1,
     .limits = {{FIGURE_PLAN, KILL_PLAN_MS, 0},
                {FIGURE_WRONG, 0, 0},
                {FIGURE_CONVERGED, CONVERGED_EMPTY_MS, 0}}},
    {.name = "provider-hang",
     .usage = "--provider CLOUD",
     .help = "SIGSTOP of a whole cloud: it accepts connections and says nothing",
     .who = WHO_CLOUD,
     .edges_die = true,
     .blind = true,
     .fleet_limits = ALL_SERVED | TURNED_AWAY,
     .phases =
         {{.name = "hung", .faults = {BREAK(FAULT_HANG)}, .until = UNTIL_AWAY, .may_fall = true}},
     .n_phases = 1,
     .limits = {{FIGURE_PLAN, HANG_PLAN_MS, 0}, {FIGURE_WRONG, 0, 0}}},
    {.name = "region-hang",
     .usage = "--region REGION",
     .help = "SIGSTOP of a whole region",
     .who = WHO_REGION,
     .edges_die = true,
     .blind = true,
     .fleet_limits = ALL_SERVED | TURNED_AWAY,
     .phases =
         {{.name = "hung", .faults = {BREAK(FAULT_HANG)}, .until = UNTIL_AWAY, .may_fall = true}},
     .n_phases = 1,
     .limits = {{FIGURE_PLAN, HANG_PLAN_MS, 0}, {FIGURE_WRONG, 0, 0}}},
    {.name = "replica-hang",
     .usage = "--region REGION",
     .help = "SIGSTOP of one replica of a region",
     .who = WHO_REGION,
     .fleet_limits = ALL_SERVED & ~(BIT(FIGURE_WORST) | BIT(FIGURE_FIRST_TRY)),
     .phases = {{.name = "hung", .faults = {BREAK_PROGRAM(FAULT_PROGRAM_HANG, "backend-1")}}},
     .n_phases = 1,
     .limits = {{FIGURE_WORST_BUSY, 500, 0},
                {FIGURE_FIRST_TRY_BUSY, 0, 0},
                {FIGURE_TAKEN_DOWN, 0, 0},
                {FIGURE_WRONG, 0, 0}}},
    {.name = "two-clouds-down",
     .usage = "--provider CLOUD,CLOUD",
     .help = "SIGKILL of two clouds at once: nobody can judge, the order must do",
     .who = WHO_TWO_CLOUDS,
     .edges_die = true,
     .blind = true,
     .fleet_limits = SURVIVORS_SERVED,
     .phases = {{.name = "killed", .faults = {BREAK(FAULT_KILL)}, .until = UNTIL_AWAY}},
     .n_phases = 1,
     .limits = {{FIGURE_PLAN, HANG_PLAN_MS, 0}, {FIGURE_TAKEN_DOWN, 0, 0}, {FIGURE_WRONG, 0, 0}}},
    {.name = "cloud-and-region-down",
     .usage = "--provider CLOUD --region REGION",
     .help = "SIGKILL of a cloud and of a region of another one, at once",
     .who = WHO_CLOUD_AND_REGION,
     .edges_die = true,
     .blind = true,
     .fleet_limits = SURVIVORS_SERVED,
     .phases = {{.name = "killed", .faults = {BREAK(FAULT_KILL)}, .until = UNTIL_AWAY}},
     .n_phases = 1,
     .limits = {{FIGURE_PLAN, HANG_PLAN_MS, 0}, {FIGURE_TAKEN_DOWN, 0, 0}, {FIGURE_WRONG, 0, 0}}},
    {.name = "nginx-down",
     .usage = "--region REGION",
     .help = "SIGKILL of a region's gateway program",
     .who = WHO_REGION,
     .edges_die = true,
     .fleet_limits = ALL_SERVED | TURNED_AWAY,
     .phases = {{.name = "killed",
                 .faults = {BREAK_PROGRAM(FAULT_PROGRAM_DOWN, "nginx")},
                 .until = UNTIL_AWAY,
                 .may_fall = true}},
     .n_phases = 1,
     .limits = {{FIGURE_PLAN, KILL_PLAN_MS, 0}, {FIGURE_WRONG, 0, 0}}},
    {.name = "agent-down",
     .usage = "--region REGION",
     .help = "SIGKILL of a region's agent: its edge goes on by the last plan",
     .who = WHO_REGION,
     .blind = true,
     .fleet_limits = ALL_SERVED,
     .phases = {{.name = "killed", .faults = {BREAK_PROGRAM(FAULT_PROGRAM_DOWN, "agent")}}},
     .n_phases = 1,
     .limits = {{FIGURE_TAKEN_DOWN, 0, 0}, {FIGURE_WRONG, 0, 0}}},
    {.name = "database-down",
     .usage = "--region REGION",
     .help = "SIGKILL of a region's PostgreSQL",
     .who = WHO_REGION,
     .lost_classes = CLASS_MASK_WRITE,
     .fleet_limits = ALL_SERVED,
     .phases = {{.name = "killed",
                 .faults = {BREAK_PROGRAM(FAULT_PROGRAM_DOWN, "postgres")},
                 .until = UNTIL_CLASS}},
     .n_phases = 1,
     .limits = {{FIGURE_CLASS_GONE, 2500, 0}, {FIGURE_TAKEN_DOWN, 0, 0}, {FIGURE_WRONG, 0, 0}}},
    {.name = "disk-full",
     .usage = "--region REGION",
     .help = "no space left for a region's database, which leaves then",
     .who = WHO_REGION,
     .lost_classes = CLASS_MASK_WRITE,
     .fleet_limits = ALL_SERVED,
     .phases = {{.name = "full", .faults = {BREAK(FAULT_DISK_FULL)}, .until = UNTIL_CLASS}},
     .n_phases = 1,
     // It panics, tries to recover and leaves: more than database-down, at any load.
     .limits = {{FIGURE_CLASS_GONE, 10000, 0}, {FIGURE_TAKEN_DOWN, 0, 0}, {FIGURE_WRONG, 0, 0}}},
    {.name = "clock-jump",
     .usage = "--region REGION",
     .help = "the clock of a region's agent jumps ten minutes ahead",
     .who = WHO_REGION,
     .lost_classes = CLASS_MASK_WRITE,
     .fleet_limits = ALL_SERVED,
     .phases = {{.name = "ahead",
                 .faults = {FAULT(.kind = FAULT_CLOCK, .a = SIDE_TARGET, .program = "agent",
                                  .value = 10 * MIN)},
                 .until = UNTIL_CLASS}},
     .n_phases = 1,
     .limits = {{FIGURE_CLASS_GONE, 5000, 0},
                {FIGURE_CLASS_BACK, 10000, 0},
                {FIGURE_TAKEN_DOWN, 0, 0},
                {FIGURE_WRONG, 0, 0}}},
    {.name = "slow",
     .usage = "--region REGION",
     .help = "a gateway's round trips take 5 times the median, then 6 s",
     .who = WHO_REGION,
     .edges_die = true,
     .fleet_limits = ALL_SERVED,
     .phases = {{.name = "5x",
                 .faults = {FAULT(.kind = FAULT_GATEWAY_SLOW, .a = SIDE_TARGET, .times_p50 = 4)}},
                {.name = "beyond-5s",
                 .faults = {FAULT(.kind = FAULT_GATEWAY_SLOW, .a = SIDE_TARGET, .value = 6 * S)},
                 .until = UNTIL_AWAY,
                 .may_fall = true}},
     .n_phases = 2,
     .limits = {{FIGURE_TAKEN_DOWN, 0, 1}, {FIGURE_WRONG, 0, 0}, {FIGURE_PLAN, 15000, 0}}},
    {.name = "errors",
     .usage = "--region REGION",
     .help = "4 % of the answers of a region's replicas are a 500, then 50 %",
     .who = WHO_REGION,
     .fleet_limits = ALL_SERVED & ~(BIT(FIGURE_WORST) | BIT(FIGURE_FIRST_TRY)),
     .phases = {{.name = "4%",
                 .faults = {FAULT(.kind = FAULT_REPLICA_ERRORS, .a = SIDE_TARGET, .value = 40000)},
                 .short_ns = 20 * S,
                 .long_ns = 10 * MIN},
                {.name = "50%",
                 .faults = {FAULT(.kind = FAULT_REPLICA_ERRORS, .a = SIDE_TARGET, .value = 500000)},
                 .short_ns = 20 * S,
                 .may_fall = true}},
     .n_phases = 2,
     .limits = {{FIGURE_TAKEN_DOWN, 0, 1},
                {FIGURE_FIRST_TRY, 0, 1},
                {FIGURE_FAILED, 0, 2},
                {FIGURE_QUIET, 15000, 2},
                {FIGURE_WRONG, 0, 0}}},
    {.name = "partition",
     .usage = "--region REGION|--provider CLOUD [--one-way|--observers]",
     .help = "cuts a region or a cloud off; one way; or only the probes",
     .who = WHO_REGION_OR_CLOUD,
     .options = OPTION_ONE_WAY | OPTION_OBSERVERS,
     .variants = {OPTION_REGION, OPTION_PROVIDER, OPTION_REGION | OPTION_ONE_WAY,
                  OPTION_REGION | OPTION_OBSERVERS},
     .n_variants = 4,
     .blind = true,
     .ask_intents = true,
     .fleet_limits = ALL_SERVED,
     .phases = {{.name = "cut",
                 .faults = {CUT_OFF},
                 .short_ns = 15 * S,
                 .may_fall = true,
                 .act = act_wish}},
     .n_phases = 1,
     .limits = {{FIGURE_WRONG, 0, 0}, {FIGURE_INTENTS, 2000, 0}, {FIGURE_VERDICTS, 6000, 0}}},
    {.name = "split-brain",
     .usage = "",
     .help = "every cloud cut from every other one, wishes and the same rows on all sides",
     .who = WHO_NOBODY,
     .ask_intents = true,
     .fleet_limits = ALL_SERVED,
     .phases = {{.name = "cut",
                 .faults = {FAULT(.kind = FAULT_CUT, .a = SIDE_EACH_CLOUD)},
                 .short_ns = 15 * S,
                 .act = act_disagree}},
     .n_phases = 1,
     .limits = {{FIGURE_TAKEN_DOWN, 0, 0},
                {FIGURE_WRONG, 0, 0},
                {FIGURE_CONVERGED, CONVERGED_MS, 0},
                {FIGURE_INTENTS, 2000, 0},
                {FIGURE_VERDICTS, 6000, 0}}},
    {.name = "flap",
     .usage = "--region REGION",
     .help = "a region's gateway is down for 2 s and up for 3 s, again and again",
     .who = WHO_REGION,
     .edges_die = true,
     .reset_after = true,
     .fleet_limits = ALL_SERVED,
     .phases = {{.name = "flapping",
                 .faults = {BREAK_PROGRAM(FAULT_PROGRAM_DOWN, "nginx")},
                 .short_ns = 40 * S,
                 .long_ns = 5 * MIN,
                 .on_ns = 2 * S,
                 .off_ns = 3 * S,
                 .may_fall = true}},
     .n_phases = 1,
     .limits = {{FIGURE_TAKEN_DOWN, 6, 0},
                {FIGURE_HOLDS, 1, 0}, // else nothing below was tried
                {FIGURE_SHORT_HOLDS, 0, 0},
                {FIGURE_APART, 3000, 0},
                {FIGURE_WRONG, 0, 0}}},
    {.name = "loss",
     .usage = "[--probes]",
     .help = "20 % of the packets between regions get lost; or 5 % of the probes'",
     .who = WHO_NOBODY,
     .options = OPTION_PROBES,
     .variants = {0, OPTION_PROBES},
     .n_variants = 2,
     .fleet_limits = ALL_SERVED,
     .phases = {{.name = "lossy",
                 .faults = {FAULT(.kind = FAULT_LOSS, .a = SIDE_ALL, .b = SIDE_ALL,
                                  .value = 200000)},
                 .short_ns = 20 * S,
                 .long_ns = 10 * MIN}},
     .n_phases = 1,
     .limits = {{FIGURE_TAKEN_DOWN, 0, 0}, {FIGURE_WRONG, 0, 0}}},
    {.name = "overload",
     .usage = "--provider CLOUD",
     .help = "SIGKILL of a cloud while the fleet runs at 80 % of its capacity",
     .who = WHO_CLOUD,
     .edges_die = true,
     .blind = true,
     .fleet_limits = WRITES_KEPT,
     .prepare = act_lower_capacity,
     .phases = {{.name = "killed",
                 .faults = {BREAK(FAULT_KILL)},
                 .short_ns = 15 * S,
                 .until = UNTIL_AWAY,
                 .may_fall = true}},
     .n_phases = 1,
     .limits = {{FIGURE_CAPACITY, 1100000, 0}, {FIGURE_WRONG, 0, 0}}},
    {.name = "upgrade",
     .usage = "[--to FOLDER]",
     .help = "every program of every region replaced by another build, and back",
     .who = WHO_NOBODY,
     .options = OPTION_TO,
     .fleet_limits = ALL_SERVED,
     .prepare = act_prepare_upgrade,
     .phases = {{.name = "upgrade", .instant = true, .act = act_upgrade},
                {.name = "back", .instant = true, .act = act_upgrade_back}},
     .n_phases = 2,
     .limits = {{FIGURE_FAILED_ALL, 0, 0},
                {FIGURE_REPLACED, 1, 0},
                {FIGURE_TAKEN_DOWN, 0, 0},
                {FIGURE_WRONG, 0, 0}}},
    {.name = "bad-config",
     .usage = "--region REGION",
     .help = "a fleet.yaml that is correct but wrecks a region, pushed there first",
     .who = WHO_REGION,
     .fleet_limits = WRITES_KEPT | BIT(FIGURE_FAILED),
     .phases = {{.name = "pushed", .instant = true, .act = act_push_bad, .may_fall = true}},
     .n_phases = 1,
     .limits = {{FIGURE_CONFIG_BACK, 60000, 0}, {FIGURE_WRONG, 0, 0}}},
};
const uint32_t DRILLS_N = ARRAY_SIZE(DRILLS);

const DrillRow *drill_find(const char *name)
{
    for (uint32_t i = 0; i < DRILLS_N; i++) {
        if (strcmp(DRILLS[i].name, name) == 0)
            return &DRILLS[i];
    }
    return NULL;
}

int drill_possible(const DrillRow *row, Error *reterr)
{
    for (uint32_t i = 0; i < row->n_phases; i++) {
        for (uint32_t k = 0; k < DRILL_FAULTS && row->phases[i].faults[k].used; k++) {
            int r = fault_possible(row->phases[i].faults[k].kind, reterr);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

const char *drill_needs(const DrillRow *row)
{
    const char *needs = "";
    for (uint32_t i = 0; i < row->n_phases; i++) {
        for (uint32_t k = 0; k < DRILL_FAULTS && row->phases[i].faults[k].used; k++) {
            const char *more = FAULTS[row->phases[i].faults[k].kind].needs;
            needs = strlen(more) > strlen(needs) ? more : needs;
        }
    }
    return needs[0] != '\0' ? needs : "-";
}

int64_t drill_phase_ns(const DrillPhase *phase, bool long_form, int64_t broken_ns,
                       int64_t min_duration_ns)
{
    if (phase->instant)
        return 0;
    if (broken_ns > 0)
        return broken_ns;
    int64_t short_ns = phase->short_ns > 0 ? phase->short_ns : min_duration_ns;
    return long_form && phase->long_ns > 0 ? phase->long_ns : short_ns;
}
