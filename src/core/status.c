// SPDX-License-Identifier: MIT
// status: the core's state as values for people. Reads only.
#include <inttypes.h>

#include "core_state.h"

static const char *reason(const Core *core, Arena *arena, uint32_t gateway, const Tally *tally,
                          Mono now)
{
    static const char *const causes[] = {
        [VERDICT_CAUSE_NONE] = "",
        [VERDICT_CAUSE_VOTES] = "by votes",
        [VERDICT_CAUSE_ERRORS] = "for errors",
        [VERDICT_CAUSE_ADOPTED] = "as the peers do",
    };
    const Tables *tables = core->tables;
    const Verdict *verdict = &tables->live.verdicts[gateway];
    if (verdict->held)
        return arena_printf(arena,
                            "held down %s for %" PRId64 " ms, flap %" PRIu32 "; now up %" PRIu32
                            ", down %" PRIu32 " of %" PRIu32 " fresh votes",
                            causes[verdict->cause], mono_since(now, verdict->since) / NS_PER_MS,
                            verdict->flaps, tally->up, tally->down_all, tally->fresh);
    const char *note = "";
    if (verdict->suspect)
        note = ": goes last, without a verdict";
    else if (verdict->shed)
        note = ": gets half its share";
    else if (verdict->step < RETURN_STEPS - 1)
        note = ": returns in steps";
    return arena_printf(arena, "up %" PRIu32 ", down %" PRIu32 " of %" PRIu32 " fresh votes%s",
                        tally->up, tally->down_all, tally->fresh, note);
}

static void fill_peer(const Tables *tables, uint32_t gateway, Mono now, CoreGatewayStatus *status)
{
    const Peer *peer = &tables->live.peers[gateway];
    const View *view = &tables->live.views[gateway];
    status->clock_offset_ns = peer->offset_known ? peer->clock_offset_ns : 0;
    status->report_age_ns = view->have ? mono_since(now, view->born) : AGE_NEVER;
    status->plan_number = peer->plan_number;
    status->plan_fleet_digest = peer->plan_fleet_digest;
    status->generation = peer->generation;
    status->config_hash = peer->config_hash;
    status->load_rps = peer->load_rps;
    status->replicas_want = peer->replicas_want;
    status->replicas_up = peer->replicas_up;
}

static void fill_own(const Core *core, CoreGatewayStatus *status)
{
    const Tables *tables = core->tables;
    const Plan *plan = core_plan(core);
    status->clock_offset_ns = 0;
    status->report_age_ns = 0;
    status->plan_number = plan->number;
    status->plan_fleet_digest = plan->fleet_digest;
    status->generation = tables->model->generation;
    status->config_hash = tables->model->config_hash;
    status->load_rps = tables->live.self.load_rps;
    status->replicas_want = tables->model->regions[tables->own].replicas;
    status->replicas_up = 0;
    for (uint32_t i = 0; i < tables->n_replicas; i++)
        status->replicas_up += tables->live.replicas[i].state == HEALTH_UP;
}

int core_gateway_status(const Core *core, Arena *arena, uint32_t gateway, Mono now,
                        CoreGatewayStatus *ret_status)
{
    const Tables *tables = core->tables;
    if (gateway >= tables->model->n_regions)
        return ERROR_RANGE;
    now = mono_max(now, tables->live.self.now);
    const Verdict *verdict = &tables->live.verdicts[gateway];
    const Path *path = &tables->live.paths[gateway];
    const PlanGateway *planned = &core_plan(core)->gateways[gateway];
    Tally tally;
    Fresh fresh;
    views_find_fresh(tables, now, &fresh);
    views_tally(tables, &fresh, gateway, &tally);
    int64_t hold = verdict_hold_ns(verdict->flaps, &tables->model->health);
    int64_t left = verdict->held ? hold - mono_since(now, verdict->since) : 0;
    CoreGatewayStatus status = {
        .held = verdict->held,
        .state = planned->state == HEALTH_UNKNOWN && verdict->seen_up ? HEALTH_UP : planned->state,
        .up = tally.up,
        .down = tally.down_all,
        .unknown = tally.fresh - tally.up - tally.down_all,
        .flaps = verdict->flaps,
        .since_ns = mono_since(now, verdict->since),
        .hold_left_ns = left > 0 ? left : 0,
        .share_ppm = planned->share_ppm,
        .classes = planned->classes,
        .own_vote = path_vote(path, &tables->model->health, now),
        .own_streak = path->streak,
        .p50_us = path->p50_us,
        .p99_us = path->p99_us,
        .slow = verdict->slow,
        .reason = reason(core, arena, gateway, &tally, now),
    };
    if (gateway == tables->own)
        fill_own(core, &status);
    else
        fill_peer(tables, gateway, now, &status);
    if (status.reason == NULL)
        return ERROR_MEMORY;
    *ret_status = status;
    return 0;
}

CoreSelfStatus core_self_status(const Core *core, Mono now)
{
    const Tables *tables = core->tables;
    const Self *self = &tables->live.self;
    CoreSelfStatus status = {.sick = self->sick,
                             .alone = self->alone,
                             .clock_offset_ns = self->clock_offset_ns,
                             .clock_refused = self->clock_refused};
    now = mono_max(now, self->now);
    Fresh fresh;
    views_find_fresh(tables, now, &fresh);
    status.fresh = fresh.n;
    return status;
}
