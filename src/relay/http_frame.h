// SPDX-License-Identifier: MIT
// http_frame: where one HTTP/1.1 message ends, pure. It changes nothing and keeps only the head
// (bounded); bodies are counted, not kept. What it cannot frame for certain is HTTP_FRAME_BAD: two
// lengths, a folded line, an upgrade, "Expect" (whose answer would come before the body). The relay
// then passes the rest of the connection through untouched instead of guessing.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_FRAME_HEAD_MAX 16384 // nginx sends heads of up to 8 KiB by default
#define HTTP_FRAME_LINE_MAX 1024  // a chunk's size line; whole trailers: HTTP_FRAME_HEAD_MAX

typedef enum HttpFrameState {
    HTTP_FRAME_HEAD,
    HTTP_FRAME_FIXED,
    HTTP_FRAME_CHUNK_SIZE,
    HTTP_FRAME_CHUNK,
    HTTP_FRAME_CHUNK_END,
    HTTP_FRAME_TRAILER,
    HTTP_FRAME_TO_END, // an answer whose end is that of the connection
    HTTP_FRAME_DONE,
    HTTP_FRAME_BAD,
} HttpFrameState;

typedef struct HttpFrame {
    HttpFrameState state;
    bool answer, no_body; // no_body: the answer to a HEAD request
    bool close;           // "Connection: close" or HTTP/1.0
    bool chunked, has_length;
    bool is_head, is_health; // request: method HEAD; target /api/health
    int status;              // answer
    uint64_t left;
    size_t line_bytes, line_len; // of all lines of the trailer or chunk size; of this one
    unsigned digits;
    char before; // last byte of a line
    size_t head_len, line_at;
    char head[HTTP_FRAME_HEAD_MAX];
} HttpFrame;

void http_frame_begin_request(HttpFrame *frame);
void http_frame_begin_answer(HttpFrame *frame, bool to_head_request);
// Consumes bytes up to the end of the head and returns then, so that the caller can decide before
// the body; called again up to the end of the message. Fewer than `len` only for these two reasons
// or HTTP_FRAME_BAD.
size_t http_frame_feed(HttpFrame *frame, const char *bytes, size_t len);
