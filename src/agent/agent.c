// SPDX-License-Identifier: MIT
// agent: start, timers, reload, drain. What is made last depends on what is made first, so
// agent_new reads from top to bottom and agent_free undoes any prefix of it.
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "agent_state.h"
#include "alloc.h"
#include "bounds.h"
#include "clock.h"
#include "files.h"
#include "layout.h"
#include "log.h"
#include "report_json.h"
#include "snapshot.h"

#define FAST_MS 100  // edge evidence
#define SLOW_MS 1000 // everything that is not urgent
#define TRIM_NS (10 * NS_PER_S)
#define DRAIN_NS (3 * NS_PER_S)
#define SHED_CLEAR_NS (5 * NS_PER_S) // without one shed request ends the alarm
// A plan said to be in force within this time stands over an agent's restart ...
#define OLD_PLAN_AGE_NS (10 * NS_PER_S)
// ... for the boot time of the verdicts and this, in which the peers' verdicts come in.
#define OLD_PLAN_EXTRA_NS (2 * NS_PER_S)

// --- Timers ---

// Shed requests are no errors: nothing is broken, there is too much to do.
static void watch_shedding(Agent *agent, Mono now)
{
    EvidenceTotals edge = evidence_totals(agent->evidence);
    uint64_t shed = edge.shed + edge.shed_peer;
    if (shed != agent->shed)
        agent->shed_at = now;
    agent->shed = shed;
    alarm_set(&agent->alarms, ALARM_SHEDDING, now, mono_since(now, agent->shed_at) < SHED_CLEAR_NS,
              "the edge answers 503 with Retry-After to what exceeds the region's capacity");
}

static void read_evidence(Agent *agent)
{
    Error err CLEANUP(error_done) = ERROR_INIT;
    uint32_t n = evidence_read(agent->evidence, agent_model(agent), agent->own, clock_mono(),
                               agent->edges, &err);
    alarm_set(&agent->alarms, ALARM_EVIDENCE, clock_mono(), err.text != NULL, error_text(&err));
    watch_shedding(agent, clock_mono());
    for (uint32_t i = 0; n && i < agent_model(agent)->n_regions; i++) {
        if (!agent->edges[i].fresh)
            continue;
        CoreEvent event = {.kind = CORE_EVENT_EDGE, .u.edge = agent->edges[i].edge};
        (void)agent_step(agent, &event);
    }
}

static void on_fast(uv_timer_t *timer)
{
    Agent *agent = timer->data;
    read_evidence(agent);
    if (agent->offer_due)
        agent_offer_plan(agent);
}

// Handshakes with a gateway that hangs, or all of them at the start, leave holes in the heap.
static void give_memory_back(Agent *agent, Mono now)
{
    if (mono_since(now, agent->trimmed) < TRIM_NS)
        return;
    agent->trimmed = now;
    (void)malloc_trim(0);
}

static void on_slow(uv_timer_t *timer)
{
    Agent *agent = timer->data;
    Mono now = clock_mono();
    give_memory_back(agent, now);
    recording_flush(agent->recording);
    RecordingStatus recording = recording_status(agent->recording);
    alarm_set(&agent->alarms, ALARM_RECORDING_NOT_WRITTEN, now, *recording.error != '\0',
              recording.error);
    if (agent->intents_dirty)
        effects_keep_intents(agent);
    CoreSelfStatus self = core_self_status(agent->core, now);
    bool settled = mono_since(now, agent->started) > agent_model(agent)->health.boot_ns * 5;
    alarm_set(&agent->alarms, ALARM_SICK, now, self.sick && settled,
              "most gateways fail from here");
    alarm_set(&agent->alarms, ALARM_ALONE, now, self.alone && settled,
              "no verdict is possible from here");
    alarm_set(&agent->alarms, ALARM_CLOCK_SKEW, now, self.clock_refused,
              "beyond clock.max_skew: class write is withdrawn, intents are refused");
    renewal_check(agent->renewal);
    rows_now_read(agent->dir, agent->region, &agent->rows);
    alarm_set(&agent->alarms, ALARM_ROWS, now, *agent->rows.alarm != '\0', agent->rows.alarm);
}

static void start_timers(Agent *agent)
{
    (void)uv_timer_init(agent->loop, &agent->wake); // none of these can fail
    (void)uv_timer_init(agent->loop, &agent->fast);
    (void)uv_timer_init(agent->loop, &agent->slow);
    agent->wake.data = agent->fast.data = agent->slow.data = agent;
    (void)uv_timer_start(&agent->fast, on_fast, FAST_MS, FAST_MS);
    (void)uv_timer_start(&agent->slow, on_slow, SLOW_MS, SLOW_MS);
}

