// SPDX-License-Identifier: MIT
// Fuzz target: request logs and ledgers. What is taken encodes to the same bytes again.
#include <string.h>

#include "records.h"
#include "segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const void *data, size_t size)
{
    Cursor cursor = cursor_of(data, size);
    static RecordsItem item;
    for (size_t at = 0; records_next(&cursor, &item) > 0; at = cursor.at) {
        Buf buf = BUF_INIT(0);
        int r = item.kind == RECORDS_START     ? records_put_start(&buf, &item.u.start)
                : item.kind == RECORDS_REQUEST ? records_put_request(&buf, &item.u.request)
                                               : records_put_entry(&buf, &item.u.entry);
        ASSERT(r == 0 && buf.len == cursor.at - at);
        buf_done(&buf);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_all(data, size);
    Buf framed = BUF_INIT(0); // the input as one payload, so that the checksum is right
    if (segment_frame(&framed, data, size) == 0)
        read_all(framed.data, framed.len);
    buf_done(&framed);
    return 0;
}
