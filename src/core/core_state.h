// SPDX-License-Identifier: MIT
// core_state: the core's memory, private to src/core. Everything that a step may change stands in
// State (plain values, no ownership) and is copied to `saved` before the step: an error copies it
// back, so a failed step leaves no trace. The three things on the heap (intents, plan, tables of a
// model) are built aside and swapped at the end of a step.
#pragma once
#include "alloc.h"
#include "capacity.h"
#include "core.h"
#include "intents.h"
#include "path.h"
#include "plans.h"
#include "verdict.h"
#include "view.h"

#define LOAD_MAX 4U // times the capacity: beyond that a load says nothing more

typedef struct Peer {
    bool have;
    uint64_t boot, sequence; // of its newest report
    uint64_t boots_gone[2];  // of its agents before that one
    int64_t stamp_ns;        // of that report, to be echoed
    Mono stamp_at;           // when we got it
    bool classes_known;
    uint32_t classes; // keeps its last value while reports are missing
    uint32_t capacity_rps, load_rps, replicas_want, replicas_up;
    uint32_t generation;
    uint64_t config_hash, plan_number, plan_fleet_digest;
    bool offset_known;
    int64_t clock_offset_ns; // its wall minus ours
    uint32_t next_wish;      // where its next part of too many wishes begins
} Peer;

typedef struct Replica {
    HealthState state; // UNKNOWN, UP, DOWN
    bool probed;       // has had a result
    uint32_t classes;
    uint32_t failures, successes; // in a row
    uint64_t id;                  // of the outstanding probe; 0: none
    Mono deadline;
    Mono next;
} Replica;

typedef struct Self {
    Mono now; // of the last step
    uint64_t next_id, sequence;
    Rng rng;
    bool sick;
    Mono sick_until;
    bool alone;
    Mono alone_at;    // last time that the condition held
    Mono together_at; // when it ended last, or the start
    bool learned;     // has taken over what others held when this agent started
    uint32_t fresh;
    bool settled; // every gateway was seen up by somebody, or the time for that is over
    Mono report_due, push_due, reported_at;
    Mono removed_at; // last removal by error rate or slowness
    int64_t clock_offset_ns;
    bool clock_refused;
    bool classes_known;
    uint32_t classes;      // of the own replicas and clock
    bool withdrawn;        // its replicas fail too many requests: it states no class ...
    bool withdraw_refused; // ... or would, if the others could carry them; said once
    uint32_t withdrawals;  // in a row, for the growing hold
    Mono withdrawn_until, returned_at;
    int64_t future_stamp; // highest stamp that was refused: each is said once
    uint32_t load_rps;    // measured
    uint32_t load_level;
    Mono load_low_since;
    uint32_t load_low_peak; // the most since then
    int64_t reset_stamp;    // newest reset of flaps that was applied
    Mono reset_at;
    Wall wall;            // the fleet's wall clock at the last step, for expiry
    uint64_t plan_number; // of the next plan
    uint64_t plan_inputs; // hash of what the last plan was made from, beside the facts
    bool plan_emitted;
    bool spilling, overloaded; // of the last plan, so that it is said once
    Window served;             // real requests at the own replicas; last, since it is saved apart
} Self;

typedef struct State {
    Self self;
    Path *paths;         // [n_regions]
    Verdict *verdicts;   // [n_regions]
    Peer *peers;         // [n_regions]
    View *views;         // [n_regions]
    Replica *replicas;   // [n_replicas]
    ViewVote *own_votes; // [n_regions], for `saved`; the live ones are in Tables.votes
    Probe *probes;
} State;

// The observers whose tables count now; everything that looks at all gateways starts with it.
typedef struct Fresh {
    uint32_t n;
    uint32_t observers[BOUND_REGIONS];
} Fresh;

// What has the size of a model.
typedef struct Tables {
    const Model *model;
    uint32_t own;
    uint32_t n_replicas;
    uint32_t probes_max;
    State live, saved;
    bool peers_saved;      // `saved` has what only a report changes
    ViewVote *votes;       // [n_regions][n_regions]: observer, gateway
    GatewayFacts *facts;   // [n_regions], of the last plan
    GatewayFacts *scratch; // [n_regions]
    Fresh fresh;           // as of the step under way
    void *block;           // all of the above
} Tables;

struct Core {
    Tables *tables;
    uint64_t boot;
    Mono boot_at;
    uint32_t n_sockets;
    char **sockets;       // owned
    char **replica_names; // owned
    IntentSet *intents;
    PlanSlot *plan, *spare; // current one, and where the next one is made; both in slots
    PlanSlot slots[2];
    Arena *rows;                 // view rows saved by the running step ...
    struct SavedRow *saved_rows; // ... newest first
};

