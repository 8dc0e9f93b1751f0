// SPDX-License-Identifier: MIT
// file_frame: see file_frame.h.
#include "file_frame.h"

#include <inttypes.h>

#include "hash.h"

size_t file_frame_begin(const FileFrame *frame, Buf *buf)
{
    size_t start = buf->len;
    buf_put_u64(buf, frame->magic);
    buf_put_u32(buf, frame->version);
    buf_put_u32(buf, 0);
    buf_put_u64(buf, 0); // length, known at the end
    return start;
}

int file_frame_end(const FileFrame *frame, Buf *buf, size_t start)
{
    int r = buf_check(buf);
    if (r < 0)
        return r;
    uint64_t total = buf->len - start + sizeof(uint32_t);
    if (total > frame->max)
        return ERROR_LIMIT;
    for (size_t i = 0; i < sizeof total; i++)
        buf->data[start + 16 + i] = (char)(unsigned char)(total >> (8 * i));
    buf_put_u32(buf, crc32c(0, buf->data + start, buf->len - start));
    return buf_check(buf);
}

int file_frame_open(const FileFrame *frame, const void *bytes, size_t len, Cursor *ret_body,
                    Error *reterr)
{
    if (len < FILE_FRAME_OVERHEAD)
        return error_set(reterr, ERROR_FORMAT, "%s: %zu bytes, a frame alone has %d", frame->what,
                         len, FILE_FRAME_OVERHEAD);
    Cursor header = cursor_of(bytes, len);
    uint64_t magic = cursor_u64(&header);
    uint32_t version = cursor_u32(&header);
    uint32_t zero = cursor_u32(&header);
    uint64_t total = cursor_u64(&header);
    if (magic != frame->magic)
        return error_set(reterr, ERROR_FOREIGN, "%s: not such a file (magic '%016" PRIx64 "')",
                         frame->what, magic);
    if (version != frame->version)
        return error_set(reterr, ERROR_FORMAT,
                         "%s: version '%" PRIu32 "', this program reads %" PRIu32, frame->what,
                         version, frame->version);
    if (len > frame->max)
        return error_set(reterr, ERROR_LIMIT, "%s: %zu bytes, the limit is %zu", frame->what, len,
                         frame->max);
    if (total != len)
        return error_set(reterr, ERROR_FORMAT, "%s: %zu bytes of %" PRIu64, frame->what, len,
                         total);
    Cursor tail = cursor_of((const char *)bytes + len - sizeof(uint32_t), sizeof(uint32_t));
    if (crc32c(0, bytes, len - sizeof(uint32_t)) != cursor_u32(&tail))
        return error_set(reterr, ERROR_CORRUPT, "%s: checksum does not match", frame->what);
    if (zero != 0)
        return error_set(reterr, ERROR_FORMAT, "%s: reserved field is '%" PRIu32 "'", frame->what,
                         zero);
    *ret_body = cursor_of((const char *)bytes + FILE_FRAME_HEADER, len - FILE_FRAME_OVERHEAD);
    return 0;
}
