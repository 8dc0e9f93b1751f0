// SPDX-License-Identifier: MIT
// sim_liveness: see sim_liveness.h.
#include "sim_liveness.h"

// Votes in flight, an agent that was alone (4 s) or starts (3 s), reports that came late.
#define SETTLE_NS (15 * NS_PER_S)
#define LONG_WINDOW_NS (60 * NS_PER_S) // of the error rate: may condemn so long afterwards
#define SLACK_NS (15 * NS_PER_S)
#define LOOK_NS NS_PER_S

static int run_until(SimFleet *fleet, int64_t end_ns, Error *reterr)
{
    int r = 1;
    while (r > 0)
        r = sim_fleet_step(fleet, end_ns, reterr);
    return r;
}

static int longest_hold(SimFleet *fleet, int64_t *ret_ns, Error *reterr)
{
    *ret_ns = 0;
    for (uint32_t i = 0; i < fleet->model->n_regions; i++) {
        const SimAgent *agent = &fleet->agents[i];
        for (uint32_t g = 0; agent->core != NULL && g < fleet->model->n_regions; g++) {
            CoreGatewayStatus status;
            arena_reset(fleet->arena);
            int r = core_gateway_status(agent->core, fleet->arena, g, sim_agent_mono(fleet, i),
                                        &status);
            if (r < 0)
                return error_set(reterr, r, "status of a gateway");
            if (status.held && status.hold_left_ns > *ret_ns)
                *ret_ns = status.hold_left_ns;
        }
    }
    return 0;
}

static int64_t settled(const SimFleet *fleet, int64_t end_ns)
{
    for (size_t i = 0; i < fleet->world.n_faults; i++) {
        SimFaultKind kind = fleet->world.faults[i].kind;
        if (kind == FAULT_ERRORS || kind == FAULT_USERS)
            return end_ns + SETTLE_NS + LONG_WINDOW_NS;
    }
    return end_ns + SETTLE_NS;
}

int sim_liveness(SimFleet *fleet, int64_t end_ns, Error *reterr)
{
    const ModelHealth *health = &fleet->model->health;
    int64_t hold_ns, from_ns = settled(fleet, end_ns);
    int r = from_ns > fleet->now_ns ? run_until(fleet, from_ns, reterr) : 0;
    if (r >= 0)
        r = longest_hold(fleet, &hold_ns, reterr);
    if (r < 0)
        return r;
    int64_t limit_ns = fleet->now_ns + hold_ns + health->up_time_ns +
                       (int64_t)ARRAY_SIZE(health->return_steps_ppm) * health->return_step_ns +
                       SLACK_NS;
    while (sim_fleet_check_calm(fleet, NULL) < 0 && fleet->now_ns < limit_ns)
        if ((r = run_until(fleet, fleet->now_ns + LOOK_NS, reterr)) < 0)
            return r;
    r = sim_fleet_check_calm(fleet, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "liveness: %.1f s after the last fault",
                          (double)(fleet->now_ns - end_ns) / (double)NS_PER_S);
    return 0;
}
