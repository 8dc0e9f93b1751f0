// SPDX-License-Identifier: MIT
// effects: does what the core asked for and brings the result back as an event: gateway probes,
// reports to peers, health of own replicas, intents to disk. A result of a configuration that is no
// longer in force is dropped: its indices mean something else now.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent_state.h"
#include "alloc.h"
#include "clock.h"
#include "files.h"
#include "layout.h"
#include "log.h"
#include "report_json.h"

typedef struct Flight { // a request under way
    Agent *agent;
    uint64_t conf_epoch, id;
    uint32_t index; // gateway or replica
} Flight;

static Flight *flight_new(Agent *agent, const CoreEffect *effect)
{
    Flight *flight = alloc_zeroed(1, sizeof(*flight));
    if (flight)
        *flight = (Flight){.agent = agent,
                           .conf_epoch = agent->conf_epoch,
                           .id = effect->id,
                           .index = effect->gateway};
    return flight;
}

static bool is_current(const Flight *flight)
{
    return flight->conf_epoch == flight->agent->conf_epoch && !flight->agent->draining;
}

static void not_sent(const char *what, const char *error)
{
    static LogLimit limit;
    uint32_t suppressed;
    if (log_allowed(&limit, 1, clock_mono(), &suppressed))
        log_warning("request not sent", what, LOG_TEXT("error", error),
                    LOG_NUMBER("suppressed", suppressed));
}

// --- Gateway probes ---

// Each new reason once, not each of ten failures a second.
static void note_failure(Agent *agent, const ProbeReport *report)
{
    ProbeWhy *why = &agent->probe_why[report->gateway];
    agent->probe_hard[report->gateway]++;
    if (strncmp(why->text, report->why, sizeof(why->text) - 1) == 0)
        return;
    snprintf(why->text, sizeof(why->text), "%s", report->why);
    static LogLimit limit;
    uint32_t suppressed;
    if (log_allowed(&limit, 10, clock_mono(), &suppressed))
        log_info("probe failed", agent_model(agent)->regions[report->gateway].name,
                 LOG_TEXT("why", why->text), LOG_NUMBER("suppressed", suppressed));
}

static void on_probe(void *context, const ProbeReport *report)
{
    Agent *agent = context;
    CoreEvent event = {.id = report->id, .gateway = report->gateway};
    switch (report->result) {
    case PROBE_RESULT_ANSWERED:
        event.kind = CORE_EVENT_PROBE_ANSWERED;
        metrics_observe(&agent->probe_seconds[report->gateway], report->elapsed_ns);
        agent->probe_why[report->gateway].text[0] = '\0';
        break;
    case PROBE_RESULT_HARD:
        event.kind = CORE_EVENT_PROBE_FAILED;
        note_failure(agent, report);
        break;
    case PROBE_RESULT_IDLE_CLOSED:
        event.kind = CORE_EVENT_IDLE_CLOSED;
        break;
    }
    (void)agent_step(agent, &event);
}

static void run_probe(Agent *agent, const CoreEffect *effect)
{
    Error err CLEANUP(error_done) = ERROR_INIT;
    if (prober_probe(agent->prober, effect->gateway, effect->id, effect->hedge_ns,
                     effect->give_up_ns, &err) < 0)
        not_sent("probe", error_text(&err));
}

// --- Reports ---

int effects_encode_report(Agent *agent, uint32_t peer, Buf *buf, Error *reterr)
{
    const Report *report;
    int r =
        core_report(agent->core, agent->report_arena, peer, clock_mono(), clock_wall(), &report);
    if (r == 0)
        r = report_json_encode(report, buf);
    if (r == ERROR_LIMIT) { // the core counts bytes, so this is a bug: the own votes at least
        Report least = *report;
        least.n_views = 1;
        least.n_intents = 0;
        not_sent("rest of a report", "it is larger than BOUND_REPORT_BYTES");
        buf_clear(buf);
        r = report_json_encode(&least, buf);
    }
    arena_reset(agent->report_arena);
    if (r < 0)
        return error_set(reterr, r, "make the report: %s", error_code_text(r));
    return 0;
}

int effects_absorb_report(Agent *agent, uint32_t peer, const char *bytes, size_t len,
                          PeerRefusal *ret_refusal, Error *reterr)
{
    const char *name = agent_model(agent)->regions[peer].name;
    *ret_refusal = PEER_REFUSED_FORMAT;
    Arena *arena CLEANUP(arena_freep) = arena_new(BOUND_REPORT_BYTES * 32);
    if (!arena)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    const Report *report;
    int r = report_json_decode(bytes, len, arena, &report, reterr);
    if (r < 0)
        return r;
    if (strcmp(report->region, name) != 0) {
        *ret_refusal = PEER_REFUSED_MISMATCH;
        return error_set(reterr, ERROR_FOREIGN, "report of '%s' came from '%s'", report->region,
                         name);
    }
    agent->peer_states[peer].received++;
    CoreEvent event = {.kind = CORE_EVENT_REPORT, .gateway = peer, .u.report = report};
    (void)agent_step(agent, &event);
    return 0;
}

