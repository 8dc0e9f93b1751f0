// SPDX-License-Identifier: MIT
// history: reads one stream of a records folder (recording.h), oldest segment first, payload by
// payload. A torn tail is the normal end of a segment; damage inside one ends that segment only and
// is counted. Segments are other people's files: everything is bounded.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cursor.h"
#include "error.h"
#include "event_codec.h"

#define HISTORY_SEGMENT_MAX ((size_t)256 << 20)

typedef struct HistoryItem {
    const RecordingStart *start; // of the segment
    bool first;                  // the segment's start itself: a new segment begins
    bool gap;                    // with `first`: something is missing just before it
    int kind;                    // of the payload: 'S', 'C', 'E', 'R', 'P'
    Cursor cursor;               // behind the kind
    Arena *arena;                // until the next payload
} HistoryItem;

// 0 to go on, 1 to stop reading, or an error.
typedef int HistoryVisit(void *context, HistoryItem *item, Error *reterr);

typedef struct HistoryCounts {
    uint32_t segments, damaged;
} HistoryCounts;

// `stream`: "events", "records" or "plans". ERROR_NOT_FOUND when the folder has none of it.
int history_read(const char *folder, const char *stream, HistoryVisit *visit, void *context,
                 HistoryCounts *ret_counts, Error *reterr) MUST_CHECK;

// The bytes of a fleet.yaml or a plan file from their pieces.
typedef struct HistoryPieces {
    char *bytes;
    uint32_t len, total;
} HistoryPieces;

// 1 when it is whole, 0 when more must follow, ERROR_FORMAT when a piece does not fit.
int history_add_piece(HistoryPieces *pieces, uint32_t offset, uint32_t total, const void *bytes,
                      uint32_t len) MUST_CHECK;
void history_pieces_done(HistoryPieces *pieces);
