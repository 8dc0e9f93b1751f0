// SPDX-License-Identifier: MIT
// replay_compare: see replay_compare.h. Plans are found by (boot, number), records by their order.
#include "replay_compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "bounds.h"
#include "files.h"
#include "history.h"
#include "plan_compare.h"
#include "plan_file.h"

typedef struct RecordedPlan {
    uint64_t boot, number;
    char *bytes;
    uint32_t len;
} RecordedPlan;

typedef struct RecordedText {
    uint64_t boot;
    Mono at;
    char *text;
} RecordedText;

struct ReplayRecorded {
    RecordedPlan *plans; // sorted
    RecordedText *texts; // in order
    size_t n_plans, plans_capacity, n_texts, texts_capacity;
    HistoryPieces plan;
    uint64_t boot;    // being compared
    size_t next_text; // of this boot
    bool aligned;     // the first text was met
};

static char *text_of(const Record *record)
{
    char *text = NULL;
    return asprintf(&text, "%" PRId64 " %s %s: %s", record->at.ns, record_kind_name(record->kind),
                    record->subject, record->facts) < 0
               ? NULL
               : text;
}

static int add_plan(ReplayRecorded *recorded, uint64_t boot, const HistoryPieces *pieces)
{
    Arena *arena CLEANUP(arena_freep) = arena_new(BOUND_PLAN_BYTES);
    const Plan *plan;
    if (arena == NULL)
        return ERROR_MEMORY;
    if (plan_file_decode(pieces->bytes, pieces->len, arena, &plan, NULL) < 0)
        return 0;
    if (alloc_grow((void **)&recorded->plans, &recorded->plans_capacity, recorded->n_plans + 1,
                   sizeof *recorded->plans) < 0)
        return ERROR_MEMORY;
    char *bytes = malloc(pieces->len);
    if (bytes == NULL)
        return ERROR_MEMORY;
    memcpy(bytes, pieces->bytes, pieces->len);
    recorded->plans[recorded->n_plans++] =
        (RecordedPlan){.boot = boot, .number = plan->number, .bytes = bytes, .len = pieces->len};
    return 0;
}

static int visit_plan(void *context, HistoryItem *item, Error *reterr)
{
    ReplayRecorded *recorded = context;
    RecordingPlan plan;
    if (item->kind != 'P' || recording_get_plan(&item->cursor, &plan) < 0)
        return 0;
    int r = history_add_piece(&recorded->plan, plan.offset, plan.total, plan.bytes, plan.len);
    if (r == 1)
        r = add_plan(recorded, item->start->boot, &recorded->plan);
    return r == ERROR_MEMORY ? error_set(reterr, r, "out of memory") : 0;
}

static int visit_records(void *context, HistoryItem *item, Error *reterr)
{
    ReplayRecorded *recorded = context;
    EventCodec *codec = arena_new_of(item->arena, EventCodec);
    Record record;
    if (codec == NULL)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    if (item->kind != 'R' || event_codec_open(codec, item->arena, &item->cursor) < 0)
        return 0;
    while (event_codec_get_record(codec, &item->cursor, &record) == 1) {
        char *text = text_of(&record);
        if (text == NULL || alloc_grow((void **)&recorded->texts, &recorded->texts_capacity,
                                       recorded->n_texts + 1, sizeof *recorded->texts) < 0) {
            free(text);
            return error_set(reterr, ERROR_MEMORY, "out of memory");
        }
        recorded->texts[recorded->n_texts++] =
            (RecordedText){.boot = item->start->boot, .at = record.at, .text = text};
    }
    return 0;
}

