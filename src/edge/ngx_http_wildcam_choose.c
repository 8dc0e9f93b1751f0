// SPDX-License-Identifier: MIT
// choose: hands the targets of a view to core/pick and does what it says. Own
// replicas are drawn by weight and load; gateways go by the plan's order,
// which begins where the client's block hashes to, as in DNS. A gateway is
// preferred to a replica of a worse tier; where the service is closed, nothing
// that is down is asked. What the own region has no capacity for goes only to
// a gateway that has room.
#include "ngx_http_wildcam_module.h"


const ngx_http_wildcam_set_t *
ngx_http_wildcam_gateways(const ngx_http_wildcam_ctx_t *ctx)
{
    return &ctx->view->gateways[ctx->class_];
}


static ngx_uint_t
ngx_http_wildcam_has_tried(
    const ngx_http_wildcam_ctx_t *ctx, const ngx_http_wildcam_slot_t *slot)
{
    ngx_uint_t i;

    for (i = 0; i < ctx->n_tried; i++) {
        if (ctx->tried[i] == slot) {
            return 1;
        }
    }

    return 0;
}


/* The set's targets as this request sees them. Copied only when it has tried
 * something. */

static const PickTarget *
ngx_http_wildcam_targets(const ngx_http_wildcam_ctx_t *ctx,
    const ngx_http_wildcam_set_t *set, PickTarget *copy)
{
    uint32_t i;

    if (ctx->n_tried == 0) {
        return set->pick;
    }

    for (i = 0; i < set->n; i++) {
        copy[i] = set->pick[i];
        copy[i].tried = ngx_http_wildcam_has_tried(ctx, set->targets[i].slot);
    }

    return copy;
}


PickTier __attribute__((noinline))
ngx_http_wildcam_best_tier(const ngx_http_wildcam_ctx_t *ctx,
    const ngx_http_wildcam_set_t *set, Mono now)
{
    int               i;
    PickTarget        copy[BOUND_REPLICAS];
    const PickTarget *targets;

    targets = ngx_http_wildcam_targets(ctx, set, copy);
    i = pick_first(targets, set->n, ctx->class_, now);

    return i == -1 ? PICK_TIER_NONE : pick_tier(&targets[i], ctx->class_, now);
}


static ngx_uint_t
ngx_http_wildcam_open(const ngx_http_wildcam_ctx_t *ctx)
{
    uint32_t    i;
    const Plan *plan;

    plan = ctx->view->plan;

    for (i = 0; i < plan->n_services; i++) {
        if (ngx_strcmp(plan->services[i].name, ctx->conf->service.data) == 0) {
            return plan->services[i].open[ctx->class_];
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_wildcam_tier_usable(const ngx_http_wildcam_ctx_t *ctx, PickTier tier)
{
    return tier < PICK_TIER_DOWN
           || (tier == PICK_TIER_DOWN && ngx_http_wildcam_open(ctx));
}


static int
ngx_http_wildcam_choose_among(ngx_http_wildcam_ctx_t *ctx,
    const PickTarget *targets, uint32_t n, Mono now)
{
    int      i;
    PickTier tier;

    i = pick_target(targets, n, ctx->class_, now,
        rng_next(&ngx_http_wildcam_worker.rng), &tier);

    if (tier == PICK_TIER_GOOD || i == -1) {
        return i;
    }

    /* a gateway that promises more is the better choice */

    if (ctx->conf->remote.len
        && ngx_http_wildcam_best_tier(ctx, ngx_http_wildcam_gateways(ctx), now)
               < tier) {
        return -1;
    }

    if (!ngx_http_wildcam_tier_usable(ctx, tier)) {
        ctx->closed = 1;
        return -1;
    }

    return i;
}


/* Apart from the first try, which every request pays for: this has a copy. */

static int __attribute__((noinline))
ngx_http_wildcam_choose_again(ngx_http_wildcam_ctx_t *ctx, Mono now)
{
    PickTarget                    copy[BOUND_REPLICAS];
    const ngx_http_wildcam_set_t *set;

    set = &ctx->view->replicas;

    return ngx_http_wildcam_choose_among(
        ctx, ngx_http_wildcam_targets(ctx, set, copy), set->n, now);
}


static int
ngx_http_wildcam_choose_replica(ngx_http_wildcam_ctx_t *ctx, Mono now)
{
    const ngx_http_wildcam_set_t *set;

    if (ctx->n_tried) {
        return ngx_http_wildcam_choose_again(ctx, now);
    }

    set = &ctx->view->replicas;

    return ngx_http_wildcam_choose_among(ctx, set->pick, set->n, now);
}


static ngx_uint_t
ngx_http_wildcam_roomy(const ngx_http_wildcam_ctx_t *ctx,
    const ngx_http_wildcam_set_t *set, uint32_t i, Mono now)
{
    return admit_has_room(&ctx->view->plan->gateways[set->entries[i].gateway])
           && set->targets[i].slot->full_until.ns <= now.ns
           && pick_tier(&set->pick[i], ctx->class_, now) == PICK_TIER_GOOD;
}


ngx_uint_t
ngx_http_wildcam_has_room(const ngx_http_wildcam_ctx_t *ctx, Mono now)
{
    uint32_t                      i;
    const ngx_http_wildcam_set_t *set;

    set = ngx_http_wildcam_gateways(ctx);

    for (i = 0; i < set->n; i++) {
        if (ngx_http_wildcam_roomy(ctx, set, i, now)) {
            return 1;
        }
    }

    return 0;
}


/* In the order that begins where this client's block hashes to. */

static int __attribute__((noinline))
ngx_http_wildcam_choose_gateway(ngx_http_wildcam_ctx_t *ctx, Mono now)
{
    Ip                            ip;
    int                           i;
    IpPrefix                      block;
    uint32_t                      k, start, from;
    PickTarget                    order[BOUND_ORDER];
    uint32_t                      index[BOUND_ORDER];
    const ngx_http_wildcam_set_t *set;

    set = ngx_http_wildcam_gateways(ctx);
    if (set->n == 0) {
        return -1;
    }

    ip = ngx_http_wildcam_client(ctx->request->connection);
    block = ip_client_block(&ip);
    start = pick_entry(set->entries, set->n, &block);

    for (k = 0; k < set->n; k++) {
        from = k == 0 ? start : k <= start ? k - 1 : k;
        index[k] = from;
        order[k] = set->pick[from];
        order[k].tried =
            ngx_http_wildcam_has_tried(ctx, set->targets[from].slot)
            || (ctx->full && !ngx_http_wildcam_roomy(ctx, set, from, now));
    }

    i = pick_first(order, set->n, ctx->class_, now);
    if (i == -1) {
        return -1;
    }

    if (!ngx_http_wildcam_tier_usable(
            ctx, pick_tier(&order[i], ctx->class_, now))) {
        ctx->closed = 1;
        return -1;
    }

    return (int) index[i];
}


/* An index into the set of ctx->kind, or -1. */

int
ngx_http_wildcam_choose(ngx_http_wildcam_ctx_t *ctx, Mono now)
{
    return ctx->kind == NGX_HTTP_WILDCAM_REPLICAS
               ? ngx_http_wildcam_choose_replica(ctx, now)
               : ngx_http_wildcam_choose_gateway(ctx, now);
}
