// SPDX-License-Identifier: MIT
// make_report: what this agent tells a peer, and when. Every report_interval, and at once on a
// change (at most every push gap). Besides the own table it relays the newest one of every other
// observer: a cut between two clouds must not hide a gateway's own region from its accusers.
#include <string.h>

#include "bounds.h"
#include "core_state.h"

// BOUND_REPORT_BYTES is shared out by estimates that are never too low, since a report that does
// not fit is no report: the own view always, of the wishes WISHES_BYTES at most (the newest in one
// half, the others in turns), relayed views in what is left (in turns too).
#define VOTES_MAX 192U
#define HEAD_BYTES 1024U
#define SERVICE_BYTES 40U // without its name, as all of these
#define VIEW_BYTES 200U
#define VOTE_BYTES 224U // without its numbers
#define WISH_BYTES 256U
#define WISHES_BYTES (16U << 10)
// No vote and no view takes more: four ages, four counts, two windows of three.
#define VOTE_BYTES_MOST (VOTE_BYTES + BOUND_NAME + 4 * 20 + 4 * 10 + 6 * 10)
#define VIEW_BYTES_MOST(n) (VIEW_BYTES + BOUND_NAME + (size_t)(n)*VOTE_BYTES_MOST)
#define RELAY_MAX_NS (10 * NS_PER_S) // older tables help nobody

void reports_push(Step *step)
{
    Self *self = &step->state->self;
    Mono earliest = mono_add(self->reported_at, step->model->health.report_push_gap_ns);
    self->push_due = mono_min(self->push_due, mono_max(step->now, earliest));
}

void reports_advance(Step *step)
{
    const ModelHealth *health = &step->model->health;
    Self *self = &step->state->self;
    bool due = step->now.ns >= self->report_due.ns;
    if (!due && step->now.ns < self->push_due.ns)
        return;
    if (due) {
        int64_t jitter = health->report_interval_ns / 20; // +-5 %, or all agents beat as one
        int64_t gap = health->report_interval_ns - jitter +
                      (int64_t)rng_below(&self->rng, 2 * (uint64_t)jitter + 1);
        self->report_due = mono_add(step->now, gap);
    }
    self->push_due = MONO_NEVER;
    self->reported_at = step->now;
    for (uint32_t peer = 0; peer < step->model->n_regions; peer++)
        if (peer != step->tables->own)
            step_effect(step, &(CoreEffect){.kind = CORE_EFFECT_REPORT,
                                            .id = self->next_id++,
                                            .gateway = peer,
                                            .give_up_ns = health->fresh_ns});
}

static int64_t age_of(Mono made, Mono instant)
{
    int64_t age = mono_since(made, instant);
    return age < 0 ? 0 : age;
}

static int fill_view(const Core *core, Arena *arena, uint32_t observer, Mono now, ReportView *ret)
{
    const Tables *tables = core->tables;
    const View *view = &tables->live.views[observer];
    const ViewVote *votes = tables_votes(tables, observer);
    uint32_t n = tables->model->n_regions < VOTES_MAX ? tables->model->n_regions : VOTES_MAX;
    *ret = (ReportView){.observer = tables->model->regions[observer].name,
                        .boot = view->boot,
                        .sequence = view->sequence,
                        .age_ns = observer == tables->own ? 0 : age_of(now, view->born),
                        .sick = view->sick,
                        .alone = view->alone,
                        .n_votes = n,
                        .votes = arena_new_array(arena, ReportVote, n)};
    if (ret->votes == NULL)
        return ERROR_MEMORY;
    // Ages are relative to the moment when the *table* was made.
    Mono made = observer == tables->own ? now : view->born;
    for (uint32_t g = 0; g < n; g++) {
        const ViewVote *vote = &votes[g];
        int64_t hold_left = vote->held ? mono_since(vote->hold_until, made) : 0;
        ret->votes[g] = (ReportVote){
            .gateway = tables->model->regions[g].name,
            .vote = vote->vote,
            .soft = vote->soft,
            .slow = vote->slow,
            .held = vote->held,
            .first_fail_age_ns =
                vote->first_fail.ns == INT64_MAX ? AGE_NEVER : age_of(made, vote->first_fail),
            .edge_success_age_ns =
                vote->edge_success.ns == INT64_MIN ? AGE_NEVER : age_of(made, vote->edge_success),
            .streak = vote->streak,
            .flaps = vote->flaps,
            .held_age_ns = vote->held ? age_of(made, vote->held_since) : AGE_NEVER,
            .hold_left_ns = hold_left > 0 ? hold_left : 0,
            .p50_us = vote->p50_us,
            .p99_us = vote->p99_us,
            .short_window = vote->short_window,
            .long_window = vote->long_window,
        };
    }
    return 0;
}

