// SPDX-License-Identifier: MIT
// api_why: GET /v1/why: which gateway a client gets now and the chain of reasons. It runs the same
// pick_order over the same plan as the edges and then says why each step came out so; it decides
// nothing of its own.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api_state.h"
#include "clock.h"
#include "pick.h"

typedef struct Question {
    const Agent *agent;
    const Plan *plan;
    const Model *model;
    Ip client;
    uint32_t service, group;
    ServiceClass class_;
    const ModelPrefix *prefix; // the one that matched
    uint32_t n_order, order[BOUND_ORDER];
    Mono now;
} Question;

// --- Reading the question ---

static bool refuse(HttpExchange *exchange, const char *message)
{
    http_exchange_fail(exchange, 400, "malformed", message);
    return false;
}

static int find_service(const Plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->n_services; i++)
        if (strcmp(plan->services[i].name, name) == 0)
            return (int)i;
    return -1;
}

// False: answered already.
static bool read_question(HttpExchange *exchange, Question *q)
{
    const char *client = http_exchange_query(exchange, "client");
    const char *service = http_exchange_query(exchange, "service");
    const char *class_ = http_exchange_query(exchange, "class");
    if (!client || ip_parse(client, &q->client) < 0)
        return refuse(exchange, "client: an IPv4 or IPv6 address is needed");
    int index = service ? find_service(q->plan, service) : 0;
    if (index < 0)
        return refuse(exchange, "service: no such service in fleet.yaml");
    q->service = (uint32_t)index;
    if (!class_ || strcmp(class_, "read") == 0)
        q->class_ = SERVICE_CLASS_READ;
    else if (strcmp(class_, "write") == 0)
        q->class_ = SERVICE_CLASS_WRITE;
    else
        return refuse(exchange, "class: allowed: read, write");
    int group = pick_group(q->model->prefixes, q->model->n_prefixes, &q->client);
    q->group = group < 0 ? 0 : (uint32_t)group;
    for (uint32_t i = 0; i < q->model->n_prefixes; i++) {
        const ModelPrefix *prefix = &q->model->prefixes[i];
        if (ip_prefix_contains(&prefix->prefix, &q->client) &&
            (!q->prefix || prefix->prefix.bits > q->prefix->prefix.bits))
            q->prefix = prefix;
    }
    q->n_order = pick_order(q->plan, q->model->prefixes, q->model->n_prefixes, q->service,
                            q->class_, &q->client, q->order);
    return true;
}

static int model_index(const Question *q, uint32_t gateway)
{
    return model_find_region(q->model, q->plan->gateways[gateway].region);
}

// --- The chain of reasons ---

static void put_reason(JsonOut *out, const char *text, int64_t ago_ns, const char *facts)
{
    out_begin(out, NULL, '{');
    out_text(out, "text", text);
    out_ms(out, "at_ms_ago", ago_ns);
    out_text(out, "facts", facts);
    out_end(out, '}');
}

static void reason_group(JsonOut *out, const Question *q)
{
    char prefix[IP_TEXT_MAX] = "no prefix", client[IP_TEXT_MAX], block[IP_TEXT_MAX];
    if (q->prefix)
        ip_prefix_format(&q->prefix->prefix, prefix);
    IpPrefix of_client = ip_client_block(&q->client);
    Buf facts CLEANUP(buf_done) = BUF_INIT(1024);
    buf_printf(&facts, "%s lies in %s of the client table; its block %s decides its share",
               ip_format(&q->client, client), prefix, ip_prefix_format(&of_client, block));
    Buf text CLEANUP(buf_done) = BUF_INIT(1024);
    buf_printf(&text, "client belongs to group '%s'",
               q->group < q->plan->n_groups ? q->plan->groups[q->group] : "?");
    put_reason(out, buf_text(&text), INT64_MAX, buf_text(&facts));
}

static const Intent *pin_intent(const Agent *agent, const IpPrefix *prefix)
{
    char target[IP_TEXT_MAX + 8] = "prefix:";
    ip_prefix_format(prefix, target + 7);
    const Intent *intents;
    uint32_t n = core_intents(agent->core, &intents);
    for (uint32_t i = 0; i < n; i++)
        if (intents[i].kind == INTENT_PIN && strcmp(intents[i].target, target) == 0)
            return &intents[i];
    return NULL;
}

