// SPDX-License-Identifier: MIT
// tables: the memory that has the size of a model, in one block, and its copy for roll-back.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core_state.h"

typedef struct Carver {
    char *base; // NULL: only measure
    size_t used;
} Carver;

static void *carve(Carver *carver, size_t count, size_t size)
{
    const size_t align = sizeof(max_align_t);
    void *piece = carver->base != NULL ? carver->base + carver->used : NULL;
    carver->used += (count * size + align - 1) / align * align;
    return piece;
}

// Counts are bounded (BOUND_REGIONS, BOUND_REPLICAS), so no product overflows.
static void lay_out(Tables *tables, Carver *carver)
{
    size_t n = tables->model->n_regions;
    State *states[] = {&tables->live, &tables->saved};
    for (size_t i = 0; i < 2; i++) {
        State *state = states[i];
        state->paths = carve(carver, n, sizeof *state->paths);
        state->verdicts = carve(carver, n, sizeof *state->verdicts);
        state->peers = carve(carver, n, sizeof *state->peers);
        state->views = carve(carver, n, sizeof *state->views);
        state->replicas = carve(carver, tables->n_replicas, sizeof *state->replicas);
        state->probes = carve(carver, n * tables->probes_max, sizeof *state->probes);
    }
    tables->saved.own_votes = carve(carver, n, sizeof(ViewVote));
    tables->votes = carve(carver, n * n, sizeof *tables->votes);
    tables->facts = carve(carver, n, sizeof *tables->facts);
    tables->scratch = carve(carver, n, sizeof *tables->scratch);
}

static void start(Tables *tables, Mono now, uint64_t seed)
{
    const ModelHealth *health = &tables->model->health;
    Self *self = &tables->live.self;
    *self = (Self){.now = now,
                   .next_id = 1,
                   .rng = rng_seeded(seed),
                   .sick_until = MONO_DISTANT,
                   .alone = true, // until the peers were heard
                   .alone_at = now,
                   .together_at = now,
                   .fresh = 1,
                   .report_due = now,
                   .push_due = MONO_NEVER,
                   .reported_at = MONO_DISTANT,
                   .removed_at = MONO_DISTANT,
                   .load_low_since = MONO_NEVER,
                   .withdrawn_until = MONO_DISTANT,
                   .returned_at = MONO_DISTANT,
                   .reset_at = MONO_DISTANT};
    for (uint32_t g = 0; g < tables->model->n_regions; g++) {
        Path *path = &tables->live.paths[g];
        uint64_t spread = rng_below(&self->rng, (uint64_t)health->probe_interval_ns / 5 + 1);
        path_start(path, mono_add(now, (int64_t)spread)); // quick first look, but not all at once
        tables->live.verdicts[g] = (Verdict){.since = now,
                                             .last_change = MONO_DISTANT,
                                             .ok_since = MONO_NEVER,
                                             .veto_since = MONO_NEVER,
                                             .slow_since = MONO_NEVER,
                                             .shed_ok = MONO_NEVER,
                                             .step = RETURN_STEPS - 1};
        tables->live.views[g].born = MONO_DISTANT;
    }
    for (uint32_t g = 0; g < tables->model->n_regions; g++)
        tables_votes(tables, tables->own)[g] = (ViewVote){.first_fail = MONO_NEVER,
                                                          .edge_success = MONO_DISTANT,
                                                          .held_since = MONO_NEVER,
                                                          .hold_until = MONO_DISTANT};
    for (uint32_t i = 0; i < tables->n_replicas; i++)
        tables->live.replicas[i].next = now;
}

int tables_new(const Model *model, uint32_t own, uint32_t n_replicas, Mono now, uint64_t seed,
               Tables **ret_tables)
{
    Tables *tables = alloc_zeroed(1, sizeof *tables);
    if (tables == NULL)
        return ERROR_MEMORY;
    tables->model = model;
    tables->own = own;
    tables->n_replicas = n_replicas;
    tables->probes_max = path_probes_max(&model->health);
    Carver carver = {0};
    lay_out(tables, &carver);
    carver.base = tables->block = alloc_zeroed(1, carver.used);
    if (carver.base == NULL) {
        free(tables);
        return ERROR_MEMORY;
    }
    carver.used = 0;
    lay_out(tables, &carver);
    for (uint32_t g = 0; g < model->n_regions; g++) {
        tables->live.paths[g].probes = tables->live.probes + (size_t)g * tables->probes_max;
        tables->saved.paths[g].probes = tables->saved.probes + (size_t)g * tables->probes_max;
        tables->live.paths[g].probes_max = tables->probes_max;
    }
    start(tables, now, seed);
    *ret_tables = tables;
    return 0;
}

