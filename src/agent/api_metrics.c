// SPDX-License-Identifier: MIT
// api_metrics: GET /metrics (contracts section 9). Every sample carries region and cloud; what is
// said of a gateway carries its name too.
#include <string.h>

#include "api_state.h"
#include "clock.h"

typedef struct Scrape {
    const Agent *agent;
    Buf *out;
    MetricsLabel own[4]; // region, cloud, then room for more
    Mono now;
} Scrape;

static void family(const Scrape *scrape, const char *name, MetricsType type, const char *help)
{
    metrics_family(scrape->out, name, type, help);
}

static void sample(const Scrape *scrape, const char *name, uint64_t value)
{
    metrics_sample_u64(scrape->out, name, scrape->own, 2, value);
}

static void counter(const Scrape *scrape, const char *name, const char *help, uint64_t value)
{
    family(scrape, name, METRICS_TYPE_COUNTER, help);
    sample(scrape, name, value);
}

static void gauge(const Scrape *scrape, const char *name, const char *help, uint64_t value)
{
    family(scrape, name, METRICS_TYPE_GAUGE, help);
    sample(scrape, name, value);
}

static void gauge_ns(const Scrape *scrape, const char *name, const char *help, int64_t ns)
{
    family(scrape, name, METRICS_TYPE_GAUGE, help);
    metrics_sample_ns(scrape->out, name, scrape->own, 2, ns);
}

static MetricsLabel *with(Scrape *scrape, const char *name, const char *value)
{
    scrape->own[2] = (MetricsLabel){name, value};
    return scrape->own;
}

static void put_gateways(Scrape *scrape)
{
    const Agent *agent = scrape->agent;
    const Model *model = agent_model(agent);
    const Plan *plan = core_plan(agent->core);
    family(scrape, "wildcam_gateway_verdict", METRICS_TYPE_GAUGE,
           "1 while this region's plan does not hold the gateway down, else 0");
    for (uint32_t i = 0; i < model->n_regions; i++) {
        HealthState state = api_gateway_state(plan, model->regions[i].name);
        metrics_sample_u64(scrape->out, "wildcam_gateway_verdict",
                           with(scrape, "gateway", model->regions[i].name), 3,
                           state != HEALTH_DOWN && state != HEALTH_NEVER);
    }
    family(scrape, "wildcam_gateway_share_ratio", METRICS_TYPE_GAUGE,
           "Part of its normal share that a gateway gets");
    for (uint32_t i = 0; i < plan->n_gateways; i++)
        metrics_sample(scrape->out, "wildcam_gateway_share_ratio",
                       with(scrape, "gateway", plan->gateways[i].region), 3,
                       plan->gateways[i].share_ppm / 1e6);
    family(scrape, "wildcam_gateway_load_ratio", METRICS_TYPE_GAUGE,
           "Projected load of a gateway's capacity under this plan");
    for (uint32_t i = 0; i < plan->n_gateways; i++)
        metrics_sample(scrape->out, "wildcam_gateway_load_ratio",
                       with(scrape, "gateway", plan->gateways[i].region), 3,
                       plan->gateways[i].load_ppm / 1e6);
}

static void put_probes(Scrape *scrape)
{
    const Agent *agent = scrape->agent;
    const Model *model = agent_model(agent);
    family(scrape, "wildcam_probe_seconds", METRICS_TYPE_HISTOGRAM,
           "Time to a gateway's valid probe answer, late ones included");
    for (uint32_t i = 0; i < model->n_regions; i++)
        metrics_histogram(scrape->out, "wildcam_probe_seconds",
                          with(scrape, "gateway", model->regions[i].name), 3,
                          &agent->probe_seconds[i]);
    family(scrape, "wildcam_probe_failures_total", METRICS_TYPE_COUNTER,
           "Probes that failed with proof: refused, reset, TLS, wrong answer");
    for (uint32_t i = 0; i < model->n_regions; i++)
        metrics_sample_u64(scrape->out, "wildcam_probe_failures_total",
                           with(scrape, "gateway", model->regions[i].name), 3,
                           agent->probe_hard[i]);
    family(scrape, "wildcam_report_age_seconds", METRICS_TYPE_GAUGE,
           "Age of the newest report of another region");
    for (uint32_t i = 0; i < model->n_regions; i++) {
        Arena *arena CLEANUP(arena_freep) = arena_new(1U << 20);
        CoreGatewayStatus status;
        if (i != agent->own && arena &&
            core_gateway_status(agent->core, arena, i, scrape->now, &status) == 0 &&
            status.report_age_ns != AGE_NEVER)
            metrics_sample_ns(scrape->out, "wildcam_report_age_seconds",
                              with(scrape, "gateway", model->regions[i].name), 3,
                              status.report_age_ns);
    }
}

