// SPDX-License-Identifier: MIT
// agents: one HTTP request to the agents' UNIX sockets, all regions at once.
#pragma once
#include <jansson.h>

#include "context.h"

typedef struct AgentAnswer {
    int status;   // 0: no answer
    json_t *body; // NULL: none, or not JSON
    char *text;   // what is not JSON; NULL: none
    char error[160];
} AgentAnswer;

typedef struct AgentRequest {
    const char *method; // NULL: GET
    const char *path;
    const char *body;
    int64_t timeout_ns;
    const char *socket; // NULL: "agent.sock"
} AgentRequest;

// answers[model.n_regions]; region -1: all, else only that one is asked. Fails only when asking
// itself is impossible; an agent that does not answer has status 0.
int agents_ask(const Context *context, int region, const AgentRequest *request,
               AgentAnswer *answers, Error *reterr) MUST_CHECK;
void agents_done(AgentAnswer *answers, uint32_t n);
// What one agent answers as text, malloced; ERROR_UNAVAILABLE for anything but 200.
int agents_get_text(const Context *context, uint32_t region, const char *path, int64_t timeout_ns,
                    char **ret_text, Error *reterr) MUST_CHECK;
// The message of an error body {"error": {"message": ...}}, or the error's text.
const char *agents_message(const AgentAnswer *answer);
