// SPDX-License-Identifier: MIT
// upstream: nginx's peer interface over core/pick. A request first tries the
// region's own replicas; when another gateway promises more, the upstream
// `replicas` gives up and nginx's error_page takes the request to the named
// location whose upstream is `gateways` ($wildcam_next).
//
// What may be tried again: idempotent methods and requests with an
// Idempotency-Key; others only as long as no byte of them was sent. nginx
// decides that from its location's settings, which cannot look at a header, so
// a request that differs gets a copy of those settings (strict, keyed).
//
// Traps of nginx 1.22: set_session and save_session are called blindly; free()
// gets NGX_PEER_FAILED only where nginx itself would retry, so the status is
// read from the answer; that status is the previous attempt's when a connect
// failed at once; a closed idle connection costs no try.
#include "ngx_http_wildcam_module.h"


static ngx_int_t
ngx_http_wildcam_init_peer(
    ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us);
static ngx_int_t
ngx_http_wildcam_get_peer(ngx_peer_connection_t *pc, void *data);
static void
ngx_http_wildcam_free_peer(
    ngx_peer_connection_t *pc, void *data, ngx_uint_t state);
static ngx_int_t
ngx_http_wildcam_set_session(ngx_peer_connection_t *pc, void *data);
static void
ngx_http_wildcam_save_session(ngx_peer_connection_t *pc, void *data);


/* Requests find nothing to be sent to; looked at until then. */

#define STARVED_MS 100

static ngx_msec_t starved_until;


static ngx_int_t
ngx_http_wildcam_init_upstream(
    ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us)
{
    us->peer.init = ngx_http_wildcam_init_peer;

    return NGX_OK;
}


/* wildcam replicas|gateways; in upstream {}, before keepalive. */

char *
ngx_http_wildcam_upstream(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                    *value;
    ngx_http_upstream_server_t   *server;
    ngx_http_wildcam_srv_conf_t  *scf;
    ngx_http_upstream_srv_conf_t *uscf;

    scf = conf;
    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "replicas") == 0) {
        scf->kind = NGX_HTTP_WILDCAM_REPLICAS;

    } else if (ngx_strcmp(value[1].data, "gateways") == 0) {
        scf->kind = NGX_HTTP_WILDCAM_GATEWAYS;

    } else {
        return "must be \"replicas\" or \"gateways\"";
    }

    uscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_upstream_module);

    if (uscf->peer.init_upstream) {
        return "must stand before \"keepalive\" and alone";
    }

    uscf->peer.init_upstream = ngx_http_wildcam_init_upstream;
    uscf->flags = NGX_HTTP_UPSTREAM_CREATE;

    /* nginx insists on at least one server; targets come from the plan */

    server = ngx_array_push(uscf->servers);
    if (server == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(server, sizeof(ngx_http_upstream_server_t));
    server->name = value[1];
    server->down = 1;

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_wildcam_has_key(ngx_http_request_t *r)
{
    ngx_uint_t       i;
    ngx_list_part_t *part;
    ngx_table_elt_t *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;
        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == sizeof("Idempotency-Key") - 1 && h[i].value.len
                && ngx_strncmp(h[i].lowcase_key, "idempotency-key",
                       sizeof("idempotency-key") - 1)
                       == 0) {
                return 1;
            }
        }
    }

    return 0;
}


/*
 * The settings for this request. A copy is made once for each location and
 * lives as long as the worker. `strict`: a replica's own 5xx answer is passed
 * on, since there is no next one; a gateway's becomes this edge's answer, for
 * it may be one between edges (NGX_HTTP_WILDCAM_SHED). `keyed`: nginx may send
 * the request again though bytes of it were sent.
 */

