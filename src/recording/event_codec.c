// SPDX-License-Identifier: MIT
// event_codec: see the header. Reports make up most of a recording; their fields are in
// report_codec.
#include "event_codec.h"

#include <string.h>
#include <zlib.h>

#include "bounds.h"
#include "report_codec.h"
#include "varint.h"

// --- Texts ---

void codec_put_text(EventCodec *codec, Buf *buf, const char *text)
{
    for (uint32_t i = 0; i < codec->n_texts; i++) {
        if (strcmp(codec->texts[i], text) == 0) {
            put_varint(buf, i + 1);
            return;
        }
    }
    size_t len = strlen(text);
    put_varint(buf, 0);
    put_varint(buf, len);
    buf_add(buf, text, len);
    // The reader counts every new text, so the writer must remember it or fail the batch.
    if (codec->n_texts == CODEC_TEXTS)
        return;
    const char *copy = arena_strndup(codec->arena, text, len);
    if (copy)
        codec->texts[codec->n_texts++] = copy;
    else
        buf->failed = true;
}

const char *codec_get_text(EventCodec *codec, Cursor *cursor)
{
    uint64_t number = get_varint(cursor);
    if (number > codec->n_texts)
        cursor_fail(cursor);
    if (cursor->failed)
        return "";
    if (number)
        return codec->texts[number - 1];
    uint64_t len = get_varint(cursor);
    const char *bytes = len <= BOUND_REPORT_BYTES ? cursor_bytes(cursor, (size_t)len) : NULL;
    const char *text = bytes ? arena_strndup(codec->arena, bytes, (size_t)len) : NULL;
    if (!text || strlen(text) != len) {
        cursor_fail(cursor);
        return "";
    }
    if (codec->n_texts < CODEC_TEXTS)
        codec->texts[codec->n_texts++] = text;
    return text;
}

// --- Start and configuration ---

int recording_put_start(Buf *buf, const RecordingStart *start)
{
    Arena *arena CLEANUP(arena_freep) = arena_new(1U << 20);
    EventCodec *codec = arena ? arena_new_of(arena, EventCodec) : NULL;
    if (!codec)
        return ERROR_MEMORY;
    codec->arena = arena;
    buf_add_char(buf, 'S');
    put_varint(buf, start->version);
    codec_put_text(codec, buf, start->region);
    codec_put_text(codec, buf, start->program);
    buf_put_u64(buf, start->config_hash);
    buf_put_u64(buf, start->seed);
    buf_put_u64(buf, start->boot);
    buf_put_u64(buf, start->first_plan);
    buf_put_i64(buf, start->now.ns);
    buf_put_i64(buf, start->wall.ns);
    buf_put_u8(buf, start->continues);
    put_varint(buf, start->n_sockets);
    for (uint32_t i = 0; i < start->n_sockets; i++)
        codec_put_text(codec, buf, start->sockets[i]);
    codec_put_intents(codec, buf, start->intents, start->n_intents);
    return buf_check(buf);
}

static int put_piece(Buf *buf, char kind, const RecordingConfig *piece)
{
    buf_add_char(buf, kind);
    buf_put_u32(buf, piece->offset);
    buf_put_u32(buf, piece->total);
    buf_add(buf, piece->bytes, piece->len);
    return buf_check(buf);
}

int recording_put_config(Buf *buf, const RecordingConfig *config)
{
    return put_piece(buf, 'C', config);
}

int recording_put_snapshot(Buf *buf, const RecordingConfig *piece)
{
    return put_piece(buf, 'K', piece);
}

int recording_put_plan(Buf *buf, const RecordingPlan *plan)
{
    buf_add_char(buf, 'P');
    buf_put_i64(buf, plan->now.ns);
    buf_put_i64(buf, plan->wall.ns);
    buf_put_u32(buf, plan->offset);
    buf_put_u32(buf, plan->total);
    buf_add(buf, plan->bytes, plan->len);
    return buf_check(buf);
}

