// SPDX-License-Identifier: MIT
// http_talk: see http_talk.h.
#include "http_talk.h"

#include <stdio.h>
#include <string.h>

#define SPOILED_BODY "{\"error\": \"answered so by a drill\"}\n"

void http_talk_begin(HttpTalk *talk, ErrorShare *share, Hold *requests, Hold *answers)
{
    http_frame_begin_request(&talk->request);
    http_frame_begin_answer(&talk->answer, false);
    talk->requests = requests;
    talk->answers = answers;
    talk->share = share;
    talk->decided = talk->spoiled = talk->through = talk->last = false;
}

bool http_talk_idle(const HttpTalk *talk)
{
    return !talk->through && !talk->decided && talk->request.head_len == 0;
}

static int spoil(HttpTalk *talk, Mono now)
{
    char answer[512];
    const HttpFrame *request = &talk->request;
    int len = snprintf(answer, sizeof answer,
                       "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n%s\r\n%s",
                       strlen(SPOILED_BODY), request->close ? "Connection: close\r\n" : "",
                       request->is_head ? "" : SPOILED_BODY);
    int r = hold_add(talk->answers, answer, (size_t)len, now);
    if (r == 0 && request->close) {
        talk->last = true;
        r = hold_mark(talk->answers, HOLD_END, now);
    }
    return r;
}

static void next_request(HttpTalk *talk)
{
    http_frame_begin_request(&talk->request);
    http_frame_begin_answer(&talk->answer, false);
    talk->decided = talk->spoiled = false;
}

static int go_through(HttpTalk *talk)
{
    talk->through = true;
    return 0;
}

// The head is complete, or cannot be framed: it was held back until here.
static int decide(HttpTalk *talk, uint32_t errors_ppm, Mono now)
{
    HttpFrame *request = &talk->request;
    talk->decided = true;
    if (request->state == HTTP_FRAME_BAD)
        (void)go_through(talk);
    else
        talk->spoiled = !request->is_health && error_share_next(talk->share, errors_ppm);
    http_frame_begin_answer(&talk->answer, request->is_head);
    return talk->spoiled ? 0 : hold_add(talk->requests, request->head, request->head_len, now);
}

int http_talk_request(HttpTalk *talk, const char *bytes, size_t len, uint32_t errors_ppm, Mono now,
                      size_t *ret_taken)
{
    size_t at = 0;
    int r = 0;
    while (at < len && r == 0 && !talk->last) {
        if (talk->through) {
            r = hold_add(talk->requests, bytes + at, len - at, now);
            at = len;
            break;
        }
        if (talk->decided && talk->request.state == HTTP_FRAME_DONE)
            break; // its answer is not complete yet
        size_t taken = http_frame_feed(&talk->request, bytes + at, len - at);
        if (!talk->decided) {
            if (talk->request.state != HTTP_FRAME_HEAD)
                r = decide(talk, errors_ppm, now);
        } else if (!talk->spoiled) {
            r = hold_add(talk->requests, bytes + at, taken, now);
            if (talk->request.state == HTTP_FRAME_BAD)
                (void)go_through(talk);
        } else if (talk->request.state == HTTP_FRAME_BAD) { // where the next one begins is unknown
            talk->request.close = true;
            talk->request.state = HTTP_FRAME_DONE;
        }
        at += taken;
        if (r < 0 || talk->request.state != HTTP_FRAME_DONE)
            continue;
        if (talk->spoiled)
            r = spoil(talk, now);
        if (talk->spoiled || talk->answer.state == HTTP_FRAME_DONE) // answered before its end
            next_request(talk);
    }
    *ret_taken = at;
    return r;
}

int http_talk_end(HttpTalk *talk, Mono now)
{
    bool held = !talk->decided && !talk->through;
    return held ? hold_add(talk->requests, talk->request.head, talk->request.head_len, now) : 0;
}

int http_talk_answer(HttpTalk *talk, const char *bytes, size_t len, Mono now)
{
    size_t at = 0;
    while (!talk->through && at < len) {
        if (!talk->decided || talk->spoiled) { // an answer that nobody asked for
            int r = http_talk_end(talk, now);  // what is held back of a head goes on first
            if (r < 0)
                return r;
            (void)go_through(talk);
            break;
        }
        if (talk->answer.state == HTTP_FRAME_DONE) { // and the request still comes
            (void)go_through(talk);
            break;
        }
        at += http_frame_feed(&talk->answer, bytes + at, len - at);
        if (talk->answer.state == HTTP_FRAME_BAD)
            (void)go_through(talk);
        else if (talk->answer.state == HTTP_FRAME_DONE && talk->request.state == HTTP_FRAME_DONE)
            next_request(talk);
    }
    return hold_add(talk->answers, bytes, len, now);
}
