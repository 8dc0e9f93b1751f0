// SPDX-License-Identifier: MIT
// api: the agent's routes (docs/contracts/openapi.yaml, docs/contracts/processes.md) and the small
// handlers. Whoever comes through nginx carries a verified identity; without the header it is
// somebody on this machine whom the socket's file mode let in.
#include <stdio.h>
#include <string.h>

#include "api_state.h"
#include "clock.h"
#include "layout.h"
#include "log.h"
#include "parse.h"

// --- Shared by the handlers ---

ApiRole api_role(const HttpExchange *exchange, const char **ret_name)
{
    static const struct {
        const char *prefix;
        ApiRole role;
    } ROLES[] = {{"viewer:", API_ROLE_VIEWER},
                 {"operator:", API_ROLE_OPERATOR},
                 {"admin:", API_ROLE_ADMIN},
                 {"gateway:", API_ROLE_GATEWAY}};
    const char *peer = http_exchange_header(exchange, "Wildcam-Peer");
    *ret_name = "";
    if (!peer)
        return API_ROLE_LOCAL;
    for (size_t i = 0; i < ARRAY_SIZE(ROLES); i++) {
        size_t len = strlen(ROLES[i].prefix);
        if (strncmp(peer, ROLES[i].prefix, len) == 0 && peer[len]) {
            *ret_name = peer + len;
            return ROLES[i].role;
        }
    }
    return API_ROLE_NONE;
}

bool api_may_read(HttpExchange *exchange)
{
    const char *name;
    ApiRole role = api_role(exchange, &name);
    if (role != API_ROLE_NONE && role != API_ROLE_GATEWAY)
        return true;
    http_exchange_fail(exchange, 403, "forbidden", "this needs a viewer's certificate");
    return false;
}

void api_answer(HttpExchange *exchange, int status, const Buf *body)
{
    if (buf_check(body) < 0)
        http_exchange_fail(exchange, 500, "internal", "the answer could not be made");
    else
        http_exchange_answer(exchange, status, NULL, body->data, body->len);
}

void api_put_classes(JsonOut *out, const char *key, uint32_t classes)
{
    out_begin(out, key, '[');
    if (classes & CLASS_MASK_READ)
        out_text(out, NULL, "read");
    if (classes & CLASS_MASK_WRITE)
        out_text(out, NULL, "write");
    out_end(out, ']');
}

HealthState api_gateway_state(const Plan *plan, const char *region)
{
    for (uint32_t i = 0; i < plan->n_gateways; i++)
        if (strcmp(plan->gateways[i].region, region) == 0)
            return plan->gateways[i].state;
    return HEALTH_UNKNOWN;
}

// --- Peers ---

static void refuse_peer(Agent *agent, HttpExchange *exchange, PeerRefusal refusal, int status,
                        const char *code, const char *message)
{
    static LogLimit limit;
    uint32_t suppressed;
    const char *peer = http_exchange_header(exchange, "Wildcam-Peer");
    agent->peers_refused[refusal]++;
    if (log_allowed(&limit, 5, clock_mono(), &suppressed))
        log_warning("report refused", peer ? peer : "", LOG_TEXT("why", message),
                    LOG_NUMBER("suppressed", suppressed));
    http_exchange_fail(exchange, status, code, message);
}

static void handle_report(void *context, HttpExchange *exchange)
{
    Agent *agent = context;
    const char *name;
    int peer = api_role(exchange, &name) == API_ROLE_GATEWAY
                   ? model_find_region(agent_model(agent), name)
                   : -1;
    if (peer < 0 || (uint32_t)peer == agent->own) {
        refuse_peer(agent, exchange, PEER_REFUSED_IDENTITY, 403, "forbidden",
                    "reports are taken from the other gateways of this fleet");
        return;
    }
    size_t len;
    const char *body = http_exchange_body(exchange, &len);
    PeerRefusal refusal;
    Error err CLEANUP(error_done) = ERROR_INIT;
    if (effects_absorb_report(agent, (uint32_t)peer, body, len, &refusal, &err) < 0) {
        bool foreign = refusal == PEER_REFUSED_MISMATCH;
        refuse_peer(agent, exchange, refusal, foreign ? 403 : 400,
                    foreign ? "forbidden" : "malformed", error_text(&err));
        return;
    }
    Buf answer CLEANUP(buf_done) = BUF_INIT(BOUND_REPORT_BYTES);
    if (effects_encode_report(agent, (uint32_t)peer, &answer, &err) < 0)
        http_exchange_fail(exchange, 503, "unavailable", error_text(&err));
    else
        api_answer(exchange, 200, &answer);
}

// --- Small handlers ---

static void handle_ready(void *context, HttpExchange *exchange)
{
    const Agent *agent = context;
    if (!publisher_status(agent->publisher).number)
        http_exchange_fail(exchange, 503, "unavailable", "no plan is published yet");
    else
        http_exchange_answer(exchange, 200, NULL, "{\"ready\":true}", strlen("{\"ready\":true}"));
}

