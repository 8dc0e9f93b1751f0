// SPDX-License-Identifier: MIT
// variables: $wildcam_* for the configuration, and W3C trace context. A valid
// traceparent of the client keeps its trace id and flags and gets a new span
// id; a missing, malformed, doubled or all-zero one is replaced
// (https://www.w3.org/TR/trace-context/, section 3.2).
#include "ngx_http_wildcam_module.h"


enum {
    VARIABLE_REPLICA,
    VARIABLE_REGION,
    VARIABLE_TLS_NAME,
    VARIABLE_PLAN,
    VARIABLE_PLAN_AGE,
    VARIABLE_CLASS,
    VARIABLE_NEXT,
    VARIABLE_CACHE_GENERATION,
    VARIABLE_TRACEPARENT,
    VARIABLE_TRACE_ID,
    VARIABLE_SPAN_ID,
};


static ngx_int_t
ngx_http_wildcam_found(ngx_http_variable_value_t *v, const ngx_str_t *text)
{
    v->len = (unsigned) text->len & 0xfffffff;
    v->data = text->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_wildcam_printed(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    const char *fmt, uint64_t a, uint64_t b)
{
    ngx_str_t text;

    text.data = ngx_pnalloc(r->pool, 2 * NGX_INT64_LEN + 2);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    text.len = (size_t) (ngx_sprintf(text.data, fmt, a, b) - text.data);

    return ngx_http_wildcam_found(v, &text);
}


/* What the answering target says of itself; a forwarded answer names the
 * replica behind it. */

static ngx_table_elt_t *
ngx_http_wildcam_upstream_header(
    ngx_http_request_t *r, const char *name, size_t len)
{
    ngx_uint_t       i;
    ngx_list_part_t *part;
    ngx_table_elt_t *h;

    if (r->upstream == NULL || r->upstream->headers_in.headers.size == 0) {
        return NULL;
    }

    for (part = &r->upstream->headers_in.headers.part; part;
         part = part->next) {
        h = part->elts;
        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash && h[i].key.len == len
                && ngx_strncmp(h[i].lowcase_key, name, len) == 0) {
                return &h[i];
            }
        }
    }

    return NULL;
}


/*
 * Where to go with a request that its upstream could not serve: into the
 * location that forwards, or to the answer that says so. Evaluated by
 * error_page.
 */

static ngx_int_t
ngx_http_wildcam_next(ngx_http_request_t *r, ngx_http_variable_value_t *v)
{
    static const ngx_str_t  failed = ngx_string("@failed");

    PickTier                tier;
    ngx_http_wildcam_ctx_t *ctx;

    ctx = ngx_http_wildcam_ctx_find(r);

    if (ctx == NULL || !ctx->ready || ctx->view == NULL
        || ctx->kind != NGX_HTTP_WILDCAM_REPLICAS || ctx->conf->remote.len == 0
        || (ctx->sent && !ctx->repeatable)) {
        return ngx_http_wildcam_found(v, &failed);
    }

    if (ctx->full) {
        return ngx_http_wildcam_found(
            v, ngx_http_wildcam_has_room(ctx, ngx_http_wildcam_now())
                   ? &ctx->conf->remote
                   : &failed);
    }

    tier = ngx_http_wildcam_best_tier(
        ctx, ngx_http_wildcam_gateways(ctx), ngx_http_wildcam_now());

    if (!ngx_http_wildcam_tier_usable(ctx, tier)) {
        ctx->closed |= tier == PICK_TIER_DOWN;
        return ngx_http_wildcam_found(v, &failed);
    }

    return ngx_http_wildcam_found(v, &ctx->conf->remote);
}


static ngx_uint_t
ngx_http_wildcam_hex(const u_char *p, size_t n, ngx_uint_t *ret_zero)
{
    size_t i;

    *ret_zero = 1;

    for (i = 0; i < n; i++) {
        if ((p[i] < '0' || p[i] > '9') && (p[i] < 'a' || p[i] > 'f')) {
            return 0;
        }
        if (p[i] != '0') {
            *ret_zero = 0;
        }
    }

    return 1;
}


/* "VV-<32 trace>-<16 parent>-<2 flags>"; a version above 00 may have more
 * behind it. */

