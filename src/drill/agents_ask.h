// SPDX-License-Identifier: MIT
// agents_ask: what a drill asks the fleet's agents at their own sockets: to take a wish, and which
// wishes they have.
#pragma once
#include <stdint.h>

#include "error.h"
#include "model.h"

#define AGENTS_MAX 64

// JSON of POST /v1/intents, to the first agent of the mask that takes it.
int agents_wish(const char *dir, const Model *model, uint64_t regions, const char *json,
                Error *reterr) MUST_CHECK;

typedef struct AgentWishes {
    bool answered;
    uint64_t digest; // of all of them, whatever their order
    uint32_t n_own;  // by author "drill", still in force
} AgentWishes;

// Every agent at once; one that does not answer within two seconds has answered = false.
int agents_wishes(const char *dir, const Model *model, AgentWishes ret_wishes[AGENTS_MAX],
                  Error *reterr) MUST_CHECK;
// Median round trip of the probes to a gateway (region index), the middle one of what the other
// regions' agents measured. ERROR_UNAVAILABLE when none has.
int agents_p50(const char *dir, const Model *model, uint32_t gateway, int64_t *ret_ns,
               Error *reterr) MUST_CHECK;
// Pure: one answer of GET /v1/status; 0: nothing measured.
int64_t agents_read_p50(const char *json, size_t len, const char *gateway);
// Pure: one answer of GET /v1/intents.
void agents_read_wishes(const char *json, size_t len, AgentWishes *ret_wishes);
