// SPDX-License-Identifier: MIT
// prefixes: the file `prefixes.<digest>` of plan_file.h. Body: digest u64, count u32, then per
// prefix 16 bytes, bits u8, group u16. Strictly ascending by (address, bits), as pick_group
// searches it; a table out of order would send clients anywhere, so it is refused.
#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "cursor.h"
#include "file_frame.h"
#include "plan_file.h"

#define PREFIX_BYTES 19

static const FileFrame PREFIXES_FRAME = {
    .what = "prefixes",
    .magic = UINT64_C(0x317866506d614357), // "WCamPfx1"
    .version = 1,
    .max = FILE_FRAME_OVERHEAD + 12 + (size_t)BOUND_PREFIXES * PREFIX_BYTES,
};

static int check_prefixes(const ModelPrefix *prefixes, uint32_t n, Error *reterr)
{
    if (n == 0)
        return error_set(reterr, ERROR_RANGE, "prefixes: none");
    if (n > BOUND_PREFIXES)
        return error_set(reterr, ERROR_LIMIT, "prefixes: %" PRIu32 ", at most %u", n,
                         BOUND_PREFIXES);
    for (uint32_t i = 0; i < n; i++) {
        const IpPrefix *prefix = &prefixes[i].prefix;
        Ip masked = ip_masked(prefix->ip, prefix->bits);
        if (prefix->bits > 128 || prefixes[i].group >= BOUND_GROUPS ||
            memcmp(&masked, &prefix->ip, sizeof masked) != 0)
            return error_set(reterr, ERROR_RANGE,
                             "prefixes: number %" PRIu32 " is not a prefix and a group", i);
        if (i == 0)
            continue;
        const IpPrefix *before = &prefixes[i - 1].prefix;
        int order = memcmp(&before->ip, &prefix->ip, sizeof prefix->ip);
        if (order > 0 || (order == 0 && before->bits >= prefix->bits))
            return error_set(reterr, ERROR_RANGE, "prefixes: number %" PRIu32 " is out of order",
                             i);
    }
    return 0;
}

int prefixes_encode(const ModelPrefix *prefixes, uint32_t n, uint64_t digest, Buf *buf)
{
    int r = check_prefixes(prefixes, n, NULL);
    if (r < 0)
        return r;
    size_t start = file_frame_begin(&PREFIXES_FRAME, buf);
    buf_put_u64(buf, digest);
    buf_put_u32(buf, n);
    for (uint32_t i = 0; i < n; i++) {
        buf_add(buf, prefixes[i].prefix.ip.bytes, sizeof prefixes[i].prefix.ip.bytes);
        buf_put_u8(buf, prefixes[i].prefix.bits);
        buf_put_u16(buf, (uint16_t)prefixes[i].group);
    }
    return file_frame_end(&PREFIXES_FRAME, buf, start);
}

int prefixes_decode(const void *bytes, size_t len, Arena *arena, const ModelPrefix **ret_prefixes,
                    uint32_t *ret_n, uint64_t *ret_digest, Error *reterr)
{
    Cursor body;
    int r = file_frame_open(&PREFIXES_FRAME, bytes, len, &body, reterr);
    if (r < 0)
        return r;
    uint64_t digest = cursor_u64(&body);
    uint32_t n = cursor_u32(&body);
    if (cursor_check(&body) < 0 || cursor_left(&body) % PREFIX_BYTES != 0 ||
        cursor_left(&body) / PREFIX_BYTES != n)
        return error_set(reterr, ERROR_FORMAT, "prefixes: %" PRIu32 " in %zu bytes", n,
                         cursor_left(&body));
    ModelPrefix *prefixes = arena_new_array(arena, ModelPrefix, n);
    if (prefixes == NULL)
        return error_set(reterr, ERROR_MEMORY, "prefixes: out of memory");
    for (uint32_t i = 0; i < n; i++) {
        const void *ip = cursor_bytes(&body, sizeof prefixes[i].prefix.ip.bytes);
        if (ip != NULL)
            memcpy(prefixes[i].prefix.ip.bytes, ip, sizeof prefixes[i].prefix.ip.bytes);
        prefixes[i].prefix.bits = cursor_u8(&body);
        prefixes[i].group = cursor_u16(&body);
    }
    if ((r = check_prefixes(prefixes, n, reterr)) < 0)
        return r;
    *ret_prefixes = prefixes;
    *ret_n = n;
    *ret_digest = digest;
    return 0;
}
