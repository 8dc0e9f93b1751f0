// SPDX-License-Identifier: MIT
// probing: the own paths to every gateway within a step.
#include <inttypes.h>

#include "core_state.h"

void probing_loop_gap(Step *step)
{
    const ModelHealth *health = &step->model->health;
    Self *self = &step->state->self;
    int64_t gap = mono_since(step->now, self->now);
    if (gap <= health->loop_gap_ns)
        return;
    // Timers run before sockets: after a freeze every deadline fires although the answers lie in
    // the buffers. So nothing from before it counts.
    for (uint32_t g = 0; g < step->model->n_regions; g++)
        path_forget(&step->state->paths[g], health, step->now, gap);
    for (uint32_t i = 0; i < step->tables->n_replicas; i++)
        step->state->replicas[i].id = 0;
    step_record(step, RECORD_LOOP_GAP, "self",
                arena_printf(step->arena, "no event for %" PRId64 " ms", gap / NS_PER_MS));
}

void probing_event(Step *step, const CoreEvent *event)
{
    const ModelHealth *health = &step->model->health;
    Path *path = &step->state->paths[event->gateway];
    if (event->kind == CORE_EVENT_PROBE_ANSWERED)
        path_answered(path, health, event->id, step->now);
    else if (event->kind == CORE_EVENT_PROBE_FAILED)
        path_failed(path, health, event->id, step->now);
    else
        path_idle_closed(path, health, step->now);
}

void probing_edge(Step *step, const CoreEventEdge *edge)
{
    Path *path = &step->state->paths[edge->gateway];
    uint32_t n = edge->successes > UINT32_MAX - edge->failures ? UINT32_MAX
                                                               : edge->successes + edge->failures;
    if (n > 0)
        window_add(&path->window, n, edge->failures, step->now);
    if (edge->any_success && edge->success_sent.ns <= step->now.ns) {
        path->edge_known = true;
        path->edge_success = mono_max(path->edge_success, edge->success_sent);
    }
    if (edge->gateway != step->tables->own)
        return;
    step->state->self.load_rps = edge->load_rps;
    if (n > 0)
        window_add(&step->state->self.served, n, edge->failures, step->now);
}

void probing_advance(Step *step)
{
    const ModelHealth *health = &step->model->health;
    Self *self = &step->state->self;
    for (uint32_t g = 0; g < step->model->n_regions; g++) {
        Path *path = &step->state->paths[g];
        Probe probe;
        path_expire(path, health, step->now);
        window_advance(&path->window, step->now);
        if (path_send(path, health, &self->rng, self->next_id, step->now, &probe)) {
            self->next_id++;
            step_effect(step, &(CoreEffect){.kind = CORE_EFFECT_PROBE,
                                            .id = probe.id,
                                            .gateway = g,
                                            .hedge_ns = health->hedge_ns,
                                            .give_up_ns = health->slow_ns});
        }
    }
}
