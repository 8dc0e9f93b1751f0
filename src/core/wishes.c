// SPDX-License-Identifier: MIT
// wishes: intents within a step: taking them in, and what those in force do to the gateways' facts.
// Expiry is judged by the fleet's median clock, so that one agent whose clock is ten minutes off
// does not end a drain before the others.
#include <string.h>

#include "core_state.h"
#include "hash.h"
#include "intent_fits.h"
#include "lww.h"

#define AFTER_HELD_NS NS_PER_MS // many wishes, each 1 us after the one before

static bool targets(const Intent *intent, const Model *model, uint32_t gateway)
{
    const ModelRegion *region = &model->regions[gateway];
    if (strncmp(intent->target, "region:", 7) == 0)
        return strcmp(intent->target + 7, region->name) == 0;
    if (strncmp(intent->target, "cloud:", 6) == 0)
        return strcmp(intent->target + 6, model->clouds[region->cloud].name) == 0;
    return strcmp(intent->target, "fleet") == 0;
}

void wishes_apply(const Model *model, const IntentSet *intents, Wall wall, uint32_t gateway,
                  GatewayFacts *facts)
{
    for (uint32_t i = 0; i < intents->n; i++) {
        const Intent *intent = &intents->items[i];
        if (!intent_is_active(intent, wall) || !targets(intent, model, gateway))
            continue;
        if (intent->kind == INTENT_NEVER)
            facts->state = HEALTH_NEVER;
        else if (intent->kind == INTENT_DRAIN && facts->state != HEALTH_NEVER &&
                 facts->state != HEALTH_DOWN) // drained and dead: dead
            facts->state = HEALTH_DRAINED;
        else if (intent->kind == INTENT_WEIGHT)
            facts->share_ppm = (uint32_t)((uint64_t)facts->share_ppm * intent->value_ppm / PPM_ONE);
    }
}

uint64_t wishes_hash(const IntentSet *intents, Wall wall)
{
    uint64_t hash = HASH_SEED;
    for (uint32_t i = 0; i < intents->n; i++)
        if (intent_is_active(&intents->items[i], wall))
            hash = hash_text(hash_u64(hash, (uint64_t)intents->items[i].stamp),
                             intents->items[i].target);
    return hash;
}

static void record_set(Step *step, const Intent *intent)
{
    const char *about = intent->kind == INTENT_PIN ? intent->region : intent->reason;
    step_record(step, RECORD_INTENT_SET, arena_printf(step->arena, "intent:%s", intent->target),
                arena_printf(step->arena, "%s by %s: %s", intent_kind_name(intent->kind),
                             intent->author, about));
}

// Takes over a new set, which belongs to the step until it succeeds.
static void take(Step *step, IntentSet *set)
{
    if (step->intents != step->core->intents)
        (void)intent_set_free(step->intents);
    step->intents = set;
    step_effect(step,
                &(CoreEffect){.kind = CORE_EFFECT_KEEP_INTENTS, .id = step->state->self.next_id++});
    reports_push(step);
}

// Targets made here must exist; from elsewhere they may belong to another generation.
int wishes_check(const Model *model, const Intent *intent, Error *reterr)
{
    const char *target = intent->target;
    IpPrefix prefix;
    if (strncmp(target, "region:", 7) == 0 && model_find_region(model, target + 7) < 0)
        return error_set(reterr, ERROR_NOT_FOUND, "intent: no region '%s'", target + 7);
    if (strncmp(target, "cloud:", 6) == 0 && model_find_cloud(model, target + 6) < 0)
        return error_set(reterr, ERROR_NOT_FOUND, "intent: no cloud '%s'", target + 6);
    bool is_prefix = strncmp(target, "prefix:", 7) == 0;
    if (is_prefix && ip_prefix_parse(target + 7, &prefix) < 0)
        return error_set(reterr, ERROR_FORMAT, "intent: '%s' is not a prefix", target + 7);
    if (intent->kind == INTENT_PIN && !is_prefix)
        return error_set(reterr, ERROR_FORMAT, "intent: a pin needs a target 'prefix:PREFIX'");
    if (intent->kind == INTENT_PIN && model_find_region(model, intent->region) < 0)
        return error_set(reterr, ERROR_NOT_FOUND, "intent: no region '%s'", intent->region);
    if (intent->kind == INTENT_RESET_FLAPS && strcmp(target, "fleet") != 0)
        return error_set(reterr, ERROR_FORMAT, "intent: reset_flaps needs the target 'fleet'");
    if (is_prefix && intent->kind != INTENT_PIN && intent->kind != INTENT_RELEASE)
        return error_set(reterr, ERROR_FORMAT, "intent: '%s' cannot have a prefix as target",
                         intent_kind_name(intent->kind));
    if (!intent_fits(intent->kind, target))
        return error_set(reterr, ERROR_FORMAT, "intent: '%s' does not go with '%s'",
                         intent_kind_name(intent->kind), target);
    return 0;
}

