// SPDX-License-Identifier: MIT
// bench_core: what a decision costs. A step over the guide's fleet, by kind of event, as an agent
// sees them; a plan for fleets of up to 1,000 gateways (1 service, 2 classes, 64 groups), alone and
// as a whole step in which one gateway is drained or released. By the wall clock: on a shared
// machine the best and the median say what a decision costs, the 99th percentile what the machine
// did.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core_state.h"
#include "fixture.h"

#define STEPS 200000
#define SAMPLES_MAX 400000

typedef struct Samples {
    int64_t *ns;
    size_t n;
} Samples;

static int64_t clock_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void add(Samples *samples, int64_t ns)
{
    if (samples->ns == NULL)
        samples->ns = malloc(SAMPLES_MAX * sizeof *samples->ns);
    ASSERT(samples->ns != NULL);
    if (samples->n < SAMPLES_MAX)
        samples->ns[samples->n++] = ns;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print(const char *what, Samples *samples)
{
    if (samples->n == 0)
        return;
    qsort(samples->ns, samples->n, sizeof *samples->ns, compare);
    size_t median = samples->n / 2, high = samples->n * 99 / 100;
    printf("%-44s %8zu %10.2f %10.2f %10.2f\n", what, samples->n, (double)samples->ns[0] / 1e3,
           (double)samples->ns[median] / 1e3, (double)samples->ns[high] / 1e3);
    free(samples->ns);
    *samples = (Samples){0};
}

typedef struct Bench {
    Fixture *fixture;
    Core *core, *peer;
    Mono now;
    Arena *arena, *peer_arena;
    CoreUpdate update;
    Samples samples[CORE_EVENT_MAX];
} Bench;

static Core *core_of(const Fixture *fixture, uint32_t own)
{
    Core *core;
    CoreOptions options = fixture_options(fixture, own);
    int r = core_new(&fixture->model, &options, (Mono){NS_PER_S}, (Wall){0}, &core, NULL);
    ASSERT(r == 0);
    return core;
}

static void step(Bench *bench, CoreEvent event)
{
    event.now = bench->now;
    event.wall = (Wall){bench->now.ns};
    int64_t start = clock_ns();
    arena_reset(bench->arena);
    int r = core_step(bench->core, bench->arena, &event, &bench->update, NULL);
    add(&bench->samples[event.kind], clock_ns() - start);
    ASSERT(r == 0);
}

// A report of region 1, as the answer to one of ours.
static void exchange(Bench *bench)
{
    const Report *report;
    CoreUpdate update;
    arena_reset(bench->peer_arena);
    int r = core_report(bench->core, bench->peer_arena, 1, bench->now, (Wall){0}, &report);
    ASSERT(r == 0);
    CoreEvent event = {.now = bench->now, .kind = CORE_EVENT_REPORT, .u.report = report};
    r = core_step(bench->peer, bench->peer_arena, &event, &update, NULL);
    ASSERT(r == 0);
    r = core_report(bench->peer, bench->peer_arena, 0, bench->now, (Wall){0}, &report);
    ASSERT(r == 0);
    step(bench, (CoreEvent){.kind = CORE_EVENT_REPORT, .u.report = report});
}

static void act(Bench *bench)
{
    CoreEffect effects[64];
    uint32_t n = bench->update.n_effects < 64 ? bench->update.n_effects : 64;
    for (uint32_t i = 0; i < n; i++)
        effects[i] = bench->update.effects[i];
    bench->now = mono_add(bench->now, 100 * NS_PER_US);
    for (uint32_t i = 0; i < n; i++) {
        const CoreEffect *effect = &effects[i];
        if (effect->kind == CORE_EFFECT_PROBE)
            step(bench, (CoreEvent){.kind = CORE_EVENT_PROBE_ANSWERED,
                                    .id = effect->id,
                                    .gateway = effect->gateway});
        else if (effect->kind == CORE_EFFECT_REPLICA)
            step(bench, (CoreEvent){.kind = CORE_EVENT_REPLICA,
                                    .id = effect->id,
                                    .u.replica = {.replica = effect->gateway,
                                                  .answered = true,
                                                  .classes = CLASS_MASK_ALL}});
        else if (effect->kind == CORE_EFFECT_REPORT)
            exchange(bench);
    }
}

static void bench_steps(void)
{
    static const char *const names[CORE_EVENT_MAX] = {
        [CORE_EVENT_TICK] = "step, six regions: tick",
        [CORE_EVENT_PROBE_ANSWERED] = "step, six regions: probe answered",
        [CORE_EVENT_REPORT] = "step, six regions: report of a peer",
        [CORE_EVENT_REPLICA] = "step, six regions: replica answered",
        [CORE_EVENT_EDGE] = "step, six regions: evidence of the edge",
    };
    Bench bench = {.fixture = fixture_new(6, 3, 8)};
    bench.core = core_of(bench.fixture, 0);
    bench.peer = core_of(bench.fixture, 1);
    bench.arena = arena_new((size_t)16 << 20);
    bench.peer_arena = arena_new((size_t)16 << 20);
    bench.now = (Mono){NS_PER_S};
    for (size_t total = 0; total < STEPS; total = bench.samples[CORE_EVENT_TICK].n * 4) {
        bench.now = mono_max(bench.now, core_next_wake(bench.core));
        step(&bench, (CoreEvent){.kind = CORE_EVENT_TICK});
        act(&bench);
        step(&bench, (CoreEvent){.kind = CORE_EVENT_EDGE,
                                 .u.edge = {.gateway = 3,
                                            .successes = 20,
                                            .any_success = true,
                                            .success_sent = bench.now}});
    }
    for (int kind = 0; kind < CORE_EVENT_MAX; kind++)
        if (names[kind] != NULL)
            print(names[kind], &bench.samples[kind]);
    (void)core_free(bench.core);
    (void)core_free(bench.peer);
    (void)arena_free(bench.arena);
    (void)arena_free(bench.peer_arena);
    fixture_free(bench.fixture);
}

static void bench_plan_alone(const Fixture *fixture, int rounds, Samples *samples)
{
    uint32_t n = fixture->model.n_regions;
    GatewayFacts *facts = calloc(n, sizeof *facts);
    IntentSet none = {0};
    Arena *arena = arena_new((size_t)64 << 20);
    ASSERT(facts != NULL && arena != NULL);
    for (uint32_t g = 0; g < n; g++)
        facts[g] = (GatewayFacts){.state = HEALTH_UP,
                                  .classes = CLASS_MASK_ALL,
                                  .share_ppm = PPM_ONE,
                                  .capacity_rps = 1000,
                                  .load_rps = 700};
    for (int i = 0; i < rounds; i++) {
        facts[(uint32_t)i % n].state = i % 2 == 0 ? HEALTH_DOWN : HEALTH_UP;
        PlanInput input = {.model = &fixture->model, .facts = facts, .intents = &none};
        PlanOutput output;
        arena_reset(arena);
        int64_t start = clock_ns();
        int r = plan_build(arena, &input, &output);
        add(samples, clock_ns() - start);
        ASSERT(r == 0);
    }
    (void)arena_free(arena);
    free(facts);
}

static void bench_plan_step(const Fixture *fixture, int rounds, Samples *samples)
{
    Core *core = core_of(fixture, 0);
    Arena *arena = arena_new((size_t)64 << 20);
    Mono now = {NS_PER_S};
    for (int i = 0; i < rounds; i++) {
        Intent intent = {.kind = i % 2 == 0 ? INTENT_DRAIN : INTENT_RELEASE,
                         .target = "region:c0-r0",
                         .region = "",
                         .author = "bench",
                         .reason = "bench",
                         .expires = {INT64_MAX}};
        CoreUpdate update;
        now = mono_add(now, NS_PER_MS);
        CoreEvent event = {
            .now = now, .wall = {now.ns}, .kind = CORE_EVENT_INTENT, .u.intent = &intent};
        int64_t start = clock_ns();
        arena_reset(arena);
        int r = core_step(core, arena, &event, &update, NULL);
        add(samples, clock_ns() - start);
        ASSERT(r == 0 && update.plan != NULL);
    }
    (void)arena_free(arena);
    (void)core_free(core);
}

int main(void)
{
    static const uint32_t sizes[] = {6, 16, 100, 1000};
    printf("%-44s %8s %10s %10s %10s\n", "", "runs", "best us", "median us", "p99 us");
    bench_steps();
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        Fixture *fixture = fixture_new(sizes[i], 3, 64);
        Samples alone = {0}, whole = {0};
        char name[64];
        bench_plan_alone(fixture, 200, &alone);
        bench_plan_step(fixture, 200, &whole);
        (void)snprintf(name, sizeof name, "plan, %" PRIu32 " gateways: alone", sizes[i]);
        print(name, &alone);
        (void)snprintf(name, sizeof name, "plan, %" PRIu32 " gateways: step with it", sizes[i]);
        print(name, &whole);
        fixture_free(fixture);
    }
    return 0;
}
