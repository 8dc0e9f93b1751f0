// SPDX-License-Identifier: MIT
// api: see api.h. A request that waits for the storage is a Waiting: the kept exchange and the Api.
// Every answer names the replica and the region, and echoes a valid traceparent. Lists and rows are
// not to be stored by caches (they are read after writes); the version is the example of an answer
// that is.
#include "api.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "detection.h"
#include "http_server.h"
#include "metrics.h"
#include "parse.h"

#define NO_STORE "no-store"
#define CACHE_5_MINUTES "public, max-age=300"

struct Api {
    ApiOptions options;
    Storage *storage;
    HttpServer *server;
    MetricsHttp http;
    uint64_t puts[STORAGE_PUT_UNAVAILABLE + 1];
    uint64_t unconfirmed; // two clouds were asked for, and no other one had it in time
    void (*drained)(void *context);
    void *drained_context;
};

typedef struct Waiting {
    Api *api;
    HttpExchange *exchange;
} Waiting;

// "00-<32 hex>-<16 hex>-<2 hex>" (W3C Trace Context); what else comes is not sent back.
static bool is_traceparent(const char *text)
{
    static const char SHAPE[] = "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
    if (strlen(text) != sizeof SHAPE - 1)
        return false;
    for (size_t i = 0; i < sizeof SHAPE - 1; i++) {
        if (SHAPE[i] == '-' ? text[i] != '-' : strchr("0123456789abcdef", text[i]) == NULL)
            return false;
    }
    return true;
}

static void set_headers(const Api *api, HttpExchange *exchange, const char *cache)
{
    const char *trace = http_exchange_header(exchange, "traceparent");
    http_exchange_set_header(exchange, "Wildcam-Replica", api->options.replica);
    http_exchange_set_header(exchange, "Wildcam-Region", api->options.region);
    http_exchange_set_header(exchange, "Cache-Control", cache);
    if (trace != NULL && is_traceparent(trace))
        http_exchange_set_header(exchange, "traceparent", trace);
}

// Answers with the JSON in `body` and frees it.
static void answer(const Api *api, HttpExchange *exchange, int status, const char *cache, Buf *body)
{
    set_headers(api, exchange, cache);
    if (buf_check(body) < 0)
        http_exchange_fail(exchange, 503, "no_memory", "the answer does not fit into memory");
    else
        http_exchange_answer(exchange, status, NULL, buf_text(body), body->len);
    buf_done(body);
}

static void fail(const Api *api, HttpExchange *exchange, int status, const char *code,
                 const char *message)
{
    set_headers(api, exchange, NO_STORE);
    if (status == 503)
        http_exchange_set_header(exchange, "Retry-After", "1");
    http_exchange_fail(exchange, status, code, message);
}

static void fail_unavailable(const Api *api, HttpExchange *exchange)
{
    fail(api, exchange, 503, "database_unavailable",
         "the region's database does not answer; the same request may be sent again");
}

static void fail_request(const Api *api, HttpExchange *exchange, const char *path, const char *what,
                         const char *allowed)
{
    DetectionProblem problem = {.path = path, .allowed = allowed};
    Buf body = BUF_INIT(0);
    (void)strncpy(problem.what, what, sizeof problem.what - 1);
    detection_problem_write_json(&body, &problem);
    answer(api, exchange, 400, NO_STORE, &body);
}

static Waiting *waiting_new(Api *api, HttpExchange *exchange)
{
    Waiting *waiting = alloc_zeroed(1, sizeof *waiting);
    if (waiting == NULL) {
        fail(api, exchange, 503, "no_memory", "no memory for the request");
        return NULL;
    }
    *waiting = (Waiting){api, exchange};
    return waiting;
}

static void handle_health(void *context, HttpExchange *exchange)
{
    Api *api = context;
    StorageHealth health = storage_health(api->storage);
    Buf body = BUF_INIT(0);
    buf_printf(&body,
               "{\"status\": \"%s\", \"classes\": {\"read\": %s, \"write\": %s}, "
               "\"dependencies\": [{\"name\": \"postgresql\", \"classes\": [\"read\", \"write\"], "
               "\"ok\": %s, \"detail\": ",
               health.read && health.write ? "ok" : "degraded", health.read ? "true" : "false",
               health.write ? "true" : "false", health.read && health.write ? "true" : "false");
    // Through nginx strangers ask too: they need not know our hosts and users.
    bool stranger = http_exchange_header(exchange, "X-Forwarded-For") != NULL;
    buf_add_json_string(&body, stranger && health.detail[0] != '\0'
                                   ? "the database does not serve this now"
                                   : health.detail);
    buf_add_text(&body, "}, {\"name\": \"other clouds\", \"classes\": [], \"ok\": ");
    buf_add_text(&body, health.confirms ? "true" : "false");
    buf_add_text(&body, ", \"detail\": ");
    buf_add_json_string(&body, health.confirms ? "" : "no other cloud confirms rows");
    buf_add_text(&body, "}]}\n");
    answer(api, exchange, health.read || health.write ? 200 : 503, NO_STORE, &body);
}

