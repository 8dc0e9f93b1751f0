// SPDX-License-Identifier: MIT
// fleet_view: the fleet as `status` shows it: the answers of all agents merged into one object
// (contracts section 8), and whether that is healthy.
#pragma once
#include <jansson.h>

#include "agents.h"

// {generation, regions, gateways, intents, alarms}. A region whose agent does not answer has the
// state "unreachable" and nulls. Gateways come from the first agent that answers; agents that see a
// gateway otherwise are named in an alarm. Intents are those in force. NULL: no memory.
json_t *fleet_view_merge(const Conf *conf, const AgentAnswer *answers);
// Asks all agents and merges.
int fleet_view_get(const Context *context, int64_t timeout_ns, json_t **ret_view,
                   Error *reterr) MUST_CHECK;
// Is this region all right: reachable, all replicas up, both classes, and not judged down? `why`
// says what is missing.
bool fleet_view_healthy(const json_t *view, uint32_t region, char *why, size_t size);
bool fleet_view_all_healthy(const json_t *view);
void fleet_view_print_regions(const json_t *view, FILE *file);    // the table alone
void fleet_view_print_intents(const json_t *intents, FILE *file); // nothing without any
void fleet_view_print(const json_t *view, FILE *file);            // and intents, alarms