// A cloud is up while one of its gateways is not held down (or does not say so).
static void handle_cloud(void *context, HttpExchange *exchange)
{
    const Agent *agent = context;
    const Model *model = agent_model(agent);
    if (!api_may_read(exchange))
        return;
    const char *name = http_exchange_path(exchange) + strlen("/v1/clouds/");
    int cloud = model_find_cloud(model, name);
    if (cloud < 0) {
        http_exchange_fail(exchange, 404, "not_found", "no such cloud in fleet.yaml");
        return;
    }
    uint32_t up = 0, all = 0;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        if (model->regions[i].cloud != (uint32_t)cloud)
            continue;
        HealthState state = api_gateway_state(core_plan(agent->core), model->regions[i].name);
        all++;
        up += state != HEALTH_DOWN && state != HEALTH_NEVER;
    }
    Buf body CLEANUP(buf_done) = BUF_INIT(4096);
    JsonOut out = {.buf = &body};
    out_begin(&out, NULL, '{');
    out_text(&out, "cloud", name);
    out_text(&out, "verdict", up ? "up" : "down");
    out_int(&out, "gateways", all);
    out_int(&out, "gateways_up", up);
    out_end(&out, '}');
    api_answer(exchange, up ? 200 : 503, &body);
}

static void handle_records(void *context, HttpExchange *exchange)
{
    const Agent *agent = context;
    if (!api_may_read(exchange))
        return;
    uint64_t limit = 100;
    const char *text = http_exchange_query(exchange, "limit");
    if (text && parse_u64(text, strlen(text), JOURNAL_RECORDS, &limit) < 0) {
        http_exchange_fail(exchange, 400, "malformed", "limit: a number up to 256");
        return;
    }
    const Journal *journal = &agent->journal;
    uint64_t kept = journal->n < JOURNAL_RECORDS ? journal->n : JOURNAL_RECORDS;
    Buf body CLEANUP(buf_done) = BUF_INIT(1U << 20);
    JsonOut out = {.buf = &body};
    Mono now = clock_mono();
    out_begin(&out, NULL, '{');
    out_int(&out, "total", (int64_t)journal->n);
    out_begin(&out, "records", '[');
    for (uint64_t i = 1; i <= kept && i <= limit; i++) {
        const JournalEntry *entry = &journal->items[(journal->n - i) % JOURNAL_RECORDS];
        char at[CLOCK_TEXT_MAX];
        out_begin(&out, NULL, '{');
        out_text(&out, "record", record_kind_name(entry->kind));
        out_text(&out, "text", record_kind_text(entry->kind));
        out_text(&out, "subject", entry->subject);
        out_text(&out, "facts", entry->facts);
        out_text(&out, "at", clock_format(entry->wall, at));
        out_ms(&out, "at_ms_ago", mono_since(now, entry->at));
        out_end(&out, '}');
    }
    out_end(&out, ']');
    out_end(&out, '}');
    api_answer(exchange, 200, &body);
}

static void handle_openapi(void *context, HttpExchange *exchange)
{
    (void)context;
    http_exchange_answer(exchange, 200, "application/yaml", OPENAPI_YAML, OPENAPI_YAML_LEN);
}

static void on_answered(void *context, const char *method, const char *route, int status,
                        int64_t elapsed_ns)
{
    Agent *agent = context;
    metrics_http_count(&agent->http, method, route, status, elapsed_ns);
}

const HttpRoute API_ROUTES[] = {
    {"POST", REPORT_PATH, handle_report},
    {"GET", "/v1/ready", handle_ready},
    {"GET", "/v1/status", api_handle_status},
    {"GET", "/v1/why", api_handle_why},
    {"GET", "/v1/plan", api_handle_plan},
    {"GET", "/v1/records", handle_records},
    {"GET", "/v1/clouds/*", handle_cloud},
    {"GET", "/v1/intents", api_handle_intents},
    {"POST", "/v1/intents", api_handle_new_intent},
    {"GET", "/v1/openapi.yaml", handle_openapi},
    {"GET", "/metrics", api_handle_metrics},
    {"POST", "/v1/plan/preview", api_handle_preview},
};
const size_t API_ROUTES_COUNT = ARRAY_SIZE(API_ROUTES);

int api_open(Agent *agent, Error *reterr)
{
    LayoutPath path;
    int r = layout_socket(agent->dir, agent->region, "agent.sock", &path, reterr);
    if (r < 0)
        return r;
    HttpServerOptions options = {.socket = path.text,
                                 .routes = API_ROUTES,
                                 .n_routes = API_ROUTES_COUNT,
                                 .context = agent,
                                 .max_body = BOUND_REPORT_BYTES,
                                 .answered = on_answered};
    r = http_server_new(agent->loop, &options, &agent->server, reterr);
    return r < 0 ? error_wrap(reterr, r, "HTTP API") : 0;
}
