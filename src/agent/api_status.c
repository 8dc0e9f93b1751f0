// SPDX-License-Identifier: MIT
// api_status: GET /v1/status, one region's element of `status --json` (contracts section 8), with
// everything that the agent knows about each gateway.
#include <string.h>

#include "api_state.h"
#include "clock.h"
#include "intents_json.h"
#include "report_json.h"

static const char *const VOTES[] = {"unknown", "up", "down"};

static const char *vote_name(Vote vote)
{
    return (unsigned)vote < ARRAY_SIZE(VOTES) ? VOTES[vote] : "?";
}

static void put_replicas(JsonOut *out, uint32_t want, uint32_t up)
{
    out_begin(out, "replicas", '{');
    out_int(out, "want", want);
    out_int(out, "up", up);
    out_end(out, '}');
}

// The newest record about a gateway's verdict, for people: NULL when none is kept any more.
static const JournalEntry *newest_about(const Journal *journal, const char *region)
{
    uint64_t kept = journal->n < JOURNAL_RECORDS ? journal->n : JOURNAL_RECORDS;
    for (uint64_t i = 1; i <= kept; i++) {
        const JournalEntry *entry = &journal->items[(journal->n - i) % JOURNAL_RECORDS];
        if (strncmp(entry->subject, "gateway:", 8) == 0 &&
            strcmp(entry->subject + 8, region) == 0 && entry->kind != RECORD_VOTE_CHANGED)
            return entry;
    }
    return NULL;
}

static void put_reasons(JsonOut *out, const Agent *agent, const CoreGatewayStatus *status,
                        const char *region)
{
    out_begin(out, "reasons", '[');
    if (status->reason && *status->reason)
        out_text(out, NULL, status->reason);
    const JournalEntry *entry = newest_about(&agent->journal, region);
    if (entry) {
        Buf text CLEANUP(buf_done) = BUF_INIT(1024);
        buf_printf(&text, "%s: %s", record_kind_text(entry->kind), entry->facts);
        out_text(out, NULL, buf_text(&text));
    }
    out_end(out, ']');
}

static void put_votes(JsonOut *out, const CoreGatewayStatus *status)
{
    out_begin(out, "votes", '{');
    out_int(out, "up", status->up);
    out_int(out, "down", status->down);
    out_int(out, "unknown", status->unknown);
    out_end(out, '}');
    out_text(out, "own_vote", vote_name(status->own_vote));
    out_int(out, "own_streak", status->own_streak);
}

static void put_gateway(JsonOut *out, const Agent *agent, uint32_t index,
                        const CoreGatewayStatus *status)
{
    const Model *model = agent_model(agent);
    const ModelRegion *region = &model->regions[index];
    const Plan *plan = core_plan(agent->core);
    out_begin(out, NULL, '{');
    out_text(out, "region", region->name);
    out_text(out, "cloud", model->clouds[region->cloud].name);
    out_text(out, "address", region->address);
    out_text(out, "verdict", health_state_name(api_gateway_state(plan, region->name)));
    out_bool(out, "held", status->held);
    out_ms(out, "since_ms", status->since_ns);
    put_votes(out, status);
    put_reasons(out, agent, status, region->name);
    const char *why = agent->probe_why[index].text;
    out_text(out, "probe_failure", *why ? why : NULL);
    out_int(out, "share_ppm", status->share_ppm);
    out_int(out, "flaps", status->flaps);
    out_ms(out, "hold_left_ms", status->hold_left_ns);
    out_bool(out, "slow", status->slow);
    out_int(out, "p50_us", status->p50_us);
    out_int(out, "p99_us", status->p99_us);
    api_put_classes(out, "classes", status->classes);
    out_ms(out, "clock_offset_ms", status->clock_offset_ns);
    out_ms(out, "report_age_ms", status->report_age_ns);
    out_hex(out, "plan", status->plan_number);
    out_hex(out, "fleet_digest", status->plan_fleet_digest);
    out_int(out, "generation", status->generation);
    out_hex(out, "config_hash", status->config_hash);
    out_int(out, "load_rps", status->load_rps);
    out_int(out, "capacity_rps", region->capacity_rps);
    for (uint32_t i = 0; i < plan->n_gateways; i++)
        if (strcmp(plan->gateways[i].region, region->name) == 0)
            out_int(out, "projected_load_ppm", plan->gateways[i].load_ppm);
    put_replicas(out, status->replicas_want, status->replicas_up);
    out_end(out, '}');
}

static void put_ports(JsonOut *out, const Agent *agent)
{
    const ModelRegion *own = &agent_model(agent)->regions[agent->own];
    const ConfRegionLocal *local = &agent->conf->regions[agent->own];
    out_begin(out, "ports", '{');
    out_int(out, "https", own->edge_port);
    out_int(out, "peer", own->peer_port);
    out_int(out, "http", local->http_port);
    out_int(out, "dns", local->dns_port);
    out_int(out, "postgresql", local->database_port);
    out_end(out, '}');
}