static ngx_uint_t
ngx_http_wildcam_traceparent_valid(const ngx_str_t *value)
{
    u_char    *p;
    ngx_uint_t zero;

    p = value->data;

    return value->len >= NGX_HTTP_WILDCAM_TRACE
           && ngx_http_wildcam_hex(p, 2, &zero)
           && !(p[0] == 'f' && p[1] == 'f')
           && (value->len == NGX_HTTP_WILDCAM_TRACE
               || (!zero && p[NGX_HTTP_WILDCAM_TRACE] == '-'))
           && p[2] == '-' && ngx_http_wildcam_hex(p + 3, 32, &zero) && !zero
           && p[35] == '-' && ngx_http_wildcam_hex(p + 36, 16, &zero) && !zero
           && p[52] == '-' && ngx_http_wildcam_hex(p + 53, 2, &zero);
}


static ngx_table_elt_t *
ngx_http_wildcam_traceparent_header(ngx_http_request_t *r)
{
    ngx_uint_t       i;
    ngx_list_part_t *part;
    ngx_table_elt_t *h, *found;

    found = NULL;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;
        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len != sizeof("traceparent") - 1
                || ngx_strncmp(h[i].lowcase_key, "traceparent",
                       sizeof("traceparent") - 1)
                       != 0) {
                continue;
            }
            if (found) { /* two of them: neither counts */
                return NULL;
            }
            found = &h[i];
        }
    }

    return found;
}


static void
ngx_http_wildcam_hex_put(u_char *p, uint64_t value)
{
    ngx_uint_t i;

    for (i = 0; i < 16; i++) {
        p[i] = (u_char) "0123456789abcdef"[value >> (60 - 4 * i) & 0xf];
    }
}


static ngx_int_t
ngx_http_wildcam_trace(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    size_t from, size_t len)
{
    Rng                    *rng;
    u_char                 *p;
    ngx_str_t               text;
    ngx_table_elt_t        *h;
    ngx_http_wildcam_ctx_t *ctx;

    ctx = ngx_http_wildcam_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    p = ctx->trace;

    if (!ctx->traced) {
        ctx->traced = 1;
        rng = &ngx_http_wildcam_worker.rng;
        h = ngx_http_wildcam_traceparent_header(r);

        if (h && ngx_http_wildcam_traceparent_valid(&h->value)) {
            ngx_memcpy(p, h->value.data, NGX_HTTP_WILDCAM_TRACE);
            p[0] = p[1] = '0';

        } else {
            p[0] = p[1] = '0';
            p[2] = p[35] = p[52] = '-';
            ngx_http_wildcam_hex_put(p + 3, rng_next(rng));
            ngx_http_wildcam_hex_put(p + 19, rng_next(rng) | 1);
            p[53] = '0';
            p[54] = '1';
        }

        ngx_http_wildcam_hex_put(p + 36, rng_next(rng) | 1);
    }

    text.data = p + from;
    text.len = len;

    return ngx_http_wildcam_found(v, &text);
}


static ngx_int_t
ngx_http_wildcam_target_text(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t what)
{
    ngx_table_elt_t        *h;
    ngx_http_wildcam_ctx_t *ctx;

    ctx = ngx_http_wildcam_ctx_find(r);

    switch (what) {

    case VARIABLE_REPLICA:
        h = ngx_http_wildcam_upstream_header(
            r, "wildcam-replica", sizeof("wildcam-replica") - 1);
        if (h) {
            return ngx_http_wildcam_found(v, &h->value);
        }
        if (ctx && ctx->target && ctx->kind == NGX_HTTP_WILDCAM_REPLICAS) {
            return ngx_http_wildcam_found(v, &ctx->target->label);
        }
        break;

    case VARIABLE_REGION:
        h = ngx_http_wildcam_upstream_header(
            r, "wildcam-region", sizeof("wildcam-region") - 1);
        if (h) {
            return ngx_http_wildcam_found(v, &h->value);
        }
        if (ctx && ctx->target && ctx->kind == NGX_HTTP_WILDCAM_GATEWAYS) {
            return ngx_http_wildcam_found(v, &ctx->target->label);
        }
        return ngx_http_wildcam_found(
            v, &ngx_http_wildcam_worker.conf->region);

    case VARIABLE_TLS_NAME:
        if (ctx && ctx->target && ctx->target->tls_name.len) {
            return ngx_http_wildcam_found(v, &ctx->target->tls_name);
        }
        break;
    }

    v->not_found = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_wildcam_class(ngx_http_request_t *r, ngx_http_variable_value_t *v)
{
    static const ngx_str_t names[SERVICE_CLASS_MAX] = {
        ngx_string("read"), ngx_string("write")};

    ngx_http_wildcam_loc_conf_t *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_wildcam_module);
    if (lcf->service.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_wildcam_found(
        v, &names[r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD | NGX_HTTP_OPTIONS)
                      ? lcf->class_get
                      : lcf->class_other]);
}