static void on_report_answer(void *context, const HttpResponse *response)
{
    Flight *flight = context;
    Agent *agent = flight->agent;
    if (is_current(flight)) {
        PeerState *peer = &agent->peer_states[flight->index];
        peer->in_flight--;
        PeerRefusal refusal;
        Error err CLEANUP(error_done) = ERROR_INIT;
        if (response->status != 200) {
            peer->failed++;
        } else if (effects_absorb_report(agent, flight->index, response->body, response->body_len,
                                         &refusal, &err) < 0) {
            peer->failed++;
            agent->peers_refused[refusal]++;
            not_sent("answer of a peer", error_text(&err));
        } else {
            peer->answered++;
        }
    }
    free(flight);
}

static void send_report(Agent *agent, const CoreEffect *effect, const Buf *body)
{
    const Model *model = agent_model(agent);
    const ModelRegion *region = &model->regions[effect->gateway];
    char url[512], resolve[512];
    snprintf(url, sizeof(url), "https://%s.gateway.%s:%u" REPORT_PATH, region->name, model->domain,
             region->peer_port);
    snprintf(resolve, sizeof(resolve), "%s.gateway.%s:%u:%s", region->name, model->domain,
             region->peer_port, region->address);
    static const char *const HEADERS[] = {"Content-Type: application/json", NULL};
    HttpRequestOptions options = {.method = "POST",
                                  .url = url,
                                  .resolve = resolve,
                                  .body = buf_text(body),
                                  .body_len = body->len,
                                  .headers = HEADERS,
                                  .timeout_ns = effect->give_up_ns,
                                  .max_body = BOUND_REPORT_BYTES};
    PeerState *peer = &agent->peer_states[effect->gateway];
    Flight *flight = flight_new(agent, effect);
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = ERROR_MEMORY;
    if (flight) {
        peer->in_flight++;
        peer->sent++;
        r = http_client_send(agent->peers, &options, on_report_answer, flight, NULL, &err);
    }
    if (r < 0) {
        if (flight) {
            peer->in_flight--;
            peer->failed++;
        }
        free(flight);
        not_sent("report", error_text(&err));
    }
}

static void run_report(Agent *agent, const CoreEffect *effect)
{
    if (!agent->peers || effect->gateway >= agent_model(agent)->n_regions ||
        agent->peer_states[effect->gateway].in_flight >= REPORTS_IN_FLIGHT)
        return; // the newest report goes with the next one's turn
    Buf body CLEANUP(buf_done) = BUF_INIT(BOUND_REPORT_BYTES);
    Error err CLEANUP(error_done) = ERROR_INIT;
    if (effects_encode_report(agent, effect->gateway, &body, &err) < 0)
        not_sent("report", error_text(&err));
    else
        send_report(agent, effect, &body);
}

// --- Own replicas ---

// {"classes": {"read": true, "write": false}}
static uint32_t parse_classes(const char *body, size_t len)
{
    json_t *root = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *classes = json_object_get(root, "classes");
    uint32_t mask = (json_is_true(json_object_get(classes, "read")) ? CLASS_MASK_READ : 0U) |
                    (json_is_true(json_object_get(classes, "write")) ? CLASS_MASK_WRITE : 0U);
    json_decref(root);
    return mask;
}

static void on_replica_answer(void *context, const HttpResponse *response)
{
    Flight *flight = context;
    Agent *agent = flight->agent;
    if (is_current(flight)) {
        CoreEvent event = {.kind = CORE_EVENT_REPLICA, .id = flight->id};
        event.u.replica.replica = flight->index;
        event.u.replica.answered = response->status == 200 || response->status == 503;
        if (event.u.replica.answered)
            event.u.replica.classes = parse_classes(response->body, response->body_len);
        (void)agent_step(agent, &event);
    }
    free(flight);
}

static void run_replica(Agent *agent, const CoreEffect *effect)
{
    char name[32];
    LayoutPath path;
    Error err CLEANUP(error_done) = ERROR_INIT;
    snprintf(name, sizeof(name), "backend-%u.sock", effect->gateway + 1);
    Flight *flight = flight_new(agent, effect);
    int r = flight ? layout_socket(agent->dir, agent->region, name, &path, &err) : ERROR_MEMORY;
    if (r == 0) {
        HttpRequestOptions options = {.url = "http://localhost/api/health",
                                      .unix_socket = path.text,
                                      .timeout_ns = effect->give_up_ns};
        r = http_client_send(agent->replicas, &options, on_replica_answer, flight, NULL, &err);
    }
    if (r < 0) {
        free(flight);
        not_sent("replica probe", error_text(&err));
    }
}

// --- Intents ---

