// SPDX-License-Identifier: MIT
// fault_message: what goes over the keeper's socket, one SOCK_SEQPACKET message each way. Pure.
//   request: number, verb, id, kind, a, b, one_way, port, value, program
//   answer:  number of the request, code, id, text of the error
// A number goes with each request, so that an answer that came too late is not taken for another.
#pragma once
#include "fault_kind.h"

typedef enum FaultVerb {
    FAULT_VERB_PREPARE,
    FAULT_VERB_BEGIN,
    FAULT_VERB_CHANGE,
    FAULT_VERB_END,
    FAULT_VERB_UNDO,
    FAULT_VERB_HEAL, // everything, then the keeper ends
    FAULT_VERB_MAX,
} FaultVerb;

#define FAULT_MESSAGE_MAX 4096

typedef struct FaultRequest {
    uint32_t number;
    FaultVerb verb;
    uint32_t id;
    Fault fault; // of PREPARE; CHANGE: its value. When decoded, `program` points to the copy below
    char program[FAULT_PROGRAM_MAX];
} FaultRequest;

#define FAULT_ANSWER_AT_IT 1 // as code: no answer yet, but it goes on

typedef struct FaultAnswer {
    uint32_t number;
    int code;
    uint32_t id;
    char text[FAULT_MESSAGE_MAX - 16]; // cut when longer, with "..." at its end
} FaultAnswer;

// The length; a program's name that is too long makes it 0.
size_t fault_request_encode(const FaultRequest *request, unsigned char bytes[FAULT_MESSAGE_MAX]);
int fault_request_decode(const unsigned char *bytes, size_t len,
                         FaultRequest *ret_request) MUST_CHECK;
size_t fault_answer_encode(const FaultAnswer *answer, unsigned char bytes[FAULT_MESSAGE_MAX]);
int fault_answer_decode(const unsigned char *bytes, size_t len, FaultAnswer *ret_answer) MUST_CHECK;
void fault_answer_set_text(FaultAnswer *answer, const char *text);
