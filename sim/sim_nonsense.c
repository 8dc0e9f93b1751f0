// SPDX-License-Identifier: MIT
// sim_nonsense: see sim_nonsense.h. Time mostly moves on by milliseconds, sometimes stands, goes
// back, or jumps; each kind of event comes about as often as a shell would bring it.
#include "sim_nonsense.h"

#include "attr.h"

static uint32_t below(SimNonsense *from, uint64_t bound)
{
    return (uint32_t)rng_below(&from->rng, bound);
}

static bool one_in(SimNonsense *from, uint32_t n)
{
    return below(from, n) == 0;
}

static void advance_time(SimNonsense *from)
{
    int64_t ms;
    switch (below(from, 64)) {
    case 0:
        ms = -(int64_t)below(from, 5000);
        break;
    case 1:
        ms = below(from, 3000);
        break;
    case 2:
        ms = below(from, 20) == 0 ? 3600 * 1000 : 12000;
        break;
    case 3:
    case 4:
    case 5:
        ms = 0;
        break;
    default:
        ms = below(from, 60);
    }
    from->now = mono_add(from->now, ms * NS_PER_MS);
    if (from->now.ns < 0)
        from->now.ns = 0;
    from->wall = wall_add(from->wall, ms * NS_PER_MS);
    if (one_in(from, 400))
        from->wall = wall_add(from->wall, ((int64_t)below(from, 7200) - 3600) * NS_PER_S);
}

static void new_phase(SimNonsense *from)
{
    from->phase_left = 20 + below(from, 600);
    from->down = 0;
    for (uint32_t i = below(from, 4); i > 0; i--)
        from->down |= UINT64_C(1) << below(from, from->model->n_regions);
    from->liars = one_in(from, 3) ? below(from, 17) : 1;
}

static uint32_t some_gateway(SimNonsense *from)
{
    return one_in(from, 50) ? (uint32_t)rng_next(&from->rng) : below(from, from->model->n_regions);
}

static void probe_result(SimNonsense *from, CoreEvent *event)
{
    if (from->n_probes == 0 || one_in(from, 20)) {
        event->kind = one_in(from, 2) ? CORE_EVENT_PROBE_ANSWERED : CORE_EVENT_PROBE_FAILED;
        event->id = one_in(from, 2) ? rng_next(&from->rng) : below(from, 1000);
        event->gateway = some_gateway(from);
        return;
    }
    uint32_t known = from->n_probes < SIM_NONSENSE_IDS ? from->n_probes : SIM_NONSENSE_IDS;
    uint32_t i = below(from, known);
    event->id = from->probes[i].id;
    event->gateway = one_in(from, 50) ? some_gateway(from) : from->probes[i].gateway;
    bool fails = event->gateway < 64 && (from->down >> event->gateway & 1) != 0;
    if (one_in(from, 20))
        fails = !fails;
    event->kind = fails ? CORE_EVENT_PROBE_FAILED : CORE_EVENT_PROBE_ANSWERED;
}

static void edge(SimNonsense *from, CoreEvent *event)
{
    event->kind = CORE_EVENT_EDGE;
    event->u.edge = (CoreEventEdge){
        .gateway = some_gateway(from),
        .successes = below(from, 300),
        .failures = one_in(from, 4) ? below(from, 300) : 0,
        .any_success = one_in(from, 2),
        .success_sent = mono_add(from->now, -(int64_t)below(from, 3000) * NS_PER_MS),
        .load_rps = one_in(from, 10) ? (uint32_t)rng_next(&from->rng) : below(from, 4000),
    };
    if (one_in(from, 40))
        event->u.edge.success_sent = (Mono){(int64_t)rng_next(&from->rng)};
}

static void replica(SimNonsense *from, CoreEvent *event)
{
    event->kind = CORE_EVENT_REPLICA;
    event->id = below(from, 100);
    if (from->n_probes > 0 && !one_in(from, 4))
        event->id = from->probes[below(from, SIM_NONSENSE_IDS)].id;
    event->u.replica = (CoreEventReplica){
        .replica = one_in(from, 20) ? (uint32_t)rng_next(&from->rng) : below(from, 5),
        .answered = !one_in(from, 4),
        .classes = one_in(from, 10) ? (uint32_t)rng_next(&from->rng) : 1 + below(from, 3),
    };
}

static bool intent(SimNonsense *from, CoreEvent *event, Arena *arena)
{
    static const char *const TARGETS[] = {
        "fleet", "cloud:cloud-0", "cloud:cloud-1", "prefix:10.0.0.0/8", "prefix:::/0",
        "",      "region:",       "cloud:moon",    "prefix:10.0.0.1/8", "prefix:10.1.0.0/16"};
    Intent *wish = arena_new_of(arena, Intent);
    const char *region = arena_printf(arena, "region-%u", below(from, 24));
    const char *target = one_in(from, 2) ? arena_printf(arena, "region:%s", region)
                                         : TARGETS[below(from, ARRAY_SIZE(TARGETS))];
    if (wish == NULL || region == NULL || target == NULL)
        return false;
    *wish = (Intent){
        .kind = (IntentKind)below(from, INTENT_KIND_MAX),
        .target = target,
        .region = one_in(from, 2) ? region : "",
        .value_ppm = below(from, PPM_ONE + 2),
        .author = "sim",
        .reason = "nonsense",
        .stamp = (from->wall.ns / 1000) << 8 | 1,
        .created = from->wall,
        .expires = {one_in(from, 2) ? INT64_MAX
                                    : from->wall.ns + (int64_t)below(from, 100) * NS_PER_S},
    };
    if (one_in(from, 10))
        wish->stamp = (int64_t)rng_next(&from->rng);
    event->kind = CORE_EVENT_INTENT;
    event->u.intent = wish;
    return true;
}

const CoreEvent *sim_nonsense_event(SimNonsense *from, Arena *arena)
{
    CoreEvent *event = arena_new_of(arena, CoreEvent);
    if (event == NULL)
        return NULL;
    if (from->phase_left-- == 0)
        new_phase(from);
    advance_time(from);
    *event = (CoreEvent){.now = from->now, .wall = from->wall, .kind = CORE_EVENT_TICK};
    uint32_t dice = below(from, 100);
    if (dice < 25) {
        ; // a tick
    } else if (dice < 50) {
        probe_result(from, event);
    } else if (dice < 85) {
        event->kind = CORE_EVENT_REPORT;
        event->u.report = sim_nonsense_report(from, arena);
        return event->u.report != NULL ? event : NULL;
    } else if (dice < 88) {
        event->kind = CORE_EVENT_IDLE_CLOSED;
        event->gateway = some_gateway(from);
    } else if (dice < 93) {
        edge(from, event);
    } else if (dice < 98) {
        replica(from, event);
    } else if (dice < 99 || !one_in(from, 10)) {
        return intent(from, event, arena) ? event : NULL;
    } else {
        event->kind = CORE_EVENT_CONFIG;
        event->u.model = from->models[one_in(from, 2)];
    }
    return event;
}

void sim_nonsense_learn(SimNonsense *from, const CoreUpdate *update)
{
    for (uint32_t i = 0; i < update->n_effects; i++) {
        const CoreEffect *effect = &update->effects[i];
        if (effect->kind != CORE_EFFECT_PROBE && effect->kind != CORE_EFFECT_REPLICA)
            continue;
        uint32_t slot = from->n_probes++ % SIM_NONSENSE_IDS;
        from->probes[slot].id = effect->id;
        from->probes[slot].gateway = effect->gateway;
    }
}
