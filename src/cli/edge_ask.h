// SPDX-License-Identifier: MIT
// edge_ask: what a gateway answers to its health question, asked as a client would: over HTTPS, on
// a fresh connection, checked against the fleet's CA.
#pragma once
#include "context.h"

#define EDGE_ASK_TEXT 64

typedef struct EdgeAnswer {
    int status;                 // 0: none
    char config[EDGE_ASK_TEXT]; // header Wildcam-Config; ""
    char error[160];
} EdgeAnswer;

// 0 also when the gateway does not answer (status 0); fails when asking itself is impossible.
int edge_ask_health(const Context *context, uint32_t region, int64_t timeout_ns,
                    EdgeAnswer *ret_answer, Error *reterr) MUST_CHECK;