static void handle_version(void *context, HttpExchange *exchange)
{
    Buf body = BUF_INIT(0);
    buf_printf(&body, "{\"name\": \"wildcam-backend\", \"version\": \"%s\", \"api\": 1}\n",
               WILDCAM_VERSION);
    answer(context, exchange, 200, CACHE_5_MINUTES, &body);
}

// The text of an answer's header Wildcam-Durability; NULL: durability local, nothing to say.
static const char *durability_text(StorageDurability durability)
{
    switch (durability) {
    case STORAGE_DURABILITY_TWO_CLOUDS:
        return "two-clouds";
    case STORAGE_DURABILITY_UNCONFIRMED:
        return "local";
    case STORAGE_DURABILITY_LOCAL:
        break;
    }
    return NULL;
}

static void answer_stored(const Api *api, HttpExchange *exchange, int status,
                          StorageDurability durability, const Detection *stored)
{
    Buf body = BUF_INIT(0), location = BUF_INIT(0);
    const char *kept = durability_text(durability);
    if (kept != NULL)
        http_exchange_set_header(exchange, "Wildcam-Durability", kept);
    if (durability == STORAGE_DURABILITY_UNCONFIRMED && !api->options.degrade) {
        fail(api, exchange, 503, "not_confirmed",
             "stored in this region, and it stays; no other cloud has confirmed it yet: send the "
             "same request again");
        return;
    }
    buf_printf(&location, "/api/detections/%s", stored->id.text);
    detection_write_json(&body, stored);
    buf_add_char(&body, '\n');
    http_exchange_set_header(exchange, "Location", buf_text(&location));
    answer(api, exchange, status, NO_STORE, &body);
    buf_done(&location);
}

static void on_put(void *context, StoragePut outcome, StorageDurability durability,
                   const Detection *stored)
{
    Waiting *waiting = context;
    Api *api = waiting->api;
    HttpExchange *exchange = waiting->exchange;
    free(waiting);
    api->puts[outcome]++;
    if (durability == STORAGE_DURABILITY_UNCONFIRMED)
        api->unconfirmed++;
    if (outcome == STORAGE_PUT_UNAVAILABLE) {
        fail_unavailable(api, exchange);
    } else if (outcome == STORAGE_PUT_CONFLICT) {
        fail(api, exchange, 409, "other_content",
             "a detection with this key and other content is stored already");
    } else {
        answer_stored(api, exchange, outcome == STORAGE_PUT_CREATED ? 201 : 200, durability,
                      stored);
    }
}

static void handle_put(void *context, HttpExchange *exchange)
{
    Api *api = context;
    Detection detection;
    DetectionProblem problem;
    size_t len;
    const char *json = http_exchange_body(exchange, &len);
    if (!detection_parse(json, len, http_exchange_header(exchange, "Idempotency-Key"), &detection,
                         &problem)) {
        Buf body = BUF_INIT(0);
        detection_problem_write_json(&body, &problem);
        answer(api, exchange, 400, NO_STORE, &body);
        return;
    }
    Waiting *waiting = waiting_new(api, exchange);
    if (waiting != NULL)
        storage_put_detection(api->storage, &detection, on_put, waiting);
}

static void on_row(void *context, StorageRead outcome, const Detection *rows, unsigned n, bool more)
{
    Waiting *waiting = context;
    Api *api = waiting->api;
    HttpExchange *exchange = waiting->exchange;
    free(waiting);
    if (outcome == STORAGE_READ_UNAVAILABLE) {
        fail_unavailable(api, exchange);
    } else if (outcome == STORAGE_READ_NOT_FOUND) {
        fail(api, exchange, 404, "unknown_detection", "no detection with this id is stored here");
    } else {
        Buf body = BUF_INIT(0);
        detection_write_json(&body, rows);
        buf_add_char(&body, '\n');
        answer(api, exchange, 200, NO_STORE, &body);
    }
}

static void handle_get(void *context, HttpExchange *exchange)
{
    Api *api = context;
    Uuid id;
    if (!uuid_parse(http_exchange_path(exchange) + strlen("/api/detections/"), &id)) {
        fail(api, exchange, 404, "unknown_detection", "the path does not end with the id of one");
        return;
    }
    Waiting *waiting = waiting_new(api, exchange);
    if (waiting != NULL)
        storage_get_detection(api->storage, &id, on_row, waiting);
}

static void on_list(void *context, StorageRead outcome, const Detection *rows, unsigned n,
                    bool more)
{
    Waiting *waiting = context;
    Api *api = waiting->api;
    HttpExchange *exchange = waiting->exchange;
    free(waiting);
    if (outcome == STORAGE_READ_UNAVAILABLE) {
        fail_unavailable(api, exchange);
        return;
    }
    if (outcome == STORAGE_READ_NOT_FOUND) {
        fail(api, exchange, 404, "unknown_detection", "'before' is no detection stored here");
        return;
    }
    Buf body = BUF_INIT(0);
    buf_add_text(&body, "{\"detections\": [");
    for (unsigned i = 0; i < n; i++) {
        buf_add_text(&body, i > 0 ? ",\n" : "\n");
        detection_write_json(&body, &rows[i]);
    }
    if (more && n > 0)
        buf_printf(&body, "], \"next\": \"%s\"}\n", rows[n - 1].id.text);
    else
        buf_add_text(&body, "], \"next\": null}\n");
    answer(api, exchange, 200, NO_STORE, &body);
}