static int by_boot_and_number(const void *a, const void *b)
{
    const RecordedPlan *x = a, *y = b;
    if (x->boot != y->boot)
        return x->boot < y->boot ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

int replay_recorded_read(const char *folder, ReplayRecorded **ret_recorded, Error *reterr)
{
    ReplayRecorded *recorded = alloc_zeroed(1, sizeof *recorded);
    if (recorded == NULL)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    int r = history_read(folder, "plans", visit_plan, recorded, NULL, reterr);
    if (r == 0)
        r = history_read(folder, "records", visit_records, recorded, NULL, reterr);
    if (r < 0) {
        (void)replay_recorded_free(recorded);
        return r;
    }
    if (recorded->n_plans > 0)
        qsort(recorded->plans, recorded->n_plans, sizeof *recorded->plans, by_boot_and_number);
    *ret_recorded = recorded;
    return 0;
}

ReplayRecorded *replay_recorded_free(ReplayRecorded *recorded)
{
    if (recorded == NULL)
        return NULL;
    for (size_t i = 0; i < recorded->n_plans; i++)
        free(recorded->plans[i].bytes);
    for (size_t i = 0; i < recorded->n_texts; i++)
        free(recorded->texts[i].text);
    free(recorded->plans);
    free(recorded->texts);
    history_pieces_done(&recorded->plan);
    free(recorded);
    return NULL;
}

void replay_compare_start(ReplayRecorded *recorded, uint64_t boot, Mono from)
{
    recorded->boot = boot;
    recorded->aligned = false;
    recorded->next_text = 0;
    while (recorded->next_text < recorded->n_texts &&
           (recorded->texts[recorded->next_text].boot != boot ||
            recorded->texts[recorded->next_text].at.ns < from.ns))
        recorded->next_text++;
}

static void differ(ReplayDifference *difference, Wall at, const char *what, const Buf *text)
{
    if (difference->found)
        return;
    difference->found = true;
    difference->at = at;
    (void)snprintf(difference->text, sizeof difference->text, "%s: %s", what, buf_text(text));
}

bool replay_compare_plan(ReplayRecorded *recorded, const Plan *made, Wall at,
                         ReplayDifference *difference)
{
    const RecordedPlan key = {.boot = recorded->boot, .number = made->number};
    const RecordedPlan *found =
        recorded->n_plans > 0
            ? bsearch(&key, recorded->plans, recorded->n_plans, sizeof key, by_boot_and_number)
            : NULL;
    if (found == NULL)
        return false;
    Buf bytes CLEANUP(buf_done) = BUF_INIT(BOUND_PLAN_BYTES), text CLEANUP(buf_done) = BUF_INIT(0);
    Arena *arena CLEANUP(arena_freep) = arena_new(BOUND_PLAN_BYTES);
    const Plan *plan;
    if (plan_file_encode(made, &bytes) < 0 || arena == NULL)
        return false;
    if (bytes.len == found->len && memcmp(bytes.data, found->bytes, bytes.len) == 0)
        return true;
    char what[64];
    (void)snprintf(what, sizeof what, "plan %016" PRIx64, made->number);
    if (plan_file_decode(found->bytes, found->len, arena, &plan, NULL) < 0 ||
        !plan_compare(made, plan, &text))
        buf_add_text(&text, "the files differ");
    differ(difference, at, what, &text);
    return true;
}

bool replay_compare_record(ReplayRecorded *recorded, const Record *made, Wall at,
                           ReplayDifference *difference)
{
    if (recorded->next_text >= recorded->n_texts ||
        recorded->texts[recorded->next_text].boot != recorded->boot)
        return false;
    char *text CLEANUP(free_textp) = text_of(made);
    if (text == NULL)
        return false;
    const char *expected = recorded->texts[recorded->next_text].text;
    bool same = strcmp(text, expected) == 0;
    if (!same && !recorded->aligned && made->at.ns <= recorded->texts[recorded->next_text].at.ns)
        return false; // older than the oldest that is kept
    recorded->aligned = true;
    recorded->next_text++;
    if (!same) {
        Buf both CLEANUP(buf_done) = BUF_INIT(0);
        buf_printf(&both, "made '%s', recorded '%s'", text, expected);
        differ(difference, at, "decision", &both);
    }
    return true;
}