static ngx_int_t
ngx_http_wildcam_settings(ngx_http_wildcam_ctx_t *ctx, ngx_http_upstream_t *u)
{
    ngx_pool_t                  *pool;
    ngx_http_upstream_conf_t    *strict, *keyed;
    ngx_http_wildcam_loc_conf_t *lcf;

    lcf = ctx->conf;

    if (lcf->original != u->conf) {
        pool = ngx_cycle->pool;
        strict = ngx_palloc(pool, sizeof(ngx_http_upstream_conf_t));
        keyed = ngx_palloc(pool, sizeof(ngx_http_upstream_conf_t));
        if (strict == NULL || keyed == NULL) {
            return NGX_ERROR;
        }

        *strict = *u->conf;
        strict->intercept_errors = ctx->kind == NGX_HTTP_WILDCAM_GATEWAYS;

        *keyed = *u->conf;
        keyed->next_upstream |= NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT;

        lcf->original = u->conf;
        lcf->strict = strict;
        lcf->keyed = keyed;
    }

    u->conf = ctx->keyed ? lcf->keyed : lcf->strict;

    return NGX_OK;
}


/* What a request is, once; and the location it is in now. */

static void
ngx_http_wildcam_prepare(ngx_http_wildcam_ctx_t *ctx, ngx_http_request_t *r)
{
    ctx->conf = ngx_http_get_module_loc_conf(r, ngx_http_wildcam_module);

    if (ctx->ready) {
        return;
    }

    ctx->ready = 1;
    ctx->repeatable = 1;
    ctx->class_ = ctx->conf->class_get;

    if (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD | NGX_HTTP_OPTIONS)) {
        return;
    }

    ctx->class_ = ctx->conf->class_other;

    if (!(r->method & (NGX_HTTP_PUT | NGX_HTTP_DELETE))) {
        ctx->keyed = ngx_http_wildcam_has_key(r) != 0;
        ctx->repeatable = ctx->keyed;
    }
}


static ngx_int_t
ngx_http_wildcam_init_peer(
    ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_upstream_t         *u;
    ngx_http_wildcam_ctx_t      *ctx;
    ngx_http_wildcam_srv_conf_t *scf;

    ctx = ngx_http_wildcam_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    scf = ngx_http_conf_upstream_srv_conf(us, ngx_http_wildcam_module);

    ctx->kind = scf->kind;
    ngx_http_wildcam_prepare(ctx, r);

    u = r->upstream;

    if ((ctx->keyed || !ctx->repeatable)
        && ngx_http_wildcam_settings(ctx, u) != NGX_OK) {
        return NGX_ERROR;
    }

    u->peer.data = ctx;
    u->peer.get = ngx_http_wildcam_get_peer;
    u->peer.free = ngx_http_wildcam_free_peer;
    u->peer.set_session = ngx_http_wildcam_set_session;
    u->peer.save_session = ngx_http_wildcam_save_session;
    u->peer.tries = NGX_HTTP_WILDCAM_TRIED;

    return NGX_OK;
}


/*
 * While requests find no replica they are sent on before they ask for one:
 * nginx writes a line into its log for each that asks in vain, and strangers
 * must not be able to fill a disk.
 */

static ngx_int_t __attribute__((noinline))
ngx_http_wildcam_send_on(ngx_http_request_t *r)
{
    static ngx_str_t             failed = ngx_string("@failed");

    Mono                         now;
    PickTier                     local, remote;
    ngx_str_t                   *next;
    ngx_http_wildcam_ctx_t      *ctx;
    ngx_http_wildcam_loc_conf_t *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_wildcam_module);

    if (lcf->service.len == 0 || r->internal
        || ngx_http_wildcam_worker.view == NULL) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_wildcam_ctx(r);
    if (ctx == NULL || ngx_http_wildcam_ctx_renew(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_wildcam_prepare(ctx, r);

    now = ngx_http_wildcam_now();
    local = ngx_http_wildcam_best_tier(ctx, &ctx->view->replicas, now);
    remote = lcf->remote.len ? ngx_http_wildcam_best_tier(
                 ctx, ngx_http_wildcam_gateways(ctx), now)
                             : PICK_TIER_NONE;

    next = NULL;

    if (remote < local && ngx_http_wildcam_tier_usable(ctx, remote)) {
        next = &lcf->remote;

    } else if (!ngx_http_wildcam_tier_usable(ctx, local)
               && !(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD))) {

        /* a cache may still know the answer to those */

        ctx->closed = local == PICK_TIER_DOWN;
        next = &failed;
    }

    if (next == NULL) {
        return NGX_DECLINED;
    }

    starved_until = ngx_current_msec + STARVED_MS;

    (void) ngx_http_named_location(r, next);
    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}


