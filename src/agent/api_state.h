// SPDX-License-Identifier: MIT
// api_state: handlers of the agent's HTTP API, one file per subject. Every handler answers its
// exchange exactly once.
#pragma once
#include "agent_state.h"
#include "json_out.h"
#include "openapi.h"

// Who asks, as nginx verified it; no header: somebody on this machine who may open the socket.
typedef enum ApiRole {
    API_ROLE_NONE, // something else
    API_ROLE_VIEWER,
    API_ROLE_OPERATOR,
    API_ROLE_ADMIN,
    API_ROLE_LOCAL,
    API_ROLE_GATEWAY,
} ApiRole;

// *ret_name is the part behind the colon, or "".
ApiRole api_role(const HttpExchange *exchange, const char **ret_name);
// False: answered with 403 already.
bool api_may_read(HttpExchange *exchange);
// Answers with the buffer's JSON, or 500 when it failed.
void api_answer(HttpExchange *exchange, int status, const Buf *body);
// Names of the classes in a mask, as a list.
void api_put_classes(JsonOut *out, const char *key, uint32_t classes);
HealthState api_gateway_state(const Plan *plan, const char *region);

extern const HttpRoute API_ROUTES[];
extern const size_t API_ROUTES_COUNT;

void api_handle_status(void *context, HttpExchange *exchange);
void api_handle_why(void *context, HttpExchange *exchange);
void api_handle_plan(void *context, HttpExchange *exchange);
void api_handle_metrics(void *context, HttpExchange *exchange);
void api_handle_intents(void *context, HttpExchange *exchange);
void api_handle_new_intent(void *context, HttpExchange *exchange);
void api_handle_preview(void *context, HttpExchange *exchange);
