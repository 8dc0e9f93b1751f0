// SPDX-License-Identifier: MIT
// recording: see the header. Three streams of the same kind, for events, records and plans. Plans
// are not collected: they are few, and each is written when it comes.
#include "recording.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "bounds.h"
#include "files.h"
#include "layout.h"
#include "parse.h"
#include "plan_file.h"
#include "segment.h"

#define PIECE (32U << 10) // of a configuration or a plan in one frame
#define SEGMENTS_MAX 256  // of a stream, however small

typedef struct Stream {
    const char *name; // "events."
    char kind;
    uint64_t limit;
    uint32_t keep;
    int fd;
    uint64_t number, size;
    bool begun; // a batch is open
    EventCodec codec;
    Arena *arena; // of the batch's texts
    Buf batch;
} Stream;

struct Recording {
    char *folder;
    RecordingStart start;
    Buf config, next_config; // as the core has it; what a CONFIG event will give it, or empty
    Buf core;                // snapshot for the event segment that is to be opened, or empty
    RecordingSnapshot *snapshot;
    void *context;
    bool started; // a segment with the start of this process was written
    Stream events, records, plans;
    Buf plan; // the newest one, as a plan file
    Mono plan_now;
    Wall plan_wall;
    RecordingStatus status;
    Error err;
};

static void failed(Recording *recording, const Error *err)
{
    recording->status.dropped_batches++;
    (void)error_set(&recording->err, -EIO, "%s", error_text(err));
}

typedef struct Kept {
    uint64_t n, bytes, oldest, newest;
} Kept;