ngx_int_t
ngx_http_wildcam_precontent_handler(ngx_http_request_t *r)
{
    return (ngx_msec_int_t) (starved_until - ngx_current_msec) > 0
               ? ngx_http_wildcam_send_on(r)
               : NGX_DECLINED;
}


static ngx_int_t
ngx_http_wildcam_pay(ngx_http_wildcam_ctx_t *ctx, Mono now)
{
    if (ctx->free_try) {
        ctx->free_try = 0;
        return NGX_OK;
    }

    if (!ctx->paid
        && !pick_budget_retry(
            &ngx_http_wildcam_worker.budget, &ctx->view->plan->pick, now)) {
        NGX_HTTP_WILDCAM_COUNT(retries_refused);
        return NGX_DECLINED;
    }

    ctx->paid = 0;
    NGX_HTTP_WILDCAM_COUNT(retries);

    return NGX_OK;
}


/* Takes the own region's capacity for one request, if there is any left. */

static ngx_inline ngx_uint_t
ngx_http_wildcam_admitted(const AdmitRule *rule, Mono now)
{
    int64_t *bucket, full_at, next;

    bucket = ngx_http_wildcam_worker.admitted;
    full_at = __atomic_load_n(bucket, __ATOMIC_RELAXED);

    do {
        next = admit_next(rule, full_at, now);
        if (next == ADMIT_SHED) {
            return 0;
        }
    } while (!__atomic_compare_exchange_n(
        bucket, &full_at, next, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED));

    return 1;
}


static ngx_int_t
ngx_http_wildcam_get_peer(ngx_peer_connection_t *pc, void *data)
{
    int                              i;
    Mono                             now;
    ngx_http_wildcam_ctx_t          *ctx;
    const ngx_http_wildcam_set_t    *set;
    const ngx_http_wildcam_target_t *target;

    ctx = data;

    pc->cached = 0;
    pc->connection = NULL;

    if (ngx_http_wildcam_worker.view == NULL
        || ngx_http_wildcam_ctx_renew(ctx) != NGX_OK
        || ctx->n_tried == NGX_HTTP_WILDCAM_TRIED) {
        return NGX_BUSY;
    }

    /* nginx knows this of POST, LOCK and PATCH only */

    if (ctx->sent && !ctx->repeatable) {
        return NGX_BUSY;
    }

    now = ngx_http_wildcam_now();

    set = ctx->kind == NGX_HTTP_WILDCAM_REPLICAS
              ? &ctx->view->replicas
              : ngx_http_wildcam_gateways(ctx);
    i = ngx_http_wildcam_choose(ctx, now);

    if (i == -1) {
        if (ctx->full) {
            pc->tries = 0;
            return NGX_DECLINED; /* as below */
        }
        if (ctx->attempts == 0) {
            starved_until = ngx_current_msec + STARVED_MS;
        }
        return NGX_BUSY;
    }

    /*
     * What a cache answers never comes here, and costs the replicas nothing.
     * NGX_BUSY would write a line into nginx's log for each request shed.
     */

    if (ctx->attempts == 0) {
        if (ctx->kind == NGX_HTTP_WILDCAM_REPLICAS
            && !ngx_http_wildcam_admitted(&ctx->view->admit, now)) {
            ctx->full = 1;
            pc->tries = 0;
            return NGX_DECLINED;
        }

        pick_budget_request(&ngx_http_wildcam_worker.budget, now);

    } else if (ngx_http_wildcam_pay(ctx, now) != NGX_OK) {
        return NGX_BUSY;
    }

    if (ctx->kind == NGX_HTTP_WILDCAM_GATEWAYS) {
        NGX_HTTP_WILDCAM_COUNT(forwarded);
    }

    target = &set->targets[i];

    ctx->closed = 0;
    ctx->target = target;
    ctx->slot = target->slot;
    ctx->started = now;
    ctx->tried[ctx->n_tried++] = target->slot;
    ctx->attempts++;

    pc->sockaddr = target->sockaddr;
    pc->socklen = target->socklen;
    pc->name = (ngx_str_t *) &target->name;

    pick_started(&target->slot->health, now);
    ngx_queue_insert_tail(&target->slot->waiting, &ctx->queue);

    return NGX_OK;
}