static void reason_pin(JsonOut *out, const Question *q)
{
    int pin = pick_pin(q->plan, &q->client);
    if (pin < 0)
        return;
    const PlanPin *found = &q->plan->pins[pin];
    const char *region = q->plan->gateways[found->gateway].region;
    const Intent *intent = pin_intent(q->agent, &found->prefix);
    char prefix[IP_TEXT_MAX];
    Buf text CLEANUP(buf_done) = BUF_INIT(2048), facts CLEANUP(buf_done) = BUF_INIT(2048);
    bool obeyed = q->n_order && q->order[0] == found->gateway;
    buf_printf(&text, obeyed ? "an operator pinned it to %s" : "a pin to %s is not obeyed", region);
    buf_printf(&facts, "prefix %s, by '%s': %s%s", ip_prefix_format(&found->prefix, prefix),
               intent ? intent->author : "?", intent ? intent->reason : "",
               obeyed ? "" : "; the gateway is down, drained, never or lacks the class");
    int64_t ago = intent ? clock_wall().ns - intent->created.ns : INT64_MAX;
    put_reason(out, buf_text(&text), ago, buf_text(&facts));
}

static const JournalEntry *newest_verdict(const Journal *journal, const char *region)
{
    uint64_t kept = journal->n < JOURNAL_RECORDS ? journal->n : JOURNAL_RECORDS;
    for (uint64_t i = 1; i <= kept; i++) {
        const JournalEntry *entry = &journal->items[(journal->n - i) % JOURNAL_RECORDS];
        if (entry->kind != RECORD_VOTE_CHANGED && strncmp(entry->subject, "gateway:", 8) == 0 &&
            strcmp(entry->subject + 8, region) == 0)
            return entry;
    }
    return NULL;
}

static void put_latency(Buf *facts, const Question *q, int region)
{
    int64_t latency = region < 0 ? LATENCY_UNKNOWN : q->model->groups[q->group].latency_us[region];
    if (latency == LATENCY_UNKNOWN)
        buf_add_text(facts, "distance unknown");
    else
        buf_printf(facts, "%" PRId64 ".%" PRId64 " ms away", latency / 1000, latency % 1000 / 100);
}

// The operator's hand on this gateway: who, what and why.
static void put_wishes(Buf *facts, const Question *q, const PlanGateway *gateway)
{
    const Intent *intents;
    uint32_t n = core_intents(q->agent->core, &intents);
    for (uint32_t i = 0; i < n; i++) {
        const Intent *intent = &intents[i];
        bool region = strncmp(intent->target, "region:", 7) == 0 &&
                      strcmp(intent->target + 7, gateway->region) == 0;
        bool cloud = strncmp(intent->target, "cloud:", 6) == 0 &&
                     strcmp(intent->target + 6, gateway->cloud) == 0;
        bool takes = intent->kind == INTENT_DRAIN || intent->kind == INTENT_NEVER ||
                     intent->kind == INTENT_WEIGHT;
        if (!takes || !(region || cloud) || intent->expires.ns <= clock_wall().ns)
            continue;
        buf_printf(facts, "; %s of %s by '%s': %s", intent_kind_name(intent->kind),
                   region ? gateway->region : gateway->cloud, intent->author, intent->reason);
    }
}

// State, distance, share, load and votes of one gateway, and the newest record about it.
static void reason_gateway(JsonOut *out, const Question *q, Arena *arena, uint32_t gateway,
                           bool chosen)
{
    const PlanGateway *g = &q->plan->gateways[gateway];
    int region = model_index(q, gateway);
    CoreGatewayStatus status = {.reason = ""};
    if (region >= 0 &&
        core_gateway_status(q->agent->core, arena, (uint32_t)region, q->now, &status) < 0)
        status = (CoreGatewayStatus){.reason = ""};
    Buf text CLEANUP(buf_done) = BUF_INIT(1024), facts CLEANUP(buf_done) = BUF_INIT(4096);
    bool lacks = !(g->classes & (1U << q->class_));
    if (chosen)
        buf_printf(&text, "%s is chosen: %s", g->region, health_state_name(g->state));
    else
        buf_printf(&text, "%s is nearer but not first: %s%s", g->region,
                   health_state_name(g->state),
                   lacks                        ? ", lacks the class"
                   : g->state == HEALTH_UP      ? ", the client's share lies elsewhere"
                   : g->state == HEALTH_UNKNOWN ? ", nothing known yet"
                                                : "");
    put_latency(&facts, q, region);
    buf_printf(&facts,
               "; votes %u up, %u down, %u unknown; share %u.%u %%; projected load %u.%u %%",
               status.up, status.down, status.unknown, g->share_ppm / 10000,
               g->share_ppm / 1000 % 10, g->load_ppm / 10000, g->load_ppm / 1000 % 10);
    if (status.reason && *status.reason)
        buf_printf(&facts, "; %s", status.reason);
    put_wishes(&facts, q, g);
    const JournalEntry *entry = newest_verdict(&q->agent->journal, g->region);
    if (entry)
        buf_printf(&facts, "; %s: %s", record_kind_text(entry->kind), entry->facts);
    put_reason(out, buf_text(&text), status.since_ns, buf_text(&facts));
}

