// SPDX-License-Identifier: MIT
// absorb: a peer's report into views and facts. Rows of votes are too large to save on every step:
// each is saved just before it is overwritten. A report is material from outside: names that this
// model does not know are skipped, ages are clamped, indices never come from it.
#include <string.h>

#include "core_state.h"

#define FLAPS_MAX 64U // the longest hold is reached long before

typedef struct SavedRow {
    struct SavedRow *next;
    uint32_t observer;
    ViewVote votes[];
} SavedRow;

// Lists come in the model's order nearly always: try that place first.
static int find_region(const Model *model, const char *name, uint32_t guess)
{
    if (guess < model->n_regions &&
        (model->regions[guess].name == name || strcmp(model->regions[guess].name, name) == 0))
        return (int)guess;
    // The same text at the same place: a report that never left this process, in a simulation.
    for (uint32_t i = 0; i < model->n_regions && i < 16; i++)
        if (model->regions[i].name == name)
            return (int)i;
    return model_find_region(model, name);
}

static int64_t clamped_age(int64_t ns)
{
    return ns < 0 ? 0 : ns;
}

static Mono before(Mono born, int64_t age_ns, Mono never)
{
    return age_ns == AGE_NEVER ? never : mono_add(born, -clamped_age(age_ns));
}

static void take_vote(const ReportVote *from, const ModelHealth *health, Mono born, ViewVote *to)
{
    int64_t left =
        from->hold_left_ns < health->hold_max_ns ? from->hold_left_ns : health->hold_max_ns;
    *to = (ViewVote){
        .vote = (unsigned)from->vote < VOTE_MAX ? from->vote : VOTE_UNKNOWN,
        .soft = from->soft,
        .slow = from->slow,
        .held = from->held,
        .streak = from->streak,
        .flaps = from->flaps < FLAPS_MAX ? from->flaps : FLAPS_MAX,
        .p50_us = from->p50_us,
        .p99_us = from->p99_us,
        .first_fail = before(born, from->first_fail_age_ns, MONO_NEVER),
        .edge_success = before(born, from->edge_success_age_ns, MONO_DISTANT),
        .held_since = from->held ? before(born, from->held_age_ns, born) : MONO_NEVER,
        .hold_until = from->held && left > 0 ? mono_add(born, left) : MONO_DISTANT,
        .short_window = from->short_window,
        .long_window = from->long_window,
    };
}

// A relay is for an observer that this agent cannot hear: it never stands in the way of one that it
// can, whatever sequence it claims.
static bool newer(const Step *step, const View *have, const ReportView *offered, Mono born,
                  bool direct)
{
    int64_t deaf_ns = step->model->health.fresh_ns / 2;
    if (!have->have)
        return true;
    if (!direct && have->direct_known && mono_since(step->now, have->direct_born) <= deaf_ns)
        return false;
    if (direct && !have->direct && have->boot == offered->boot && born.ns >= have->born.ns)
        return true;
    if (have->boot == offered->boot) // one counter: what rises is younger, whatever way it came
        return offered->sequence > have->sequence;
    return born.ns > have->born.ns;
}

// False when memory is short.
static bool save_row(Step *step, uint32_t observer)
{
    Core *core = step->core;
    size_t bytes = step->model->n_regions * sizeof(ViewVote);
    SavedRow *row = arena_alloc(core->rows, sizeof *row + bytes);
    if (row == NULL)
        return false;
    row->next = core->saved_rows;
    row->observer = observer;
    memcpy(row->votes, tables_votes(step->tables, observer), bytes);
    core->saved_rows = row;
    return true;
}

static void take_view(Step *step, uint32_t observer, const ReportView *from, Mono born, bool direct)
{
    View *view = &step->state->views[observer];
    bool known = view->direct_known || direct;
    if (direct && (!view->direct_known || born.ns > view->direct_born.ns))
        view->direct_born = born;
    view->direct_known = known;
    if (!newer(step, view, from, born, direct))
        return;
    if (!save_row(step, observer)) {
        step->failed = true;
        return;
    }
    if (view->have && view->boot == from->boot)
        born = mono_max(born, view->born);
    ViewVote *votes = tables_votes(step->tables, observer);
    uint32_t n = step->model->n_regions;
    *view = (View){.have = true,
                   .direct = direct,
                   .direct_known = known,
                   .direct_born = view->direct_born,
                   .boot = from->boot,
                   .sequence = from->sequence,
                   .born = born,
                   .sick = from->sick,
                   .alone = from->alone};
    for (uint32_t g = 0; g < n; g++) // a gateway that is not named: unknown
        votes[g] = (ViewVote){.first_fail = MONO_NEVER,
                              .edge_success = MONO_DISTANT,
                              .held_since = MONO_NEVER,
                              .hold_until = MONO_DISTANT};
    for (uint32_t i = 0; i < from->n_votes; i++) {
        int g = find_region(step->model, from->votes[i].gateway, i);
        if (g < 0)
            continue;
        ViewVote *vote = &votes[g];
        take_vote(&from->votes[i], &step->model->health, born, vote);
        if (vote->vote == VOTE_DOWN || vote->slow || vote->held || vote->long_window.k > 0)
            view->attention[g / 64] |= UINT64_C(1) << (g % 64);
    }
}