static void put_publication(JsonOut *out, const Agent *agent, Mono now)
{
    PublisherStatus published = publisher_status(agent->publisher);
    EvidenceTotals edge = evidence_totals(agent->evidence);
    out_hex(out, "plan", published.number);
    out_ms(out, "plan_age_ms", mono_since(now, published.good));
    out_hex(out, "plan_newest", core_plan(agent->core)->number);
    out_hex(out, "fleet_digest", core_plan(agent->core)->fleet_digest);
    out_begin(out, "edge", '{');
    out_int(out, "workers", edge.workers);
    out_hex(out, "oldest_plan", edge.oldest_plan);
    out_int(out, "requests", (int64_t)edge.requests);
    out_int(out, "retries", (int64_t)edge.retries);
    out_int(out, "errors", (int64_t)edge.responses_5xx);
    out_int(out, "shed", (int64_t)edge.shed);
    out_int(out, "forwarded", (int64_t)edge.forwarded);
    out_end(out, '}');
}

static void put_region(JsonOut *out, const Agent *agent, const CoreGatewayStatus *status, Mono now)
{
    const Model *model = agent_model(agent);
    const ModelRegion *own = &model->regions[agent->own];
    CoreSelfStatus self = core_self_status(agent->core, now);
    out_begin(out, "region", '{');
    out_text(out, "region", own->name);
    out_text(out, "cloud", model->clouds[own->cloud].name);
    out_int(out, "origin", own->origin);
    out_text(out, "address", own->address);
    put_ports(out, agent);
    out_text(out, "state", health_state_name(api_gateway_state(core_plan(agent->core), own->name)));
    api_put_classes(out, "classes", status->classes);
    put_publication(out, agent, now);
    put_replicas(out, status->replicas_want, status->replicas_up);
    if (agent->rows.known)
        out_int(out, "rpo_ms", agent->rows.rpo_ms);
    else
        out_null(out, "rpo_ms");
    out_ms(out, "clock_offset_ms", self.clock_offset_ns);
    out_hex(out, "config_hash", model->config_hash);
    out_int(out, "generation", model->generation);
    out_hex(out, "boot", agent->boot);
    out_ms(out, "uptime_ms", mono_since(now, agent->started));
    out_bool(out, "sick", self.sick);
    out_bool(out, "alone", self.alone);
    out_int(out, "fresh_observers", self.fresh);
    out_end(out, '}');
}

static void put_alarms(JsonOut *out, const Alarms *alarms, Mono now)
{
    out_begin(out, "alarms", '[');
    for (int i = 0; i < ALARM_MAX; i++) {
        const Alarm *alarm = &alarms->items[i];
        if (!alarm->raised)
            continue;
        out_begin(out, NULL, '{');
        out_text(out, "name", alarm_name((AlarmKind)i));
        out_text(out, "title", alarm_title((AlarmKind)i));
        out_text(out, "text", alarm->text);
        out_ms(out, "since_ms", mono_since(now, alarm->since));
        out_end(out, '}');
    }
    out_end(out, ']');
}

static void put_intents(JsonOut *out, const char *key, const Agent *agent)
{
    const Intent *intents;
    uint32_t n = core_intents(agent->core, &intents);
    Buf list CLEANUP(buf_done) = BUF_INIT(1U << 20);
    intents_json_put(intents, n, &list);
    out_raw(out, key, buf_check(&list) < 0 ? "[]" : buf_text(&list));
}

void api_handle_status(void *context, HttpExchange *exchange)
{
    const Agent *agent = context;
    if (!api_may_read(exchange))
        return;
    const Model *model = agent_model(agent);
    Mono now = clock_mono();
    Arena *arena CLEANUP(arena_freep) = arena_new(API_ARENA_BYTES);
    CoreGatewayStatus *all =
        arena ? arena_new_array(arena, CoreGatewayStatus, model->n_regions) : NULL;
    if (!all) {
        http_exchange_fail(exchange, 500, "internal", "out of memory");
        return;
    }
    for (uint32_t i = 0; i < model->n_regions; i++) {
        if (core_gateway_status(agent->core, arena, i, now, &all[i]) < 0) {
            http_exchange_fail(exchange, 500, "internal", "the core has no status");
            return;
        }
    }
    Buf body CLEANUP(buf_done) = BUF_INIT(16U << 20);
    JsonOut out = {.buf = &body};
    out_begin(&out, NULL, '{');
    out_int(&out, "generation", model->generation);
    put_region(&out, agent, &all[agent->own], now);
    out_begin(&out, "gateways", '[');
    for (uint32_t i = 0; i < model->n_regions; i++)
        put_gateway(&out, agent, i, &all[i]);
    out_end(&out, ']');
    put_intents(&out, "intents", agent);
    put_alarms(&out, &agent->alarms, now);
    out_end(&out, '}');
    api_answer(exchange, 200, &body);
}

void api_handle_intents(void *context, HttpExchange *exchange)
{
    if (!api_may_read(exchange))
        return;
    Buf body CLEANUP(buf_done) = BUF_INIT(1U << 20);
    JsonOut out = {.buf = &body};
    out_begin(&out, NULL, '{');
    put_intents(&out, "intents", context);
    out_end(&out, '}');
    api_answer(exchange, 200, &body);
}
