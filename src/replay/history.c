// SPDX-License-Identifier: MIT
// history: see history.h.
#include "history.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "files.h"
#include "layout.h"
#include "parse.h"
#include "segment.h"

#define ITEM_ARENA ((size_t)64 << 20)
#define START_ARENA ((size_t)4 << 20)
#define SEGMENTS_MAX 4096U

typedef struct Numbers {
    uint64_t *items;
    size_t n, capacity;
} Numbers;

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int list_segments(const char *folder, const char *stream, Numbers *numbers, Error *reterr)
{
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return error_errno(reterr, errno, "%s", folder);
    size_t len = strlen(stream);
    int r = 0;
    for (const struct dirent *entry; r == 0 && (entry = readdir(dir)) != NULL;) {
        uint64_t number;
        const char *name = entry->d_name;
        if (strncmp(name, stream, len) != 0 || name[len] != '.' ||
            parse_hex(name + len + 1, strlen(name + len + 1), 16, &number) < 0)
            continue;
        if (numbers->n == SEGMENTS_MAX)
            r = error_set(reterr, ERROR_LIMIT, "%s: more than %u segments", folder, SEGMENTS_MAX);
        else if (alloc_grow((void **)&numbers->items, &numbers->capacity, numbers->n + 1,
                            sizeof *numbers->items) < 0)
            r = error_set(reterr, ERROR_MEMORY, "out of memory");
        else
            numbers->items[numbers->n++] = number;
    }
    (void)closedir(dir);
    if (r == 0 && numbers->n == 0)
        r = error_set(reterr, ERROR_NOT_FOUND, "%s: no segment '%s.*'", folder, stream);
    if (r == 0)
        qsort(numbers->items, numbers->n, sizeof *numbers->items, by_value);
    return r;
}

typedef struct Reader {
    HistoryVisit *visit;
    void *context;
    HistoryCounts *counts;
    Arena *items, *starts;
    RecordingStart start;
    bool torn; // the segment read last has no clean end
} Reader;

// 1: the segment's end, whole or torn.
static int next_item(Reader *reader, Cursor *segment, bool gap, HistoryItem *item)
{
    const void *payload;
    size_t len;
    arena_reset(reader->items);
    *item = (HistoryItem){.start = &reader->start, .arena = reader->items, .gap = gap};
    int r = segment_next(segment, &payload, &len);
    reader->torn = r < 0;
    if (r != 1) {
        reader->counts->damaged += r == ERROR_CORRUPT;
        return 1;
    }
    if (recording_open(payload, len, reader->items, &item->cursor) < 0) {
        reader->counts->damaged++;
        reader->torn = true;
        return 1;
    }
    item->kind = recording_kind(&item->cursor);
    return 0;
}

static int read_segment(Reader *reader, const char *path, bool gap, Error *reterr)
{
    char *bytes CLEANUP(free_textp) = NULL;
    size_t len;
    int r = files_read(path, HISTORY_SEGMENT_MAX, &bytes, &len, reterr);
    if (r < 0)
        return r;
    Cursor segment = cursor_of(bytes, len);
    HistoryItem item;
    reader->counts->segments++;
    if (next_item(reader, &segment, gap, &item) == 1)
        return 0; // a segment whose first frame was being written
    arena_reset(reader->starts);
    if (item.kind != 'S' || recording_get_start(&item.cursor, reader->starts, &reader->start) < 0) {
        reader->counts->damaged++;
        return 0;
    }
    item.first = true;
    do {
        r = reader->visit(reader->context, &item, reterr);
    } while (r == 0 && next_item(reader, &segment, false, &item) == 0);
    return r;
}

int history_read(const char *folder, const char *stream, HistoryVisit *visit, void *context,
                 HistoryCounts *ret_counts, Error *reterr)
{
    Numbers numbers = {0};
    HistoryCounts counts = {0};
    Reader reader = {.visit = visit,
                     .context = context,
                     .counts = ret_counts != NULL ? ret_counts : &counts,
                     .items = arena_new(ITEM_ARENA),
                     .starts = arena_new(START_ARENA)};
    *reader.counts = (HistoryCounts){0};
    int r = reader.items != NULL && reader.starts != NULL
                ? list_segments(folder, stream, &numbers, reterr)
                : error_set(reterr, ERROR_MEMORY, "out of memory");
    for (size_t i = 0; r == 0 && i < numbers.n; i++) {
        char path[LAYOUT_PATH_MAX];
        (void)snprintf(path, sizeof path, "%s/%s.%016" PRIx64, folder, stream, numbers.items[i]);
        bool follows = i > 0 && numbers.items[i] == numbers.items[i - 1] + 1;
        r = read_segment(&reader, path, !follows || reader.torn, reterr);
    }
    free(numbers.items);
    (void)arena_free(reader.items);
    (void)arena_free(reader.starts);
    return r < 0 ? r : 0;
}

int history_add_piece(HistoryPieces *pieces, uint32_t offset, uint32_t total, const void *bytes,
                      uint32_t len)
{
    if (offset == 0) {
        pieces->len = 0;
        pieces->total = total;
    }
    if (total != pieces->total || offset != pieces->len || len > total - offset)
        return ERROR_FORMAT;
    char *grown = realloc(pieces->bytes, (size_t)offset + len + 1);
    if (grown == NULL)
        return ERROR_MEMORY;
    pieces->bytes = grown;
    if (len > 0)
        memcpy(pieces->bytes + offset, bytes, len);
    pieces->len = offset + len;
    return pieces->len == pieces->total;
}

void history_pieces_done(HistoryPieces *pieces)
{
    free(pieces->bytes);
    *pieces = (HistoryPieces){0};
}
