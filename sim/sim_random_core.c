// SPDX-License-Identifier: MIT
// sim_random_core: one core and its twin under nonsense; see sim_random.h. The twin gets the same
// events and never runs short of memory: what the two say must be equal to the bit, which shows
// both that a failed step leaves no trace and that nothing but the events decides.
#include <string.h>

#include "alloc.h"
#include "hash.h"
#include "sim_check.h"
#include "sim_deployment.h"
#include "sim_model.h"
#include "sim_nonsense.h"
#include "sim_plan.h"
#include "sim_random.h"
#include "snapshot.h"

#define ROUND_EVENTS 3000
#define STEP_BYTES ((size_t)64 << 20)
#define SHORT_OF_MEMORY 40 // one step in so many, at one of its first allocations
#define SNAPSHOT 100       // one step in so many, the twin is saved and loaded

static const char *const SOCKETS[] = {"/sim/1.sock", "/sim/2.sock", "/sim/3.sock", "/sim/4.sock"};

typedef struct Twins {
    Core *core[2];
    SimCheck check[2];
    SimDigests *digests;
    Arena *deployments, *events, *steps[2];
    SimNonsense nonsense;
    SimRandomResult *result;
} Twins;

static uint64_t said(const CoreUpdate *update)
{
    uint64_t hash = HASH_SEED;
    for (uint32_t i = 0; i < update->n_records; i++) {
        const Record *record = &update->records[i];
        hash = hash_u64(hash_u64(hash, record->kind), (uint64_t)record->at.ns);
        hash = hash_text(hash_text(hash, record->subject), record->facts);
    }
    for (uint32_t i = 0; i < update->n_effects; i++) {
        const CoreEffect *effect = &update->effects[i];
        hash = hash_u64(hash_u64(hash_u64(hash, effect->kind), effect->id), effect->gateway);
        hash = hash_u64(hash_u64(hash, (uint64_t)effect->hedge_ns), (uint64_t)effect->give_up_ns);
    }
    if (update->plan != NULL)
        hash = hash_u64(hash_u64(hash, sim_plan_fleet_content(update->plan)),
                        sim_plan_local_content(update->plan));
    return hash;
}

static int step_one(Twins *t, int which, const CoreEvent *event, CoreUpdate *update, Error *reterr)
{
    arena_reset(t->steps[which]);
    int r = core_step(t->core[which], t->steps[which], event, update, reterr);
    if (r < 0) {
        int broken = sim_check_failed_step(&t->check[which], t->core[which], reterr);
        return broken < 0 ? broken : r;
    }
    if (event->kind == CORE_EVENT_CONFIG) // other indices: whatever is held was so before
        t->check[which].held = UINT64_MAX;
    const Model *model = event->kind == CORE_EVENT_CONFIG ? event->u.model : t->nonsense.model;
    int broken = sim_check_step(&t->check[which], model, t->core[which], t->steps[which],
                                event->now, update, t->digests, reterr);
    return broken < 0 ? broken : 0;
}

// The first core may run short of memory; then it is given the same event again.
static int step_short(Twins *t, const CoreEvent *event, CoreUpdate *update, Error *reterr)
{
    bool starve = rng_below(&t->nonsense.rng, SHORT_OF_MEMORY) == 0;
    if (starve) {
        // an empty arena that has no block yet, so that its growth may fail as well
        t->steps[0] = arena_free(t->steps[0]);
        t->steps[0] = arena_new(STEP_BYTES);
        alloc_fail_after((long)rng_below(&t->nonsense.rng, 8));
    }
    Error err = ERROR_INIT;
    int r = step_one(t, 0, event, update, &err);
    alloc_fail_after(-1);
    if (starve && r == ERROR_MEMORY) {
        error_done(&err);
        return step_one(t, 0, event, update, reterr);
    }
    if (r < 0 && reterr != NULL)
        (void)error_set(reterr, r, "%s", error_text(&err));
    error_done(&err);
    return r;
}

static int learn_own(Twins *t, const CoreEvent *event, Error *reterr)
{
    const Report *report;
    for (int i = 0; i < 2; i++) {
        uint32_t peer = (t->nonsense.own + 1) % t->nonsense.model->n_regions;
        int r = core_report(t->core[i], t->steps[i], peer, event->now, event->wall, &report);
        if (r < 0)
            return error_set(reterr, r, "make a report");
    }
    t->nonsense.own_boot = report->boot;
    t->nonsense.own_stamp_ns = report->stamp_ns;
    return 0;
}

// The twin goes on as a core that was loaded from its own snapshot.
static int reload_twin(Twins *t, Error *reterr)
{
    Buf bytes CLEANUP(buf_done) = BUF_INIT(STEP_BYTES);
    int r = core_save(t->core[1], &bytes);
    if (r < 0)
        return error_set(reterr, r, "save a snapshot");
    const CoreOptions options = {.own = core_plan(t->core[1])->own,
                                 .boot = t->nonsense.own_boot,
                                 .replica_sockets = SOCKETS};
    Core *loaded = NULL;
    r = core_load(t->nonsense.model, &options, bytes.data, bytes.len, &loaded, reterr);
    if (r < 0)
        return error_set(reterr, ERROR_NOT_HELD, "a snapshot cannot be loaded: %s",
                         error_code_text(r));
    (void)core_free(t->core[1]);
    t->core[1] = loaded;
    return 0;
}