int recording_deflate(const void *payload, size_t len, Buf *buf)
{
    // Small windows: this runs once a second in a process that is to stay small.
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)payload, .avail_in = (uInt)len};
    if (deflateInit2(&stream, 1, Z_DEFLATED, 14, 6, Z_DEFAULT_STRATEGY) != Z_OK)
        return ERROR_MEMORY;
    buf_add_char(buf, 'Z');
    buf_put_u32(buf, (uint32_t)len);
    int r;
    do {
        char out[4096];
        stream.next_out = (Bytef *)out;
        stream.avail_out = sizeof(out);
        r = deflate(&stream, Z_FINISH);
        buf_add(buf, out, sizeof(out) - stream.avail_out);
    } while (r == Z_OK);
    (void)deflateEnd(&stream);
    return r == Z_STREAM_END ? buf_check(buf) : ERROR_MEMORY;
}

int recording_open(const void *payload, size_t len, Arena *arena, Cursor *ret_cursor)
{
    Cursor cursor = cursor_of(payload, len);
    if (len == 0 || cursor_u8(&cursor) != 'Z') {
        *ret_cursor = cursor_of(payload, len);
        return 0;
    }
    uLongf size = cursor_u32(&cursor);
    if (cursor_check(&cursor) < 0 || size == 0 || size > RECORDING_PAYLOAD_MAX)
        return ERROR_FORMAT;
    Bytef *bytes = arena_alloc(arena, size);
    if (!bytes)
        return ERROR_MEMORY;
    uLongf got = size;
    uLong left = (uLong)cursor_left(&cursor);
    if (uncompress(bytes, &got, cursor_bytes(&cursor, left), left) != Z_OK || got != size ||
        bytes[0] == 'Z')
        return ERROR_FORMAT;
    *ret_cursor = cursor_of(bytes, size);
    return 0;
}

int recording_kind(Cursor *cursor)
{
    int kind = cursor_u8(cursor);
    return cursor->failed ? -1 : kind;
}

int recording_get_start(Cursor *cursor, Arena *arena, RecordingStart *ret_start)
{
    EventCodec *codec = arena_new_of(arena, EventCodec);
    if (!codec)
        return ERROR_MEMORY;
    codec->arena = arena;
    RecordingStart start = {.version = get_varint32(cursor)};
    if (start.version != RECORDING_VERSION)
        return ERROR_FORMAT;
    start.region = codec_get_text(codec, cursor);
    start.program = codec_get_text(codec, cursor);
    start.config_hash = cursor_u64(cursor);
    start.seed = cursor_u64(cursor);
    start.boot = cursor_u64(cursor);
    start.first_plan = cursor_u64(cursor);
    start.now.ns = cursor_i64(cursor);
    start.wall.ns = cursor_i64(cursor);
    start.continues = cursor_u8(cursor) != 0;
    start.n_sockets = get_varint32(cursor);
    if (start.n_sockets > BOUND_REPLICAS)
        return ERROR_LIMIT;
    const char **sockets = arena_new_array(arena, const char *, start.n_sockets + 1);
    if (!sockets)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < start.n_sockets; i++)
        sockets[i] = codec_get_text(codec, cursor);
    start.sockets = sockets;
    Intent *intents;
    int r = codec_get_intents(codec, cursor, &intents, &start.n_intents);
    if (r < 0)
        return r;
    start.intents = intents;
    r = cursor_check(cursor);
    if (r == 0)
        *ret_start = start;
    return r;
}

static int get_piece(Cursor *cursor, uint32_t most, RecordingConfig *ret_piece)
{
    RecordingConfig piece = {.offset = cursor_u32(cursor), .total = cursor_u32(cursor)};
    piece.len = (uint32_t)cursor_left(cursor);
    piece.bytes = cursor_bytes(cursor, piece.len);
    int r = cursor_check(cursor);
    if (r == 0 && (piece.total > most || piece.offset > piece.total ||
                   piece.len > piece.total - piece.offset))
        r = ERROR_FORMAT;
    if (r == 0)
        *ret_piece = piece;
    return r;
}

int recording_get_config(Cursor *cursor, RecordingConfig *ret_config)
{
    return get_piece(cursor, BOUND_CONF_BYTES, ret_config);
}

int recording_get_snapshot(Cursor *cursor, RecordingConfig *ret_piece)
{
    return get_piece(cursor, RECORDING_SNAPSHOT_MAX, ret_piece);
}