static void on_published(void *context, const PublisherStatus *status)
{
    Agent *agent = context;
    alarm_set(&agent->alarms, ALARM_PLAN_NOT_WRITTEN, clock_mono(), *status->error != '\0',
              status->error);
}

// --- Start ---

static void log_problems(const ConfProblems *problems)
{
    for (size_t i = 0; i < problems->n; i++)
        log_at(problems->items[i].warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR,
               "configuration problem", "fleet.yaml", LOG_TEXT("text", problems->items[i].text));
}

// Reads and checks fleet.yaml. *ret_bytes are what it was made from, for the recording.
static int load_conf(const Agent *agent, Conf **ret_conf, uint32_t *ret_own, char **ret_bytes,
                     size_t *ret_len, Error *reterr)
{
    char *bytes CLEANUP(alloc_freep) = NULL;
    size_t len;
    int r = files_read(agent->fleet, BOUND_CONF_BYTES, &bytes, &len, reterr);
    if (r < 0)
        return r;
    Conf *conf CLEANUP(conf_freep) = NULL;
    ConfProblems problems = {0};
    r = conf_parse(agent->fleet, bytes, len, &conf, &problems, reterr);
    log_problems(&problems);
    conf_problems_done(&problems);
    if (r < 0)
        return r;
    int own = model_find_region(&conf->model, agent->region);
    if (own < 0)
        return error_set(reterr, ERROR_NOT_FOUND, "'%s' has no region '%s'", agent->fleet,
                         agent->region);
    *ret_own = (uint32_t)own;
    *ret_conf = conf;
    conf = NULL;
    *ret_bytes = bytes;
    bytes = NULL;
    *ret_len = len;
    return 0;
}

// The next change writes intents.json anew: what cannot be used is kept beside it for people.
static void set_aside(const Agent *agent, const char *bytes, size_t len, uint32_t left_out)
{
    LayoutPath bad = layout_region(agent->dir, agent->region, "plan/intents.json.bad");
    Error err CLEANUP(error_done) = ERROR_INIT;
    if (files_replace(bad.text, bytes, len, NULL, &err) < 0)
        log_error("intents not set aside", bad.text, LOG_TEXT("error", error_text(&err)));
    else
        log_warning("intents set aside", bad.text, LOG_NUMBER("left_out", left_out));
}

// What operators wished before the restart. A damaged file costs the wishes, not the start: peers
// bring them back.
static void load_intents(const Agent *agent, Arena *arena, const Intent **ret_intents,
                         uint32_t *ret_n)
{
    LayoutPath path = layout_region(agent->dir, agent->region, "plan/intents.json");
    char *bytes CLEANUP(alloc_freep) = NULL;
    size_t len;
    Error err CLEANUP(error_done) = ERROR_INIT;
    if (!files_exist(path.text))
        return;
    uint32_t left_out = 0;
    int r = files_read(path.text, 1U << 20, &bytes, &len, &err);
    if (r == 0)
        r = intents_json_decode(bytes, len, arena, ret_intents, ret_n, &left_out, &err);
    if (bytes && (r < 0 || left_out > 0))
        set_aside(agent, bytes, len, left_out);
    if (r < 0)
        log_error("intents on disk are not usable", path.text, LOG_TEXT("error", error_text(&err)));
}

static int open_store(Agent *agent, PlanStore **ret_store, uint64_t *ret_adopted, Error *reterr)
{
    LayoutPath counters = layout_region(agent->dir, agent->region, "counters");
    LayoutPath folder = layout_region(agent->dir, agent->region, "plan");
    PlanStore *store;
    int r = plan_store_open(folder.text, evidence_newest_plan(counters.text), clock_wall(),
                            agent->boot, &store, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "plan folder");
    *ret_adopted = plan_store_adopt(store, agent_model(agent)->config_hash, agent->region,
                                    clock_wall(), OLD_PLAN_AGE_NS);
    *ret_store = store;
    return 0;
}

static int socket_paths(const Agent *agent, Arena *arena, const char *const **ret_sockets,
                        Error *reterr)
{
    uint32_t n = agent_model(agent)->regions[agent->own].replicas;
    const char **sockets = arena_new_array(arena, const char *, n + 1);
    if (!sockets)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    for (uint32_t i = 0; i < n; i++) {
        LayoutPath path;
        const char *name = arena_printf(arena, "backend-%u.sock", i + 1);
        int r = name ? layout_socket(agent->dir, agent->region, name, &path, reterr)
                     : error_set(reterr, ERROR_MEMORY, "out of memory");
        if (r < 0)
            return r;
        sockets[i] = arena_strdup(arena, path.text);
        if (!sockets[i])
            return error_set(reterr, ERROR_MEMORY, "out of memory");
    }
    *ret_sockets = sockets;
    return 0;
}

static int save_core(void *context, Buf *buf)
{
    const Agent *agent = context;
    return core_save(agent->core, buf);
}

