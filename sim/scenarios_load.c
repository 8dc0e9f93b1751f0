// SPDX-License-Identifier: MIT
// scenarios_load: clients who follow the plans, gateways that are queues: what a verdict does to
// the load of the others. Shares are of the whole fleet's capacity.
#include "scenarios.h"

#define PERCENT 10000
// Clients from `from` to `until`: offered to the fullest gateway, shed, failed, in per cent.
#define LOAD(from, until, load, shed, failed)                                                      \
    {                                                                                              \
        .from_ms = (from), .until_ms = (until), .who = ALL, .care = SIM_MASK_NONE,                 \
        .max_load_ppm = (load)*PERCENT, .max_shed_ppm = (shed)*PERCENT,                            \
        .max_failed_ppm = (failed)*PERCENT                                                         \
    }

const SimScenario SIM_SCENARIOS_LOAD[] = {
    {.name = "load-quiet",
     .text = "clients at 60 % of capacity, nothing happens: no gateway is full",
     .run_ms = 120000,
     .clients_ppm = 60 * PERCENT,
     .expects = {NEVER_HELD(ALL, 120000), LOAD(0, 120000, 100, 1, 1)},
     .calm_at_end = true},
    {.name = "load-gateway-refuses",
     .text = "a gateway is killed: clients try again elsewhere, none fails",
     .run_ms = 90000,
     .clients_ppm = 60 * PERCENT,
     .faults = {FAULT(FAULT_REFUSE, R(1), 0, 30000)},
     .expects = {HELD(1000, 32000, ALL, R(1)), LOAD(-5000, 0, 100, 1, 1),
                 LOAD(5000, 90000, 110, 1, 1)},
     .calm_at_end = true},
    {.name = "load-cloud-dead",
     .text = "a cloud dies at 60 % of capacity: the rest carries all, nobody above 110 %",
     .run_ms = 120000,
     .clients_ppm = 60 * PERCENT,
     .faults = {GONE(C(0), 0, 40000)},
     .expects = {HELD(2400, 40000, ALL & ~C(0), C(0)), LOAD(6000, 40000, 110, 1, 1)},
     .calm_at_end = true},
    {.name = "overload-cloud-dead",
     .text = "a cloud dies at 80 %: what does not fit is spread and shed, no other one falls",
     .run_ms = 150000,
     .clients_ppm = 80 * PERCENT,
     .faults = {GONE(C(0), 0, 60000)},
     .expects = {HELD(2400, 60000, ALL & ~C(0), C(0)), LOAD(6000, 60000, 125, 20, 1),
                 HELD(80000, 150000, ALL, 0)},
     .live = true},
    {.name = "overload-cascade",
     .text = "the same where even probes wait in the queues: slow ones are not taken down",
     .run_ms = 150000,
     .clients_ppm = 80 * PERCENT,
     .queued_probes = true,
     .faults = {GONE(C(0), 0, 60000)},
     .expects = {{.from_ms = -10000, .until_ms = 150000, .who = ALL, .care = ALL & ~C(0)},
                 {.from_ms = 4000,
                  .until_ms = 60000,
                  .who = ALL & ~C(0),
                  .care = ALL & ~C(0),
                  .last = C(0)},
                 LOAD(6000, 60000, 135, 25, 1)},
     .live = true},
    {.name = "load-database-down",
     .text = "a region's replicas do not answer: its users are served elsewhere, it is not held",
     .run_ms = 90000,
     .clients_ppm = 60 * PERCENT,
     .faults = {FAULT(FAULT_REPLICA, R(3), 0, 30000)},
     .expects = {NEVER_HELD(ALL, 90000), LOAD(5000, 30000, 110, 1, 1)},
     .calm_at_end = true},
    {.name = "load-stale-readers",
     .text = "a cloud dies and one region's DNS and edge never learn it: its clients try again",
     .run_ms = 120000,
     .clients_ppm = 50 * PERCENT,
     .faults = {GONE(C(0), 0, 40000), FAULT(FAULT_STALE, R(3), -5000, 60000)},
     .expects = {LOAD(6000, 40000, 110, 1, 1)},
     .calm_at_end = true},
    {.name = "load-two-clouds-dead",
     .text = "two clouds die at 30 %: no verdict, but live gateways stand first and carry all",
     .run_ms = 120000,
     .clients_ppm = 30 * PERCENT,
     .faults = {GONE(C(0) | C(1), 0, 40000)},
     .expects = {{.from_ms = 2500, .until_ms = 40000, .who = C(2), .last = C(0) | C(1)},
                 LOAD(6000, 40000, 110, 1, 1)},
     .calm_at_end = true},
    {.name = "load-users-errors-50",
     .text = "half of one region's users get errors, seen by its own edge alone: no one condemns",
     .run_ms = 120000,
     .clients_ppm = 60 * PERCENT,
     .faults = {WITH(FAULT_USERS, R(1), 500000, 0, 60000)},
     .expects = {NEVER_HELD(ALL, 120000)},
     .live = true},
};

const size_t SIM_N_LOAD = ARRAY_SIZE(SIM_SCENARIOS_LOAD);