int recording_get_plan(Cursor *cursor, RecordingPlan *ret_plan)
{
    RecordingPlan plan = {.now.ns = cursor_i64(cursor), .wall.ns = cursor_i64(cursor)};
    plan.offset = cursor_u32(cursor);
    plan.total = cursor_u32(cursor);
    plan.len = (uint32_t)cursor_left(cursor);
    plan.bytes = cursor_bytes(cursor, plan.len);
    int r = cursor_check(cursor);
    if (r == 0 && (plan.total > BOUND_PLAN_BYTES || plan.offset > plan.total ||
                   plan.len > plan.total - plan.offset))
        r = ERROR_FORMAT;
    if (r == 0)
        *ret_plan = plan;
    return r;
}

// --- Batches ---

int event_codec_begin(EventCodec *codec, Arena *arena, char kind, Mono now, Wall wall, Buf *buf)
{
    *codec = (EventCodec){.base_mono = now, .base_wall = wall, .arena = arena};
    buf_add_char(buf, kind);
    buf_put_i64(buf, now.ns);
    buf_put_i64(buf, wall.ns);
    return buf_check(buf);
}

int event_codec_open(EventCodec *codec, Arena *arena, Cursor *cursor)
{
    *codec = (EventCodec){.arena = arena};
    codec->base_mono.ns = cursor_i64(cursor);
    codec->base_wall.ns = cursor_i64(cursor);
    return cursor_check(cursor);
}

// Times run on: each is the difference to the one before. Wraps like the clocks' own integers.
static void put_times(EventCodec *codec, Buf *buf, Mono now, Wall wall)
{
    put_zigzag(buf, (int64_t)((uint64_t)now.ns - (uint64_t)codec->base_mono.ns));
    put_zigzag(buf, (int64_t)((uint64_t)wall.ns - (uint64_t)codec->base_wall.ns));
    codec->base_mono = now;
    codec->base_wall = wall;
}

static void get_times(EventCodec *codec, Cursor *cursor, Mono *ret_now, Wall *ret_wall)
{
    codec->base_mono.ns = (int64_t)((uint64_t)codec->base_mono.ns + (uint64_t)get_zigzag(cursor));
    codec->base_wall.ns = (int64_t)((uint64_t)codec->base_wall.ns + (uint64_t)get_zigzag(cursor));
    *ret_now = codec->base_mono;
    *ret_wall = codec->base_wall;
}

static void put_edge(EventCodec *codec, Buf *buf, const CoreEventEdge *edge)
{
    put_varint(buf, edge->gateway);
    put_varint(buf, edge->successes);
    put_varint(buf, edge->failures);
    put_varint(buf, edge->load_rps);
    buf_put_u8(buf, edge->any_success);
    put_zigzag(buf, (int64_t)((uint64_t)edge->success_sent.ns - (uint64_t)codec->base_mono.ns));
}

static void get_edge(const EventCodec *codec, Cursor *cursor, CoreEventEdge *ret_edge)
{
    ret_edge->gateway = get_varint32(cursor);
    ret_edge->successes = get_varint32(cursor);
    ret_edge->failures = get_varint32(cursor);
    ret_edge->load_rps = get_varint32(cursor);
    ret_edge->any_success = cursor_u8(cursor) != 0;
    ret_edge->success_sent.ns =
        (int64_t)((uint64_t)codec->base_mono.ns + (uint64_t)get_zigzag(cursor));
}