static int open_recording(Agent *agent, const CoreOptions *core, Wall wall, const char *config,
                          size_t config_len, Error *reterr)
{
    const Model *model = agent_model(agent);
    LayoutPath folder = layout_region(agent->dir, agent->region, "records");
    RecordingOptions options = {.folder = folder.text,
                                .config = config,
                                .config_len = config_len,
                                .snapshot = save_core,
                                .context = agent,
                                .start = {.version = RECORDING_VERSION,
                                          .region = agent->region,
                                          .program = WILDCAM_VERSION,
                                          .config_hash = model->config_hash,
                                          .seed = core->seed,
                                          .boot = core->boot,
                                          .first_plan = core->first_plan,
                                          .now = agent->started,
                                          .wall = wall,
                                          .n_sockets = model->regions[agent->own].replicas,
                                          .sockets = core->replica_sockets,
                                          .n_intents = core->n_intents,
                                          .intents = core->intents}};
    int r = recording_new(&options, &agent->recording, reterr);
    return r < 0 ? error_wrap(reterr, r, "recording") : 0;
}

// The core, what it is told at its start kept for the recording, and the publisher of its plans.
static int start_core(Agent *agent, const char *config, size_t config_len, Error *reterr)
{
    PlanStore *store = NULL;
    uint64_t adopted = 0;
    CoreOptions options = {.own = agent->own, .seed = random_u64(), .boot = agent->boot};
    int r = socket_paths(agent, agent->start_arena, &options.replica_sockets, reterr);
    if (r < 0)
        return r;
    load_intents(agent, agent->start_arena, &options.intents, &options.n_intents);
    r = open_store(agent, &store, &adopted, reterr);
    if (r < 0)
        return r;
    options.first_plan = plan_store_first_number(store);
    r = publisher_new(agent->loop, store, adopted, on_published, agent, &agent->publisher, reterr);
    if (r < 0)
        return r;
    if (adopted)
        agent->old_plan_stands =
            mono_add(agent->started, agent_model(agent)->health.boot_ns + OLD_PLAN_EXTRA_NS);
    Wall wall = clock_wall();
    r = open_recording(agent, &options, wall, config, config_len, reterr);
    if (r < 0)
        return r;
    r = core_new(agent_model(agent), &options, agent->started, wall, &agent->core, reterr);
    return r < 0 ? error_wrap(reterr, r, "start core") : 0;
}

static int start(Agent *agent, Error *reterr)
{
    char *bytes CLEANUP(alloc_freep) = NULL;
    size_t len;
    int r = load_conf(agent, &agent->conf, &agent->own, &bytes, &len, reterr);
    if (r < 0)
        return r;
    r = journal_init(&agent->journal, reterr);
    if (r < 0)
        return r;
    r = start_core(agent, bytes, len, reterr);
    if (r < 0)
        return r;
    LayoutPath counters = layout_region(agent->dir, agent->region, "counters");
    r = evidence_new(counters.text, agent->started, &agent->evidence, reterr);
    if (r < 0)
        return r;
    r = effects_open(agent, reterr);
    if (r < 0)
        return r;
    r = renewal_new(agent, &agent->renewal, reterr);
    if (r < 0)
        return r;
    return api_open(agent, reterr);
}

static void close_handles(Agent *agent);

int agent_new(uv_loop_t *loop, const AgentOptions *options, Agent **ret_agent, Error *reterr)
{
    Agent *agent = alloc_zeroed(1, sizeof(*agent));
    if (!agent)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    *agent = (Agent){.loop = loop,
                     .fleet = alloc_strdup(options->fleet),
                     .dir = alloc_strdup(options->dir),
                     .region = alloc_strdup(options->region),
                     .boot = random_u64(),
                     .started = clock_mono(),
                     .old_plan_stands = MONO_DISTANT,
                     .shed_at = MONO_DISTANT,
                     .step_arena = arena_new(STEP_ARENA_BYTES),
                     .report_arena = arena_new(STEP_ARENA_BYTES),
                     .start_arena = arena_new(STEP_ARENA_BYTES)};
    start_timers(agent);
    int r = agent->fleet && agent->dir && agent->region && agent->step_arena &&
                    agent->report_arena && agent->start_arena
                ? start(agent, reterr)
                : error_set(reterr, ERROR_MEMORY, "out of memory");
    if (r < 0) {
        close_handles(agent);
        (void)uv_run(loop, UV_RUN_DEFAULT);
        (void)agent_free(agent);
        return r;
    }
    agent_offer_plan(agent);
    CoreEvent event = {.kind = CORE_EVENT_TICK};
    (void)agent_step(agent, &event);
    log_info("agent started", agent->region,
             LOG_NUMBER("generation", agent->conf->model.generation),
             LOG_NUMBER("regions", agent->conf->model.n_regions));
    *ret_agent = agent;
    return 0;
}