static void reason_plan(JsonOut *out, const Question *q)
{
    PublisherStatus status = publisher_status(q->agent->publisher);
    Buf text CLEANUP(buf_done) = BUF_INIT(256), facts CLEANUP(buf_done) = BUF_INIT(256);
    buf_printf(&text, "plan %016" PRIx64 " says so", q->plan->number);
    buf_printf(&facts,
               "generation %u, fleet part %016" PRIx64 "; on disk for the edges: %016" PRIx64,
               q->plan->generation, q->plan->fleet_digest, status.number);
    put_reason(out, buf_text(&text), clock_wall().ns - q->plan->made.ns, buf_text(&facts));
}

static bool is_nearer(const Question *q, uint32_t gateway, uint32_t than)
{
    int a = model_index(q, gateway), b = model_index(q, than);
    if (a < 0 || b < 0)
        return false;
    const int64_t *latency = q->model->groups[q->group].latency_us;
    return latency[a] < latency[b];
}

static void put_reasons(JsonOut *out, const Question *q, Arena *arena)
{
    out_begin(out, "reasons", '[');
    reason_group(out, q);
    reason_pin(out, q);
    if (q->n_order) {
        for (uint32_t i = 0; i < q->plan->n_gateways; i++)
            if (i != q->order[0] && is_nearer(q, i, q->order[0]))
                reason_gateway(out, q, arena, i, false);
        reason_gateway(out, q, arena, q->order[0], true);
        if (q->plan->gateways[q->order[0]].state == HEALTH_DOWN)
            put_reason(
                out,
                q->plan->services[q->service].open[q->class_]
                    ? "every gateway is down: the service is open, so it is tried all the same"
                    : "every gateway is down: the service is closed, so the edge answers 503",
                INT64_MAX, "services[].all_down in fleet.yaml");
    } else {
        put_reason(out, "no gateway may be used", INT64_MAX, "all are 'never'");
    }
    reason_plan(out, q);
    out_end(out, ']');
}

// --- The answer ---

static void put_gateway(JsonOut *out, const char *key, const Question *q, uint32_t gateway)
{
    ASSERT(q->plan->gateways != NULL && gateway < q->plan->n_gateways); // a plan is never empty
    const PlanGateway *g = &q->plan->gateways[gateway];
    out_begin(out, key, '{');
    out_text(out, "gateway", g->region);
    out_text(out, "cloud", g->cloud);
    out_text(out, "address", g->address);
    out_int(out, "port", g->edge_port);
    out_text(out, "verdict", health_state_name(g->state));
    out_end(out, '}');
}

static void put_answer(JsonOut *out, const Question *q, Arena *arena)
{
    char client[IP_TEXT_MAX];
    out_begin(out, NULL, '{');
    out_text(out, "client", ip_format(&q->client, client));
    out_text(out, "service", q->plan->services[q->service].name);
    out_text(out, "class", q->class_ == SERVICE_CLASS_READ ? "read" : "write");
    out_text(out, "group", q->group < q->plan->n_groups ? q->plan->groups[q->group] : NULL);
    const PlanGateway *first = q->n_order ? &q->plan->gateways[q->order[0]] : NULL;
    out_text(out, "gateway", first ? first->region : NULL);
    out_text(out, "cloud", first ? first->cloud : NULL);
    out_text(out, "address", first ? first->address : NULL);
    if (first)
        out_int(out, "port", first->edge_port);
    else
        out_null(out, "port");
    out_begin(out, "order", '[');
    for (uint32_t i = 0; i < q->n_order; i++)
        put_gateway(out, NULL, q, q->order[i]);
    out_end(out, ']');
    int backup = pick_backup(q->plan, q->order, q->n_order);
    if (backup >= 0)
        put_gateway(out, "backup", q, (uint32_t)backup);
    else
        out_null(out, "backup");
    put_reasons(out, q, arena);
    out_hex(out, "plan", q->plan->number);
    out_end(out, '}');
}

void api_handle_why(void *context, HttpExchange *exchange)
{
    const Agent *agent = context;
    if (!api_may_read(exchange))
        return;
    Question q = {.agent = agent,
                  .plan = core_plan(agent->core),
                  .model = agent_model(agent),
                  .now = clock_mono()};
    if (!read_question(exchange, &q))
        return;
    Arena *arena CLEANUP(arena_freep) = arena_new(API_ARENA_BYTES);
    if (!arena) {
        http_exchange_fail(exchange, 500, "internal", "out of memory");
        return;
    }
    Buf body CLEANUP(buf_done) = BUF_INIT(4U << 20);
    JsonOut out = {.buf = &body};
    put_answer(&out, &q, arena);
    api_answer(exchange, 200, &body);
}
