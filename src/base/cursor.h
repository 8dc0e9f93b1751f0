// SPDX-License-Identifier: MIT
// cursor: reads a byte string with a sticky error (knot's wire_ctx.h is the model): after the first
// read behind the end every further one returns 0 or NULL, so a decoder reads straight through and
// asks cursor_check once. All integers are little-endian. Writing is `buf` plus the put functions.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "buf.h"

typedef struct Cursor {
    const unsigned char *data;
    size_t len, at;
    bool failed;
} Cursor;

static inline Cursor cursor_of(const void *data, size_t len)
{
    return (Cursor){.data = data, .len = len};
}
size_t cursor_left(const Cursor *cursor);
const void *cursor_bytes(Cursor *cursor, size_t len); // NULL behind the end
uint8_t cursor_u8(Cursor *cursor);
uint16_t cursor_u16(Cursor *cursor);
uint32_t cursor_u32(Cursor *cursor);
uint64_t cursor_u64(Cursor *cursor);
int64_t cursor_i64(Cursor *cursor);
void cursor_fail(Cursor *cursor);                  // for values that the caller finds wrong
int cursor_check(const Cursor *cursor) MUST_CHECK; // 0 or ERROR_FORMAT

void buf_put_u8(Buf *buf, uint8_t value);
void buf_put_u16(Buf *buf, uint16_t value);
void buf_put_u32(Buf *buf, uint32_t value);
void buf_put_u64(Buf *buf, uint64_t value);
void buf_put_i64(Buf *buf, int64_t value);