static void handle_list(void *context, HttpExchange *exchange)
{
    Api *api = context;
    const char *limit = http_exchange_query(exchange, "limit");
    const char *before = http_exchange_query(exchange, "before");
    StorageList list = {.limit = 20, .device = http_exchange_query(exchange, "device")};
    Uuid id;
    uint64_t n;
    if (limit != NULL) {
        if (parse_u64(limit, strlen(limit), STORAGE_LIST_MAX, &n) < 0 || n == 0) {
            fail_request(api, exchange, "limit", "is out of range", "1 to 100");
            return;
        }
        list.limit = (unsigned)n;
    }
    if (before != NULL) {
        if (!uuid_parse(before, &id)) {
            fail_request(api, exchange, "before", "is no id", "the id of a detection");
            return;
        }
        list.before = &id;
    }
    if (list.device != NULL && !detection_is_device(list.device)) {
        fail_request(api, exchange, "device", "is no device's name",
                     "1 to 64 of a-z A-Z 0-9 . _ -, not beginning with a dot");
        return;
    }
    Waiting *waiting = waiting_new(api, exchange);
    if (waiting != NULL)
        storage_list_detections(api->storage, &list, on_list, waiting);
}

static void write_own_metrics(const Api *api, Buf *out)
{
    static const char *const OUTCOMES[] = {"created", "same", "conflict", "unavailable"};
    const MetricsLabel where[] = {{"region", api->options.region}, {"cloud", api->options.cloud}};
    StorageHealth health = storage_health(api->storage);
    metrics_family(out, "wildcam_backend_class_available", METRICS_TYPE_GAUGE,
                   "Whether this replica can serve a class of requests.");
    for (int write = 0; write < 2; write++) {
        const MetricsLabel labels[] = {where[0], where[1], {"class", write ? "write" : "read"}};
        metrics_sample_u64(out, "wildcam_backend_class_available", labels, 3,
                           write ? health.write : health.read);
    }
    metrics_family(out, "wildcam_backend_detections_total", METRICS_TYPE_COUNTER,
                   "Detections sent here, by what became of them.");
    for (unsigned i = 0; i < ARRAY_SIZE(OUTCOMES); i++) {
        const MetricsLabel labels[] = {where[0], where[1], {"outcome", OUTCOMES[i]}};
        metrics_sample_u64(out, "wildcam_backend_detections_total", labels, 3, api->puts[i]);
    }
    metrics_family(out, "wildcam_backend_unconfirmed_total", METRICS_TYPE_COUNTER,
                   "Detections that no other cloud confirmed in time, with durability two-clouds.");
    metrics_sample_u64(out, "wildcam_backend_unconfirmed_total", where, 2, api->unconfirmed);
}

static void handle_metrics(void *context, HttpExchange *exchange)
{
    Api *api = context;
    Buf body = BUF_INIT(0);
    metrics_http_write(&body, &api->http, api->options.region, api->options.cloud);
    write_own_metrics(api, &body);
    http_exchange_answer(exchange, 200, METRICS_CONTENT_TYPE, buf_text(&body), body.len);
    buf_done(&body);
}

static const HttpRoute ROUTES[] = {
    {"GET", "/api/health", handle_health},    {"GET", "/api/version", handle_version},
    {"POST", "/api/detections", handle_put},  {"GET", "/api/detections", handle_list},
    {"GET", "/api/detections/*", handle_get}, {"GET", "/metrics", handle_metrics},
};

static void on_answered(void *context, const char *method, const char *route, int status,
                        int64_t elapsed_ns)
{
    metrics_http_count(&((Api *)context)->http, method, route, status, elapsed_ns);
}

int api_new(uv_loop_t *loop, const ApiOptions *options, Storage *storage, Api **ret_api,
            Error *reterr)
{
    Api *api = alloc_zeroed(1, sizeof *api);
    if (api == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for the API");
    api->options = *options;
    api->storage = storage;
    const HttpServerOptions server = {.socket = options->socket,
                                      .routes = ROUTES,
                                      .n_routes = ARRAY_SIZE(ROUTES),
                                      .context = api,
                                      .answered = on_answered};
    int r = http_server_new(loop, &server, &api->server, reterr);
    if (r < 0) {
        free(api);
        return r;
    }
    *ret_api = api;
    return 0;
}

static void on_drained(void *context)
{
    Api *api = context;
    api->drained(api->drained_context);
}

void api_drain(Api *api, int64_t grace_ns, void (*drained)(void *context), void *context)
{
    api->drained = drained;
    api->drained_context = context;
    http_server_drain(api->server, grace_ns, on_drained);
}

Api *api_free(Api *api)
{
    if (api == NULL)
        return NULL;
    api->server = http_server_free(api->server);
    free(api);
    return NULL;
}
