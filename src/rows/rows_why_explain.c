// SPDX-License-Identifier: MIT
// rows_why_explain: from the traces of a row to sentences. Pure.
#include "rows_why.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "lww.h"

static const char *const PLACES[WHY_PLACE_MAX] = {
    [WHY_VISIBLE] = "visible", [WHY_PARKED] = "parked", [WHY_TOMBSTONE] = "tombstone",
    [WHY_JOURNAL] = "journal", [WHY_LEDGER] = "ledger", [WHY_DEAD_LETTER] = "dead_letter"};

const char *why_place_name(WhyPlace place)
{
    return PLACES[place];
}

static uint64_t bit(uint32_t node)
{
    return UINT64_C(1) << node;
}

uint32_t why_origin(const Why *why, int64_t v)
{
    return v <= 0                                       ? 0
           : why->table->kind == TABLE_KIND_INSERT_ONLY ? (uint32_t)v
                                                        : lww_stamp_origin(v);
}

static const char *writer(const Why *why, int64_t v)
{
    for (uint32_t i = 0; v > 0 && i < why->mesh->n; i++)
        if (why->mesh->nodes[i].origin == why_origin(why, v))
            return why->mesh->nodes[i].region;
    return v > 0 ? "a region that has left" : "nobody: from before the table was federated";
}

static WhyVersion *version_of(Why *why, int64_t v, Error *reterr)
{
    for (size_t i = 0; i < why->n_versions; i++)
        if (why->versions[i].v == v)
            return &why->versions[i];
    if (alloc_grow((void **)&why->versions, &why->versions_capacity, why->n_versions + 1,
                   sizeof *why->versions) < 0) {
        (void)error_set(reterr, ERROR_MEMORY, "no memory for versions");
        return NULL;
    }
    WhyVersion *version = &why->versions[why->n_versions++];
    *version = (WhyVersion){.v = v, .pv = CHECK_NO_VERSION};
    return version;
}

// What a trace tells of the version that it is of. A ledger's 'over' keeps the row that was
// replaced, so its content belongs to `cur`.
static int take_trace(Why *why, const WhyTrace *trace, Error *reterr)
{
    bool over =
        trace->place == WHY_LEDGER && trace->kind != NULL && strcmp(trace->kind, "over") == 0;
    WhyVersion *version = version_of(why, trace->v, reterr);
    if (version == NULL)
        return ERROR_MEMORY;
    version->nodes[trace->place] |= bit(trace->node);
    version->deleted |= trace->place == WHY_TOMBSTONE || trace->op == 'D';
    if (version->pv == CHECK_NO_VERSION)
        version->pv = trace->pv;
    if (version->row == NULL && !over)
        version->row = trace->row;
    if (!over || trace->cur == CHECK_NO_VERSION)
        return 0;
    version = version_of(why, trace->cur, reterr);
    if (version == NULL)
        return ERROR_MEMORY;
    version->nodes[WHY_LEDGER] |= bit(trace->node);
    version->row = version->row == NULL ? trace->row : version->row;
    return 0;
}

static int lowest_first(const void *a, const void *b)
{
    int64_t x = ((const WhyVersion *)a)->v, y = ((const WhyVersion *)b)->v;
    return (x > y) - (x < y);
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = ((const WhyVersion *)a)->v, y = ((const WhyVersion *)b)->v;
    return (x < y) - (x > y);
}

static void say_time(Buf *text, int64_t us)
{
    if (us < 10000)
        buf_printf(text, "%" PRId64 " us", us);
    else if (us < 10000000)
        buf_printf(text, "%" PRId64 " ms", us / 1000);
    else
        buf_printf(text, "%" PRId64 " s", us / 1000000);
}

static void say_parked(const Why *why, const WhyVersion *version, Buf *text)
{
    for (size_t i = 0; i < why->n_traces; i++) {
        const WhyTrace *trace = &why->traces[i];
        if (trace->place != WHY_PARKED || trace->v != version->v)
            continue;
        if (trace->holder == NULL) {
            buf_printf(text,
                       ". It is parked in %s though nobody holds its values: 'wildcam rows "
                       "repair'",
                       why->mesh->nodes[trace->node].region);
            return;
        }
        char *holder = check_key_text(trace->holder);
        buf_printf(text,
                   ". It is parked: the row %s has one of its unique values with a greater "
                   "version. It comes back by itself when the value is free",
                   holder != NULL ? holder : "");
        free(holder);
        return;
    }
}

static void say_winner(const Why *why, const WhyVersion *version, Buf *text)
{
    if (version->deleted)
        buf_printf(text,
                   "won: the greatest version of this key. %s deleted the row, and a delete "
                   "is a version too",
                   writer(why, version->v));
    else
        buf_add_text(text, "won: the greatest version of this key");
    if (version->v == 0)
        buf_add_text(text, ". It was there before the table was federated");
    say_parked(why, version, text);
}

// Why a version is not the newest: who replaced it, and whether that one had seen it.
static void say_loser(const Why *why, size_t at, Buf *text)
{
    const WhyVersion *version = &why->versions[at], *next = &why->versions[at - 1];
    const WhyVersion *winner = &why->versions[0];
    int64_t gap = (winner->v >> 8) - (version->v >> 8);
    if (next->pv == version->v) {
        buf_printf(text, "replaced by %s, which had seen it", writer(why, next->v));
        return;
    }
    buf_printf(text, "lost to the version of %s, which is ", writer(why, winner->v));
    if (gap == 0)
        buf_printf(text, "of the same microsecond: the greater origin wins (%u over %u)",
                   lww_stamp_origin(winner->v), lww_stamp_origin(version->v));
    else {
        say_time(text, gap);
        buf_add_text(text, " newer");
    }
    if (winner->pv != CHECK_NO_VERSION && winner->pv < version->v)
        buf_add_text(text,
                     ". The winner's writer had not seen this one: a conflict, the last write won");
}

