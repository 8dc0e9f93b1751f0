// SPDX-License-Identifier: MIT
// planet: a handful of cores, a network between them and a script, in virtual time. Small on
// purpose: no packet loss, fixed round trips; what breaks is said by the test. (The large random
// one is in sim/.) Same calls, same run.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "fixture.h"

#define PLANET_MAX 8

typedef enum GatewayFault {
    GATEWAY_OK,
    GATEWAY_REFUSES, // killed: connections are refused and closed
    GATEWAY_HANGS,   // silent
} GatewayFault;

typedef struct Planet Planet;

Planet *planet_new(const Fixture *fixture);
void planet_free(Planet *planet);
int64_t planet_now_ms(const Planet *planet);
void planet_run(Planet *planet, int64_t ms); // by so long
void planet_gateway(Planet *planet, uint32_t gateway, GatewayFault fault);
void planet_slow(Planet *planet, uint32_t gateway, int64_t ms);        // answers come so much later
void planet_cut(Planet *planet, uint32_t from, uint32_t to, bool cut); // one way
void planet_rtt(Planet *planet, int64_t ms);                           // between any two regions
void planet_agent_stop(Planet *planet, uint32_t agent);                // gone, with all it knew
void planet_agent_start(Planet *planet, uint32_t agent);
void planet_agent_freeze(Planet *planet, uint32_t agent, int64_t ms);
void planet_region(Planet *planet, uint32_t region, bool alive); // gateway silent and agent gone
// What the own edge of `agent` sees of `gateway` from now on, per second. `errors` fail.
void planet_traffic(Planet *planet, uint32_t agent, uint32_t gateway, uint32_t per_s,
                    uint32_t errors);
void planet_replica_classes(Planet *planet, uint32_t region, uint32_t classes);
void planet_wall_offset(Planet *planet, uint32_t agent, int64_t ms);
void planet_intent(Planet *planet, uint32_t agent, const Intent *intent); // must succeed
Core *planet_core(Planet *planet, uint32_t agent);                        // NULL while it is gone
bool planet_held(const Planet *planet, uint32_t agent, uint32_t gateway);
// Mask of the gateways that `agent` holds down; 0 for one that is gone.
uint32_t planet_held_mask(const Planet *planet, uint32_t agent);
// Every agent's transitions into or out of "held" since the start.
uint32_t planet_transitions(const Planet *planet);
uint32_t planet_records(const Planet *planet, RecordKind kind); // of all agents
uint64_t planet_digest(const Planet *planet);                   // over every update so far