// The mask that the region states: all services ANDed. A report without services states nothing.
static void take_classes(Step *step, uint32_t region, const Report *report)
{
    Peer *peer = &step->state->peers[region];
    uint32_t classes = CLASS_MASK_ALL;
    for (uint32_t i = 0; i < report->n_services; i++)
        classes &= report->services[i].classes;
    if (report->n_services == 0 || (peer->classes_known && peer->classes == classes))
        return;
    peer->classes = classes;
    peer->classes_known = true;
    step_record(step, RECORD_CLASSES_CHANGED, step_gateway(step, region),
                arena_printf(step->arena, "read %s, write %s: stated by itself",
                             classes & CLASS_MASK_READ ? "yes" : "no",
                             classes & CLASS_MASK_WRITE ? "yes" : "no"));
}

// A report of an agent that was there before the one that is there now has been under way for long.
// Where two agents of a region report in turns, the other one is heard when this one is silent.
static bool is_of_the_past(const Step *step, const Peer *peer, uint64_t boot)
{
    return (boot == peer->boots_gone[0] || boot == peer->boots_gone[1]) &&
           mono_since(step->now, peer->stamp_at) <= step->model->health.slow_ns;
}

static bool is_newest(const Step *step, const Peer *peer, const Report *report)
{
    if (!peer->have)
        return true;
    if (peer->boot == report->boot)
        return report->sequence > peer->sequence;
    return !is_of_the_past(step, peer, report->boot);
}

static void take_facts(Step *step, uint32_t region, const Report *report)
{
    Peer *peer = &step->state->peers[region];
    if (peer->have && peer->boot != report->boot) {
        peer->boots_gone[1] = peer->boots_gone[0];
        peer->boots_gone[0] = peer->boot;
    }
    peer->have = true;
    peer->boot = report->boot;
    peer->sequence = report->sequence;
    peer->stamp_ns = report->stamp_ns;
    peer->stamp_at = step->now;
    peer->capacity_rps = report->capacity_rps;
    // No agent that is in its senses says more than this.
    uint64_t most = (uint64_t)LOAD_MAX * step->model->regions[region].capacity_rps;
    peer->load_rps = report->load_rps < most ? report->load_rps : (uint32_t)most;
    peer->replicas_want = report->replicas_want;
    peer->replicas_up = report->replicas_up;
    peer->generation = report->generation;
    peer->config_hash = report->config_hash;
    peer->plan_number = report->plan_number;
    peer->plan_fleet_digest = report->plan_fleet_digest;
    take_classes(step, region, report);
}

// When the report was made at the earliest: it was made after the stamp of ours that it echoes had
// lain there for so long.
static bool made_at(const Step *step, const Report *report, Mono *ret_born)
{
    if (report->echo_boot != step->core->boot || report->echo_ns > step->now.ns ||
        report->echo_ns < step->core->boot_at.ns)
        return false;
    Mono born = mono_add((Mono){report->echo_ns}, clamped_age(report->echo_held_ns));
    *ret_born = mono_min(born, step->now);
    return true;
}

static void take_clock(Step *step, uint32_t region, const Report *report, Mono born)
{
    Peer *peer = &step->state->peers[region];
    int64_t way = mono_since(step->now, born);
    if (way > step->model->health.fresh_ns)
        return; // too long under way to say anything about a clock
    // It was made between born and now: the middle is wrong by half the way at most.
    Wall middle = wall_add(step->wall, -(way / 2));
    int64_t offset;
    if (__builtin_sub_overflow(report->wall.ns, middle.ns, &offset))
        return;
    peer->offset_known = true;
    peer->clock_offset_ns = offset;
}

void report_absorb(Step *step, const Report *report)
{
    const Model *model = step->model;
    int sender = find_region(model, report->region, model->n_regions);
    if (sender < 0 || (uint32_t)sender == step->tables->own)
        return;
    const Peer *peer = &step->state->peers[sender];
    bool newest = is_newest(step, peer, report);
    if (newest)
        take_facts(step, (uint32_t)sender, report);
    Mono born;
    if (!made_at(step, report, &born))
        return;
    if (newest)
        take_clock(step, (uint32_t)sender, report, born);
    for (uint32_t i = 0; i < report->n_views; i++) {
        int observer = find_region(model, report->views[i].observer, i);
        bool direct = i == 0 && observer == sender;
        if (observer >= 0 && (uint32_t)observer != step->tables->own &&
            (direct || observer != sender))
            take_view(step, (uint32_t)observer, &report->views[i],
                      before(born, report->views[i].age_ns, MONO_DISTANT), direct);
    }
}

void report_restore_rows(Core *core)
{
    size_t bytes = core->tables->model->n_regions * sizeof(ViewVote);
    for (const SavedRow *row = core->saved_rows; row != NULL; row = row->next)
        memcpy(tables_votes(core->tables, row->observer), row->votes, bytes);
}
