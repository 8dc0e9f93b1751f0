// SPDX-License-Identifier: MIT
// sim_fault_kind: see sim_fault_kind.h.
#include "sim_fault_kind.h"

#include <inttypes.h>

#define HOUR_NS (3600 * NS_PER_S)

const SimFaultRow SIM_FAULT_ROWS[FAULT_MAX] = {
    [FAULT_REFUSE] = {.name = "refuse", .text = "gateways are killed: connections are refused"},
    [FAULT_HANG] = {.name = "hang",
                    .text = "gateways are stopped: the kernel still accepts, nothing answers"},
    [FAULT_DEAD] = {.name = "dead", .text = "the gateways' machines are gone: silence"},
    [FAULT_ERRORS] = {.name = "errors",
                      .text = "gateways answer 500, to a share of probes and users alike",
                      .value = SIM_VALUE_SHARE,
                      .optional = true,
                      .max = PPM_ONE},
    [FAULT_PROBES] = {.name = "probes",
                      .text = "gateways give probes a wrong answer, users are served"},
    [FAULT_SLOW] = {.name = "slow",
                    .text =
                        "gateways answer later and later, 0.3 s more every second, up to `time`",
                    .value = SIM_VALUE_TIME,
                    .max = 60 * NS_PER_S},
    [FAULT_LOSS] = {.name = "loss",
                    .text = "packets between regions are lost; a share of 100 % is a cut",
                    .value = SIM_VALUE_SHARE,
                    .to = true,
                    .max = PPM_ONE},
    [FAULT_FREEZE] = {.name = "freeze", .text = "agents stand still, then go on"},
    [FAULT_RESTART] = {.name = "restart",
                       .text = "agents are killed, and started again at the end"},
    [FAULT_CLOCK] = {.name = "clock",
                     .text = "agents' wall clocks are off by `time`",
                     .value = SIM_VALUE_CLOCK,
                     .max = 24 * HOUR_NS},
    [FAULT_REPLICA] = {.name = "replica", .text = "the regions' own replicas do not answer"},
    [FAULT_USERS] = {.name = "users",
                     .text = "a share of users' requests gets a 500, probes are served",
                     .value = SIM_VALUE_SHARE,
                     .max = PPM_ONE},
    [FAULT_DELAY] = {.name = "delay",
                     .text = "packets between regions come `time` later, give or take `jitter`",
                     .value = SIM_VALUE_TIME,
                     .to = true,
                     .max = 10 * NS_PER_S},
    [FAULT_LIE] = {.name = "lie",
                   .text = "agents lie about gateways in their reports",
                   .value = SIM_VALUE_LIE,
                   .to = true},
    [FAULT_LAG] = {.name = "lag",
                   .text = "agents' reports leave `time` late",
                   .value = SIM_VALUE_TIME,
                   .max = 60 * NS_PER_S},
    [FAULT_OLD] = {.name = "old",
                   .text =
                       "agents are killed, and started at the end with the disk of `time` before",
                   .value = SIM_VALUE_TIME,
                   .max = HOUR_NS},
    [FAULT_STALE] = {.name = "stale",
                     .text = "DNS and edge of regions keep the plan that they had"},
    [FAULT_CHAOS] = {.name = "chaos",
                     .text = "a share of what comes to agents is lost, late or doubled",
                     .value = SIM_VALUE_SHARE,
                     .max = PPM_ONE},
    [FAULT_PROBE_LOSS] = {.name = "probe-loss",
                          .text = "a share of agents' probes goes nowhere",
                          .value = SIM_VALUE_SHARE,
                          .max = PPM_ONE},
};

const char *const SIM_FAULT_NAMES[FAULT_MAX + 1] = {
    "refuse", "hang",    "dead",  "errors",  "probes",     "slow",  "loss",
    "freeze", "restart", "clock", "replica", "users",      "delay", "lie",
    "lag",    "old",     "stale", "chaos",   "probe-loss",
};
const char *const SIM_LIE_NAMES[SIM_LIE_MAX + 1] = {"down", "up", "nonsense", "forge"};

static bool is_whole_cloud(uint32_t mask, const Model *model, uint32_t region, uint32_t *ret_cloud)
{
    uint32_t cloud = 0, n = 0;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        if (model->regions[i].cloud == model->regions[region].cloud) {
            cloud |= SIM_ONE(i);
            n++;
        }
    }
    *ret_cloud = cloud;
    return n > 1 && (mask & cloud) == cloud;
}

void sim_mask_tell(uint32_t mask, const Model *model, const char *between, Buf *text)
{
    mask &= sim_world_all(model);
    if (mask == sim_world_all(model)) {
        buf_add_text(text, "all");
        return;
    }
    bool first = true;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        uint32_t cloud;
        if ((mask >> i & 1) == 0)
            continue;
        bool whole = is_whole_cloud(mask, model, i, &cloud);
        buf_printf(text, "%s%s", first ? "" : between,
                   whole ? model->clouds[model->regions[i].cloud].name : model->regions[i].name);
        first = false;
        if (whole)
            mask &= ~cloud;
    }
}

void sim_fault_tell(const SimFault *fault, const Model *model, Buf *text)
{
    const SimFaultRow *row = &SIM_FAULT_ROWS[fault->kind];
    buf_printf(text, "%s  ", row->name);
    sim_mask_tell(fault->a, model, ", ", text);
    if (row->to) {
        buf_add_text(text, fault->kind == FAULT_LIE ? " about " : fault->both ? " <-> " : " -> ");
        sim_mask_tell(fault->b & sim_world_all(model), model, ", ", text);
    }
    if (row->value == SIM_VALUE_SHARE && fault->value > 0)
        buf_printf(text, ", %" PRId64 ".%04" PRId64 " %%", fault->value / 10000,
                   fault->value % 10000);
    else if (row->value == SIM_VALUE_TIME || row->value == SIM_VALUE_CLOCK)
        buf_printf(text, ", %" PRId64 " ms", fault->value / NS_PER_MS);
    else if (row->value == SIM_VALUE_LIE)
        buf_printf(text, ", %s", SIM_LIE_NAMES[fault->value]);
}
