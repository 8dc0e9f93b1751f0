// SPDX-License-Identifier: MIT
// context: what belongs to one request. nginx clears its module contexts when
// a request jumps into a named location (that is how a request is forwarded),
// so the context hangs on the request's pool and is found again by its cleanup
// handler. A background subrequest shares its parent's pool: the request
// pointer tells them apart.
#include "ngx_http_wildcam_module.h"


static ngx_http_wildcam_ctx_t *spare;


static void
ngx_http_wildcam_view_cleanup(void *data)
{
    ngx_http_wildcam_view_release(data);
}


static void
ngx_http_wildcam_ctx_cleanup(void *data)
{
    ngx_http_wildcam_ctx_t *ctx;

    ctx = data;

    if (ctx->view) {
        ngx_http_wildcam_view_release(ctx->view);
    }

    ctx->spare = spare;
    spare = ctx;
}


/*
 * From a list of spare ones, not from the request's pool: there it would often
 * be what makes the pool grow by another block.
 */

static ngx_http_wildcam_ctx_t *
ngx_http_wildcam_ctx_alloc(void)
{
    ngx_http_wildcam_ctx_t *ctx;

    ctx = spare;

    if (ctx) {
        spare = ctx->spare;
        ngx_memzero(ctx, offsetof(ngx_http_wildcam_ctx_t, tried));
        return ctx;
    }

    return ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_http_wildcam_ctx_t));
}


ngx_http_wildcam_ctx_t *
ngx_http_wildcam_ctx_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_wildcam_ctx_t *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_wildcam_module);
    if (ctx || !r->internal) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler != ngx_http_wildcam_ctx_cleanup) {
            continue;
        }

        ctx = cln->data;
        if (ctx->request == r) {
            ngx_http_set_ctx(r, ctx, ngx_http_wildcam_module);
            return ctx;
        }
    }

    return NULL;
}


ngx_http_wildcam_ctx_t *
ngx_http_wildcam_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_wildcam_ctx_t *ctx;

    ctx = ngx_http_wildcam_ctx_find(r);
    if (ctx) {
        return ctx;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    ctx = ngx_http_wildcam_ctx_alloc();
    if (cln == NULL || ctx == NULL) {
        return NULL;
    }

    ctx->request = r;
    cln->handler = ngx_http_wildcam_ctx_cleanup;
    cln->data = ctx;

    ngx_http_set_ctx(r, ctx, ngx_http_wildcam_module);

    return ctx;
}


/*
 * Names and addresses of a view are used until the log phase, so an older view
 * of the same request is held on to as well.
 */

ngx_int_t
ngx_http_wildcam_ctx_renew(ngx_http_wildcam_ctx_t *ctx)
{
    ngx_pool_cleanup_t *cln;

    if (ctx->view == ngx_http_wildcam_worker.view) {
        return NGX_OK;
    }

    if (ctx->view) {
        cln = ngx_pool_cleanup_add(ctx->request->pool, 0);
        if (cln == NULL) {
            return NGX_ERROR;
        }

        cln->handler = ngx_http_wildcam_view_cleanup;
        cln->data = ctx->view;
    }

    ctx->view = ngx_http_wildcam_worker.view;
    ctx->view->refs++;

    return NGX_OK;
}


Ip
ngx_http_wildcam_client(ngx_connection_t *c)
{
    Ip               ip;
    struct sockaddr *sa;

    ngx_memzero(&ip, sizeof(Ip));
    sa = c->sockaddr;

    if (sa->sa_family == AF_INET6) {
        ngx_memcpy(ip.bytes, &((struct sockaddr_in6 *) sa)->sin6_addr, 16);

    } else if (sa->sa_family == AF_INET) {
        ip.bytes[10] = ip.bytes[11] = 0xff;
        ngx_memcpy(ip.bytes + 12, &((struct sockaddr_in *) sa)->sin_addr, 4);
    }

    return ip;
}