Tables *tables_free(Tables *tables)
{
    if (tables != NULL) {
        free(tables->block);
        free(tables);
    }
    return NULL;
}

// What a step may change everywhere. A window is copied when it has changed since the last save: to
// or from, it is the live one that knows.
static void copy_path(Path *to, const Path *from, bool with_window)
{
    Probe *probes = to->probes;
    memcpy(to, from, offsetof(Path, window));
    to->probes = probes;
    memcpy(probes, from->probes, from->n_probes * sizeof *probes);
    if (with_window)
        to->window = from->window;
}

static void copy_state(const Tables *tables, State *to, const State *from)
{
    size_t n = tables->model->n_regions;
    memcpy(&to->self, &from->self, offsetof(Self, served));
    if (tables->live.self.served.changed)
        to->self.served = from->self.served;
    for (size_t g = 0; g < n; g++)
        copy_path(&to->paths[g], &from->paths[g], tables->live.paths[g].window.changed);
    memcpy(to->verdicts, from->verdicts, n * sizeof *to->verdicts);
    memcpy(to->replicas, from->replicas, tables->n_replicas * sizeof *to->replicas);
    to->views[tables->own] = from->views[tables->own];
}

// What only a report changes.
static void copy_peers(const Tables *tables, State *to, const State *from)
{
    memcpy(to->peers, from->peers, tables->model->n_regions * sizeof *to->peers);
    memcpy(to->views, from->views, tables->model->n_regions * sizeof *to->views);
}

static void settle_windows(Tables *tables)
{
    for (size_t g = 0; g < tables->model->n_regions; g++)
        tables->live.paths[g].window.changed = tables->saved.paths[g].window.changed = false;
    tables->live.self.served.changed = tables->saved.self.served.changed = false;
}

void tables_save(Tables *tables, bool peers_too)
{
    copy_state(tables, &tables->saved, &tables->live);
    settle_windows(tables);
    tables->peers_saved = peers_too;
    if (peers_too)
        copy_peers(tables, &tables->saved, &tables->live);
    memcpy(tables->saved.own_votes, tables_votes(tables, tables->own),
           tables->model->n_regions * sizeof(ViewVote));
}

void tables_restore(Tables *tables)
{
    copy_state(tables, &tables->live, &tables->saved);
    settle_windows(tables);
    if (tables->peers_saved)
        copy_peers(tables, &tables->live, &tables->saved);
    memcpy(tables_votes(tables, tables->own), tables->saved.own_votes,
           tables->model->n_regions * sizeof(ViewVote));
}

static void carry_path(Path *to, const Path *from)
{
    uint32_t probes_max = to->probes_max;
    Probe *probes = to->probes;
    uint32_t n = from->n_probes < probes_max ? from->n_probes : probes_max;
    *to = *from;
    to->probes = probes;
    to->probes_max = probes_max;
    to->window.changed = true;
    to->n_probes = n; // the youngest: what was cut off has failed long ago
    memcpy(probes, from->probes + (from->n_probes - n), n * sizeof *probes);
}

static void set_attention(View *view, const View *from, uint32_t to_gateway, uint32_t from_gateway)
{
    if (from->attention[from_gateway / 64] >> (from_gateway % 64) & 1)
        view->attention[to_gateway / 64] |= UINT64_C(1) << (to_gateway % 64);
}

void tables_carry(Tables *to, const Tables *from)
{
    const Model *model = to->model;
    to->live.self = from->live.self;
    to->live.self.served.changed = true;
    for (uint32_t a = 0; a < model->n_regions; a++) {
        int old = model_find_region(from->model, model->regions[a].name);
        if (old < 0)
            continue;
        uint32_t b = (uint32_t)old;
        carry_path(&to->live.paths[a], &from->live.paths[b]);
        to->live.verdicts[a] = from->live.verdicts[b];
        to->live.peers[a] = from->live.peers[b];
        View *view = &to->live.views[a];
        *view = from->live.views[b];
        memset(view->attention, 0, sizeof view->attention);
        for (uint32_t g = 0; g < model->n_regions; g++) {
            int old_gateway = model_find_region(from->model, model->regions[g].name);
            if (old_gateway < 0)
                continue;
            tables_votes(to, a)[g] = tables_votes(from, b)[old_gateway];
            set_attention(view, &from->live.views[b], g, (uint32_t)old_gateway);
        }
    }
    uint32_t n = to->n_replicas < from->n_replicas ? to->n_replicas : from->n_replicas;
    for (uint32_t i = 0; i < n; i++)
        to->live.replicas[i] = from->live.replicas[i];
}