void effects_keep_intents(Agent *agent)
{
    const Intent *intents;
    uint32_t n = core_intents(agent->core, &intents);
    Buf bytes CLEANUP(buf_done) = BUF_INIT(1U << 20);
    Error err CLEANUP(error_done) = ERROR_INIT;
    LayoutPath path = layout_region(agent->dir, agent->region, "plan/intents.json");
    int r = intents_json_encode(intents, n, &bytes);
    if (r < 0)
        (void)error_set(&err, r, "encode: %s", error_code_text(r));
    else
        r = files_replace(path.text, bytes.data, bytes.len, NULL, &err);
    agent->intents_dirty = r < 0;
    alarm_set(&agent->alarms, ALARM_INTENTS_NOT_WRITTEN, clock_mono(), r < 0, error_text(&err));
}

void effects_run(Agent *agent, const CoreUpdate *update)
{
    for (uint32_t i = 0; i < update->n_effects; i++) {
        const CoreEffect *effect = &update->effects[i];
        switch (effect->kind) {
        case CORE_EFFECT_PROBE:
            run_probe(agent, effect);
            break;
        case CORE_EFFECT_REPORT:
            run_report(agent, effect);
            break;
        case CORE_EFFECT_REPLICA:
            run_replica(agent, effect);
            break;
        case CORE_EFFECT_KEEP_INTENTS:
            effects_keep_intents(agent);
            break;
        }
    }
}

// --- Opening and closing ---

int effects_set_model(Agent *agent, const Conf *conf, Error *reterr)
{
    const Model *model = &conf->model;
    Arena *arena CLEANUP(arena_freep) = arena_new(1U << 20);
    ProberTarget *targets = arena ? arena_new_array(arena, ProberTarget, model->n_regions) : NULL;
    PeerState *states = alloc_zeroed(model->n_regions, sizeof(*states));
    EvidenceEdge *edges = alloc_zeroed(model->n_regions, sizeof(*edges));
    MetricsHistogram *seconds = alloc_zeroed(model->n_regions, sizeof(*seconds));
    uint64_t *hard = alloc_zeroed(model->n_regions, sizeof(*hard));
    ProbeWhy *why = alloc_zeroed(model->n_regions, sizeof(*why));
    int r = targets && states && edges && seconds && hard && why
                ? 0
                : error_set(reterr, ERROR_MEMORY, "out of memory");
    for (uint32_t i = 0; r == 0 && i < model->n_regions; i++) {
        const ModelRegion *region = &model->regions[i];
        targets[i].host = arena_printf(arena, "%s.gateway.%s", region->name, model->domain);
        targets[i].address = region->address;
        targets[i].port = region->edge_port;
        if (!targets[i].host)
            r = error_set(reterr, ERROR_MEMORY, "out of memory");
    }
    if (r == 0)
        r = prober_set_targets(agent->prober, targets, model->n_regions, reterr);
    if (r < 0) {
        free(states);
        free(edges);
        free(seconds);
        free(hard);
        free(why);
        return r;
    }
    free(agent->peer_states);
    free(agent->edges);
    free(agent->probe_seconds);
    free(agent->probe_hard);
    free(agent->probe_why);
    agent->peer_states = states;
    agent->edges = edges;
    agent->probe_seconds = seconds;
    agent->probe_hard = hard;
    agent->probe_why = why;
    return 0;
}

int effects_open(Agent *agent, Error *reterr)
{
    const ModelRegion *own = &agent_model(agent)->regions[agent->own];
    LayoutPath ca = layout_dir(agent->dir, "pki/ca.pem");
    ProberOptions prober = {.ca_file = ca.text,
                            .source = own->address,
                            .path = HEALTH_PATH,
                            .done = on_probe,
                            .context = agent};
    int r = prober_new(agent->loop, &prober, &agent->prober, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "prober");
    r = effects_set_model(agent, agent->conf, reterr);
    if (r < 0)
        return r;
    LayoutPath cert = layout_pki(agent->dir, agent->region, "peer.pem");
    LayoutPath key = layout_pki(agent->dir, agent->region, "peer.key");
    HttpClientOptions peers = {.source = own->address,
                               .ca_file = ca.text,
                               .cert_file = cert.text,
                               .key_file = key.text,
                               .tls13_only = true,
                               .connections_per_host = REPORTS_IN_FLIGHT};
    r = http_client_new(agent->loop, &peers, &agent->peers, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "client towards other regions");
    HttpClientOptions replicas = {.connections_per_host = 2};
    r = http_client_new(agent->loop, &replicas, &agent->replicas, reterr);
    return r < 0 ? error_wrap(reterr, r, "client towards replicas") : 0;
}

void effects_close(Agent *agent)
{
    agent->prober = prober_free(agent->prober);
    agent->peers = http_client_free(agent->peers);
    agent->replicas = http_client_free(agent->replicas);
}
