// SPDX-License-Identifier: MIT
// fuzz recording: one payload of a recording segment, of any kind, as a replay reads it from disk.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "event_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_batch(Cursor *cursor, Arena *arena, bool records)
{
    EventCodec *codec = arena_new_of(arena, EventCodec);
    CoreEvent event;
    Record record;
    uint64_t hash;
    if (!codec || event_codec_open(codec, arena, cursor) < 0)
        return;
    while ((records ? event_codec_get_record(codec, cursor, &record)
                    : event_codec_get(codec, cursor, &event, &hash)) == 1)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *exact = malloc(size ? size : 1);
    Arena *arena = arena_new(8U << 20);
    if (exact && arena) {
        memcpy(exact, data, size);
        Cursor cursor = cursor_of(exact, 0);
        RecordingStart start;
        RecordingConfig config;
        RecordingPlan plan;
        (void)!recording_open(exact, size, arena, &cursor);
        switch (recording_kind(&cursor)) {
        case 'S':
            (void)!recording_get_start(&cursor, arena, &start);
            break;
        case 'C':
            (void)!recording_get_config(&cursor, &config);
            break;
        case 'K':
            (void)!recording_get_snapshot(&cursor, &config);
            break;
        case 'P':
            (void)!recording_get_plan(&cursor, &plan);
            break;
        case 'E':
            read_batch(&cursor, arena, false);
            break;
        case 'R':
            read_batch(&cursor, arena, true);
            break;
        default:
            break;
        }
    }
    (void)arena_free(arena);
    free(exact);
    return 0;
}
