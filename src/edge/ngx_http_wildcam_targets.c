// SPDX-License-Identifier: MIT
// targets: one slot per replica or gateway that this worker may use, found by
// name, so that what was learnt about a target survives a new plan. A slot
// that no view uses is free for another name, but keeps its knowledge until
// then: a target that leaves and returns is still the same target.
//
// Evacuation: when a target falls silent or leaves the plan, the requests that
// wait there are moved on as if their read timer had fired: only those that
// may be repeated, whose answer has not begun, and that have somewhere better
// to go within the retry budget. All others go on waiting.
#include "ngx_http_wildcam_module.h"

#include "hash.h"

#define N_SLOTS COUNTERS_TARGETS


static ngx_http_wildcam_slot_t slots[N_SLOTS];
static ngx_uint_t              n_used; /* slots ever used: the first ones */


void
ngx_http_wildcam_slots_init(void)
{
    ngx_uint_t i;

    for (i = 0; i < N_SLOTS; i++) {
        ngx_queue_init(&slots[i].waiting);
        slots[i].counters = &ngx_http_wildcam_worker.counters->targets[i];
    }
}


ngx_http_wildcam_slot_t *
ngx_http_wildcam_slot_acquire(const char *name)
{
    uint64_t                 hash;
    ngx_uint_t               i;
    ngx_http_wildcam_slot_t *slot;

    hash = hash_text(HASH_SEED, name);
    slot = NULL;

    for (i = 0; i < N_SLOTS; i++) {
        if (slots[i].hash == hash) {
            slot = &slots[i];
            goto found;
        }

        /* an unused slot is better than one that still knows something */

        if (slots[i].views == 0
            && (slot == NULL || (slots[i].hash == 0 && slot->hash != 0))) {
            slot = &slots[i];
        }
    }

    if (slot == NULL) { /* the rest share the last one */
        slot = &slots[N_SLOTS - 1];
        goto found;
    }

    ngx_memzero(&slot->health, sizeof(PickHealth));
    ngx_memzero(slot->counters, sizeof(CountersTarget));
    slot->hash = hash;
    slot->counters->name_hash = hash;
    n_used = ngx_max(n_used, (ngx_uint_t) (slot - slots) + 1);

found:

    slot->views++;

    return slot;
}


void
ngx_http_wildcam_slot_release(ngx_http_wildcam_slot_t *slot)
{
    slot->views--;
}


static ngx_uint_t
ngx_http_wildcam_set_uses(
    const ngx_http_wildcam_set_t *set, const ngx_http_wildcam_slot_t *slot)
{
    uint32_t i;

    for (i = 0; i < set->n; i++) {
        if (set->targets[i].slot == slot) {
            return set->pick[i].state != HEALTH_DOWN
                   && set->pick[i].state != HEALTH_NEVER;
        }
    }

    return 0;
}


void
ngx_http_wildcam_slots_renew(const ngx_http_wildcam_view_t *view)
{
    ngx_uint_t i, class_, used;

    for (i = 0; i < n_used; i++) {
        if (ngx_queue_empty(&slots[i].waiting)) {
            continue;
        }

        used = ngx_http_wildcam_set_uses(&view->replicas, &slots[i]);
        for (class_ = 0; class_ < SERVICE_CLASS_MAX; class_++) {
            used |=
                ngx_http_wildcam_set_uses(&view->gateways[class_], &slots[i]);
        }

        slots[i].evacuate |= !used;
    }
}


/* May this waiting request be moved on, and is there something better for it?
 */

static ngx_uint_t
ngx_http_wildcam_may_leave(ngx_http_wildcam_ctx_t *ctx, Mono now)
{
    ngx_http_upstream_t *u;

    u = ctx->request->upstream;

    if (u->peer.connection == NULL || u->header_sent || !ctx->repeatable
        || ctx->request->request_body_no_buffering) {
        return 0;
    }

    if (ngx_http_wildcam_ctx_renew(ctx) != NGX_OK) {
        return 0;
    }

    if (ctx->kind == NGX_HTTP_WILDCAM_REPLICAS) {
        return (u->peer.tries > 1
                   && ngx_http_wildcam_best_tier(
                          ctx, &ctx->view->replicas, now)
                          == PICK_TIER_GOOD)
               || (ctx->conf->remote.len
                   && ngx_http_wildcam_best_tier(
                          ctx, ngx_http_wildcam_gateways(ctx), now)
                          == PICK_TIER_GOOD);
    }

    return u->peer.tries > 1
           && ngx_http_wildcam_best_tier(
                  ctx, ngx_http_wildcam_gateways(ctx), now)
                  == PICK_TIER_GOOD;
}


static void
ngx_http_wildcam_evacuate(ngx_http_wildcam_slot_t *slot, Mono now)
{
    ngx_queue_t            *q, rest;
    ngx_event_t            *rev;
    ngx_http_wildcam_ctx_t *ctx;

    /* the handler frees and inserts entries while we walk: detach them */

    ngx_queue_init(&rest);
    ngx_queue_add(&rest, &slot->waiting);
    ngx_queue_init(&slot->waiting);

    while (!ngx_queue_empty(&rest)) {
        q = ngx_queue_head(&rest);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&slot->waiting, q);

        ctx = ngx_queue_data(q, ngx_http_wildcam_ctx_t, queue);

        if (!ngx_http_wildcam_may_leave(ctx, now)
            || !pick_budget_retry(&ngx_http_wildcam_worker.budget,
                &ctx->view->plan->pick, now)) {
            continue;
        }

        ctx->paid = 1;
        NGX_HTTP_WILDCAM_COUNT(evacuated);

        rev = ctx->request->upstream->peer.connection->read;
        rev->timedout = 1;
        rev->handler(rev);
    }
}


void
ngx_http_wildcam_slots_tick(Mono now)
{
    ngx_uint_t       i, bad;
    const ModelPick *rules;

    if (ngx_http_wildcam_worker.view == NULL) {
        return;
    }

    for (i = 0; i < n_used; i++) {
        slots[i].counters->inflight = slots[i].health.inflight;

        if (ngx_queue_empty(&slots[i].waiting)) {
            continue;
        }

        /* evacuation may bring a new view */

        rules = &ngx_http_wildcam_worker.view->plan->pick;
        bad = slots[i].evacuate;
        slots[i].evacuate = 0;

        if (pick_check_stall(&slots[i].health, rules, now)) {
            slots[i].counters->ejections++;
            bad = 1;
        }

        if (bad) {
            ngx_http_wildcam_evacuate(&slots[i], now);
        }
    }
}
