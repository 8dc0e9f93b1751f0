// SPDX-License-Identifier: MIT
// records: see records.h.
#include "records.h"

#include <string.h>

#include "segment.h"

static void put_text(Buf *buf, const char *text)
{
    size_t len = strlen(text);
    buf_put_u8(buf, (uint8_t)len);
    buf_add(buf, text, len);
}

static int frame(Buf *buf, Buf *payload)
{
    int r = buf_check(payload);
    if (r == 0)
        r = segment_frame(buf, payload->data, payload->len);
    buf_done(payload);
    return r;
}

int records_put_start(Buf *buf, const RunStart *start)
{
    if (start->n_regions > RECORDS_REGIONS)
        return ERROR_LIMIT;
    Buf payload = BUF_INIT(0);
    buf_put_u8(&payload, RECORDS_START);
    buf_put_u64(&payload, start->run);
    buf_put_i64(&payload, start->wall.ns);
    buf_put_i64(&payload, start->mono.ns);
    buf_put_u32(&payload, start->rate);
    buf_put_u32(&payload, start->n_regions);
    for (uint32_t i = 0; i < start->n_regions; i++)
        put_text(&payload, start->regions[i]);
    return frame(buf, &payload);
}

int records_put_request(Buf *buf, const CameraRequest *request)
{
    Buf payload = BUF_INIT(0);
    buf_put_u8(&payload, RECORDS_REQUEST);
    buf_put_i64(&payload, request->scheduled.ns);
    buf_put_i64(&payload, request->first_ended.ns);
    buf_put_i64(&payload, request->ended.ns);
    buf_put_u32(&payload, request->client);
    buf_put_u8(&payload, request->first_gateway);
    buf_put_u8(&payload, request->last_gateway);
    buf_put_u8(&payload, (uint8_t)request->first);
    buf_put_u8(&payload, (uint8_t)request->last);
    buf_put_u16(&payload, request->status);
    buf_put_u8(&payload, request->tries);
    buf_put_u8(&payload, request->reconnects);
    buf_put_u8(&payload, (uint8_t)(request->idempotent | request->write << 1));
    return frame(buf, &payload);
}

int records_put_entry(Buf *buf, const LedgerEntry *entry)
{
    Buf payload = BUF_INIT(0);
    buf_put_u8(&payload, RECORDS_ENTRY);
    buf_put_u64(&payload, entry->run);
    buf_put_i64(&payload, entry->acknowledged.ns);
    put_text(&payload, entry->id);
    put_text(&payload, entry->key);
    put_text(&payload, entry->region);
    return frame(buf, &payload);
}

static void get_text(Cursor *cursor, char *ret_text, size_t size)
{
    size_t len = cursor_u8(cursor);
    const void *bytes = cursor_bytes(cursor, len);
    if (bytes == NULL || len >= size || memchr(bytes, '\0', len) != NULL) {
        cursor_fail(cursor);
        ret_text[0] = '\0';
        return;
    }
    memcpy(ret_text, bytes, len);
    ret_text[len] = '\0';
}

static void get_start(Cursor *cursor, RunStart *start)
{
    start->run = cursor_u64(cursor);
    start->wall.ns = cursor_i64(cursor);
    start->mono.ns = cursor_i64(cursor);
    start->rate = cursor_u32(cursor);
    start->n_regions = cursor_u32(cursor);
    if (start->n_regions > RECORDS_REGIONS)
        cursor_fail(cursor);
    for (uint32_t i = 0; cursor_check(cursor) == 0 && i < start->n_regions; i++)
        get_text(cursor, start->regions[i], sizeof start->regions[i]);
}

static TryResult get_result(Cursor *cursor)
{
    uint8_t value = cursor_u8(cursor);
    if (value >= TRY_MAX)
        cursor_fail(cursor);
    return (TryResult)value;
}

static void get_request(Cursor *cursor, CameraRequest *request)
{
    request->scheduled.ns = cursor_i64(cursor);
    request->first_ended.ns = cursor_i64(cursor);
    request->ended.ns = cursor_i64(cursor);
    request->client = cursor_u32(cursor);
    request->first_gateway = cursor_u8(cursor);
    request->last_gateway = cursor_u8(cursor);
    request->first = get_result(cursor);
    request->last = get_result(cursor);
    request->status = cursor_u16(cursor);
    request->tries = cursor_u8(cursor);
    request->reconnects = cursor_u8(cursor);
    uint8_t flags = cursor_u8(cursor);
    request->idempotent = (flags & 1) != 0;
    request->write = (flags & 2) != 0;
    if (request->first_gateway >= RECORDS_REGIONS || request->last_gateway >= RECORDS_REGIONS ||
        request->ended.ns < request->scheduled.ns)
        cursor_fail(cursor);
}

static void get_entry(Cursor *cursor, LedgerEntry *entry)
{
    entry->run = cursor_u64(cursor);
    entry->acknowledged.ns = cursor_i64(cursor);
    get_text(cursor, entry->id, sizeof entry->id);
    get_text(cursor, entry->key, sizeof entry->key);
    get_text(cursor, entry->region, sizeof entry->region);
}

int records_next(Cursor *cursor, RecordsItem *ret_item)
{
    const void *payload;
    size_t len;
    if (segment_next(cursor, &payload, &len) != 1)
        return RECORDS_END;
    Cursor inside = cursor_of(payload, len);
    memset(ret_item, 0, sizeof *ret_item);
    ret_item->kind = (RecordsKind)cursor_u8(&inside);
    switch (ret_item->kind) {
    case RECORDS_START:
        get_start(&inside, &ret_item->u.start);
        break;
    case RECORDS_REQUEST:
        get_request(&inside, &ret_item->u.request);
        break;
    case RECORDS_ENTRY:
        get_entry(&inside, &ret_item->u.entry);
        break;
    default:
        return ERROR_FORMAT;
    }
    if (cursor_check(&inside) < 0 || cursor_left(&inside) > 0)
        return ERROR_FORMAT;
    return (int)ret_item->kind;
}
