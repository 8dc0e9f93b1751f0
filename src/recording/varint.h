// SPDX-License-Identifier: MIT
// varint: LEB128 integers over Buf and Cursor, for recordings.
#pragma once
#include <stdint.h>

#include "buf.h"
#include "cursor.h"

static inline void put_varint(Buf *buf, uint64_t value)
{
    while (value >= 0x80) {
        buf_put_u8(buf, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    buf_put_u8(buf, (uint8_t)value);
}

static inline void put_zigzag(Buf *buf, int64_t value)
{
    put_varint(buf, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

static inline uint64_t get_varint(Cursor *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = cursor_u8(cursor);
        if (shift == 63 && byte > 1)
            break; // more than 64 bits
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    cursor_fail(cursor);
    return 0;
}

static inline int64_t get_zigzag(Cursor *cursor)
{
    uint64_t value = get_varint(cursor);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static inline uint32_t get_varint32(Cursor *cursor)
{
    uint64_t value = get_varint(cursor);
    if (value > UINT32_MAX)
        cursor_fail(cursor);
    return cursor->failed ? 0 : (uint32_t)value;
}