static size_t number_bytes(uint64_t number)
{
    size_t n = 1;
    for (; number >= 10; number /= 10)
        n++;
    return n;
}

static size_t age_bytes(int64_t age_ns)
{
    return age_ns == AGE_NEVER ? sizeof "null" : number_bytes((uint64_t)age_ns);
}

static size_t window_bytes(const ErrorWindow *window)
{
    return number_bytes(window->n) + number_bytes(window->k) + number_bytes(window->buckets);
}

static size_t vote_bytes(const ReportVote *vote)
{
    return VOTE_BYTES + strlen(vote->gateway) + age_bytes(vote->first_fail_age_ns) +
           age_bytes(vote->edge_success_age_ns) + age_bytes(vote->held_age_ns) +
           age_bytes(vote->hold_left_ns) + number_bytes(vote->streak) + number_bytes(vote->flaps) +
           number_bytes(vote->p50_us) + number_bytes(vote->p99_us) +
           window_bytes(&vote->short_window) + window_bytes(&vote->long_window);
}

static size_t view_bytes(const ReportView *view)
{
    size_t bytes = VIEW_BYTES + strlen(view->observer);
    for (uint32_t i = 0; i < view->n_votes; i++)
        bytes += vote_bytes(&view->votes[i]);
    return bytes;
}

// In JSON a byte takes six at most, an escape.
static size_t text_bytes(const char *text)
{
    size_t bytes = 0;
    for (const char *c = text; *c != '\0'; c++)
        bytes += *c >= 0x20 && *c < 0x7f && *c != '"' && *c != '\\' ? 1 : 6;
    return bytes;
}

static size_t wish_bytes(const Intent *wish)
{
    return WISH_BYTES + text_bytes(wish->target) + text_bytes(wish->region) +
           text_bytes(wish->author) + text_bytes(wish->reason);
}

// A fleet so small that all views and wishes fit, however long their names and numbers: then
// nothing needs to be measured.
static bool all_fits(uint32_t n_regions, size_t left)
{
    return 2 * (size_t)n_regions * VIEW_BYTES_MOST(n_regions) + WISHES_BYTES <= left;
}

static int fill_own_view(const Core *core, Arena *arena, Mono now, bool small, Report *report,
                         size_t *left)
{
    ReportView *own;
    report->views = arena_new_array(arena, ReportView, core->tables->model->n_regions);
    if (report->views == NULL)
        return ERROR_MEMORY;
    own = &report->views[0];
    int r = fill_view(core, arena, core->tables->own, now, own);
    if (r < 0)
        return r;
    own->boot = core->boot;
    own->sequence = report->sequence;
    report->n_views = 1;
    if (small)
        return 0;
    while (own->n_votes > 0 && view_bytes(own) > *left)
        own->n_votes--;
    *left -= view_bytes(own);
    return 0;
}

static int fill_relays(const Core *core, Arena *arena, Mono now, uint32_t peer, bool small,
                       Report *report, size_t left)
{
    const Tables *tables = core->tables;
    uint32_t n = tables->model->n_regions;
    ASSERT(n > 0);                                                       // core_new saw to it
    bool roomy = small || 2 * n * view_bytes(&report->views[0]) <= left; // none is twice as long
    uint32_t first = roomy ? 0 : (uint32_t)(report->sequence % n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t o = (first + i) % n;
        const View *view = &tables->live.views[o];
        if (o == tables->own || o == peer || !view->have ||
            mono_since(now, view->born) > RELAY_MAX_NS)
            continue; // the peer knows its own table best
        ReportView *relay = &report->views[report->n_views];
        int r = fill_view(core, arena, o, now, relay);
        if (r < 0)
            return r;
        size_t bytes = small ? 0 : view_bytes(relay);
        if (bytes > left)
            break;
        left -= bytes;
        report->n_views++;
    }
    return 0;
}

// Marks wishes that fit into `bytes`, the newest first.
static void mark_newest(const IntentSet *set, bool *marked, size_t *bytes)
{
    for (;;) {
        uint32_t newest = set->n;
        for (uint32_t i = 0; i < set->n; i++)
            if (!marked[i] && (newest == set->n || set->items[i].stamp > set->items[newest].stamp))
                newest = i;
        if (newest == set->n || wish_bytes(&set->items[newest]) > *bytes)
            return;
        marked[newest] = true;
        *bytes -= wish_bytes(&set->items[newest]);
    }
}

