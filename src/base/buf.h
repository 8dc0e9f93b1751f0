// SPDX-License-Identifier: MIT
// buf: a growing text or byte buffer with a sticky error: after the first failure (no memory, above
// the limit) each further append does nothing, so a writer reads straight and tests once at the
// end. Always NUL-terminated behind `len`, except after failure with nothing allocated (then data
// is "").
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"

typedef struct Buf {
    char *data;
    size_t len, capacity;
    size_t limit; // bytes; 0: none
    bool failed;
} Buf;

#define BUF_INIT(limit_bytes) ((Buf){.limit = (limit_bytes)})

void buf_add(Buf *buf, const void *data, size_t len);
void buf_add_text(Buf *buf, const char *text);
void buf_add_char(Buf *buf, char c);
void buf_printf(Buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(Buf *buf, const char *fmt, va_list args) PRINTF_LIKE(2, 0);
// `text` as a JSON string with its quotes; invalid UTF-8 bytes become U+FFFD.
void buf_add_json_string(Buf *buf, const char *text);
// 0, or ERROR_MEMORY / ERROR_LIMIT if an append failed.
int buf_check(const Buf *buf) MUST_CHECK;
const char *buf_text(const Buf *buf);
// Hands the data over to the caller (free()); the buffer is empty after that.
char *buf_take(Buf *buf);
void buf_clear(Buf *buf); // keeps the memory, clears the failure
void buf_done(Buf *buf);
