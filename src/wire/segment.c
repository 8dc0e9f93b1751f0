// SPDX-License-Identifier: MIT
// segment: see segment.h.
#include "segment.h"

#include "hash.h"

int segment_frame(Buf *buf, const void *payload, size_t len)
{
    if (len == 0 || len > SEGMENT_FRAME_MAX)
        return ERROR_LIMIT;
    buf_put_u32(buf, (uint32_t)len);
    buf_put_u32(buf, crc32c(0, payload, len));
    buf_add(buf, payload, len);
    return buf_check(buf);
}

int segment_next(Cursor *cursor, const void **ret_payload, size_t *ret_len)
{
    size_t start = cursor->at;
    if (cursor_left(cursor) == 0)
        return cursor_check(cursor);
    uint32_t len = cursor_u32(cursor), crc = cursor_u32(cursor);
    int r = ERROR_FORMAT;
    if (cursor_check(cursor) == 0 && len > 0 && len <= SEGMENT_FRAME_MAX) {
        const void *payload = cursor_bytes(cursor, len);
        if (payload != NULL && crc32c(0, payload, len) == crc) {
            *ret_payload = payload;
            *ret_len = len;
            return 1;
        }
        r = payload != NULL ? ERROR_CORRUPT : ERROR_FORMAT;
    }
    // Leave the cursor in front of the damage: what is left is what a writer cuts off.
    cursor->at = start;
    cursor->failed = false;
    return r;
}
