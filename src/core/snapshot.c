// SPDX-License-Identifier: MIT
// snapshot: see snapshot.h. The plan is not written: the facts that it was made from are, and it is
// made again; its digests say whether it is the same one.
#include "snapshot.h"

#include <string.h>

#include "bounds.h"
#include "core_state.h"
#include "cursor.h"
#include "snapshot_fields.h"

#define TEXT_MAX 4096U

// --- Intents ---

static void put_text(Buf *buf, const char *text)
{
    size_t len = strlen(text);
    buf_put_u32(buf, (uint32_t)len);
    buf_add(buf, text, len);
}

static const char *get_text(Cursor *cursor, Arena *arena)
{
    uint32_t len = cursor_u32(cursor);
    const char *bytes = len <= TEXT_MAX ? cursor_bytes(cursor, len) : NULL;
    const char *text = bytes != NULL ? arena_strndup(arena, bytes, len) : NULL;
    if (text == NULL || strlen(text) != len) {
        cursor_fail(cursor);
        return "";
    }
    return text;
}

static void put_intent(Buf *buf, const Intent *intent)
{
    buf_put_u32(buf, (uint32_t)intent->kind);
    put_text(buf, intent->target);
    put_text(buf, intent->region);
    buf_put_u32(buf, intent->value_ppm);
    put_text(buf, intent->author);
    put_text(buf, intent->reason);
    buf_put_i64(buf, intent->stamp);
    buf_put_i64(buf, intent->created.ns);
    buf_put_i64(buf, intent->expires.ns);
}

static void get_intent(Cursor *cursor, Arena *arena, Intent *intent)
{
    uint32_t kind = cursor_u32(cursor);
    if (kind >= INTENT_KIND_MAX) {
        cursor_fail(cursor);
        kind = 0;
    }
    *intent = (Intent){.kind = (IntentKind)kind, .target = get_text(cursor, arena)};
    intent->region = get_text(cursor, arena);
    intent->value_ppm = cursor_u32(cursor);
    intent->author = get_text(cursor, arena);
    intent->reason = get_text(cursor, arena);
    intent->stamp = cursor_i64(cursor);
    intent->created.ns = cursor_i64(cursor);
    intent->expires.ns = cursor_i64(cursor);
}

// All of them as they stand: also the inert ones, which a set would not take in any more.
static int get_intents(Core *core, Cursor *cursor)
{
    uint32_t n = cursor_u32(cursor);
    if (n > BOUND_INTENTS)
        return ERROR_LIMIT;
    Arena *arena CLEANUP(arena_freep) = arena_new((size_t)64 << 20);
    Intent *items = arena != NULL ? arena_new_array(arena, Intent, n + 1) : NULL;
    if (items == NULL)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        const char *problem;
        get_intent(cursor, arena, &items[i]);
        int r = cursor_check(cursor);
        if (r == 0)
            r = intent_check(&items[i], &problem);
        if (r < 0)
            return r;
    }
    return intent_set_restored(items, n, &core->intents);
}

// --- Saving ---

static void put_path(Buf *buf, const Path *path)
{
    snapshot_put(buf, &SNAPSHOT_PATH, path);
    for (uint32_t i = 0; i < path->n_probes; i++)
        snapshot_put(buf, &SNAPSHOT_PROBE, &path->probes[i]);
}

static void put_tables(Buf *buf, const Tables *tables)
{
    const State *state = &tables->live;
    uint32_t n = tables->model->n_regions;
    snapshot_put(buf, &SNAPSHOT_SELF, &state->self);
    for (uint32_t g = 0; g < n; g++) {
        put_path(buf, &state->paths[g]);
        snapshot_put(buf, &SNAPSHOT_VERDICT, &state->verdicts[g]);
        snapshot_put(buf, &SNAPSHOT_PEER, &state->peers[g]);
        snapshot_put(buf, &SNAPSHOT_VIEW, &state->views[g]);
        snapshot_put(buf, &SNAPSHOT_FACTS, &tables->facts[g]);
        for (uint32_t other = 0; other < n; other++)
            snapshot_put(buf, &SNAPSHOT_VOTE, &tables_votes(tables, g)[other]);
    }
    for (uint32_t i = 0; i < tables->n_replicas; i++)
        snapshot_put(buf, &SNAPSHOT_REPLICA, &state->replicas[i]);
}

int core_save(const Core *core, Buf *buf)
{
    const Tables *tables = core->tables;
    buf_put_u32(buf, SNAPSHOT_VERSION);
    buf_put_u64(buf, tables->model->config_hash);
    buf_put_u32(buf, tables->model->n_regions);
    buf_put_u32(buf, tables->own);
    buf_put_u32(buf, tables->n_replicas);
    buf_put_u32(buf, core->n_sockets);
    buf_put_i64(buf, core->boot_at.ns);
    put_tables(buf, tables);
    buf_put_u32(buf, core->intents->n);
    for (uint32_t i = 0; i < core->intents->n; i++)
        put_intent(buf, &core->intents->items[i]);
    buf_put_u64(buf, core->plan->plan->number);
    buf_put_i64(buf, core->plan->plan->made.ns);
    buf_put_u64(buf, core->plan->plan->fleet_digest);
    buf_put_u64(buf, core->plan->local_digest);
    return buf_check(buf);
}

// --- Loading ---

