// SPDX-License-Identifier: MIT
// http_frame: see http_frame.h.
#include "http_frame.h"

#include <string.h>
#include <strings.h>

#include "parse.h"

static void begin(HttpFrame *frame)
{
    memset(frame, 0, offsetof(HttpFrame, head));
}

void http_frame_begin_request(HttpFrame *frame)
{
    begin(frame);
}

void http_frame_begin_answer(HttpFrame *frame, bool to_head_request)
{
    begin(frame);
    frame->answer = true;
    frame->no_body = to_head_request;
}

static bool starts(const char *line, size_t len, const char *with)
{
    size_t n = strlen(with);
    return len >= n && memcmp(line, with, n) == 0;
}

static bool read_request_line(HttpFrame *frame, const char *line, size_t len)
{
    const char *target = memchr(line, ' ', len);
    if (target == NULL || target == line)
        return false;
    target++;
    const char *end = memchr(target, ' ', len - (size_t)(target - line));
    if (end == NULL || end == target)
        return false;
    const char *version = end + 1;
    size_t version_len = len - (size_t)(version - line);
    if (version_len != 8 || !starts(version, version_len, "HTTP/1.") ||
        (version[7] != '0' && version[7] != '1') || starts(line, len, "CONNECT "))
        return false;
    frame->close = version[7] == '0';
    frame->is_head = starts(line, len, "HEAD ");
    size_t path_len = (size_t)(end - target);
    const char *query = memchr(target, '?', path_len);
    if (query != NULL)
        path_len = (size_t)(query - target);
    frame->is_health = path_len == 11 && memcmp(target, "/api/health", 11) == 0;
    return true;
}

static bool read_status_line(HttpFrame *frame, const char *line, size_t len)
{
    uint64_t status;
    if (len < 12 || !starts(line, len, "HTTP/1.") || (line[7] != '0' && line[7] != '1') ||
        line[8] != ' ' || parse_u64(line + 9, 3, 599, &status) < 0 || status < 100 ||
        (len > 12 && line[12] != ' '))
        return false;
    frame->status = (int)status;
    frame->close = line[7] == '0';
    return true;
}

// The value without spaces around it when the line's name is `name`; else NULL.
static const char *header_value(const char *line, size_t len, const char *name, size_t *ret_len)
{
    size_t n = strlen(name);
    if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
        return NULL;
    const char *value = line + n + 1, *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *ret_len = (size_t)(end - value);
    return value;
}

static bool is_word(const char *value, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(value, word, len) == 0;
}

static bool read_header(HttpFrame *frame, const char *line, size_t len)
{
    size_t n;
    const char *value;
    if (line[0] == ' ' || line[0] == '\t' || memchr(line, ':', len) == NULL)
        return false;
    if ((value = header_value(line, len, "Content-Length", &n)) != NULL) {
        if (frame->has_length || parse_u64(value, n, INT64_MAX, &frame->left) < 0)
            return false;
        frame->has_length = true;
    } else if ((value = header_value(line, len, "Transfer-Encoding", &n)) != NULL) {
        if (frame->chunked || !is_word(value, n, "chunked"))
            return false;
        frame->chunked = true;
    } else if ((value = header_value(line, len, "Connection", &n)) != NULL) {
        frame->close = frame->close || is_word(value, n, "close");
    } else if (header_value(line, len, "Upgrade", &n) != NULL ||
               header_value(line, len, "Expect", &n) != NULL) {
        return false;
    }
    return true;
}

static HttpFrameState head_end(HttpFrame *frame)
{
    if (frame->answer && frame->status < 200) { // 100 Continue: the real answer follows
        if (frame->status == 101)
            return HTTP_FRAME_BAD;
        http_frame_begin_answer(frame, frame->no_body);
        return HTTP_FRAME_HEAD;
    }
    if (frame->chunked && frame->has_length)
        return HTTP_FRAME_BAD;
    if (frame->answer && (frame->no_body || frame->status == 204 || frame->status == 304))
        return HTTP_FRAME_DONE;
    if (frame->chunked)
        return HTTP_FRAME_CHUNK_SIZE;
    if (frame->has_length)
        return frame->left > 0 ? HTTP_FRAME_FIXED : HTTP_FRAME_DONE;
    return frame->answer ? HTTP_FRAME_TO_END : HTTP_FRAME_DONE;
}

// The line without its end: head[line_at .. line_at + len).
static HttpFrameState head_line(HttpFrame *frame, size_t len)
{
    const char *line = frame->head + frame->line_at;
    if (len == 0)
        return frame->line_at == 0 ? HTTP_FRAME_BAD : head_end(frame);
    bool good;
    if (frame->line_at > 0)
        good = read_header(frame, line, len);
    else if (frame->answer)
        good = read_status_line(frame, line, len);
    else
        good = read_request_line(frame, line, len);
    return good ? HTTP_FRAME_HEAD : HTTP_FRAME_BAD;
}