static int one_event(Twins *t, Error *reterr)
{
    arena_reset(t->events);
    const CoreEvent *event = sim_nonsense_event(&t->nonsense, t->events);
    if (event == NULL)
        return error_set(reterr, ERROR_MEMORY, "make an event");
    CoreUpdate updates[2] = {{0}, {0}};
    uint64_t held = t->check[0].held;
    Error err[2] = {ERROR_INIT, ERROR_INIT};
    int r[2] = {step_short(t, event, &updates[0], &err[0]),
                step_one(t, 1, event, &updates[1], &err[1])};
    int result = 0;
    for (int i = 0; i < 2; i++)
        if (r[i] == ERROR_NOT_HELD || r[i] == ERROR_MEMORY)
            result = error_set(reterr, ERROR_NOT_HELD, "event of kind %d: %s", (int)event->kind,
                               error_text(&err[i]));
    if (result == 0 && (r[0] != r[1] || (r[0] >= 0 && said(&updates[0]) != said(&updates[1]))))
        result = error_set(reterr, ERROR_NOT_HELD,
                           "invariant 5: twins differ after an event of kind %d (%d, %d)",
                           (int)event->kind, r[0], r[1]);
    if (result == 0 && r[0] < 0 && event->kind == CORE_EVENT_TICK)
        result = error_set(reterr, ERROR_NOT_HELD, "a tick failed: %s", error_text(&err[0]));
    error_done(&err[0]);
    error_done(&err[1]);
    t->result->events++;
    if (result < 0)
        return result;
    if (r[0] < 0) {
        t->result->errors++;
        return 0;
    }
    t->result->digest = hash_u64(t->result->digest, said(&updates[0]));
    t->result->verdicts += (uint64_t)__builtin_popcountll(held ^ t->check[0].held);
    t->result->plans += updates[0].plan != NULL;
    if (event->kind == CORE_EVENT_CONFIG)
        t->nonsense.model = event->u.model;
    sim_nonsense_learn(&t->nonsense, &updates[0]);
    if (t->nonsense.own_boot != 0 && rng_below(&t->nonsense.rng, SNAPSHOT) == 0)
        result = reload_twin(t, reterr);
    if (result == 0 && rng_below(&t->nonsense.rng, 4) == 0)
        result = learn_own(t, event, reterr);
    return result;
}

static int begin(Twins *t, uint64_t seed, Error *reterr)
{
    SimNonsense *n = &t->nonsense;
    n->rng = rng_seeded(seed);
    bool guide = rng_below(&n->rng, 2) == 0;
    n->models[0] = guide ? sim_model() : sim_deployment(t->deployments, seed, 1);
    n->models[1] = guide ? sim_model_next() : sim_deployment(t->deployments, seed, 2);
    if (n->models[0] == NULL || n->models[1] == NULL)
        return error_set(reterr, ERROR_MEMORY, "make a deployment");
    n->model = n->models[0];
    n->own = (uint32_t)rng_below(&n->rng, n->model->n_regions);
    n->now = (Mono){(int64_t)rng_below(&n->rng, 1000000) * NS_PER_S};
    n->wall = (Wall){INT64_C(1700000000) * NS_PER_S};
    const CoreOptions options = {.own = n->own,
                                 .seed = seed,
                                 .boot = seed | 1,
                                 .first_plan = UINT64_C(7) << 32,
                                 .replica_sockets = SOCKETS};
    for (int i = 0; i < 2; i++) {
        int r = core_new(n->model, &options, n->now, n->wall, &t->core[i], reterr);
        if (r >= 0)
            r = sim_check_begin(&t->check[i], n->model, t->core[i], n->now, t->digests, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

static int one_round(uint64_t seed, uint64_t events, SimRandomResult *result, Error *reterr)
{
    Twins t = {
        .digests = alloc_zeroed(1, sizeof(SimDigests)),
        .deployments = arena_new(STEP_BYTES),
        .events = arena_new(STEP_BYTES),
        .steps = {arena_new(STEP_BYTES), arena_new(STEP_BYTES)},
        .result = result,
    };
    bool made = t.digests != NULL && t.deployments != NULL && t.events != NULL &&
                t.steps[0] != NULL && t.steps[1] != NULL;
    int r = made ? begin(&t, seed, reterr) : error_set(reterr, ERROR_MEMORY, "make a round");
    for (uint64_t i = 0; i < events && r >= 0; i++)
        r = one_event(&t, reterr);
    for (int i = 0; i < 2; i++) {
        (void)core_free(t.core[i]);
        (void)arena_free(t.steps[i]);
    }
    (void)arena_free(t.events);
    (void)arena_free(t.deployments);
    free(t.digests);
    return r;
}

int sim_random_core(uint64_t seed, uint64_t events, SimRandomResult *result, Error *reterr)
{
    *result = (SimRandomResult){.digest = HASH_SEED};
    while (result->events < events) {
        result->bad_seed = seed + result->rounds++;
        int r = one_round(result->bad_seed, ROUND_EVENTS, result, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}
