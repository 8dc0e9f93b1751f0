// SPDX-License-Identifier: MIT
// answer: see the header. Each step looks at the whole prefix again: answers have 200 bytes and
// usually come in one piece, so an incremental parser would only add states.
#include "answer.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "parse.h"

typedef struct Headers {
    bool length_known, close;
    size_t length;
} Headers;

static bool is_named(const char *line, size_t name_len, const char *name)
{
    return strlen(name) == name_len && strncasecmp(line, name, name_len) == 0;
}

// One header line without its line end. False: refuse the answer.
static bool read_header(const char *line, size_t len, Headers *headers)
{
    const char *colon = memchr(line, ':', len);
    if (!colon || colon == line)
        return false;
    size_t name_len = (size_t)(colon - line);
    const char *value = colon + 1;
    size_t value_len = len - name_len - 1;
    while (value_len && (*value == ' ' || *value == '\t')) {
        value++;
        value_len--;
    }
    while (value_len && (value[value_len - 1] == ' ' || value[value_len - 1] == '\t'))
        value_len--;
    if (is_named(line, name_len, "content-length")) {
        uint64_t length;
        if (headers->length_known || parse_u64(value, value_len, PROBE_ANSWER_MAX, &length) < 0)
            return false;
        headers->length_known = true;
        headers->length = (size_t)length;
    } else if (is_named(line, name_len, "connection")) {
        headers->close = headers->close || (value_len == 5 && !strncasecmp(value, "close", 5));
    } else if (is_named(line, name_len, "transfer-encoding")) {
        return false;
    }
    return true;
}

// "HTTP/1.x NNN ..."; -1 when it is not that.
static int read_status(const char *line, size_t len)
{
    uint64_t status;
    if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') ||
        line[8] != ' ' || (len > 12 && line[12] != ' ') || parse_u64(line + 9, 3, 999, &status) < 0)
        return -1;
    return status >= 100 ? (int)status : -1;
}

int probe_answer_parse(const char *bytes, size_t len, bool ended, ProbeAnswer *ret_answer)
{
    const char *end = memmem(bytes, len, "\r\n\r\n", 4);
    if (!end)
        return ended || len >= PROBE_ANSWER_MAX ? -1 : 0;
    const char *line_end = memmem(bytes, len, "\r\n", 2);
    ProbeAnswer answer = {.status = read_status(bytes, (size_t)(line_end - bytes))};
    if (answer.status < 0)
        return -1;
    Headers headers = {.close = bytes[7] == '0'};
    for (const char *line = line_end + 2; line < end + 2;) {
        line_end = memmem(line, (size_t)(end + 4 - line), "\r\n", 2);
        if (!read_header(line, (size_t)(line_end - line), &headers))
            return -1;
        line = line_end + 2;
    }
    const char *body = end + 4;
    size_t left = len - (size_t)(body - bytes);
    answer.until_end = !headers.length_known;
    answer.close = headers.close || answer.until_end;
    if (answer.until_end ? !ended : left < headers.length)
        return ended || len >= PROBE_ANSWER_MAX ? -1 : 0;
    size_t body_len = answer.until_end ? left : headers.length;
    answer.ok = answer.status == 200 && (body_len == 2 || (body_len == 3 && body[2] == '\n')) &&
                memcmp(body, "ok", 2) == 0;
    answer.len = (size_t)(body - bytes) + body_len;
    *ret_answer = answer;
    return 1;
}
