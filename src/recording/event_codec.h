// SPDX-License-Identifier: MIT
// event_codec: the core's input events and its decision records as bytes for recordings (contracts
// section 10), so that a replay gives a core of the same build exactly what this one was given.
//
//   recording = segments, each a list of frames (wire/segment.h); payload = kind, body
//     'S' start:  what core_new was given; first frame of every segment
//     'C' config: bytes of fleet.yaml, in pieces (offset, total, bytes); after 'S' and before a
//                 CONFIG event that names its hash
//     'K' core:   snapshot of the core before the segment's first event (core/snapshot.h), in
//                 pieces; the first segment of a start has none
//     'E' events: one batch; texts and times are relative within the batch
//     'R' records: one batch
//     'P' plan:   bytes of a plan file (wire/plan_file.h) in pieces, and when it was made
//     'Z' any of these, deflated (RFC 1950) behind its u32 length: reports repeat themselves
//
// Integers are LEB128 varints, signed ones zigzag. A text is 0 + length + bytes when it is new in
// the batch, else its number. Decoding trusts nothing and keeps everything in the arena.
#pragma once
#include "arena.h"
#include "buf.h"
#include "core.h"
#include "cursor.h"
#include "error.h"

#define RECORDING_VERSION 1
#define EVENT_BATCH_MAX (48U << 10)        // a batch is closed when it has grown so far
#define RECORDING_PAYLOAD_MAX (256U << 10) // of one that was deflated
#define RECORDING_SNAPSHOT_MAX (64U << 20)
#define CODEC_TEXTS 512

typedef struct RecordingStart {
    uint32_t version;
    const char *region, *program; // program: version of the build
    uint64_t config_hash, seed, boot, first_plan;
    Mono now;
    Wall wall;
    bool continues; // a later segment of the same start: earlier ones are needed to replay exactly
    uint32_t n_sockets;
    const char *const *sockets;
    uint32_t n_intents;
    const Intent *intents;
} RecordingStart;

typedef struct RecordingConfig { // a piece; also of a snapshot
    uint32_t offset, total, len;
    const void *bytes;
} RecordingConfig;

typedef struct RecordingPlan {
    Mono now; // of the step that made it
    Wall wall;
    uint32_t offset, total, len;
    const void *bytes;
} RecordingPlan;

// One batch being written or read.
typedef struct EventCodec {
    Mono base_mono;
    Wall base_wall;
    uint32_t n_texts;
    const char *texts[CODEC_TEXTS]; // while writing: of the batch's own arena
    Arena *arena;
} EventCodec;

int recording_put_start(Buf *buf, const RecordingStart *start) MUST_CHECK; // appends a payload
int recording_put_config(Buf *buf, const RecordingConfig *config) MUST_CHECK;
int recording_put_snapshot(Buf *buf, const RecordingConfig *piece) MUST_CHECK;
int recording_put_plan(Buf *buf, const RecordingPlan *plan) MUST_CHECK;
// Begins a batch of kind 'E' or 'R' in `buf`; the arena serves until the batch is closed.
int event_codec_begin(EventCodec *codec, Arena *arena, char kind, Mono now, Wall wall,
                      Buf *buf) MUST_CHECK;
// A CONFIG event is written as its model's config_hash.
int event_codec_put(EventCodec *codec, Buf *buf, const CoreEvent *event) MUST_CHECK;
int event_codec_put_record(EventCodec *codec, Buf *buf, const Record *record) MUST_CHECK;

// Deflates a payload at least as fast as reports come; level 1 leaves about a fifth.
int recording_deflate(const void *payload, size_t len, Buf *buf) MUST_CHECK;
// Opens a payload as segment_next gives it: deflated ones into the arena. ret_cursor stands at the
// kind.
int recording_open(const void *payload, size_t len, Arena *arena, Cursor *ret_cursor) MUST_CHECK;
// 'S', 'C', 'K', 'E', 'R' or 'P' of an open payload, -1 when empty; the cursor stands behind it.
int recording_kind(Cursor *cursor);
int recording_get_start(Cursor *cursor, Arena *arena, RecordingStart *ret_start) MUST_CHECK;
int recording_get_config(Cursor *cursor, RecordingConfig *ret_config) MUST_CHECK;
int recording_get_snapshot(Cursor *cursor, RecordingConfig *ret_piece) MUST_CHECK;
int recording_get_plan(Cursor *cursor, RecordingPlan *ret_plan) MUST_CHECK;
int event_codec_open(EventCodec *codec, Arena *arena, Cursor *cursor) MUST_CHECK;
// 1 and the next event; 0 at the batch's end. For a CONFIG event *ret_config_hash is set and
// event->u.model is NULL.
int event_codec_get(EventCodec *codec, Cursor *cursor, CoreEvent *ret_event,
                    uint64_t *ret_config_hash) MUST_CHECK;
int event_codec_get_record(EventCodec *codec, Cursor *cursor, Record *ret_record) MUST_CHECK;
