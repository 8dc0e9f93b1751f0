// SPDX-License-Identifier: MIT
// replicas: the own backend processes, judged by this agent alone. Simple thresholds: the first
// result decides, then two failures in a row take a replica out and two successes bring it back.
// The edge ejects within one request by its own evidence; this is the slower, calmer view.
#include "core_state.h"

#define REPLICA_FAILURES 2
#define REPLICA_SUCCESSES 2

static void changed(Step *step, uint32_t index, HealthState state, const char *why)
{
    step->state->replicas[index].state = state;
    step_record(step, RECORD_REPLICA_CHANGED,
                arena_printf(step->arena, "replica:%s", step->core->replica_names[index]),
                arena_printf(step->arena, "%s: %s", health_state_name(state), why));
}

static void answered(Step *step, uint32_t index, uint32_t classes)
{
    Replica *replica = &step->state->replicas[index];
    replica->failures = 0;
    replica->successes += replica->successes < UINT32_MAX;
    replica->classes = classes & CLASS_MASK_ALL;
    if (replica->state == HEALTH_UNKNOWN)
        changed(step, index, HEALTH_UP, "first answer");
    else if (replica->state == HEALTH_DOWN && replica->successes >= REPLICA_SUCCESSES)
        changed(step, index, HEALTH_UP, "answers again");
}

static void failed(Step *step, uint32_t index)
{
    Replica *replica = &step->state->replicas[index];
    replica->successes = 0;
    replica->failures += replica->failures < UINT32_MAX;
    if (replica->state == HEALTH_UNKNOWN)
        changed(step, index, HEALTH_DOWN, "first probe failed");
    else if (replica->state == HEALTH_UP && replica->failures >= REPLICA_FAILURES)
        changed(step, index, HEALTH_DOWN, "two probes failed");
    int64_t soon = step->model->health.probe_fast_ns;
    replica->next = mono_min(replica->next, mono_add(step->now, soon));
}

void replicas_event(Step *step, const CoreEvent *event)
{
    const CoreEventReplica *result = &event->u.replica;
    Replica *replica = &step->state->replicas[result->replica];
    if (replica->id == 0 || (event->id != 0 && event->id != replica->id))
        return; // late or doubled
    replica->id = 0;
    replica->probed = true;
    if (result->answered)
        answered(step, result->replica, result->classes);
    else
        failed(step, result->replica);
}

void replicas_advance(Step *step)
{
    const ModelHealth *health = &step->model->health;
    Self *self = &step->state->self;
    for (uint32_t i = 0; i < step->tables->n_replicas; i++) {
        Replica *replica = &step->state->replicas[i];
        if (replica->id != 0 && step->now.ns >= replica->deadline.ns) {
            replica->id = 0;
            replica->probed = true;
            failed(step, i);
        }
        if (replica->id != 0 || step->now.ns < replica->next.ns)
            continue;
        replica->id = self->next_id++;
        replica->deadline = mono_add(step->now, health->deadline_min_ns);
        replica->next = mono_add(step->now, replica->failures > 0 ? health->probe_fast_ns
                                                                  : health->probe_interval_ns);
        step_effect(step, &(CoreEffect){.kind = CORE_EFFECT_REPLICA,
                                        .id = replica->id,
                                        .gateway = i,
                                        .give_up_ns = health->deadline_min_ns});
    }
}