// False when the head has no room: the byte is not consumed.
static bool feed_head(HttpFrame *frame, char c)
{
    if (frame->head_len >= HTTP_FRAME_HEAD_MAX) {
        frame->state = HTTP_FRAME_BAD;
        return false;
    }
    frame->head[frame->head_len++] = c;
    if (c == '\0') {
        frame->state = HTTP_FRAME_BAD;
    } else if (c == '\n') {
        size_t len = frame->head_len - frame->line_at - 1;
        if (len == 0 || frame->head[frame->head_len - 2] != '\r') {
            frame->state = HTTP_FRAME_BAD;
            return true;
        }
        frame->state = head_line(frame, len - 1);
        frame->line_at = frame->head_len; // 0 after an interim answer
    }
    return true;
}

static void begin_lines(HttpFrame *frame, HttpFrameState state)
{
    frame->state = state;
    frame->line_bytes = frame->line_len = 0;
    frame->digits = 0;
    frame->before = '\0';
}

static bool add_digit(HttpFrame *frame, char c)
{
    unsigned digit;
    if (c >= '0' && c <= '9')
        digit = (unsigned)(c - '0');
    else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
        digit = (unsigned)((c | 0x20) - 'a' + 10);
    else
        return false;
    frame->left = frame->left << 4 | digit;
    return ++frame->digits <= 15;
}

static void line_end(HttpFrame *frame)
{
    bool empty = frame->line_len == 1; // only the '\r'
    if (frame->state == HTTP_FRAME_CHUNK_SIZE && frame->digits > 0) {
        begin_lines(frame, frame->left > 0 ? HTTP_FRAME_CHUNK : HTTP_FRAME_TRAILER);
    } else if (frame->state == HTTP_FRAME_CHUNK_END && empty) {
        begin_lines(frame, HTTP_FRAME_CHUNK_SIZE);
        frame->left = 0;
    } else if (frame->state == HTTP_FRAME_TRAILER && empty) {
        frame->state = HTTP_FRAME_DONE;
    } else if (frame->state != HTTP_FRAME_TRAILER) {
        frame->state = HTTP_FRAME_BAD;
    }
    frame->line_len = 0;
    frame->before = '\0';
}

// A byte of a chunk's size, of its end, of the trailer.
static void feed_line(HttpFrame *frame, char c)
{
    size_t limit =
        frame->state == HTTP_FRAME_TRAILER ? HTTP_FRAME_HEAD_MAX : (size_t)HTTP_FRAME_LINE_MAX;
    bool good = ++frame->line_bytes <= limit && c != '\0';
    if (good && c == '\n') {
        if (frame->before == '\r')
            line_end(frame);
        else
            frame->state = HTTP_FRAME_BAD;
        return;
    }
    good = good && frame->before != '\r';
    if (good && frame->state == HTTP_FRAME_CHUNK_SIZE && frame->line_len == frame->digits &&
        c != '\r')
        good = (c == ';' && frame->digits > 0) || add_digit(frame, c);
    if (good && frame->state == HTTP_FRAME_CHUNK_END)
        good = c == '\r';
    frame->line_len++;
    frame->before = c;
    if (!good)
        frame->state = HTTP_FRAME_BAD;
}

static size_t feed_body(HttpFrame *frame, size_t len)
{
    if (frame->state == HTTP_FRAME_TO_END)
        return len;
    size_t take = len < frame->left ? len : (size_t)frame->left;
    frame->left -= take;
    if (frame->left == 0) {
        if (frame->state == HTTP_FRAME_CHUNK)
            begin_lines(frame, HTTP_FRAME_CHUNK_END);
        else
            frame->state = HTTP_FRAME_DONE;
    }
    return take;
}

size_t http_frame_feed(HttpFrame *frame, const char *bytes, size_t len)
{
    size_t at = 0;
    while (at < len && frame->state == HTTP_FRAME_HEAD) {
        if (!feed_head(frame, bytes[at]))
            return at;
        at++;
        if (frame->state != HTTP_FRAME_HEAD) {
            if (frame->state == HTTP_FRAME_CHUNK_SIZE)
                begin_lines(frame, HTTP_FRAME_CHUNK_SIZE);
            return at;
        }
    }
    while (at < len && frame->state != HTTP_FRAME_DONE && frame->state != HTTP_FRAME_BAD) {
        if (frame->state == HTTP_FRAME_FIXED || frame->state == HTTP_FRAME_CHUNK ||
            frame->state == HTTP_FRAME_TO_END)
            at += feed_body(frame, len - at);
        else
            feed_line(frame, bytes[at++]);
    }
    return at;
}