static void look(const Recording *recording, const Stream *stream, Kept *ret_kept)
{
    *ret_kept = (Kept){.oldest = UINT64_MAX};
    DIR *dir = opendir(recording->folder);
    size_t len = strlen(stream->name);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        uint64_t number;
        struct stat status;
        if (strncmp(entry->d_name, stream->name, len) != 0 ||
            parse_hex(entry->d_name + len, strlen(entry->d_name + len), 16, &number) < 0)
            continue;
        if (fstatat(dirfd(dir), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
            ret_kept->bytes += (uint64_t)status.st_size;
        ret_kept->n++;
        ret_kept->newest = number > ret_kept->newest ? number : ret_kept->newest;
        ret_kept->oldest = number < ret_kept->oldest ? number : ret_kept->oldest;
    }
    if (dir)
        closedir(dir);
}

// Highest number of the stream's segments. Removes the oldest ones until there is room for a full
// one more. By bytes: each start and each new configuration begins a segment, however small the
// last one is, and a program that crashes again and again must not erase what led to it.
static uint64_t tidy(const Recording *recording, const Stream *stream)
{
    const uint64_t bytes_max = (stream->keep - 1) * stream->limit;
    uint64_t newest = 0;
    for (;;) {
        Kept kept;
        look(recording, stream, &kept);
        newest = kept.newest > newest ? kept.newest : newest;
        LayoutPath path;
        snprintf(path.text, sizeof(path.text), "%s/%s%016" PRIx64, recording->folder, stream->name,
                 kept.oldest);
        if ((kept.bytes <= bytes_max && kept.n < SEGMENTS_MAX) || unlink(path.text) < 0)
            return newest;
    }
}

static int append(Recording *recording, Stream *stream, const void *payload, size_t len,
                  Error *reterr)
{
    Buf frame CLEANUP(buf_done) = BUF_INIT(SEGMENT_FRAME_MAX + 64);
    int r = segment_frame(&frame, payload, len);
    if (r < 0)
        return error_set(reterr, r, "frame of %zu bytes: %s", len, error_code_text(r));
    r = files_write_all(stream->fd, frame.data, frame.len, reterr);
    if (r < 0)
        return r;
    stream->size += frame.len;
    recording->status.written_bytes += frame.len;
    return 0;
}

static int append_deflated(Recording *recording, Stream *stream, const Buf *payload, Error *reterr)
{
    Buf small CLEANUP(buf_done) = BUF_INIT(SEGMENT_FRAME_MAX);
    int r = recording_deflate(payload->data, payload->len, &small);
    if (r == 0 && small.len < payload->len)
        return append(recording, stream, small.data, small.len, reterr);
    return append(recording, stream, payload->data, payload->len, reterr);
}

typedef int PutPiece(Buf *buf, const RecordingConfig *piece);

static int append_pieces(Recording *recording, Stream *stream, const Buf *bytes, PutPiece *put,
                         Error *reterr)
{
    int r = 0;
    for (size_t at = 0; at < bytes->len && r == 0; at += PIECE) {
        Buf payload CLEANUP(buf_done) = BUF_INIT(SEGMENT_FRAME_MAX);
        size_t left = bytes->len - at;
        RecordingConfig piece = {.offset = (uint32_t)at,
                                 .total = (uint32_t)bytes->len,
                                 .len = (uint32_t)(left < PIECE ? left : PIECE),
                                 .bytes = bytes->data + at};
        r = put(&payload, &piece);
        if (r == 0)
            r = append_deflated(recording, stream, &payload, reterr);
    }
    return r;
}

// fleet.yaml, the core that runs with it, and the fleet.yaml that its next event brings.
static int append_head(Recording *recording, Stream *stream, Error *reterr)
{
    const Buf *next = &recording->next_config;
    if (stream->kind == 'P')
        return append_pieces(recording, stream, next->len > 0 ? next : &recording->config,
                             recording_put_config, reterr);
    int r = append_pieces(recording, stream, &recording->config, recording_put_config, reterr);
    if (r == 0)
        r = append_pieces(recording, stream, &recording->core, recording_put_snapshot, reterr);
    if (r == 0)
        r = append_pieces(recording, stream, next, recording_put_config, reterr);
    if (r == 0 && next->len > 0) {
        Buf old = recording->config;
        recording->config = recording->next_config;
        recording->next_config = old;
        buf_clear(&recording->next_config);
    }
    return r;
}

static int append_plan(Recording *recording, Stream *stream, Error *reterr)
{
    int r = 0;
    for (size_t at = 0; at < recording->plan.len && r == 0; at += PIECE) {
        Buf piece CLEANUP(buf_done) = BUF_INIT(SEGMENT_FRAME_MAX);
        size_t left = recording->plan.len - at;
        RecordingPlan plan = {.now = recording->plan_now,
                              .wall = recording->plan_wall,
                              .offset = (uint32_t)at,
                              .total = (uint32_t)recording->plan.len,
                              .len = (uint32_t)(left < PIECE ? left : PIECE),
                              .bytes = recording->plan.data + at};
        r = recording_put_plan(&piece, &plan);
        if (r == 0)
            r = append_deflated(recording, stream, &piece, reterr);
    }
    return r;
}

static void close_segment(Stream *stream)
{
    files_close(stream->fd);
    stream->fd = -1;
}

// Something of the stream is missing from here on: a number is left out, so that readers see it.
static void lose(Stream *stream)
{
    close_segment(stream);
    stream->number++;
}

static int open_segment(Recording *recording, Stream *stream, Error *reterr)
{
    uint64_t newest = tidy(recording, stream);
    stream->number = newest >= stream->number ? newest + 1 : stream->number + 1;
    LayoutPath path;
    snprintf(path.text, sizeof(path.text), "%s/%s%016" PRIx64, recording->folder, stream->name,
             stream->number);
    stream->fd = open(path.text, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
    if (stream->fd < 0)
        return error_errno(reterr, errno, "%s", path.text);
    stream->size = 0;
    Buf start CLEANUP(buf_done) = BUF_INIT(SEGMENT_FRAME_MAX);
    int r = recording_put_start(&start, &recording->start);
    if (r == 0)
        r = append(recording, stream, start.data, start.len, reterr);
    if (r == 0 && stream->kind != 'R')
        r = append_head(recording, stream, reterr);
    if (r == 0 && stream->kind == 'P')
        r = append_plan(recording, stream, reterr);
    if (r < 0) {
        close_segment(stream);
        (void)unlink(path.text); // a segment without its start is of no use
        return r;
    }
    if (stream->kind == 'E')
        recording->start.continues = true;
    return 0;
}

static void flush_stream(Recording *recording, Stream *stream)
{
    if (!stream->begun)
        return;
    stream->begun = false;
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = buf_check(&stream->batch);
    if (r == 0 && stream->fd < 0)
        r = open_segment(recording, stream, &err);
    if (r == 0)
        r = append_deflated(recording, stream, &stream->batch, &err);
    if (r == 0 && stream->size + EVENT_BATCH_MAX > stream->limit)
        close_segment(stream); // now: the next one begins with the core as it will be then
    if (r < 0) {
        failed(recording, &err);
        lose(stream); // its tail may be torn
    } else {
        error_done(&recording->err);
    }
    buf_clear(&stream->batch);
    arena_reset(stream->arena);
}

static bool begin(Stream *stream, Mono now, Wall wall)
{
    if (!stream->begun)
        stream->begun = event_codec_begin(&stream->codec, stream->arena, stream->kind, now, wall,
                                          &stream->batch) == 0;
    return stream->begun;
}

// An addition that did not fit whole would make the batch unreadable: take it back.
static bool settle(Recording *recording, Stream *stream, size_t before, int r)
{
    if (r < 0 || stream->batch.len > SEGMENT_FRAME_MAX) {
        stream->batch.len = before;
        stream->batch.failed = false;
        return false;
    }
    if (stream->batch.len >= EVENT_BATCH_MAX)
        flush_stream(recording, stream);
    return true;
}

// A segment is about to begin with this event: the core before it.
static void take_snapshot(Recording *recording)
{
    const Stream *stream = &recording->events;
    if (stream->fd >= 0 || stream->begun)
        return;
    buf_clear(&recording->core);
    if (recording->snapshot == NULL || !recording->start.continues)
        return;
    if (recording->snapshot(recording->context, &recording->core) < 0)
        buf_clear(&recording->core); // a segment without one is read from an earlier one on
}

void recording_add_event(Recording *recording, const CoreEvent *event)
{
    Stream *stream = &recording->events;
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        take_snapshot(recording);
        if (!begin(stream, event->now, event->wall))
            break;
        EventCodec before = stream->codec;
        size_t len = stream->batch.len;
        int r = event_codec_put(&stream->codec, &stream->batch, event);
        if (settle(recording, stream, len, r))
            return;
        stream->codec = before;
        flush_stream(recording, stream); // once more in a batch of its own
    }
    recording->status.dropped_batches++;
    flush_stream(recording, stream);
    lose(stream);
}

void recording_add_record(Recording *recording, const Record *record, Wall wall)
{
    Stream *stream = &recording->records;
    if (!begin(stream, record->at, wall))
        return;
    EventCodec before = stream->codec;
    size_t len = stream->batch.len;
    int r = event_codec_put_record(&stream->codec, &stream->batch, record);
    if (settle(recording, stream, len, r))
        return;
    stream->codec = before;
    recording->status.dropped_batches++;
}

// A plan that cannot be written is written with the next segment: that begins with the newest one.
void recording_add_plan(Recording *recording, const Plan *plan, Mono now, Wall wall)
{
    Stream *stream = &recording->plans;
    Error err CLEANUP(error_done) = ERROR_INIT;
    buf_clear(&recording->plan);
    recording->plan_now = now;
    recording->plan_wall = wall;
    int r = plan_file_encode(plan, &recording->plan);
    if (r == 0 && stream->fd >= 0 && stream->size + recording->plan.len > stream->limit)
        close_segment(stream);
    if (r == 0 && stream->fd < 0)
        r = open_segment(recording, stream, &err); // with this plan
    else if (r == 0)
        r = append_plan(recording, stream, &err);
    if (r < 0) {
        failed(recording, &err);
        close_segment(stream);
    }
}

void recording_set_config(Recording *recording, const char *bytes, size_t len)
{
    flush_stream(recording, &recording->events);
    buf_clear(&recording->next_config);
    buf_add(&recording->next_config, bytes, len);
    close_segment(&recording->events); // the next ones begin with the new bytes
    close_segment(&recording->plans);
}

void recording_flush(Recording *recording)
{
    flush_stream(recording, &recording->events);
    flush_stream(recording, &recording->records);
}

RecordingStatus recording_status(const Recording *recording)
{
    RecordingStatus status = recording->status;
    status.error = recording->err.text ? recording->err.text : "";
    return status;
}

static bool stream_init(Stream *stream, const char *name, char kind, uint64_t limit, uint32_t keep)
{
    *stream = (Stream){.name = name,
                       .kind = kind,
                       .limit = limit,
                       .keep = keep,
                       .fd = -1,
                       .arena = arena_new(1U << 20),
                       .batch = BUF_INIT(2 * SEGMENT_FRAME_MAX)};
    return stream->arena != NULL;
}

int recording_new(const RecordingOptions *options, Recording **ret_recording, Error *reterr)
{
    Recording *recording = alloc_zeroed(1, sizeof(*recording));
    if (!recording)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    recording->folder = alloc_strdup(options->folder);
    recording->start = options->start;
    bool ok = recording->folder != NULL;
    ok = stream_init(&recording->events, "events.", 'E',
                     options->event_bytes ? options->event_bytes : 4U << 20,
                     options->event_segments ? options->event_segments : 8) &&
         ok;
    ok = stream_init(&recording->records, "records.", 'R',
                     options->record_bytes ? options->record_bytes : 1U << 20,
                     options->record_segments ? options->record_segments : 4) &&
         ok;
    ok = stream_init(&recording->plans, "plans.", 'P',
                     options->plan_bytes ? options->plan_bytes : 1U << 20,
                     options->plan_segments ? options->plan_segments : 8) &&
         ok;
    recording->plan = BUF_INIT(BOUND_PLAN_BYTES);
    recording->config = recording->next_config = BUF_INIT(BOUND_CONF_BYTES);
    recording->core = BUF_INIT(RECORDING_SNAPSHOT_MAX);
    recording->snapshot = options->snapshot;
    recording->context = options->context;
    int r = ok ? files_make_dirs(options->folder, 0755, reterr)
               : error_set(reterr, ERROR_MEMORY, "out of memory");
    if (r < 0) {
        (void)recording_free(recording);
        return r;
    }
    buf_add(&recording->config, options->config, options->config_len);
    *ret_recording = recording;
    return 0;
}

static void stream_done(Stream *stream)
{
    files_close(stream->fd);
    buf_done(&stream->batch);
    stream->arena = arena_free(stream->arena);
}

Recording *recording_free(Recording *recording)
{
    if (!recording)
        return NULL;
    recording_flush(recording);
    stream_done(&recording->events);
    stream_done(&recording->records);
    stream_done(&recording->plans);
    buf_done(&recording->plan);
    buf_done(&recording->core);
    buf_done(&recording->config);
    buf_done(&recording->next_config);
    error_done(&recording->err);
    free(recording->folder);
    free(recording);
    return NULL;
}