static void say_dead(const Why *why, const WhyVersion *version, Buf *text)
{
    for (size_t i = 0; i < why->n_traces; i++) {
        const WhyTrace *trace = &why->traces[i];
        if (trace->place == WHY_DEAD_LETTER && trace->v == version->v)
            buf_printf(text, ". %s could not apply it: %s", why->mesh->nodes[trace->node].region,
                       trace->kind != NULL ? trace->kind : "");
    }
}

// Of insert-only tables: no versions, only copies by who inserted them.
static void say_copy(const Why *why, size_t at, Buf *text)
{
    if (why->n_versions == 1)
        buf_printf(text, "the only copy: %s inserted it, and rows of this table never change",
                   writer(why, why->versions[at].v));
    else if (at == 0)
        buf_add_text(text, "won: of two copies of a key the one of the lower origin stays");
    else
        buf_printf(text, "lost to the copy of %s, whose origin is lower",
                   writer(why, why->versions[0].v));
}

static int explain_version(Why *why, size_t at, Error *reterr)
{
    WhyVersion *version = &why->versions[at];
    Buf text CLEANUP(buf_done) = BUF_INIT(1U << 20);
    if (why->table->kind == TABLE_KIND_INSERT_ONLY)
        say_copy(why, at, &text);
    else if (at == 0)
        say_winner(why, version, &text);
    else
        say_loser(why, at, &text);
    say_dead(why, version, &text);
    version->text = buf_check(&text) == 0 ? buf_take(&text) : NULL;
    return version->text != NULL ? 0 : error_set(reterr, ERROR_MEMORY, "no memory for texts");
}

// One node: has it the winner, or is it on its way?
static int explain_node(Why *why, uint32_t i, Error *reterr)
{
    WhyNode *node = &why->nodes[i];
    Buf text CLEANUP(buf_done) = BUF_INIT(65536);
    if (!node->read)
        return 0;
    node->v = CHECK_NO_VERSION;
    node->state = "none";
    for (size_t at = 0; at < why->n_versions; at++) {
        const WhyVersion *version = &why->versions[at];
        WhyPlace place = version->nodes[WHY_VISIBLE] & bit(i)     ? WHY_VISIBLE
                         : version->nodes[WHY_PARKED] & bit(i)    ? WHY_PARKED
                         : version->nodes[WHY_TOMBSTONE] & bit(i) ? WHY_TOMBSTONE
                                                                  : WHY_PLACE_MAX;
        if (place == WHY_PLACE_MAX)
            continue;
        node->v = version->v;
        node->state = place == WHY_TOMBSTONE ? "deleted" : PLACES[place];
        break;
    }
    const WhyVersion *winner = &why->versions[0];
    uint32_t origin = why_origin(why, winner->v);
    int64_t late = (winner->v >> 8) - node->safe[origin];
    bool zombie = false; // a row below the tombstone
    for (size_t at = 0; at < why->n_versions; at++)
        zombie |=
            strcmp(node->state, "deleted") == 0 && why->versions[at].nodes[WHY_VISIBLE] & bit(i);
    if (zombie) {
        buf_printf(&text, "still shows a row below its tombstone: 'wildcam rows repair %s'",
                   why->table->name);
    } else if (node->v == winner->v) {
        buf_add_text(&text, "has it");
    } else if (winner->deleted && node->v == CHECK_NO_VERSION) {
        buf_add_text(&text, "has no row; its tombstone is not needed any more");
    } else if (why->table->kind == TABLE_KIND_INSERT_ONLY || late > 0) {
        buf_printf(&text, "has not got it yet: it is on its way from %s", writer(why, winner->v));
        if (why->table->kind != TABLE_KIND_INSERT_ONLY && node->safe[origin] > 0) {
            buf_add_text(&text, "; what was written until ");
            say_time(&text, late);
            buf_add_text(&text, " before it is there");
        }
    } else {
        buf_printf(&text, "should have it: everything of %s until ", writer(why, winner->v));
        say_time(&text, -late);
        buf_printf(&text, " after it is there. 'wildcam rows check %s' says more",
                   why->table->name);
    }
    node->text = buf_check(&text) == 0 ? buf_take(&text) : NULL;
    return node->text != NULL ? 0 : error_set(reterr, ERROR_MEMORY, "no memory for texts");
}

int why_explain(Why *why, Error *reterr)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < why->n_traces; i++)
        if (why->traces[i].v != CHECK_NO_VERSION)
            r = take_trace(why, &why->traces[i], reterr);
    if (r == 0 && why->n_versions > 0)
        qsort(why->versions, why->n_versions, sizeof *why->versions,
              why->table->kind == TABLE_KIND_INSERT_ONLY ? lowest_first : newest_first);
    for (size_t i = 0; r == 0 && i < why->n_versions; i++)
        r = explain_version(why, i, reterr);
    for (uint32_t i = 0; r == 0 && why->n_versions > 0 && i < why->mesh->n; i++)
        r = explain_node(why, i, reterr);
    return r;
}

void why_done(Why *why)
{
    for (size_t i = 0; i < why->n_traces; i++) {
        free(why->traces[i].kind);
        free(why->traces[i].row);
        free(why->traces[i].holder);
    }
    for (size_t i = 0; i < why->n_versions; i++)
        free(why->versions[i].text);
    for (uint32_t i = 0; i < CHECK_NODES_MAX; i++)
        free(why->nodes[i].text);
    free(why->traces);
    free(why->versions);
    why->traces = NULL;
    why->versions = NULL;
    why->n_traces = why->n_versions = 0;
}