// --- Reload ---

// Makes `conf` the one in force in the shells; indices change their meaning here.
static int switch_to(Agent *agent, Conf *conf, uint32_t own, Error *reterr)
{
    int r = effects_set_model(agent, conf, reterr);
    if (r < 0)
        return r;
    agent->conf = conf;
    agent->own = own;
    agent->conf_epoch++;
    return 0;
}

static int check_same_place(const Agent *agent, const Conf *conf, uint32_t own, Error *reterr)
{
    const ModelRegion *before = &agent_model(agent)->regions[agent->own];
    const ModelRegion *after = &conf->model.regions[own];
    if (strcmp(before->address, after->address) != 0 || before->replicas != after->replicas ||
        strcmp(agent_model(agent)->domain, conf->model.domain) != 0)
        return error_set(reterr, ERROR_CONFLICT,
                         "address, replicas or domain of '%s' changed: this needs a restart",
                         agent->region);
    return 0;
}

static int reload_conf(Agent *agent, Error *reterr)
{
    char *bytes CLEANUP(alloc_freep) = NULL;
    size_t len;
    Conf *conf CLEANUP(conf_freep) = NULL;
    uint32_t own, old_own = agent->own;
    int r = load_conf(agent, &conf, &own, &bytes, &len, reterr);
    if (r == 0)
        r = check_same_place(agent, conf, own, reterr);
    if (r < 0)
        return r;
    Conf *old = agent->conf;
    r = switch_to(agent, conf, own, reterr);
    if (r < 0)
        return r;
    conf = NULL;
    recording_set_config(agent->recording, bytes, len);
    CoreEvent event = {.kind = CORE_EVENT_CONFIG, .u.model = agent_model(agent)};
    r = agent_step(agent, &event);
    if (r < 0) {
        conf = agent->conf; // freed at the end
        (void)error_set(reterr, r, "the core refused it: %s", error_code_text(r));
        if (switch_to(agent, old, old_own, NULL) < 0)
            agent->conf = old; // the prober has nothing to probe until the next reload
        return r;
    }
    conf = old;
    agent_offer_plan(agent);
    return 0;
}

void agent_reload(Agent *agent)
{
    if (agent->draining)
        return;
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = reload_conf(agent, &err);
    alarm_set(&agent->alarms, ALARM_CONFIG_REJECTED, clock_mono(), r < 0, error_text(&err));
    if (r < 0)
        log_error("configuration refused, the old one stays", agent->fleet,
                  LOG_TEXT("error", error_text(&err)));
    else
        log_info("configuration loaded", agent->fleet,
                 LOG_NUMBER("generation", agent_model(agent)->generation));
    error_done(&err);
    r = http_client_reload(agent->peers, &err);
    if (r == 0)
        r = prober_reload(agent->prober, &err);
    if (r < 0)
        log_error("certificates not reloaded", agent->region, LOG_TEXT("error", error_text(&err)));
}

// --- End ---

static void close_timer(uv_timer_t *timer)
{
    if (!uv_is_closing((uv_handle_t *)timer))
        uv_close((uv_handle_t *)timer, NULL);
}

static void close_handles(Agent *agent)
{
    agent->draining = true;
    close_timer(&agent->wake);
    close_timer(&agent->fast);
    close_timer(&agent->slow);
    agent->server = http_server_free(agent->server);
    if (agent->publisher)
        publisher_stop(agent->publisher);
    effects_close(agent);
}

static void on_drained(void *context)
{
    close_handles(context);
    log_info("agent drained", NULL);
}

void agent_drain(Agent *agent)
{
    if (agent->draining)
        return;
    log_info("agent is draining", agent->region);
    agent->draining = true;
    publisher_stop(agent->publisher);
    recording_flush(agent->recording);
    http_server_drain(agent->server, DRAIN_NS, on_drained);
}

Agent *agent_free(Agent *agent)
{
    if (!agent)
        return NULL;
    agent->renewal = renewal_free(agent->renewal);
    agent->publisher = publisher_free(agent->publisher);
    agent->recording = recording_free(agent->recording);
    agent->evidence = evidence_free(agent->evidence);
    agent->core = core_free(agent->core);
    agent->conf = conf_free(agent->conf);
    journal_done(&agent->journal);
    free(agent->peer_states);
    free(agent->edges);
    free(agent->probe_seconds);
    free(agent->probe_hard);
    free(agent->probe_why);
    (void)arena_free(agent->step_arena);
    (void)arena_free(agent->report_arena);
    (void)arena_free(agent->start_arena);
    free(agent->fleet);
    free(agent->dir);
    free(agent->region);
    free(agent);
    return NULL;
}
