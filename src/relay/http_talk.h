// SPDX-License-Identifier: MIT
// http_talk: one kept HTTP/1.1 connection between nginx and a replica as the relay sees it, without
// sockets: takes bytes of both directions and puts what goes on into two holds. One request at a
// time is under way: bytes behind it wait until its answer is complete, so that an answer made here
// never overtakes one of the replica. After something that cannot be framed (http_frame.h) both
// directions go through untouched for the rest of the connection.
//
//   client -> http_talk_request -> requests (to the replica)
//                    | spoiled
//                    v
//   client <- answers <- http_talk_answer <- replica
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "error_share.h"
#include "hold.h"
#include "http_frame.h"

typedef struct HttpTalk {
    HttpFrame request, answer;
    Hold *requests, *answers;
    ErrorShare *share;
    bool decided; // the request's head has been read: passed on or spoiled
    bool spoiled;
    bool through;
    bool last; // after an answer made here that closes: nothing more is taken
} HttpTalk;

void http_talk_begin(HttpTalk *talk, ErrorShare *share, Hold *requests, Hold *answers);
// Returns how many bytes were taken (the others: again when an answer has been completed), or
// ERROR_MEMORY.
int http_talk_request(HttpTalk *talk, const char *bytes, size_t len, uint32_t errors_ppm, Mono now,
                      size_t *ret_taken) MUST_CHECK;
// The client sends no more: an unfinished head that is held back goes on.
int http_talk_end(HttpTalk *talk, Mono now) MUST_CHECK;
// Takes everything.
int http_talk_answer(HttpTalk *talk, const char *bytes, size_t len, Mono now) MUST_CHECK;
// Nothing is under way.
bool http_talk_idle(const HttpTalk *talk);
