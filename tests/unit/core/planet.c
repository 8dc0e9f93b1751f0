// SPDX-License-Identifier: MIT
// planet: see planet.h. One binary heap of events; an effect of a core becomes an event at the time
// when its result arrives. The clocks of the agents differ by hours.
#include "planet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "attr.h"
#include "hash.h"

typedef enum Kind {
    K_TICK,
    K_ANSWERED,
    K_FAILED,
    K_IDLE,
    K_REPORT,
    K_REPLY,
    K_REPLICA,
    K_EDGE
} Kind;

typedef struct Event {
    int64_t at;
    uint64_t order;
    Kind kind;
    uint32_t agent, other;
    uint32_t life; // of the agent; events for an earlier one are lost
    uint64_t id;
    Arena *memory; // of the report
    const Report *report;
} Event;

typedef struct Agent {
    Core *core;
    uint32_t life;
    int64_t frozen_until, tick_at, wall_offset;
    uint64_t tick_order;
    uint32_t held, traffic[PLANET_MAX], errors[PLANET_MAX];
} Agent;

struct Planet {
    const Fixture *fixture;
    uint32_t n;
    int64_t now;
    uint64_t order;
    Event *heap;
    size_t n_heap, max_heap;
    Agent agents[PLANET_MAX];
    GatewayFault faults[PLANET_MAX];
    int64_t slow[PLANET_MAX], rtt;
    bool cut[PLANET_MAX][PLANET_MAX];
    uint32_t classes[PLANET_MAX];
    uint32_t transitions, records[RECORD_KIND_MAX];
    uint64_t digest;
    Arena *arena;
};

