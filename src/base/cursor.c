// SPDX-License-Identifier: MIT
// cursor: see cursor.h.
#include "cursor.h"

#include "error.h"

size_t cursor_left(const Cursor *cursor)
{
    return cursor->failed ? 0 : cursor->len - cursor->at;
}

const void *cursor_bytes(Cursor *cursor, size_t len)
{
    if (cursor->failed || len > cursor->len - cursor->at) {
        cursor->failed = true;
        return NULL;
    }
    const void *bytes = cursor->data + cursor->at;
    cursor->at += len;
    return bytes;
}

static uint64_t read_le(Cursor *cursor, size_t size)
{
    const unsigned char *bytes = cursor_bytes(cursor, size);
    uint64_t value = 0;
    for (size_t i = 0; bytes != NULL && i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint8_t cursor_u8(Cursor *cursor)
{
    return (uint8_t)read_le(cursor, 1);
}

uint16_t cursor_u16(Cursor *cursor)
{
    return (uint16_t)read_le(cursor, 2);
}

uint32_t cursor_u32(Cursor *cursor)
{
    return (uint32_t)read_le(cursor, 4);
}

uint64_t cursor_u64(Cursor *cursor)
{
    return read_le(cursor, 8);
}

int64_t cursor_i64(Cursor *cursor)
{
    return (int64_t)read_le(cursor, 8);
}

void cursor_fail(Cursor *cursor)
{
    cursor->failed = true;
}

int cursor_check(const Cursor *cursor)
{
    return cursor->failed ? ERROR_FORMAT : 0;
}

static void write_le(Buf *buf, uint64_t value, size_t size)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    buf_add(buf, bytes, size);
}

void buf_put_u8(Buf *buf, uint8_t value)
{
    write_le(buf, value, 1);
}

void buf_put_u16(Buf *buf, uint16_t value)
{
    write_le(buf, value, 2);
}

void buf_put_u32(Buf *buf, uint32_t value)
{
    write_le(buf, value, 4);
}

void buf_put_u64(Buf *buf, uint64_t value)
{
    write_le(buf, value, 8);
}

void buf_put_i64(Buf *buf, int64_t value)
{
    write_le(buf, (uint64_t)value, 8);
}
