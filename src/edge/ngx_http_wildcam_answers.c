// SPDX-License-Identifier: MIT
// answers: what nginx answers by itself: a request that nobody could serve, or
// that is shed since there is no capacity for it (failed; to a peer that
// forwarded it: failed_peer), a peer whose certificate does not allow what it
// asked (refused, counted), this worker's metrics, and the purge of the cache.
// open source nginx has no purge; a number in every cache key is one that
// works at once. The number stands in a file, so that it survives restarts and
// all workers read the same.
#include "ngx_http_wildcam_module.h"

#include "parse.h"

#define PURGE_POLL_NS (NS_PER_S / 4)
#define PURGE_TEXT 20


static ngx_int_t
ngx_http_wildcam_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, const u_char *text, size_t len)
{
    ngx_str_t                content_type;
    ngx_http_complex_value_t cv;

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    content_type.data = (u_char *) type;
    content_type.len = ngx_strlen(type);

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));
    cv.value.data = (u_char *) text;
    cv.value.len = len;

    return ngx_http_send_response(r, status, &content_type, &cv);
}


static ngx_int_t
ngx_http_wildcam_send_text(
    ngx_http_request_t *r, ngx_uint_t status, const char *text)
{
    return ngx_http_wildcam_send(r, status, "application/json",
        (const u_char *) text, ngx_strlen(text));
}


static ngx_int_t
ngx_http_wildcam_add_header(
    ngx_http_request_t *r, const char *name, const char *value)
{
    ngx_table_elt_t *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value.data = (u_char *) value;
    h->value.len = ngx_strlen(value);

    return NGX_OK;
}


/* No capacity here, nor in the region that was asked instead. Nobody's fault,
 * and nothing of it was executed: the client may come again, later. */

static ngx_uint_t
ngx_http_wildcam_is_shed(ngx_http_wildcam_ctx_t *ctx)
{
    if (ctx == NULL) {
        return 0;
    }

    ctx->shed |= ctx->full && (ctx->repeatable || !ctx->sent);

    return ctx->shed;
}