static PickResult
ngx_http_wildcam_result(
    ngx_http_wildcam_ctx_t *ctx, ngx_peer_connection_t *pc, ngx_uint_t state)
{
    ngx_uint_t        status;
    ngx_connection_t *c;

    c = pc->connection;
    status = ctx->request->upstream->headers_in.status_n;

    /*
     * A refused connect leaves the previous attempt's status behind. Without
     * failure no connection means that keepalive has taken it.
     */

    if ((state & NGX_PEER_FAILED) && c == NULL) {
        status = 0;
    }

    if (status >= 500) {
        if (status == NGX_HTTP_WILDCAM_SHED
            && ctx->kind == NGX_HTTP_WILDCAM_GATEWAYS) {
            return PICK_SHED;
        }
        ctx->status = (uint32_t) status;
        return PICK_ERROR;
    }

    if (status) {
        return PICK_OK;
    }

    if (!(state & NGX_PEER_FAILED)) {
        return PICK_ABORTED;
    }

    if (c && (c->read->timedout || c->write->timedout)) {
        ctx->status = NGX_HTTP_GATEWAY_TIME_OUT;
        return PICK_FAILURE;
    }

    if (pc->cached && ctx->stale < NGX_HTTP_WILDCAM_STALE) {
        return PICK_STALE;
    }

    ctx->status = NGX_HTTP_BAD_GATEWAY;

    return PICK_FAILURE;
}


static void
ngx_http_wildcam_evidence(
    ngx_http_wildcam_ctx_t *ctx, PickResult result, Mono now)
{
    CountersTarget *counters;

    counters = ctx->slot->counters;

    switch (result) {

    case PICK_OK:
        counters->ok++;
        counters->success_sent_ns = (uint64_t) ctx->started.ns;
        counters->latency_us_sum +=
            (uint64_t) (mono_since(now, ctx->started) / NS_PER_US);
        break;

    case PICK_ERROR:
        counters->error++;
        counters->latency_us_sum +=
            (uint64_t) (mono_since(now, ctx->started) / NS_PER_US);
        break;

    case PICK_FAILURE:
        counters->failure++;
        break;

    case PICK_SHED:
        ctx->shed = 1;
        ctx->slot->full_until = mono_add(now, ADMIT_FULL_NS);
        break;

    default:
        break;
    }
}


static void
ngx_http_wildcam_free_peer(
    ngx_peer_connection_t *pc, void *data, ngx_uint_t state)
{
    Mono                     now;
    PickResult               result;
    ngx_http_wildcam_ctx_t  *ctx;
    ngx_http_wildcam_slot_t *slot;

    ctx = data;
    slot = ctx->slot;

    if (pc->tries) {
        pc->tries--;
    }

    if (slot == NULL) {
        return;
    }

    now = ngx_http_wildcam_now();
    result = ngx_http_wildcam_result(ctx, pc, state);

    ngx_queue_remove(&ctx->queue);
    ctx->sent |= ctx->request->upstream->request_sent;

    if (result == PICK_STALE) {
        ctx->stale++;
        ctx->n_tried--; /* a fresh connection may go there */
        ctx->free_try = 1;
    }

    ngx_http_wildcam_evidence(ctx, result, now);

    if (pick_finished(&slot->health, &ctx->view->plan->pick, result, now)) {
        slot->counters->ejections++;

        /* silence or resets: whoever waits there waits in vain */

        slot->evacuate |= result == PICK_FAILURE;
    }

    ctx->slot = NULL;
}


/* The other side keeps no TLS sessions (docs/contracts/processes.md), so
 * neither do we. */

static ngx_int_t
ngx_http_wildcam_set_session(ngx_peer_connection_t *pc, void *data)
{
    return NGX_OK;
}


static void
ngx_http_wildcam_save_session(ngx_peer_connection_t *pc, void *data)
{
}