static void put_peers(Scrape *scrape)
{
    static const char *const REFUSALS[PEER_REFUSED_MAX] = {"identity", "mismatch", "format"};
    const Agent *agent = scrape->agent;
    family(scrape, "wildcam_peer_refused_total", METRICS_TYPE_COUNTER,
           "Reports refused, by reason; nginx counts refused certificates as reason certificate");
    for (int i = 0; i < PEER_REFUSED_MAX; i++)
        metrics_sample_u64(scrape->out, "wildcam_peer_refused_total",
                           with(scrape, "reason", REFUSALS[i]), 3, agent->peers_refused[i]);
    metrics_sample_u64(scrape->out, "wildcam_peer_refused_total",
                       with(scrape, "reason", "certificate"), 3,
                       evidence_totals(agent->evidence).peer_refused);
    const Model *model = agent_model(agent);
    family(scrape, "wildcam_reports_sent_total", METRICS_TYPE_COUNTER, "Reports sent to a peer");
    for (uint32_t i = 0; i < model->n_regions; i++)
        if (i != agent->own)
            metrics_sample_u64(scrape->out, "wildcam_reports_sent_total",
                               with(scrape, "gateway", model->regions[i].name), 3,
                               agent->peer_states[i].sent);
    family(scrape, "wildcam_reports_failed_total", METRICS_TYPE_COUNTER,
           "Reports that a peer did not answer");
    for (uint32_t i = 0; i < model->n_regions; i++)
        if (i != agent->own)
            metrics_sample_u64(scrape->out, "wildcam_reports_failed_total",
                               with(scrape, "gateway", model->regions[i].name), 3,
                               agent->peer_states[i].failed);
}

static void put_edge(const Scrape *scrape)
{
    EvidenceTotals edge = evidence_totals(scrape->agent->evidence);
    counter(scrape, "wildcam_edge_requests_total", "Requests that the own edge finished",
            edge.requests);
    counter(scrape, "wildcam_edge_errors_total", "Answers of the own edge with a 5xx status",
            edge.responses_5xx);
    counter(scrape, "wildcam_edge_retries_total", "Requests that the own edge tried once more",
            edge.retries);
    counter(scrape, "wildcam_edge_retries_refused_total", "Retries that the budget did not allow",
            edge.retries_refused);
    counter(scrape, "wildcam_edge_evacuated_total",
            "Requests moved away from a target that stalled", edge.evacuated);
    counter(scrape, "wildcam_edge_shed_total",
            "Requests answered 503 with Retry-After since no capacity was left; no errors",
            edge.shed);
    counter(scrape, "wildcam_edge_shed_forwarded_total",
            "Requests of other edges refused for the same reason; those edges count them as shed",
            edge.shed_peer);
    counter(scrape, "wildcam_edge_forwarded_total", "Requests handed to another region",
            edge.forwarded);
    counter(scrape, "wildcam_edge_cache_hits_total", "Answers from the cache", edge.cache_hit);
    counter(scrape, "wildcam_edge_cache_misses_total", "Answers that the cache did not have",
            edge.cache_miss);
    counter(scrape, "wildcam_edge_plans_refused_total", "Plan files that the own edge refused",
            edge.plan_refused);
    counter(scrape, "wildcam_edge_counters_damaged_total", "Counter files that could not be used",
            edge.damaged);
    gauge(scrape, "wildcam_edge_workers", "Edge workers that wrote counters lately", edge.workers);
}

