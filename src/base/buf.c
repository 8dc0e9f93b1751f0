// SPDX-License-Identifier: MIT
// buf: see buf.h.
#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "error.h"
#include "utf8.h"

// Makes room for `more` bytes and the NUL.
static bool reserve(Buf *buf, size_t more)
{
    if (buf->failed)
        return false;
    if (more > SIZE_MAX - buf->len - 1 ||
        (buf->limit > 0 && (buf->len > buf->limit || more > buf->limit - buf->len)) ||
        alloc_grow((void **)&buf->data, &buf->capacity, buf->len + more + 1, 1) < 0) {
        buf->failed = true;
        return false;
    }
    return true;
}

void buf_add(Buf *buf, const void *data, size_t len)
{
    if (!reserve(buf, len))
        return;
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void buf_add_text(Buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_add_char(Buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_vprintf(Buf *buf, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    if (len < 0)
        buf->failed = true;
    else if (reserve(buf, (size_t)len)) {
        (void)vsnprintf(buf->data + buf->len, (size_t)len + 1, fmt, again);
        buf->len += (size_t)len;
    }
    va_end(again);
}

void buf_printf(Buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_vprintf(buf, fmt, args);
    va_end(args);
}

void buf_add_json_string(Buf *buf, const char *text)
{
    buf_add_char(buf, '"');
    size_t left = strlen(text);
    while (left > 0) {
        unsigned char c = (unsigned char)*text;
        size_t len = utf8_sequence_len(text, left);
        if (len == 0) {
            buf_add_text(buf, "\\ufffd");
            len = 1;
        } else if (c == '"' || c == '\\') {
            buf_add_char(buf, '\\');
            buf_add_char(buf, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(buf, "\\u%04x", c);
        } else {
            buf_add(buf, text, len);
        }
        text += len;
        left -= len;
    }
    buf_add_char(buf, '"');
}

int buf_check(const Buf *buf)
{
    if (!buf->failed)
        return 0;
    return buf->limit > 0 ? ERROR_LIMIT : ERROR_MEMORY;
}

const char *buf_text(const Buf *buf)
{
    return buf->data != NULL ? buf->data : "";
}

char *buf_take(Buf *buf)
{
    char *data = buf->data;
    *buf = (Buf){.limit = buf->limit};
    return data;
}

void buf_clear(Buf *buf)
{
    buf->len = 0;
    buf->failed = false;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

void buf_done(Buf *buf)
{
    free(buf->data);
    *buf = (Buf){.limit = buf->limit};
}
