// SPDX-License-Identifier: MIT
// Fuzz target: a recording. Frames that are taken lie inside the input and are copied faithfully.
#include "seal.h"
#include "segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Cursor cursor = cursor_of(data, size);
    const void *payload;
    size_t len;
    Buf copy = BUF_INIT(0);
    while (segment_next(&cursor, &payload, &len) == 1)
        ASSERT(segment_frame(&copy, payload, len) == 0);
    ASSERT(copy.len == cursor.at && (copy.len == 0 || memcmp(copy.data, data, copy.len) == 0));
    buf_done(&copy);
    // The rest as one payload, so that there is always a frame.
    if (size > 0 && size <= SEGMENT_FRAME_MAX) {
        Buf one = BUF_INIT(0);
        ASSERT(segment_frame(&one, data, size) == 0);
        cursor = cursor_of(one.data, one.len);
        ASSERT(segment_next(&cursor, &payload, &len) == 1);
        ASSERT(len == size && memcmp(payload, data, size) == 0);
        buf_done(&one);
    }
    return 0;
}