static void put_publication(const Scrape *scrape)
{
    const Agent *agent = scrape->agent;
    PublisherStatus status = publisher_status(agent->publisher);
    int64_t age = status.good.ns == INT64_MIN ? mono_since(scrape->now, agent->started)
                                              : mono_since(scrape->now, status.good);
    gauge_ns(scrape, "wildcam_plan_age_seconds",
             "Since disk last held the newest plan; 0.25 at most while all is well", age);
    counter(scrape, "wildcam_plans_total", "Plans made by the core", agent->plans);
    counter(scrape, "wildcam_plan_writes_total", "Plans written", status.writes);
    counter(scrape, "wildcam_plan_write_failures_total", "Plans that could not be written",
            status.failures);
    gauge_ns(scrape, "wildcam_plan_write_seconds", "How long the newest write took",
             status.last_write_ns);
    counter(scrape, "wildcam_failovers_total", "Gateways taken out of this region's plan",
            agent->journal.by_kind[RECORD_VERDICT_DOWN] +
                agent->journal.by_kind[RECORD_VERDICT_ADOPTED]);
    gauge(scrape, "wildcam_config_generation", "Generation of fleet.yaml in force",
          agent_model(agent)->generation);
}

static void put_self(Scrape *scrape)
{
    const Agent *agent = scrape->agent;
    CoreSelfStatus self = core_self_status(agent->core, scrape->now);
    gauge(scrape, "wildcam_observer_sick", "1 while most gateways fail from here", self.sick);
    gauge(scrape, "wildcam_observer_alone", "1 while no verdict is possible from here", self.alone);
    gauge(scrape, "wildcam_observers_fresh", "Observers heard from lately, this one included",
          self.fresh);
    gauge_ns(scrape, "wildcam_clock_offset_seconds", "The peers' median wall clock minus our own",
             self.clock_offset_ns);
    counter(scrape, "wildcam_loop_gaps_total", "Times that the event loop stood still for too long",
            agent->journal.by_kind[RECORD_LOOP_GAP]);
    counter(scrape, "wildcam_core_steps_total", "Events given to the core", agent->steps);
    counter(scrape, "wildcam_core_step_errors_total", "Events that the core refused",
            agent->step_errors);
    family(scrape, "wildcam_core_step_seconds", METRICS_TYPE_HISTOGRAM, "Time of one core step");
    metrics_histogram(scrape->out, "wildcam_core_step_seconds", scrape->own, 2,
                      &agent->step_seconds);
    RecordingStatus recording = recording_status(agent->recording);
    counter(scrape, "wildcam_recording_bytes_total", "Bytes written to recording segments",
            recording.written_bytes);
    counter(scrape, "wildcam_recording_dropped_total",
            "Recording batches that could not be written", recording.dropped_batches);
    family(scrape, "wildcam_alarm", METRICS_TYPE_GAUGE, "1 while the alarm is raised");
    for (int i = 0; i < ALARM_MAX; i++)
        metrics_sample_u64(scrape->out, "wildcam_alarm",
                           with(scrape, "alarm", alarm_name((AlarmKind)i)), 3,
                           agent->alarms.items[i].raised);
    family(scrape, "wildcam_certificate_expiry_timestamp_seconds", METRICS_TYPE_GAUGE,
           "When an own certificate ends");
    const char *name;
    int64_t at;
    for (unsigned i = 0; (at = renewal_expiry_s(agent->renewal, i, &name)) >= 0; i++)
        if (at > 0)
            metrics_sample_u64(scrape->out, "wildcam_certificate_expiry_timestamp_seconds",
                               with(scrape, "certificate", name), 3, (uint64_t)at);
}

void api_handle_metrics(void *context, HttpExchange *exchange)
{
    const Agent *agent = context;
    if (!api_may_read(exchange))
        return;
    const Model *model = agent_model(agent);
    const ModelRegion *own = &model->regions[agent->own];
    const char *cloud = model->clouds[own->cloud].name;
    Buf body CLEANUP(buf_done) = BUF_INIT(16U << 20);
    Scrape scrape = {.agent = agent,
                     .out = &body,
                     .own = {{"region", own->name}, {"cloud", cloud}},
                     .now = clock_mono()};
    put_gateways(&scrape);
    put_publication(&scrape);
    put_probes(&scrape);
    put_peers(&scrape);
    put_edge(&scrape);
    put_self(&scrape);
    metrics_http_write(&body, &agent->http, own->name, cloud);
    if (buf_check(&body) < 0)
        http_exchange_fail(exchange, 500, "internal", "the answer could not be made");
    else
        http_exchange_answer(exchange, 200, METRICS_CONTENT_TYPE, body.data, body.len);
}
