// SPDX-License-Identifier: MIT
// rowsd_http: rows.sock: what the work thread has published, as JSON and metrics. Never waits for a
// database: while ours hangs, the age of the last heartbeat grows and says so.
#include <stdlib.h>
#include <uv.h>

#include "alloc.h"
#include "clock.h"
#include "http_server.h"
#include "metrics.h"
#include "rowsd_state.h"

#define GRACE_NS NS_PER_S

struct RowsdHttp {
    Rowsd *rowsd;
    HttpServer *server;
    MetricsHttp http;
    RowsdFacts facts; // a copy to write from
    void (*drained)(void *context);
    void *drained_context;
};

static void take(RowsdHttp *http)
{
    rowsd_lock(http->rowsd);
    http->facts = http->rowsd->facts;
    rowsd_unlock(http->rowsd);
}

static void handle_ready(void *context, HttpExchange *exchange)
{
    RowsdHttp *http = context;
    take(http);
    static const char READY[] = "{\"ready\": true}\n";
    if (http->facts.ready)
        http_exchange_answer(exchange, 200, NULL, READY, sizeof READY - 1);
    else
        http_exchange_fail(exchange, 503, "not_ready",
                           http->facts.database_why[0] != '\0' ? http->facts.database_why
                                                               : "the node is being set up");
}

static void handle_rows(void *context, HttpExchange *exchange)
{
    RowsdHttp *http = context;
    take(http);
    Buf body CLEANUP(buf_done) = BUF_INIT(4U << 20);
    rowsd_facts_json(&http->facts, clock_mono(), &body);
    buf_add_char(&body, '\n');
    if (buf_check(&body) < 0)
        http_exchange_fail(exchange, 503, "no_memory", "the answer does not fit into memory");
    else
        http_exchange_answer(exchange, 200, NULL, body.data, body.len);
}

static void handle_metrics(void *context, HttpExchange *exchange)
{
    RowsdHttp *http = context;
    take(http);
    Buf body CLEANUP(buf_done) = BUF_INIT(4U << 20);
    rowsd_facts_metrics(&http->facts, clock_mono(), &body);
    metrics_http_write(&body, &http->http, http->facts.region, http->facts.cloud);
    if (buf_check(&body) < 0)
        http_exchange_fail(exchange, 503, "no_memory", "the answer does not fit into memory");
    else
        http_exchange_answer(exchange, 200, METRICS_CONTENT_TYPE, body.data, body.len);
}

static const HttpRoute ROUTES[] = {
    {"GET", "/v1/ready", handle_ready},
    {"GET", "/v1/rows", handle_rows},
    {"GET", "/metrics", handle_metrics},
};

static void on_answered(void *context, const char *method, const char *route, int status,
                        int64_t elapsed_ns)
{
    metrics_http_count(&((RowsdHttp *)context)->http, method, route, status, elapsed_ns);
}

int rowsd_http_new(struct uv_loop_s *loop, Rowsd *rowsd, const char *socket, RowsdHttp **ret_http,
                   Error *reterr)
{
    RowsdHttp *http = alloc_zeroed(1, sizeof *http);
    if (http == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for the API");
    http->rowsd = rowsd;
    const HttpServerOptions options = {.socket = socket,
                                       .routes = ROUTES,
                                       .n_routes = ARRAY_SIZE(ROUTES),
                                       .context = http,
                                       .answered = on_answered};
    int r = http_server_new(loop, &options, &http->server, reterr);
    if (r < 0) {
        free(http);
        return r;
    }
    *ret_http = http;
    return 0;
}

static void on_drained(void *context)
{
    RowsdHttp *http = context;
    http->drained(http->drained_context);
}

void rowsd_http_drain(RowsdHttp *http, void (*drained)(void *context), void *context)
{
    http->drained = drained;
    http->drained_context = context;
    http_server_drain(http->server, GRACE_NS, on_drained);
}

RowsdHttp *rowsd_http_free(RowsdHttp *http)
{
    if (http == NULL)
        return NULL;
    http->server = http_server_free(http->server);
    free(http);
    return NULL;
}
