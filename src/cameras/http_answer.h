// SPDX-License-Identifier: MIT
// http_answer: reads one HTTP/1.1 answer piece by piece. Pure. Strict where cutting an answer at
// the wrong place would mix two (both lengths, bad numbers: refused), deaf for everything else: it
// keeps the status, whether the connection ends, which region answered, whether it shed the
// request, and the first bytes of the body.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bounds.h"

#define HTTP_ANSWER_LINE 2048
#define HTTP_ANSWER_HEADERS 65536 // bytes of all headers
#define HTTP_ANSWER_BODY 1024     // kept of the body; more is counted only

typedef enum HttpAnswerState {
    HTTP_ANSWER_STATUS,
    HTTP_ANSWER_HEADER,
    HTTP_ANSWER_FIXED,
    HTTP_ANSWER_CHUNK_SIZE,
    HTTP_ANSWER_CHUNK,
    HTTP_ANSWER_CHUNK_END,
    HTTP_ANSWER_TRAILER,
    HTTP_ANSWER_TO_END, // the body ends with the connection
    HTTP_ANSWER_DONE,
    HTTP_ANSWER_BAD,
} HttpAnswerState;

typedef struct HttpAnswer {
    HttpAnswerState state;
    int status;
    bool close; // the connection carries no further request
    bool chunked, has_length;
    bool retry_after, shed; // headers Retry-After and Wildcam-Shed are there
    uint64_t left;          // of the body or chunk
    size_t header_bytes;
    char line[HTTP_ANSWER_LINE];
    size_t line_len;
    char region[BOUND_NAME + 1]; // Wildcam-Region
    char body[HTTP_ANSWER_BODY + 1];
    size_t body_len;
} HttpAnswer;

void http_answer_begin(HttpAnswer *answer);
// Bytes that arrived. Returns how many belong to this answer; fewer than `len` only once it is done
// (or bad): then the peer says more than it was asked for.
size_t http_answer_feed(HttpAnswer *answer, const char *bytes, size_t len);
// The connection has ended; true if that is how this answer ends.
bool http_answer_end(HttpAnswer *answer);
