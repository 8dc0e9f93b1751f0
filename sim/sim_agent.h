// SPDX-License-Identifier: MIT
// sim_agent: one region's core and the shells around it; inner header of sim_fleet.
#pragma once
#include "sim_fleet.h"

int sim_agent_start(SimFleet *fleet, uint32_t agent, Error *reterr) MUST_CHECK;
void sim_agent_stop(SimFleet *fleet, uint32_t agent);
// Steps the core (the event's times are set here), checks it, carries out its effects.
int sim_agent_event(SimFleet *fleet, uint32_t agent, CoreEvent event, Error *reterr) MUST_CHECK;
// A peer's report arrives; the response goes back at response_ns (0: it was the response).
int sim_agent_report(SimFleet *fleet, uint32_t agent, uint32_t peer, const SimMessage *message,
                     int64_t response_ns, Error *reterr) MUST_CHECK;
// Plans the event, or what chaos makes of it. Takes over the message.
int sim_agent_plan(SimFleet *fleet, SimEvent event, Error *reterr) MUST_CHECK;