static ngx_int_t
ngx_http_wildcam_variable(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t what)
{
    ngx_http_wildcam_view_t *view;

    view = ngx_http_wildcam_worker.view;

    switch (what) {

    case VARIABLE_PLAN:
        if (view == NULL) {
            break;
        }
        return ngx_http_wildcam_printed(r, v, "%uL", view->plan->number, 0);

    case VARIABLE_PLAN_AGE:
        return ngx_http_wildcam_printed(
            r, v, "%uL", ngx_http_wildcam_worker.plan_age_ms, 0);

    case VARIABLE_CACHE_GENERATION:
        return ngx_http_wildcam_printed(r, v, "%uL.%uL",
            view ? view->plan->generation : 0, ngx_http_wildcam_worker.purge);

    case VARIABLE_CLASS:
        return ngx_http_wildcam_class(r, v);

    case VARIABLE_NEXT:
        return ngx_http_wildcam_next(r, v);

    case VARIABLE_TRACEPARENT:
        return ngx_http_wildcam_trace(r, v, 0, NGX_HTTP_WILDCAM_TRACE);

    case VARIABLE_TRACE_ID:
        return ngx_http_wildcam_trace(r, v, 3, 32);

    case VARIABLE_SPAN_ID:
        return ngx_http_wildcam_trace(r, v, 36, 16);

    default:
        return ngx_http_wildcam_target_text(r, v, what);
    }

    v->not_found = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_wildcam_add_variables(ngx_conf_t *cf)
{
    static const struct {
        ngx_str_t  name;
        ngx_uint_t flags;
        uintptr_t  what;
    } variables[] = {
        {ngx_string("wildcam_replica"), NGX_HTTP_VAR_NOCACHEABLE,
            VARIABLE_REPLICA},
        {ngx_string("wildcam_region"), NGX_HTTP_VAR_NOCACHEABLE,
            VARIABLE_REGION},
        {ngx_string("wildcam_tls_name"), NGX_HTTP_VAR_NOCACHEABLE,
            VARIABLE_TLS_NAME},
        {ngx_string("wildcam_plan"), NGX_HTTP_VAR_NOCACHEABLE, VARIABLE_PLAN},
        {ngx_string("wildcam_plan_age_ms"), NGX_HTTP_VAR_NOCACHEABLE,
            VARIABLE_PLAN_AGE},
        {ngx_string("wildcam_class"), 0, VARIABLE_CLASS},
        {ngx_string("wildcam_next"), NGX_HTTP_VAR_NOCACHEABLE, VARIABLE_NEXT},
        {ngx_string("wildcam_cache_generation"), 0, VARIABLE_CACHE_GENERATION},
        {ngx_string("wildcam_traceparent"), 0, VARIABLE_TRACEPARENT},
        {ngx_string("wildcam_trace_id"), 0, VARIABLE_TRACE_ID},
        {ngx_string("wildcam_span_id"), 0, VARIABLE_SPAN_ID},
    };

    ngx_str_t            name;
    ngx_uint_t           i;
    ngx_http_variable_t *v;

    for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        name = variables[i].name;

        v = ngx_http_add_variable(cf, &name, variables[i].flags);
        if (v == NULL) {
            return NGX_ERROR;
        }

        v->get_handler = ngx_http_wildcam_variable;
        v->data = variables[i].what;
    }

    return NGX_OK;
}
