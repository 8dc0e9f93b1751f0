// SPDX-License-Identifier: MIT
// recording: bounded segment files in DIR/R/records: `events.<n>` hold what the core was given,
// `records.<n>` what it decided, `plans.<n>` the plans that came out (event_codec.h); each plan
// segment begins with the plan in force and each event segment but the first of a start with a
// snapshot of the core, so that all can be read by themselves. n rises across restarts;
// the oldest segment goes when they hold too many bytes together. Writing collects in memory and
// appends once a second or when a batch is full; nothing is synced, for it is evidence and not
// state. A full disk costs evidence, never a decision: the batch is dropped, counted, and the next
// one tried in a new segment.
#pragma once
#include <stdint.h>

#include "core.h"
#include "error.h"
#include "event_codec.h"

typedef struct Recording Recording;

// Appends the core as it is now (core_save).
typedef int RecordingSnapshot(void *context, Buf *buf);

typedef struct RecordingOptions {
    const char *folder;
    RecordingStart start; // copied but for its texts, sockets and intents, which must live on
    const char *config;   // bytes of fleet.yaml, copied
    size_t config_len;
    RecordingSnapshot *snapshot; // NULL: none
    void *context;
    uint64_t event_bytes, record_bytes, plan_bytes; // of one segment; 0: 4 MiB, 1 MiB, 1 MiB
    // Kept are the bytes of so many full ones, at most 256 segments; 0: 8, 4, 8.
    uint32_t event_segments, record_segments, plan_segments;
} RecordingOptions;

typedef struct RecordingStatus {
    uint64_t written_bytes, dropped_batches;
    const char *error; // "" while writing works
} RecordingStatus;

int recording_new(const RecordingOptions *options, Recording **ret_recording,
                  Error *reterr) MUST_CHECK;
// Before the core takes it.
void recording_add_event(Recording *recording, const CoreEvent *event);
void recording_add_plan(Recording *recording, const Plan *plan, Mono now, Wall wall);
void recording_add_record(Recording *recording, const Record *record, Wall wall);
// Before a CONFIG event: the bytes that it was made from.
void recording_set_config(Recording *recording, const char *bytes, size_t len);
void recording_flush(Recording *recording); // once a second, and at the end
RecordingStatus recording_status(const Recording *recording);
Recording *recording_free(Recording *recording); // flushes; takes NULL, returns NULL