static void get_path(Cursor *cursor, Path *path)
{
    snapshot_get(cursor, &SNAPSHOT_PATH, path);
    if (path->n_probes > path->probes_max) {
        cursor_fail(cursor);
        path->n_probes = 0;
    }
    for (uint32_t i = 0; i < path->n_probes; i++)
        snapshot_get(cursor, &SNAPSHOT_PROBE, &path->probes[i]);
}

// Bits of gateways that there are not would be looked up.
static void check_attention(Cursor *cursor, const View *view, uint32_t n)
{
    for (uint32_t g = n; g < VIEW_WORDS * 64; g++)
        if (view->attention[g / 64] >> (g % 64) & 1)
            cursor_fail(cursor);
}

static int get_tables(Cursor *cursor, Tables *tables)
{
    State *state = &tables->live;
    uint32_t n = tables->model->n_regions;
    snapshot_get(cursor, &SNAPSHOT_SELF, &state->self);
    for (uint32_t g = 0; g < n; g++) {
        get_path(cursor, &state->paths[g]);
        snapshot_get(cursor, &SNAPSHOT_VERDICT, &state->verdicts[g]);
        snapshot_get(cursor, &SNAPSHOT_PEER, &state->peers[g]);
        snapshot_get(cursor, &SNAPSHOT_VIEW, &state->views[g]);
        check_attention(cursor, &state->views[g], n);
        snapshot_get(cursor, &SNAPSHOT_FACTS, &tables->facts[g]);
        for (uint32_t other = 0; other < n; other++)
            snapshot_get(cursor, &SNAPSHOT_VOTE, &tables_votes(tables, g)[other]);
    }
    for (uint32_t i = 0; i < tables->n_replicas; i++)
        snapshot_get(cursor, &SNAPSHOT_REPLICA, &state->replicas[i]);
    state->self.served.changed = true; // so that the next step saves it
    views_find_fresh(tables, state->self.now, &tables->fresh);
    return cursor_check(cursor);
}

static int get_plan(Core *core, Cursor *cursor, Error *reterr)
{
    uint64_t number = cursor_u64(cursor);
    Wall made = {cursor_i64(cursor)};
    uint64_t fleet_digest = cursor_u64(cursor), local_digest = cursor_u64(cursor);
    int r = cursor_check(cursor);
    if (r == 0 && cursor_left(cursor) > 0)
        r = ERROR_FORMAT;
    if (r == 0)
        r = planning_again(core, number, made);
    if (r < 0)
        return error_set(reterr, r, "snapshot: its plan: %s", error_code_text(r));
    if (core->plan->plan->fleet_digest != fleet_digest || core->plan->local_digest != local_digest)
        return error_set(reterr, ERROR_FORMAT, "snapshot: another build made its plan");
    return 0;
}

static int get_core(Core *core, Cursor *cursor, Error *reterr)
{
    int r = get_tables(cursor, core->tables);
    if (r == 0) {
        core->intents = intent_set_free(core->intents);
        r = get_intents(core, cursor);
    }
    if (r < 0)
        return error_set(reterr, r, "snapshot: %s", error_code_text(r));
    return get_plan(core, cursor, reterr);
}

typedef struct Head {
    uint32_t version, n_regions, own, n_replicas, n_sockets;
    uint64_t config_hash;
    Mono boot_at;
} Head;

static int get_head(Cursor *cursor, const Model *model, const CoreOptions *options, Head *head,
                    Error *reterr)
{
    head->version = cursor_u32(cursor);
    head->config_hash = cursor_u64(cursor);
    head->n_regions = cursor_u32(cursor);
    head->own = cursor_u32(cursor);
    head->n_replicas = cursor_u32(cursor);
    head->n_sockets = cursor_u32(cursor);
    head->boot_at.ns = cursor_i64(cursor);
    if (cursor_check(cursor) < 0)
        return error_set(reterr, ERROR_FORMAT, "snapshot: too short");
    if (head->version != SNAPSHOT_VERSION)
        return error_set(reterr, ERROR_FORMAT, "snapshot: version '%u'; allowed: %d",
                         (unsigned)head->version, SNAPSHOT_VERSION);
    if (head->config_hash != model->config_hash || head->n_regions != model->n_regions ||
        head->own != options->own || head->own >= model->n_regions)
        return error_set(reterr, ERROR_FORMAT, "snapshot: of another configuration or region");
    uint32_t replicas = model->regions[head->own].replicas;
    if (head->n_sockets > BOUND_REPLICAS ||
        head->n_replicas != (replicas < head->n_sockets ? replicas : head->n_sockets))
        return error_set(reterr, ERROR_FORMAT, "snapshot: of other replicas");
    return 0;
}

int core_load(const Model *model, const CoreOptions *options, const void *bytes, size_t len,
              Core **ret_core, Error *reterr)
{
    Cursor cursor = cursor_of(bytes, len);
    CoreOptions fresh = *options;
    fresh.n_intents = 0;
    Head head = {0};
    Core *core = NULL;
    int r = get_head(&cursor, model, options, &head, reterr);
    if (r == 0)
        r = lifetime_new(model, &fresh, head.n_sockets, head.boot_at, (Wall){0}, &core, reterr);
    if (r < 0)
        return r;
    r = get_core(core, &cursor, reterr);
    if (r < 0)
        (void)core_free(core);
    else
        *ret_core = core;
    return r;
}