static bool sooner(const Event *a, const Event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(Planet *planet, Event event)
{
    if (planet->n_heap == planet->max_heap) {
        planet->max_heap = planet->max_heap ? planet->max_heap * 2 : 1024;
        planet->heap = realloc(planet->heap, planet->max_heap * sizeof *planet->heap);
        ASSERT(planet->heap != NULL);
    }
    event.order = ++planet->order;
    event.life = planet->agents[event.agent].life;
    size_t i = planet->n_heap++;
    for (; i > 0 && sooner(&event, &planet->heap[(i - 1) / 2]); i = (i - 1) / 2)
        planet->heap[i] = planet->heap[(i - 1) / 2];
    planet->heap[i] = event;
}

static Event pop(Planet *planet)
{
    Event first = planet->heap[0], last = planet->heap[--planet->n_heap];
    size_t i = 0;
    for (size_t child = 1; child < planet->n_heap; child = 2 * i + 1) {
        if (child + 1 < planet->n_heap && sooner(&planet->heap[child + 1], &planet->heap[child]))
            child++;
        if (!sooner(&planet->heap[child], &last))
            break;
        planet->heap[i] = planet->heap[child];
        i = child;
    }
    planet->heap[i] = last;
    return first;
}

static Mono mono_of(const Planet *planet, uint32_t agent)
{
    return (Mono){planet->now + (int64_t)agent * 3600 * NS_PER_S + NS_PER_S};
}

static Wall wall_of(const Planet *planet, uint32_t agent)
{
    return (Wall){planet->now + 1700000000 * NS_PER_S + planet->agents[agent].wall_offset};
}

static int64_t rtt(const Planet *planet, uint32_t a, uint32_t b)
{
    return a == b ? NS_PER_MS : planet->rtt;
}

static bool linked(const Planet *planet, uint32_t a, uint32_t b)
{
    return !planet->cut[a][b] && !planet->cut[b][a]; // TCP needs both directions
}

static void probe(Planet *planet, uint32_t agent, const CoreEffect *effect)
{
    uint32_t g = effect->gateway;
    if (!linked(planet, agent, g) || planet->faults[g] == GATEWAY_HANGS)
        return;
    bool refused = planet->faults[g] == GATEWAY_REFUSES;
    push(planet,
         (Event){.at = planet->now + rtt(planet, agent, g) + (refused ? 0 : planet->slow[g]),
                 .kind = refused ? K_FAILED : K_ANSWERED,
                 .agent = agent,
                 .other = g,
                 .id = effect->id});
}

static void send_report(Planet *planet, uint32_t from, uint32_t to, Kind kind)
{
    Arena *memory = arena_new((size_t)1 << 20);
    const Report *report;
    int r = core_report(planet->agents[from].core, memory, to, mono_of(planet, from),
                        wall_of(planet, from), &report);
    ASSERT(r == 0);
    push(planet, (Event){.at = planet->now + rtt(planet, from, to) / 2,
                         .kind = kind,
                         .agent = to,
                         .other = from,
                         .memory = memory,
                         .report = report});
}

static void act(Planet *planet, uint32_t agent, const CoreEffect *effect)
{
    switch (effect->kind) {
    case CORE_EFFECT_PROBE:
        probe(planet, agent, effect);
        break;
    case CORE_EFFECT_REPORT: // to the peer's agent, through the peer's gateway
        if (linked(planet, agent, effect->gateway) && planet->faults[effect->gateway] == GATEWAY_OK)
            send_report(planet, agent, effect->gateway, K_REPORT);
        break;
    case CORE_EFFECT_REPLICA:
        push(planet, (Event){.at = planet->now + NS_PER_MS,
                             .kind = K_REPLICA,
                             .agent = agent,
                             .other = effect->gateway,
                             .id = effect->id});
        break;
    default:
        break;
    }
}

static void note(Planet *planet, uint32_t agent, const CoreUpdate *update)
{
    for (uint32_t i = 0; i < update->n_records; i++) {
        const Record *record = &update->records[i];
        if (getenv("PLANET_TRACE") != NULL)
            (void)fprintf(stderr, "%8.3f %u %s %s: %s\n", (double)planet->now / 1e9, agent,
                          record_kind_name(record->kind), record->subject, record->facts);
        planet->records[record->kind]++;
        planet->digest = hash_u64(planet->digest, (uint64_t)record->kind);
        planet->digest = hash_text(hash_text(planet->digest, record->subject), record->facts);
    }
    for (uint32_t i = 0; i < update->n_effects; i++)
        planet->digest = hash_u64(planet->digest,
                                  update->effects[i].id ^ (uint64_t)update->effects[i].kind << 56);
    if (update->plan != NULL)
        planet->digest = hash_u64(planet->digest, update->plan->fleet_digest);
    if (update->n_records == 0)
        return; // no verdict changes without a record
    uint32_t held = planet_held_mask(planet, agent);
    for (uint32_t change = held ^ planet->agents[agent].held; change != 0; change &= change - 1)
        planet->transitions++;
    planet->agents[agent].held = held;
}

static void step(Planet *planet, uint32_t agent, CoreEvent *event)
{
    Error err = ERROR_INIT;
    CoreUpdate update;
    event->now = mono_of(planet, agent);
    event->wall = wall_of(planet, agent);
    arena_reset(planet->arena);
    int r = core_step(planet->agents[agent].core, planet->arena, event, &update, &err);
    ASSERT(r == 0);
    for (uint32_t i = 0; i < update.n_effects; i++)
        act(planet, agent, &update.effects[i]);
    note(planet, agent, &update);
    Mono wake = core_next_wake(planet->agents[agent].core);
    int64_t left = mono_since(wake, event->now);
    ASSERT(left > 0); // or the shell would spin
    if (planet->agents[agent].tick_at != planet->now + left) {
        planet->agents[agent].tick_at = planet->now + left;
        push(planet, (Event){.at = planet->now + left, .kind = K_TICK, .agent = agent});
        planet->agents[agent].tick_order = planet->order;
    }
}

static void edge_second(Planet *planet, uint32_t agent)
{
    for (uint32_t g = 0; g < planet->n; g++) {
        uint32_t n = planet->agents[agent].traffic[g], k = planet->agents[agent].errors[g];
        if (n == 0 || !linked(planet, agent, g))
            continue;
        bool works = planet->faults[g] == GATEWAY_OK;
        CoreEvent event = {.kind = CORE_EVENT_EDGE,
                           .u.edge = {.gateway = g,
                                      .successes = works ? n - k : 0,
                                      .failures = works ? k : n,
                                      .any_success = works && n > k,
                                      .success_sent = mono_of(planet, agent),
                                      .load_rps = agent == g ? n * 5 : 0}};
        step(planet, agent, &event);
    }
    push(planet, (Event){.at = planet->now + NS_PER_S / 5, .kind = K_EDGE, .agent = agent});
}

static void deliver(Planet *planet, Event *event)
{
    uint32_t agent = event->agent;
    CoreEvent out = {.id = event->id, .gateway = event->other};
    switch (event->kind) {
    case K_TICK:
        if (event->order != planet->agents[agent].tick_order)
            return;
        planet->agents[agent].tick_at = 0;
        out.kind = CORE_EVENT_TICK;
        break;
    case K_ANSWERED:
        out.kind = planet->faults[event->other] == GATEWAY_OK ? CORE_EVENT_PROBE_ANSWERED
                                                              : CORE_EVENT_PROBE_FAILED;
        if (planet->faults[event->other] == GATEWAY_HANGS)
            return;
        break;
    case K_FAILED:
        out.kind = CORE_EVENT_PROBE_FAILED;
        break;
    case K_IDLE:
        out.kind = CORE_EVENT_IDLE_CLOSED;
        break;
    case K_REPORT:
    case K_REPLY:
        if (!linked(planet, agent, event->other))
            return;
        out.kind = CORE_EVENT_REPORT;
        out.u.report = event->report;
        break;
    case K_REPLICA:
        out.kind = CORE_EVENT_REPLICA;
        out.u.replica = (CoreEventReplica){.replica = event->other,
                                           .answered = planet->classes[agent] != 0,
                                           .classes = planet->classes[agent]};
        break;
    case K_EDGE:
        edge_second(planet, agent);
        return;
    }
    step(planet, agent, &out);
    if (event->kind == K_REPORT && planet->faults[agent] == GATEWAY_OK)
        send_report(planet, agent, event->other, K_REPLY);
}

void planet_run(Planet *planet, int64_t ms)
{
    int64_t end = planet->now + ms * NS_PER_MS;
    while (planet->n_heap > 0 && planet->heap[0].at <= end) {
        Event event = pop(planet);
        Agent *agent = &planet->agents[event.agent];
        planet->now = event.at > planet->now ? event.at : planet->now;
        if (agent->core != NULL && event.life == agent->life) {
            if (event.at < agent->frozen_until) { // waits in a buffer; timers come first
                int64_t later = agent->frozen_until + (event.kind == K_TICK ? 0 : 1);
                bool is_tick = event.kind == K_TICK && event.order == agent->tick_order;
                event.at = later;
                push(planet, event);
                if (is_tick)
                    agent->tick_order = planet->order;
                continue;
            }
            deliver(planet, &event);
        }
        (void)arena_free(event.memory);
    }
    planet->now = end;
}

Planet *planet_new(const Fixture *fixture)
{
    Planet *planet = calloc(1, sizeof *planet);
    ASSERT(planet != NULL && fixture->model.n_regions <= PLANET_MAX);
    planet->fixture = fixture;
    planet->n = fixture->model.n_regions;
    planet->rtt = 40 * NS_PER_MS;
    planet->digest = HASH_SEED;
    planet->arena = arena_new((size_t)16 << 20);
    for (uint32_t a = 0; a < planet->n; a++) {
        planet->classes[a] = CLASS_MASK_ALL;
        planet_agent_start(planet, a);
    }
    return planet;
}

void planet_free(Planet *planet)
{
    for (size_t i = 0; i < planet->n_heap; i++)
        (void)arena_free(planet->heap[i].memory);
    for (uint32_t a = 0; a < planet->n; a++)
        (void)core_free(planet->agents[a].core);
    (void)arena_free(planet->arena);
    free(planet->heap);
    free(planet);
}

int64_t planet_now_ms(const Planet *planet)
{
    return planet->now / NS_PER_MS;
}

void planet_gateway(Planet *planet, uint32_t gateway, GatewayFault fault)
{
    planet->faults[gateway] = fault;
    for (uint32_t a = 0; a < planet->n && fault == GATEWAY_REFUSES; a++)
        if (linked(planet, a, gateway)) // the kernel closes its connections
            push(planet, (Event){.at = planet->now + rtt(planet, a, gateway) / 2,
                                 .kind = K_IDLE,
                                 .agent = a,
                                 .other = gateway});
}

void planet_slow(Planet *planet, uint32_t gateway, int64_t ms)
{
    planet->slow[gateway] = ms * NS_PER_MS;
}

void planet_cut(Planet *planet, uint32_t from, uint32_t to, bool cut)
{
    planet->cut[from][to] = cut;
}

void planet_rtt(Planet *planet, int64_t ms)
{
    planet->rtt = ms * NS_PER_MS;
}

void planet_agent_stop(Planet *planet, uint32_t agent)
{
    planet->agents[agent].core = core_free(planet->agents[agent].core);
    planet->agents[agent].life++;
    planet->agents[agent].held = 0;
}

void planet_agent_start(Planet *planet, uint32_t agent)
{
    Error err = ERROR_INIT;
    CoreOptions options = fixture_options(planet->fixture, agent);
    options.boot += planet->agents[agent].life * UINT64_C(1000000);
    int r = core_new(&planet->fixture->model, &options, mono_of(planet, agent),
                     wall_of(planet, agent), &planet->agents[agent].core, &err);
    ASSERT(r == 0);
    planet->agents[agent].tick_at = planet->now;
    push(planet, (Event){.at = planet->now, .kind = K_TICK, .agent = agent});
    planet->agents[agent].tick_order = planet->order;
    push(planet, (Event){.at = planet->now + NS_PER_S / 5, .kind = K_EDGE, .agent = agent});
}

void planet_agent_freeze(Planet *planet, uint32_t agent, int64_t ms)
{
    planet->agents[agent].frozen_until = planet->now + ms * NS_PER_MS;
}

void planet_region(Planet *planet, uint32_t region, bool alive)
{
    planet_gateway(planet, region, alive ? GATEWAY_OK : GATEWAY_HANGS);
    if (alive)
        planet_agent_start(planet, region);
    else
        planet_agent_stop(planet, region);
}

void planet_traffic(Planet *planet, uint32_t agent, uint32_t gateway, uint32_t per_s,
                    uint32_t errors)
{
    planet->agents[agent].traffic[gateway] = per_s / 5; // an event each 200 ms
    planet->agents[agent].errors[gateway] = errors / 5;
}

void planet_replica_classes(Planet *planet, uint32_t region, uint32_t classes)
{
    planet->classes[region] = classes;
}

void planet_wall_offset(Planet *planet, uint32_t agent, int64_t ms)
{
    planet->agents[agent].wall_offset = ms * NS_PER_MS;
}

void planet_intent(Planet *planet, uint32_t agent, const Intent *intent)
{
    step(planet, agent, &(CoreEvent){.kind = CORE_EVENT_INTENT, .u.intent = intent});
}

Core *planet_core(Planet *planet, uint32_t agent)
{
    return planet->agents[agent].core;
}

bool planet_held(const Planet *planet, uint32_t agent, uint32_t gateway)
{
    return planet_held_mask(planet, agent) >> gateway & 1;
}

uint32_t planet_held_mask(const Planet *planet, uint32_t agent)
{
    uint32_t mask = 0;
    Arena *arena = arena_new((size_t)1 << 16);
    for (uint32_t g = 0; g < planet->n && planet->agents[agent].core != NULL; g++) {
        CoreGatewayStatus status;
        int r = core_gateway_status(planet->agents[agent].core, arena, g, mono_of(planet, agent),
                                    &status);
        ASSERT(r == 0);
        mask |= (uint32_t)status.held << g;
    }
    (void)arena_free(arena);
    return mask;
}

uint32_t planet_transitions(const Planet *planet)
{
    return planet->transitions;
}

uint32_t planet_records(const Planet *planet, RecordKind kind)
{
    return planet->records[kind];
}

uint64_t planet_digest(const Planet *planet)
{
    return planet->digest;
}