static int stamp(const Step *step, Intent *intent, Error *reterr)
{
    const Intent *present = intent_set_find(step->intents, intent->kind, intent->target);
    uint32_t origin = step->model->regions[step->tables->own].origin;
    if (intent->stamp != 0)
        return 0; // stamped already, for instance by a test or a replay
    if (step->state->self.clock_refused)
        return error_set(reterr, ERROR_UNAVAILABLE,
                         "intent: this agent's clock is %lld ms off its peers' median",
                         (long long)(step->state->self.clock_offset_ns / NS_PER_MS));
    int r =
        lww_stamp_next(step->wall, present != NULL ? present->stamp : 0, origin, &intent->stamp);
    return r < 0 ? error_set(reterr, r, "intent: no stamp can be made at this time") : 0;
}

int wishes_event(Step *step, const Intent *intent, Error *reterr)
{
    const char *problem;
    Intent wish = *intent;
    int r = intent_check(&wish, &problem);
    if (r < 0)
        return error_set(reterr, r, "intent: %s", problem);
    r = wishes_check(step->model, &wish, reterr);
    if (r == 0)
        r = stamp(step, &wish, reterr);
    if (r < 0)
        return r;
    IntentSet *set;
    r = intent_set_with(step->intents, &wish, 1, step->state->self.wall, true, &set);
    if (r == ERROR_LIMIT)
        return error_set(reterr, r,
                         "intent: %u wishes are in force, that is the limit (BOUND_INTENTS)",
                         (unsigned)step->intents->n);
    if (r < 0)
        return error_set(reterr, r, "intent: out of memory");
    if (set == NULL)
        return error_set(reterr, ERROR_STALE, "intent: a newer one for '%s' is known", wish.target);
    take(step, set);
    record_set(step, &wish);
    return 0;
}

// A stamp that no clock can have made yet. Taken in, it could never be replaced: the next writer
// has to go beyond it, and beyond the last one there is nothing. Both clocks, the writer's and this
// one, may be off by max_skew (a writer that is farther off makes no stamps). The wish is not lost:
// reports repeat it, so an agent whose own clock was behind takes it later. The next one after a
// stamp that is held here already (all clocks were put back since) has been made with any clock.
static bool is_from_the_future(Step *step, const Intent *intent)
{
    Self *self = &step->state->self;
    const Intent *held = intent_set_find(step->intents, intent->kind, intent->target);
    if (held != NULL &&
        lww_stamp_wall(intent->stamp).ns <= lww_stamp_wall(held->stamp).ns + AFTER_HELD_NS)
        return false;
    int64_t ahead = lww_stamp_wall(intent->stamp).ns - self->wall.ns;
    if (self->wall.ns < 0 || ahead <= 2 * step->model->clock_max_skew_ns)
        return false;
    if (intent->stamp > self->future_stamp) {
        self->future_stamp = intent->stamp;
        step_record(step, RECORD_INTENT_REFUSED,
                    arena_printf(step->arena, "intent:%s", intent->target),
                    arena_printf(step->arena,
                                 "%s by %s: its stamp is %lld ms ahead of this clock, at most %lld",
                                 intent_kind_name(intent->kind), intent->author,
                                 (long long)(ahead / NS_PER_MS),
                                 (long long)(2 * step->model->clock_max_skew_ns / NS_PER_MS)));
    }
    return true;
}

void wishes_absorb(Step *step, const Report *report)
{
    Wall wall = step->state->self.wall;
    uint32_t n = 0;
    Intent *news = NULL;
    for (uint32_t i = 0; i < report->n_intents && !step->failed; i++) {
        const Intent *intent = &report->intents[i];
        if (!intent_set_is_news(step->intents, intent, wall) || is_from_the_future(step, intent))
            continue;
        if (news == NULL)
            news = arena_new_array(step->arena, Intent, report->n_intents);
        if (news == NULL) {
            step->failed = true;
            return;
        }
        news[n++] = *intent;
        record_set(step, intent);
    }
    IntentSet *set = NULL;
    if (n == 0)
        return;
    if (intent_set_with(step->intents, news, n, wall, false, &set) < 0)
        step->failed = true;
    else if (set != NULL)
        take(step, set);
}

static void record_expired(Step *step, Wall before)
{
    for (uint32_t i = 0; i < step->intents->n; i++) {
        const Intent *intent = &step->intents->items[i];
        if (intent->kind != INTENT_RELEASE && intent_is_active(intent, before) &&
            !intent_is_active(intent, step->state->self.wall))
            step_record(step, RECORD_INTENT_EXPIRED,
                        arena_printf(step->arena, "intent:%s", intent->target),
                        intent_kind_name(intent->kind));
    }
}

void wishes_advance(Step *step)
{
    Self *self = &step->state->self;
    if (step->intents->n == 0)
        return;
    record_expired(step, step->core->tables->saved.self.wall);
    const Intent *reset = intent_set_find(step->intents, INTENT_RESET_FLAPS, "fleet");
    if (reset != NULL && reset->stamp > self->reset_stamp && intent_is_active(reset, self->wall))
        verdicts_reset_flaps(step, reset->stamp);
}