// Marks wishes that fit into `bytes`, from where the last report to this peer ended.
static void mark_in_turn(const IntentSet *set, bool *marked, size_t bytes, uint32_t *next)
{
    uint32_t from = *next % set->n;
    for (uint32_t i = 0; i < set->n; i++) {
        uint32_t at = (from + i) % set->n;
        *next = at;
        if (marked[at])
            continue;
        if (wish_bytes(&set->items[at]) > bytes)
            return;
        marked[at] = true;
        bytes -= wish_bytes(&set->items[at]);
    }
}

// All wishes where they fit, as nearly always; else a part, so that all arrive within some reports.
static int fill_wishes(const Core *core, Arena *arena, uint32_t *next, Report *report, size_t *left)
{
    const IntentSet *set = core->intents;
    size_t all = 0, budget = *left < WISHES_BYTES ? *left : WISHES_BYTES;
    if (set->n == 0)
        return 0;
    for (uint32_t i = 0; i < set->n; i++)
        all += wish_bytes(&set->items[i]);
    bool *marked = arena_new_array(arena, bool, set->n);
    Intent *wishes = arena_new_array(arena, Intent, set->n);
    if (marked == NULL || wishes == NULL)
        return ERROR_MEMORY;
    memset(marked, all <= budget, set->n * sizeof *marked);
    if (all > budget) {
        size_t half = budget / 2;
        mark_newest(set, marked, &half);
        mark_in_turn(set, marked, budget / 2 + half, next);
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < set->n; i++)
        if (marked[i]) {
            *left -= wish_bytes(&set->items[i]);
            wishes[n++] = set->items[i];
        }
    report->n_intents = n;
    // "Lives in the arena": the set may be replaced by the next step.
    return n > 0 ? intent_copy(arena, wishes, n, &report->intents) : 0;
}

static int fill_services(const Core *core, Arena *arena, Report *report, size_t *left)
{
    const Model *model = core->tables->model;
    const Self *self = &core->tables->live.self;
    if (!self->classes_known)
        return 0; // states nothing: the peers keep what they have
    report->services = arena_new_array(arena, ReportService, model->n_services);
    if (report->services == NULL)
        return ERROR_MEMORY;
    report->n_services = model->n_services;
    for (uint32_t i = 0; i < model->n_services; i++) {
        report->services[i] =
            (ReportService){.name = model->services[i].name, .classes = self->classes};
        *left -= SERVICE_BYTES + strlen(model->services[i].name);
    }
    return 0;
}

static void fill_echo(const Core *core, uint32_t peer_index, Mono now, Report *report)
{
    const Peer *peer = &core->tables->live.peers[peer_index];
    if (!peer->have)
        return;
    report->echo_boot = peer->boot;
    report->echo_ns = peer->stamp_ns;
    report->echo_held_ns = age_of(now, peer->stamp_at);
}

int core_report(Core *core, Arena *arena, uint32_t peer, Mono now, Wall wall,
                const Report **ret_report)
{
    const Model *model = core->tables->model;
    Self *self = &core->tables->live.self;
    if (peer >= model->n_regions)
        return ERROR_RANGE;
    Report *report = arena_new_of(arena, Report);
    if (report == NULL)
        return ERROR_MEMORY;
    now = mono_max(now, self->now);
    const Plan *plan = core_plan(core);
    *report = (Report){
        .version = 1,
        .region = model->regions[core->tables->own].name,
        .boot = core->boot,
        .sequence = self->sequence + 1,
        .generation = model->generation,
        .config_hash = model->config_hash,
        .plan_number = plan->number,
        .plan_fleet_digest = plan->fleet_digest,
        .wall = wall,
        .stamp_ns = now.ns,
        .capacity_rps = model->regions[core->tables->own].capacity_rps,
        .load_rps = gateway_load_rps(core->tables, core->tables->own),
        .replicas_want = model->regions[core->tables->own].replicas,
    };
    for (uint32_t i = 0; i < core->tables->n_replicas; i++)
        report->replicas_up += core->tables->live.replicas[i].state == HEALTH_UP;
    fill_echo(core, peer, now, report);
    size_t left = BOUND_REPORT_BYTES - HEAD_BYTES;
    int r = fill_services(core, arena, report, &left);
    bool small = all_fits(model->n_regions, left);
    if (r == 0)
        r = fill_own_view(core, arena, now, small, report, &left);
    if (r == 0)
        r = fill_wishes(core, arena, &core->tables->live.peers[peer].next_wish, report, &left);
    if (r == 0)
        r = fill_relays(core, arena, now, peer, small, report, left);
    if (r < 0)
        return r;
    self->sequence++;
    *ret_report = report;
    return 0;
}
