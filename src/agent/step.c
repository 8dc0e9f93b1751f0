// SPDX-License-Identifier: MIT
// step: one event into the core, its update out into the world: records first (they explain the
// rest), then the plan, then the effects, then the timer for the next wake.
#include "agent_state.h"
#include "clock.h"
#include "log.h"

static void on_wake(uv_timer_t *timer)
{
    CoreEvent event = {.kind = CORE_EVENT_TICK};
    (void)agent_step(timer->data, &event);
}

// The next TICK. Rounded up to the loop's milliseconds: too early would be a step for nothing.
static void arm(Agent *agent)
{
    if (agent->draining)
        return;
    int64_t left = mono_since(core_next_wake(agent->core), clock_mono());
    if (left > NS_PER_S)
        left = NS_PER_S;
    uint64_t ms = left <= 0 ? 0 : (uint64_t)((left + NS_PER_MS - 1) / NS_PER_MS);
    uv_update_time(agent->loop);
    (void)uv_timer_start(&agent->wake, on_wake, ms, 0);
}

// After a restart the plan that was in use until a moment ago stands until the core knows as much
// as it did before: a plan made from nothing would send clients back to gateways that are down.
void agent_offer_plan(Agent *agent)
{
    Mono now = clock_mono();
    agent->offer_due = now.ns < agent->old_plan_stands.ns;
    if (agent->offer_due)
        return;
    Error err CLEANUP(error_done) = ERROR_INIT;
    if (publisher_offer(agent->publisher, core_plan(agent->core), agent_model(agent), &err) < 0) {
        agent->offer_due = true; // the core says a plan once: the fast timer tries again
        alarm_raise(&agent->alarms, ALARM_PLAN_NOT_WRITTEN, now, error_text(&err));
    }
}

int agent_step_with(Agent *agent, CoreEvent *event, Error *reterr)
{
    if (agent->draining)
        return error_set(reterr, ERROR_UNAVAILABLE, "the agent is ending");
    event->now = clock_mono();
    event->wall = clock_wall();
    recording_add_event(agent->recording, event);
    // An effect may end within the call that starts it: its event is a step inside a step.
    bool nested = agent->depth > 0;
    Arena *arena = nested ? arena_new(STEP_ARENA_BYTES) : agent->step_arena;
    CoreUpdate update = {0};
    int r = arena ? core_step(agent->core, arena, event, &update, reterr) : ERROR_MEMORY;
    agent->steps++;
    metrics_observe(&agent->step_seconds, mono_since(clock_mono(), event->now));
    if (r < 0) {
        agent->step_errors++;
    } else {
        agent->depth++;
        for (uint32_t i = 0; i < update.n_records; i++)
            journal_add(agent, &update.records[i]);
        if (update.plan) {
            agent->plans++;
            recording_add_plan(agent->recording, update.plan, event->now, event->wall);
            agent_offer_plan(agent);
        }
        effects_run(agent, &update);
        agent->depth--;
    }
    if (nested)
        (void)arena_free(arena);
    else
        arena_reset(agent->step_arena);
    arm(agent);
    return r;
}

static void refused(const CoreEvent *event, const Error *err)
{
    static LogLimit limit;
    uint32_t suppressed;
    if (log_allowed(&limit, 5, event->now, &suppressed))
        log_error("core refused an event", "core", LOG_NUMBER("kind", event->kind),
                  LOG_TEXT("error", error_text(err)), LOG_NUMBER("suppressed", suppressed));
}

int agent_step(Agent *agent, CoreEvent *event)
{
    if (agent->draining)
        return 0;
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = agent_step_with(agent, event, &err);
    if (r < 0)
        refused(event, &err);
    return r;
}
