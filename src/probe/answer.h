// SPDX-License-Identifier: MIT
// answer: the one small HTTP/1.1 answer that a prober reads: status line, headers, a body of a few
// bytes with its length stated. Pure, so that it is fuzzed. Chunked answers are refused: nginx's
// `return 200` never sends one, so whoever does is not our health location.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define PROBE_ANSWER_MAX 4096 // headers and body; ours has about 200 bytes

typedef struct ProbeAnswer {
    int status;
    bool ok;        // status 200 and the body "ok", with or without its line feed
    bool close;     // the server says that it closes the connection after this answer
    bool until_end; // no length was stated: the body ends with the connection
    size_t len;     // bytes of the whole answer; what follows belongs to nobody
} ProbeAnswer;

// 1 when the answer is complete, 0 when more bytes are needed, -1 when it is none or too long.
// `ended`: the connection ended behind these bytes, so a body without a length is complete.
int probe_answer_parse(const char *bytes, size_t len, bool ended, ProbeAnswer *ret_answer);