// One step under way. A failed allocation is remembered and ends the step at its end.
typedef struct Step {
    Core *core;
    Tables *tables;
    State *state;
    const Model *model;
    Arena *arena;
    Mono now;
    Wall wall;
    bool failed;
    IntentSet *intents; // the set as of this step: the core's, or a new one
    bool facts_changed; // tables.scratch becomes tables.facts
    bool plan_changed;  // there is a plan to emit ...
    bool plan_made;     // ... made in this step, in the core's spare slot
    const Plan *plan;
    uint32_t n_effects, effects_max, n_records, records_max;
    CoreEffect *effects;
    Record *records;
} Step;

static inline ViewVote *tables_votes(const Tables *tables, uint32_t observer)
{
    return tables->votes + (size_t)observer * tables->model->n_regions;
}

// step.c
void step_effect(Step *step, const CoreEffect *effect);
// subject and facts come from the step's arena; NULL counts as out of memory.
void step_record(Step *step, RecordKind kind, const char *subject, const char *facts);
const char *step_gateway(Step *step, uint32_t gateway); // "gateway:us-west-2"

// tables.c
int tables_new(const Model *model, uint32_t own, uint32_t n_replicas, Mono now, uint64_t seed,
               Tables **ret_tables);
Tables *tables_free(Tables *tables);
void tables_carry(Tables *to, const Tables *from); // what the two models have in common
void tables_save(Tables *tables, bool peers_too);  // for a step that takes a report
void tables_restore(Tables *tables);

// probing.c: own probes of gateways
void probing_loop_gap(Step *step);
void probing_event(Step *step, const CoreEvent *event);
void probing_edge(Step *step, const CoreEventEdge *edge);
void probing_advance(Step *step);

// replicas.c
void replicas_event(Step *step, const CoreEvent *event);
void replicas_advance(Step *step);

// classes.c: what the own region can do, its load, and its clock against the peers'
void classes_advance(Step *step);
uint32_t gateway_classes(const Tables *tables, uint32_t gateway); // CLASS_MASK_ALL: never heard
void load_advance(Step *step);
// withdraw.c: the own replicas' error rate
void withdraw_advance(Step *step);
void withdraw_reset(Step *step); // an operator's: forget holds and repetitions
uint32_t gateway_load_rps(const Tables *tables, uint32_t gateway);
void clock_advance(Step *step);

// absorb.c, make_report.c
void report_restore_rows(Core *core);
void report_absorb(Step *step, const Report *report);
void reports_advance(Step *step);
void reports_push(Step *step); // soon: something changed that the peers should know

// views.c
bool view_fresh(const Tables *tables, uint32_t observer, Mono now);
void views_refresh_own(Step *step);
void views_find_fresh(const Tables *tables, Mono now, Fresh *ret_fresh);
void views_tally(const Tables *tables, const Fresh *fresh, uint32_t gateway, Tally *ret_tally);
// The same, with peers that are alone among the holders.
void views_tally_all(const Tables *tables, const Fresh *fresh, uint32_t gateway, Tally *ret_tally);
uint32_t views_count_clouds(uint32_t mask);
void views_attention(const Tables *tables, const Fresh *fresh, uint64_t ret_mask[VIEW_WORDS]);

// verdicts.c, errors.c
void verdicts_advance(Step *step);
uint32_t verdict_share_ppm(const Verdict *verdict, const ModelHealth *health);
int64_t verdict_hold_ns(uint32_t flaps, const ModelHealth *health);
void verdict_hold(Step *step, uint32_t gateway, VerdictCause cause, const char *facts);
void verdicts_reset_flaps(Step *step, int64_t stamp);
bool quorum_down(const Tables *tables, const Tally *tally);
uint32_t quorum_min_votes(const Model *model);
void errors_advance(Step *step, uint32_t gateway, const Tally *tally);

// wishes.c: intents applied to gateways
int wishes_event(Step *step, const Intent *intent, Error *reterr);
int wishes_check(const Model *model, const Intent *intent, Error *reterr);
void wishes_absorb(Step *step, const Report *report);
void wishes_advance(Step *step);
void wishes_apply(const Model *model, const IntentSet *intents, Wall wall, uint32_t gateway,
                  GatewayFacts *facts);                    // drain, never and weight onto facts
uint64_t wishes_hash(const IntentSet *intents, Wall wall); // of those in force

// lifetime.c: core_new with so many of the sockets
int lifetime_new(const Model *model, const CoreOptions *options, uint32_t n_sockets, Mono now,
                 Wall wall, Core **ret_core, Error *reterr) MUST_CHECK;

// planning.c: when to make a plan
int planning_first(Core *core, Wall wall);
int planning_again(Core *core, uint64_t number, Wall made); // the last plan, after a snapshot
void planning_advance(Step *step); // step->plan_changed: there is a new one in core->spare
void planning_facts(const Tables *tables, const IntentSet *intents, Mono now, Wall wall,
                    GatewayFacts *ret_facts); // [n_regions]
