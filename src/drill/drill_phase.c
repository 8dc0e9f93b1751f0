// SPDX-License-Identifier: MIT
// drill_phase: the phases of a drill, one after the other: faults begin, the act acts, time goes
// by, faults end. Everything that is measured needs only the times that are noted here.
#include <string.h>

#include "clock.h"
#include "drill_state.h"

#define UNTIL_MAX_NS (30 * NS_PER_S) // for what a phase waits for

static const DrillPhase *running(const Drill *drill)
{
    return &drill->row->phases[drill->phase];
}

// Every plan that counts says that the target lacks the class.
static bool class_gone(const Drill *drill)
{
    uint32_t classes = drill->row->lost_classes;
    for (uint32_t i = 0; i < drill->model->n_regions; i++) {
        for (uint32_t k = 0; k < drill->model->n_regions; k++) {
            if ((drill_able_agents(drill) >> i & 1) != 0 && drill_is_target(drill, k) &&
                (drill->timeline.classes[i][k] & classes) != 0)
                return false;
        }
    }
    return true;
}

static bool is_reached(const Drill *drill)
{
    switch (running(drill)->until) {
    case UNTIL_AWAY:
        return drill_all_away(drill);
    case UNTIL_CLASS:
        return class_gone(drill);
    case UNTIL_TIME:
        break;
    }
    return true;
}

static int wait_until(Drill *drill, Mono begin, int64_t length_ns)
{
    Mono end = mono_add(begin, UNTIL_MAX_NS);
    int r = 0;
    while (r == 0 && !is_reached(drill) && clock_mono().ns < end.ns)
        r = drill_keep_going(drill, mono_add(clock_mono(), NS_PER_MS));
    if (r == 0 && !is_reached(drill))
        drill_say("what this phase waits for did not happen");
    return r < 0 ? r : drill_keep_going(drill, mono_add(begin, length_ns));
}

// In force, healed, in force, ...: ends healed.
static int by_turns(Drill *drill, Mono begin, int64_t length_ns)
{
    const DrillPhase *phase = running(drill);
    Mono end = mono_add(begin, length_ns), next = mono_add(begin, phase->on_ns);
    int r = 0;
    for (;;) {
        if ((r = drill_keep_going(drill, next)) < 0 || (r = drill_end_faults(drill)) < 0)
            return r;
        next = mono_add(next, phase->off_ns);
        if (mono_add(next, phase->on_ns).ns > end.ns)
            return 0;
        if ((r = drill_keep_going(drill, next)) < 0 || (r = drill_begin_faults(drill, phase)) < 0)
            return r;
        next = mono_add(next, phase->on_ns);
    }
}

static void begin_scope(Drill *drill, Mono now)
{
    DrillReport *report = drill->report;
    DrillScope *scope = &report->phases[drill->phase];
    scope->name = running(drill)->name;
    scope->begin = now;
    scope->end = MONO_NEVER;
    report->n_phases = drill->phase + 1;
    if (drill->fault.ns == 0)
        drill->fault = now;
    if (running(drill)->until == UNTIL_AWAY)
        drill->away_since = now;
    for (uint32_t i = 0; i < drill->model->n_regions; i++)
        drill->was_in_front |=
            (drill_able_agents(drill) >> i & 1) != 0 && drill->sights[i].in_front;
}

// What survivors lack now is what a loss for good would cost.
static int measure_loss(Drill *drill)
{
    DrillReport *report = drill->report;
    uint64_t survivors = drill_all_regions(drill) & ~drill->options->regions, acknowledged;
    Wall oldest;
    int r = drill_count_lost(drill, survivors, &report->lost_now, &acknowledged, &oldest);
    if (r < 0)
        return r;
    if (acknowledged == 0) {
        report->rpo_ms = FIGURE_UNMEASURED;
        return 0;
    }
    Wall fault = {clock_wall().ns - mono_since(clock_mono(), drill->fault)};
    report->rpo_ms =
        report->lost_now > 0 && oldest.ns < fault.ns ? (double)(fault.ns - oldest.ns) / 1e6 : 0;
    return 0;
}

static int run_phase(Drill *drill)
{
    const DrillPhase *phase = running(drill);
    const DrillOptions *options = drill->options;
    int64_t length_ns = drill_phase_ns(phase, options->long_form, options->broken_ns,
                                       options->conf->drills.min_duration_ns);
    drill_say("%s", phase->name);
    Mono begin = clock_mono();
    begin_scope(drill, begin);
    int r = drill_begin_faults(drill, phase);
    if (r == 0 && phase->act != NULL)
        r = phase->act(drill);
    if (r == 0 && phase->on_ns > 0)
        r = by_turns(drill, begin, length_ns);
    else if (r == 0)
        r = wait_until(drill, begin, length_ns);
    if (r == 0 && drill->row->blind && drill->row->edges_die)
        r = measure_loss(drill);
    if (r == 0)
        drill_say("healing");
    drill->healed = clock_mono();
    if (r == 0)
        r = drill_end_faults(drill);
    drill->report->phases[drill->phase].end = clock_mono();
    return r;
}

int drill_run_phases(Drill *drill)
{
    int r = 0;
    load_watch_begin(&drill->load);
    for (drill->phase = 0; r == 0 && drill->phase < drill->row->n_phases; drill->phase++)
        r = run_phase(drill);
    drill->load.on = false;
    return r;
}