static ngx_int_t
ngx_http_wildcam_send_shed(ngx_http_request_t *r)
{
    static const char *const seconds[] = {"0", "1", "2", "3"};

    uint32_t                 again;

    again = admit_again_s(
        (uint32_t) (rng_next(&ngx_http_wildcam_worker.rng) >> 32));

    if (ngx_http_wildcam_add_header(r, "Retry-After", seconds[again]) != NGX_OK
        || ngx_http_wildcam_add_header(r, "Wildcam-Shed", "capacity")
               != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    NGX_HTTP_WILDCAM_COUNT(shed);

    return ngx_http_wildcam_send_text(r, NGX_HTTP_SERVICE_UNAVAILABLE,
        "{\"error\":\"no capacity is left for this now\"}\n");
}


static ngx_int_t
ngx_http_wildcam_failed_handler(ngx_http_request_t *r)
{
    ngx_uint_t              status;
    ngx_http_wildcam_ctx_t *ctx;

    ctx = ngx_http_wildcam_ctx_find(r);

    if (ngx_http_wildcam_is_shed(ctx)) {
        return ngx_http_wildcam_send_shed(r);
    }

    /* nothing was tried, or the retries are used up: come back later */

    status = ctx && ctx->status && !ctx->closed ? ctx->status
                                                : NGX_HTTP_SERVICE_UNAVAILABLE;

    switch (status) {

    case NGX_HTTP_SERVICE_UNAVAILABLE:
        NGX_HTTP_WILDCAM_COUNT(no_target);
        if (ngx_http_wildcam_add_header(r, "Retry-After", "1") != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
        return ngx_http_wildcam_send_text(
            r, status, "{\"error\":\"nothing can serve this now\"}\n");

    case NGX_HTTP_GATEWAY_TIME_OUT:
        return ngx_http_wildcam_send_text(
            r, status, "{\"error\":\"no answer in time\"}\n");

    case NGX_HTTP_BAD_GATEWAY:
        return ngx_http_wildcam_send_text(r, status,
            "{\"error\":\"the connection to the service broke\"}\n");

    default:
        return ngx_http_wildcam_send_text(
            r, status, "{\"error\":\"the service failed\"}\n");
    }
}


/*
 * To the edge that forwarded it. Without a body, so that the connection can be
 * kept, and with a status that nginx does not take for a failure of this
 * gateway: that edge closes no connection and asks no third region.
 */

static ngx_int_t
ngx_http_wildcam_failed_peer_handler(ngx_http_request_t *r)
{
    ngx_http_wildcam_ctx_t *ctx;

    ctx = ngx_http_wildcam_ctx_find(r);

    if (!ngx_http_wildcam_is_shed(ctx)) {
        if (ctx && ctx->status == NGX_HTTP_WILDCAM_SHED) {
            ctx->status = NGX_HTTP_BAD_GATEWAY; /* a replica's own words */
        }
        return ngx_http_wildcam_failed_handler(r);
    }

    NGX_HTTP_WILDCAM_COUNT(shed_peer);

    return ngx_http_wildcam_send(
        r, NGX_HTTP_WILDCAM_SHED, "text/plain", (const u_char *) "", 0);
}


static ngx_int_t
ngx_http_wildcam_refused_handler(ngx_http_request_t *r)
{
    NGX_HTTP_WILDCAM_COUNT(peer_refused);

    return ngx_http_wildcam_send_text(r, NGX_HTTP_FORBIDDEN,
        "{\"error\":\"this certificate does not allow it\"}\n");
}


static ngx_int_t
ngx_http_wildcam_metrics_handler(ngx_http_request_t *r)
{
    u_char                    *p, *text;
    size_t                     size;
    ngx_http_wildcam_worker_t *w;

    w = &ngx_http_wildcam_worker;
    size = 1024 + w->conf->region.len * 2;

    text = ngx_pnalloc(r->pool, size);
    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_snprintf(text, size,
        "# HELP wildcam_edge_plan_age_seconds Since the agent last confirmed "
        "the plan this edge uses.\n"
        "# TYPE wildcam_edge_plan_age_seconds gauge\n");

    if (w->plan_age_ms != UINT64_MAX) {
        p = ngx_snprintf(p, size - (size_t) (p - text),
            "wildcam_edge_plan_age_seconds{region=\"%V\"} %uL.%03uL\n",
            &w->conf->region, w->plan_age_ms / 1000, w->plan_age_ms % 1000);
    }

    p = ngx_snprintf(p, size - (size_t) (p - text),
        "# HELP wildcam_edge_plan_number Number of the plan this edge uses, 0 "
        "without one.\n"
        "# TYPE wildcam_edge_plan_number gauge\n"
        "wildcam_edge_plan_number{region=\"%V\"} %uL\n",
        &w->conf->region, w->view ? w->view->plan->number : 0);

    return ngx_http_wildcam_send(r, NGX_HTTP_OK, "text/plain; version=0.0.4",
        text, (size_t) (p - text));
}


static ngx_int_t
ngx_http_wildcam_purge_read(uint64_t *ret_purge)
{
    int     fd;
    char    text[PURGE_TEXT + 2];
    ssize_t n;

    fd = open((char *) ngx_http_wildcam_worker.conf->purge.data,
        O_RDONLY | O_CLOEXEC);
    if (fd == -1) {
        return NGX_DECLINED;
    }

    n = pread(fd, text, sizeof(text), 0);
    (void) close(fd);

    if (n > 0 && text[n - 1] == '\n') {
        n--;
    }

    return n > 0 && parse_u64(text, (size_t) n, UINT64_MAX, ret_purge) == 0
               ? NGX_OK
               : NGX_DECLINED;
}


void
ngx_http_wildcam_purge_poll(Mono now)
{
    static Mono polled;

    uint64_t    purge;

    if (ngx_http_wildcam_worker.conf->purge.len == 0
        || (polled.ns && mono_since(now, polled) < PURGE_POLL_NS)) {
        return;
    }

    polled = now;

    if (ngx_http_wildcam_purge_read(&purge) == NGX_OK) {
        ngx_http_wildcam_worker.purge = purge;
    }
}


static ngx_int_t
ngx_http_wildcam_purge_write(uint64_t purge)
{
    int     fd;
    char    text[PURGE_TEXT + 2], temporary[NGX_MAX_PATH];
    char   *path;
    ssize_t n;

    path = (char *) ngx_http_wildcam_worker.conf->purge.data;

    (void) snprintf(
        temporary, sizeof(temporary), "%s.%d", path, (int) ngx_pid);

    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
        0644);
    if (fd == -1) {
        return NGX_ERROR;
    }

    n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long) purge);

    if (write(fd, text, (size_t) n) != n) {
        (void) close(fd);
        (void) unlink(temporary);
        return NGX_ERROR;
    }

    (void) close(fd);

    return rename(temporary, path) == 0 ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_wildcam_purge_handler(ngx_http_request_t *r)
{
    u_char  *text;
    uint64_t purge, stored;

    if (!(r->method & NGX_HTTP_POST)) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    if (ngx_http_wildcam_worker.conf->purge.len == 0) {
        return NGX_HTTP_NOT_FOUND;
    }

    purge = ngx_http_wildcam_worker.purge;
    if (ngx_http_wildcam_purge_read(&stored) == NGX_OK && stored > purge) {
        purge = stored;
    }
    purge++;

    if (ngx_http_wildcam_purge_write(purge) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, errno,
            "wildcam: cannot write \"%V\"",
            &ngx_http_wildcam_worker.conf->purge);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_wildcam_worker.purge = purge;

    text = ngx_pnalloc(r->pool, sizeof("{\"purge\":}\n") + NGX_INT64_LEN);
    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_wildcam_send(r, NGX_HTTP_OK, "application/json", text,
        (size_t) (ngx_sprintf(text, "{\"purge\":%uL}\n", purge) - text));
}


/* wildcam_answer failed|failed_peer|refused|metrics|purge; */

char *
ngx_http_wildcam_answer(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    static const struct {
        const char         *name;
        ngx_http_handler_pt handler;
    } answers[] = {
        {"failed", ngx_http_wildcam_failed_handler},
        {"failed_peer", ngx_http_wildcam_failed_peer_handler},
        {"refused", ngx_http_wildcam_refused_handler},
        {"metrics", ngx_http_wildcam_metrics_handler},
        {"purge", ngx_http_wildcam_purge_handler},
    };

    ngx_str_t                *value;
    ngx_uint_t                i;
    ngx_http_core_loc_conf_t *clcf;

    value = cf->args->elts;
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        if (ngx_strcmp(value[1].data, answers[i].name) == 0) {
            clcf->handler = answers[i].handler;
            return NGX_CONF_OK;
        }
    }

    return "must be \"failed\", \"failed_peer\", \"refused\", \"metrics\" or "
           "\"purge\"";
}