int event_codec_put(EventCodec *codec, Buf *buf, const CoreEvent *event)
{
    buf_put_u8(buf, (uint8_t)event->kind);
    put_times(codec, buf, event->now, event->wall);
    switch (event->kind) {
    case CORE_EVENT_PROBE_ANSWERED:
    case CORE_EVENT_PROBE_FAILED:
        put_varint(buf, event->id);
        put_varint(buf, event->gateway);
        break;
    case CORE_EVENT_IDLE_CLOSED:
        put_varint(buf, event->gateway);
        break;
    case CORE_EVENT_REPORT:
        put_varint(buf, event->id);
        codec_put_report(codec, buf, event->u.report);
        break;
    case CORE_EVENT_EDGE:
        put_edge(codec, buf, &event->u.edge);
        break;
    case CORE_EVENT_REPLICA:
        put_varint(buf, event->id);
        put_varint(buf, event->u.replica.replica);
        put_varint(buf, event->u.replica.classes);
        buf_put_u8(buf, event->u.replica.answered);
        break;
    case CORE_EVENT_INTENT:
        codec_put_intents(codec, buf, event->u.intent, 1);
        break;
    case CORE_EVENT_CONFIG:
        buf_put_u64(buf, event->u.model->config_hash);
        break;
    case CORE_EVENT_TICK:
    case CORE_EVENT_MAX:
        break;
    }
    return buf_check(buf);
}

static int get_one_intent(EventCodec *codec, Cursor *cursor, const Intent **ret_intent)
{
    Intent *intents;
    uint32_t n;
    int r = codec_get_intents(codec, cursor, &intents, &n);
    if (r == 0 && n != 1)
        r = ERROR_FORMAT;
    if (r == 0)
        *ret_intent = intents;
    return r;
}

static int get_body(EventCodec *codec, Cursor *cursor, CoreEvent *event, uint64_t *config_hash)
{
    switch (event->kind) {
    case CORE_EVENT_PROBE_ANSWERED:
    case CORE_EVENT_PROBE_FAILED:
        event->id = get_varint(cursor);
        event->gateway = get_varint32(cursor);
        break;
    case CORE_EVENT_IDLE_CLOSED:
        event->gateway = get_varint32(cursor);
        break;
    case CORE_EVENT_REPORT:
        event->id = get_varint(cursor);
        return codec_get_report(codec, cursor, &event->u.report);
    case CORE_EVENT_EDGE:
        get_edge(codec, cursor, &event->u.edge);
        break;
    case CORE_EVENT_REPLICA:
        event->id = get_varint(cursor);
        event->u.replica.replica = get_varint32(cursor);
        event->u.replica.classes = get_varint32(cursor);
        event->u.replica.answered = cursor_u8(cursor) != 0;
        break;
    case CORE_EVENT_INTENT:
        return get_one_intent(codec, cursor, &event->u.intent);
    case CORE_EVENT_CONFIG:
        *config_hash = cursor_u64(cursor);
        break;
    case CORE_EVENT_TICK:
        break;
    case CORE_EVENT_MAX:
    default:
        return ERROR_FORMAT;
    }
    return 0;
}

int event_codec_get(EventCodec *codec, Cursor *cursor, CoreEvent *ret_event,
                    uint64_t *ret_config_hash)
{
    if (!cursor_left(cursor))
        return cursor_check(cursor);
    CoreEvent event = {.kind = (CoreEventKind)cursor_u8(cursor)};
    get_times(codec, cursor, &event.now, &event.wall);
    uint64_t config_hash = 0;
    int r = get_body(codec, cursor, &event, &config_hash);
    if (r == 0)
        r = cursor_check(cursor);
    if (r < 0)
        return r;
    *ret_event = event;
    *ret_config_hash = config_hash;
    return 1;
}

int event_codec_put_record(EventCodec *codec, Buf *buf, const Record *record)
{
    buf_put_u8(buf, (uint8_t)record->kind);
    put_times(codec, buf, record->at, codec->base_wall);
    codec_put_text(codec, buf, record->subject);
    codec_put_text(codec, buf, record->facts);
    return buf_check(buf);
}

int event_codec_get_record(EventCodec *codec, Cursor *cursor, Record *ret_record)
{
    if (!cursor_left(cursor))
        return cursor_check(cursor);
    Record record = {.kind = (RecordKind)cursor_u8(cursor)};
    Wall wall;
    get_times(codec, cursor, &record.at, &wall);
    record.subject = codec_get_text(codec, cursor);
    record.facts = codec_get_text(codec, cursor);
    if ((unsigned)record.kind >= RECORD_KIND_MAX)
        return ERROR_FORMAT;
    int r = cursor_check(cursor);
    if (r < 0)
        return r;
    *ret_record = record;
    return 1;
}
