// SPDX-License-Identifier: MIT
// past_plan: see past_plan.h. Clocks jump: of the plans that say they were made before the moment,
// the one that was written last counts.
#include "past_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "clock.h"
#include "history.h"
#include "plan_file.h"

typedef struct Search {
    Wall at;
    HistoryPieces config, plan;
    HistoryPieces best_config, best_plan;
    bool any, found;
    PastPlan *past;
} Search;

static int keep(HistoryPieces *to, const HistoryPieces *from)
{
    char *bytes = realloc(to->bytes, (size_t)from->len + 1);
    if (bytes == NULL)
        return ERROR_MEMORY;
    memcpy(bytes, from->bytes, from->len);
    bytes[from->len] = '\0';
    *to = (HistoryPieces){.bytes = bytes, .len = from->len, .total = from->total};
    return 0;
}

static int take_plan(Search *search, const HistoryItem *item, Wall made)
{
    PastPlan *past = search->past;
    if (!search->any || made.ns < past->oldest.ns)
        past->oldest = made;
    if (!search->any || made.ns > past->newest.ns)
        past->newest = made;
    search->any = true;
    if (made.ns > search->at.ns) {
        if (search->found && made.ns < past->next.ns)
            past->next = made;
        return 0;
    }
    search->found = true;
    past->next.ns = INT64_MAX;
    (void)snprintf(past->region, sizeof past->region, "%s", item->start->region);
    int r = keep(&search->best_plan, &search->plan);
    return r < 0 ? r : keep(&search->best_config, &search->config);
}

static int visit_plan(void *context, HistoryItem *item, Error *reterr)
{
    Search *search = context;
    RecordingConfig config;
    RecordingPlan plan;
    int r = 0;
    if (item->kind == 'C' && recording_get_config(&item->cursor, &config) == 0)
        r = history_add_piece(&search->config, config.offset, config.total, config.bytes,
                              config.len);
    else if (item->kind == 'P' && recording_get_plan(&item->cursor, &plan) == 0 &&
             search->config.bytes != NULL) {
        r = history_add_piece(&search->plan, plan.offset, plan.total, plan.bytes, plan.len);
        if (r == 1)
            r = take_plan(search, item, plan.wall);
    }
    // A piece that does not fit belongs to a plan that was being written: the next one is whole.
    return r == ERROR_MEMORY ? error_set(reterr, r, "out of memory") : 0;
}

static int decode(Search *search, PastPlan *past, Error *reterr)
{
    past->arena = arena_new(BOUND_PLAN_BYTES);
    if (past->arena == NULL)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    int r = plan_file_decode(search->best_plan.bytes, search->best_plan.len, past->arena,
                             &past->plan, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "recorded plan");
    r = conf_parse("recorded fleet.yaml", search->best_config.bytes, search->best_config.len,
                   &past->conf, NULL, reterr);
    return r < 0 ? error_wrap(reterr, r, "recorded configuration") : 0;
}

int past_plan_find(const char *folder, Wall at, PastPlan *ret_past, Error *reterr)
{
    PastPlan past = {.next.ns = INT64_MAX};
    Search search = {.at = at, .past = &past};
    int r = history_read(folder, "plans", visit_plan, &search, NULL, reterr);
    if (r == 0 && !search.any)
        r = error_set(reterr, ERROR_NOT_FOUND, "%s: no plan was recorded", folder);
    if (r == 0 && !search.found) {
        char text[CLOCK_TEXT_MAX];
        r = error_set(reterr, ERROR_NOT_FOUND, "%s: plans were recorded since %s only", folder,
                      clock_format(past.oldest, text));
    }
    if (r == 0)
        r = decode(&search, &past, reterr);
    history_pieces_done(&search.config);
    history_pieces_done(&search.plan);
    history_pieces_done(&search.best_config);
    history_pieces_done(&search.best_plan);
    if (r < 0)
        past_plan_done(&past);
    else
        *ret_past = past;
    return r;
}

void past_plan_done(PastPlan *past)
{
    past->arena = arena_free(past->arena);
    past->conf = conf_free(past->conf);
    past->plan = NULL;
}

// --- Records ---

typedef struct RecordSearch {
    Wall at;
    PastRecord *records;
    uint32_t n;
} RecordSearch;

static void take_record(RecordSearch *search, const Record *record, Wall at)
{
    PastRecord *place = NULL;
    ASSERT(search->records != NULL);
    for (uint32_t i = 0; i < search->n && place == NULL; i++)
        if (strcmp(search->records[i].subject, record->subject) == 0)
            place = &search->records[i];
    if (place == NULL && search->n < PAST_RECORDS_MAX)
        place = &search->records[search->n++];
    if (place == NULL)
        return;
    place->kind = record->kind;
    place->at = at;
    (void)snprintf(place->subject, sizeof place->subject, "%s", record->subject);
    (void)snprintf(place->facts, sizeof place->facts, "%s", record->facts);
}

static int visit_records(void *context, HistoryItem *item, Error *reterr)
{
    RecordSearch *search = context;
    EventCodec *codec = arena_new_of(item->arena, EventCodec);
    Record record;
    if (codec == NULL)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    if (item->kind != 'R' || event_codec_open(codec, item->arena, &item->cursor) < 0)
        return 0;
    int64_t offset = (int64_t)((uint64_t)codec->base_wall.ns - (uint64_t)codec->base_mono.ns);
    while (event_codec_get_record(codec, &item->cursor, &record) == 1) {
        Wall at = {(int64_t)((uint64_t)record.at.ns + (uint64_t)offset)};
        if (at.ns <= search->at.ns && record.kind != RECORD_PLAN_MADE)
            take_record(search, &record, at);
    }
    return 0;
}

int past_records_find(const char *folder, Wall at, PastRecord *ret_records, uint32_t *ret_n,
                      Error *reterr)
{
    RecordSearch search = {.at = at, .records = ret_records};
    int r = history_read(folder, "records", visit_records, &search, NULL, reterr);
    if (r == ERROR_NOT_FOUND) {
        error_done(reterr);
        r = 0;
    }
    *ret_n = search.n;
    return r;
}
