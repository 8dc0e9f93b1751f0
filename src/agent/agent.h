// SPDX-License-Identifier: MIT
// agent: wires the shells of one region to the core: observe (probes, reports, evidence,
// operators), let the core decide, publish the plan, answer people. It decides nothing itself.
// Owner: the caller runs the loop; agent_drain ends everything in order, then the loop runs empty.
#pragma once
#include <uv.h>

#include "error.h"

typedef struct Agent Agent;

typedef struct AgentOptions {
    const char *fleet;  // fleet.yaml
    const char *dir;    // state folder, absolute
    const char *region; // name of the own one
} AgentOptions;

int agent_new(uv_loop_t *loop, const AgentOptions *options, Agent **ret_agent,
              Error *reterr) MUST_CHECK;
// Reads fleet.yaml and the certificates again. A bad file changes nothing but an alarm.
void agent_reload(Agent *agent);
// Publishes nothing new, lets requests end, closes everything; the loop then runs empty.
void agent_drain(Agent *agent);
Agent *agent_free(Agent *agent); // after the loop ran empty; takes NULL, returns NULL
