// SPDX-License-Identifier: MIT
// http_answer: see http_answer.h. Lines are collected in `line`; a line that does not fit, and
// everything else that is malformed, leads to HTTP_ANSWER_BAD for good.
#include "http_answer.h"

#include <string.h>
#include <strings.h>

#include "parse.h"

void http_answer_begin(HttpAnswer *answer)
{
    answer->state = HTTP_ANSWER_STATUS;
    answer->status = 0;
    answer->close = answer->chunked = answer->has_length = false;
    answer->retry_after = answer->shed = false;
    answer->left = 0;
    answer->header_bytes = answer->line_len = answer->body_len = 0;
    answer->region[0] = answer->body[0] = '\0';
}

static HttpAnswerState read_status(HttpAnswer *answer)
{
    uint64_t status;
    const char *line = answer->line;
    if (answer->line_len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ' ||
        (line[7] != '0' && line[7] != '1') || parse_u64(line + 9, 3, 599, &status) < 0 ||
        status < 100 || (answer->line_len > 12 && line[12] != ' '))
        return HTTP_ANSWER_BAD;
    answer->status = (int)status;
    answer->close = line[7] == '0';
    return HTTP_ANSWER_HEADER;
}

// The value without spaces around it when the line's name is `name`; else NULL.
static const char *header_value(HttpAnswer *answer, const char *name)
{
    size_t len = strlen(name);
    if (answer->line_len <= len || answer->line[len] != ':' ||
        strncasecmp(answer->line, name, len) != 0)
        return NULL;
    char *end = answer->line + answer->line_len;
    while (end > answer->line && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = '\0';
    const char *value = answer->line + len + 1;
    return value + strspn(value, " \t");
}

static HttpAnswerState read_header(HttpAnswer *answer)
{
    const char *value;
    if ((value = header_value(answer, "Content-Length")) != NULL) {
        uint64_t left;
        if (answer->has_length || parse_u64(value, strlen(value), INT64_MAX, &left) < 0)
            return HTTP_ANSWER_BAD;
        answer->has_length = true;
        answer->left = left;
    } else if ((value = header_value(answer, "Transfer-Encoding")) != NULL) {
        if (strcasecmp(value, "chunked") != 0)
            return HTTP_ANSWER_BAD;
        answer->chunked = true;
    } else if ((value = header_value(answer, "Connection")) != NULL) {
        answer->close = answer->close || strcasecmp(value, "close") == 0;
    } else if (header_value(answer, "Retry-After") != NULL) {
        answer->retry_after = true;
    } else if (header_value(answer, "Wildcam-Shed") != NULL) {
        answer->shed = true;
    } else if ((value = header_value(answer, "Wildcam-Region")) != NULL) {
        size_t len = strlen(value);
        if (len < sizeof answer->region)
            memcpy(answer->region, value, len + 1);
    }
    return HTTP_ANSWER_HEADER;
}

static HttpAnswerState headers_end(HttpAnswer *answer)
{
    if (answer->status < 200) { // 100 Continue: the real answer follows
        if (answer->status == 101)
            return HTTP_ANSWER_BAD;
        http_answer_begin(answer);
        return HTTP_ANSWER_STATUS;
    }
    if (answer->chunked && answer->has_length)
        return HTTP_ANSWER_BAD;
    if (answer->status == 204 || answer->status == 304)
        return HTTP_ANSWER_DONE;
    if (answer->chunked)
        return HTTP_ANSWER_CHUNK_SIZE;
    if (answer->has_length)
        return answer->left > 0 ? HTTP_ANSWER_FIXED : HTTP_ANSWER_DONE;
    answer->close = true;
    return HTTP_ANSWER_TO_END;
}

static HttpAnswerState read_chunk_size(HttpAnswer *answer)
{
    uint64_t size = 0;
    size_t digits = strspn(answer->line, "0123456789abcdefABCDEF");
    if (digits == 0 || digits > 15 || (answer->line[digits] != '\0' && answer->line[digits] != ';'))
        return HTTP_ANSWER_BAD;
    for (size_t i = 0; i < digits; i++) {
        char c = answer->line[i];
        unsigned digit = c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
        size = size << 4 | digit;
    }
    answer->left = size;
    return size > 0 ? HTTP_ANSWER_CHUNK : HTTP_ANSWER_TRAILER;
}

static HttpAnswerState read_line(HttpAnswer *answer)
{
    switch (answer->state) {
    case HTTP_ANSWER_STATUS:
        return read_status(answer);
    case HTTP_ANSWER_HEADER:
        return answer->line_len == 0 ? headers_end(answer) : read_header(answer);
    case HTTP_ANSWER_CHUNK_SIZE:
        return read_chunk_size(answer);
    case HTTP_ANSWER_CHUNK_END:
        return answer->line_len == 0 ? HTTP_ANSWER_CHUNK_SIZE : HTTP_ANSWER_BAD;
    case HTTP_ANSWER_TRAILER:
        return answer->line_len == 0 ? HTTP_ANSWER_DONE : HTTP_ANSWER_TRAILER;
    default:
        return HTTP_ANSWER_BAD;
    }
}

static void feed_line(HttpAnswer *answer, char c)
{
    if (++answer->header_bytes > HTTP_ANSWER_HEADERS || answer->line_len + 1 >= HTTP_ANSWER_LINE ||
        c == '\0') {
        answer->state = HTTP_ANSWER_BAD;
        return;
    }
    if (c != '\n') {
        answer->line[answer->line_len++] = c;
        return;
    }
    if (answer->line_len == 0 || answer->line[answer->line_len - 1] != '\r') {
        answer->state = HTTP_ANSWER_BAD;
        return;
    }
    answer->line[--answer->line_len] = '\0';
    answer->state = read_line(answer);
    answer->line_len = 0;
}

static size_t feed_body(HttpAnswer *answer, const char *bytes, size_t len)
{
    bool to_end = answer->state == HTTP_ANSWER_TO_END;
    size_t take = to_end || len < answer->left ? len : (size_t)answer->left;
    size_t room = HTTP_ANSWER_BODY - answer->body_len;
    size_t keep = take < room ? take : room;
    memcpy(answer->body + answer->body_len, bytes, keep);
    answer->body_len += keep;
    answer->body[answer->body_len] = '\0';
    if (!to_end) {
        answer->left -= take;
        if (answer->left == 0)
            answer->state =
                answer->state == HTTP_ANSWER_CHUNK ? HTTP_ANSWER_CHUNK_END : HTTP_ANSWER_DONE;
    }
    return take;
}

size_t http_answer_feed(HttpAnswer *answer, const char *bytes, size_t len)
{
    size_t at = 0;
    while (at < len && answer->state != HTTP_ANSWER_DONE && answer->state != HTTP_ANSWER_BAD) {
        if (answer->state == HTTP_ANSWER_FIXED || answer->state == HTTP_ANSWER_CHUNK ||
            answer->state == HTTP_ANSWER_TO_END)
            at += feed_body(answer, bytes + at, len - at);
        else
            feed_line(answer, bytes[at++]);
    }
    return at;
}

bool http_answer_end(HttpAnswer *answer)
{
    if (answer->state == HTTP_ANSWER_TO_END)
        answer->state = HTTP_ANSWER_DONE;
    return answer->state == HTTP_ANSWER_DONE;
}
