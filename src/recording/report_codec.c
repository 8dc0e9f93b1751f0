// SPDX-License-Identifier: MIT
// report_codec: see the header. Ages are written as 0 for AGE_NEVER, else age + 1.
#include "report_codec.h"

#include "bounds.h"
#include "varint.h"

enum {
    VOTE_BITS = 3, // low bits of the flags byte
    FLAG_SOFT = 4,
    FLAG_SLOW = 8,
    FLAG_HELD = 16,
    FLAG_SICK = 1,
    FLAG_ALONE = 2,
};

static void put_age(Buf *buf, int64_t age_ns)
{
    put_varint(buf, age_ns == AGE_NEVER ? 0 : (uint64_t)age_ns + 1);
}

static int64_t get_age(Cursor *cursor)
{
    uint64_t age = get_varint(cursor);
    return age ? (int64_t)(age - 1) : AGE_NEVER;
}

static void put_window(Buf *buf, const ErrorWindow *window)
{
    put_varint(buf, window->n);
    put_varint(buf, window->k);
    put_varint(buf, window->buckets);
}

static ErrorWindow get_window(Cursor *cursor)
{
    ErrorWindow window;
    window.n = get_varint32(cursor);
    window.k = get_varint32(cursor);
    window.buckets = get_varint32(cursor);
    return window;
}

static void put_vote(EventCodec *codec, Buf *buf, const ReportVote *vote)
{
    codec_put_text(codec, buf, vote->gateway);
    buf_put_u8(buf, (uint8_t)((unsigned)vote->vote | (vote->soft ? FLAG_SOFT : 0U) |
                              (vote->slow ? FLAG_SLOW : 0U) | (vote->held ? FLAG_HELD : 0U)));
    put_age(buf, vote->first_fail_age_ns);
    put_age(buf, vote->edge_success_age_ns);
    put_varint(buf, vote->streak);
    put_varint(buf, vote->flaps);
    put_age(buf, vote->held_age_ns);
    put_zigzag(buf, vote->hold_left_ns);
    put_varint(buf, vote->p50_us);
    put_varint(buf, vote->p99_us);
    put_window(buf, &vote->short_window);
    put_window(buf, &vote->long_window);
}

static void get_vote(EventCodec *codec, Cursor *cursor, ReportVote *vote)
{
    vote->gateway = codec_get_text(codec, cursor);
    unsigned flags = cursor_u8(cursor);
    vote->vote = (Vote)(flags & VOTE_BITS);
    if (vote->vote >= VOTE_MAX)
        cursor_fail(cursor);
    vote->soft = flags & FLAG_SOFT;
    vote->slow = flags & FLAG_SLOW;
    vote->held = flags & FLAG_HELD;
    vote->first_fail_age_ns = get_age(cursor);
    vote->edge_success_age_ns = get_age(cursor);
    vote->streak = get_varint32(cursor);
    vote->flaps = get_varint32(cursor);
    vote->held_age_ns = get_age(cursor);
    vote->hold_left_ns = get_zigzag(cursor);
    vote->p50_us = get_varint32(cursor);
    vote->p99_us = get_varint32(cursor);
    vote->short_window = get_window(cursor);
    vote->long_window = get_window(cursor);
}

static void put_view(EventCodec *codec, Buf *buf, const ReportView *view)
{
    codec_put_text(codec, buf, view->observer);
    buf_put_u64(buf, view->boot);
    put_varint(buf, view->sequence);
    put_age(buf, view->age_ns);
    buf_put_u8(buf, (uint8_t)((view->sick ? FLAG_SICK : 0) | (view->alone ? FLAG_ALONE : 0)));
    put_varint(buf, view->n_votes);
    for (uint32_t i = 0; i < view->n_votes; i++)
        put_vote(codec, buf, &view->votes[i]);
}

// A count of things that take at least one byte each: more than what is left is a lie.
static uint32_t get_count(Cursor *cursor)
{
    uint64_t n = get_varint(cursor);
    if (n > cursor_left(cursor))
        cursor_fail(cursor);
    return cursor->failed ? 0 : (uint32_t)n;
}

static int get_view(EventCodec *codec, Cursor *cursor, ReportView *view)
{
    view->observer = codec_get_text(codec, cursor);
    view->boot = cursor_u64(cursor);
    view->sequence = get_varint(cursor);
    view->age_ns = get_age(cursor);
    unsigned flags = cursor_u8(cursor);
    view->sick = flags & FLAG_SICK;
    view->alone = flags & FLAG_ALONE;
    view->n_votes = get_count(cursor);
    view->votes = arena_new_array(codec->arena, ReportVote, view->n_votes + 1U);
    if (!view->votes)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < view->n_votes && !cursor->failed; i++)
        get_vote(codec, cursor, &view->votes[i]);
    return cursor_check(cursor);
}

void codec_put_intents(EventCodec *codec, Buf *buf, const Intent *intents, uint32_t n)
{
    put_varint(buf, n);
    for (uint32_t i = 0; i < n; i++) {
        const Intent *intent = &intents[i];
        buf_put_u8(buf, (uint8_t)intent->kind);
        codec_put_text(codec, buf, intent->target);
        codec_put_text(codec, buf, intent->region);
        put_varint(buf, intent->value_ppm);
        codec_put_text(codec, buf, intent->author);
        codec_put_text(codec, buf, intent->reason);
        put_zigzag(buf, intent->stamp);
        put_zigzag(buf, intent->created.ns);
        put_zigzag(buf, intent->expires.ns);
    }
}

int codec_get_intents(EventCodec *codec, Cursor *cursor, Intent **ret_intents, uint32_t *ret_n)
{
    uint32_t n = get_count(cursor);
    Intent *intents = arena_new_array(codec->arena, Intent, n + 1U);
    if (!intents)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < n && !cursor->failed; i++) {
        Intent *intent = &intents[i];
        intent->kind = (IntentKind)cursor_u8(cursor);
        if ((unsigned)intent->kind >= INTENT_KIND_MAX)
            cursor_fail(cursor);
        intent->target = codec_get_text(codec, cursor);
        intent->region = codec_get_text(codec, cursor);
        intent->value_ppm = get_varint32(cursor);
        intent->author = codec_get_text(codec, cursor);
        intent->reason = codec_get_text(codec, cursor);
        intent->stamp = get_zigzag(cursor);
        intent->created.ns = get_zigzag(cursor);
        intent->expires.ns = get_zigzag(cursor);
    }
    int r = cursor_check(cursor);
    if (r == 0) {
        *ret_intents = intents;
        *ret_n = n;
    }
    return r;
}

void codec_put_report(EventCodec *codec, Buf *buf, const Report *report)
{
    put_varint(buf, report->version);
    codec_put_text(codec, buf, report->region);
    buf_put_u64(buf, report->boot);
    put_varint(buf, report->sequence);
    put_varint(buf, report->generation);
    buf_put_u64(buf, report->config_hash);
    put_varint(buf, report->plan_number);
    buf_put_u64(buf, report->plan_fleet_digest);
    put_zigzag(buf, report->wall.ns);
    put_zigzag(buf, report->stamp_ns);
    buf_put_u64(buf, report->echo_boot);
    put_zigzag(buf, report->echo_ns);
    put_zigzag(buf, report->echo_held_ns);
    put_varint(buf, report->capacity_rps);
    put_varint(buf, report->load_rps);
    put_varint(buf, report->replicas_want);
    put_varint(buf, report->replicas_up);
    put_varint(buf, report->n_services);
    for (uint32_t i = 0; i < report->n_services; i++) {
        codec_put_text(codec, buf, report->services[i].name);
        put_varint(buf, report->services[i].classes);
    }
    put_varint(buf, report->n_views);
    for (uint32_t i = 0; i < report->n_views; i++)
        put_view(codec, buf, &report->views[i]);
    codec_put_intents(codec, buf, report->intents, report->n_intents);
}

static int get_services(EventCodec *codec, Cursor *cursor, Report *report)
{
    report->n_services = get_count(cursor);
    report->services = arena_new_array(codec->arena, ReportService, report->n_services + 1U);
    if (!report->services)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < report->n_services && !cursor->failed; i++) {
        report->services[i].name = codec_get_text(codec, cursor);
        report->services[i].classes = get_varint32(cursor);
    }
    return cursor_check(cursor);
}

static int get_views(EventCodec *codec, Cursor *cursor, Report *report)
{
    report->n_views = get_count(cursor);
    report->views = arena_new_array(codec->arena, ReportView, report->n_views + 1U);
    if (!report->views)
        return ERROR_MEMORY;
    int r = cursor_check(cursor);
    for (uint32_t i = 0; i < report->n_views && r == 0; i++)
        r = get_view(codec, cursor, &report->views[i]);
    return r;
}

int codec_get_report(EventCodec *codec, Cursor *cursor, const Report **ret_report)
{
    Report *report = arena_new_of(codec->arena, Report);
    if (!report)
        return ERROR_MEMORY;
    report->version = get_varint32(cursor);
    report->region = codec_get_text(codec, cursor);
    report->boot = cursor_u64(cursor);
    report->sequence = get_varint(cursor);
    report->generation = get_varint32(cursor);
    report->config_hash = cursor_u64(cursor);
    report->plan_number = get_varint(cursor);
    report->plan_fleet_digest = cursor_u64(cursor);
    report->wall.ns = get_zigzag(cursor);
    report->stamp_ns = get_zigzag(cursor);
    report->echo_boot = cursor_u64(cursor);
    report->echo_ns = get_zigzag(cursor);
    report->echo_held_ns = get_zigzag(cursor);
    report->capacity_rps = get_varint32(cursor);
    report->load_rps = get_varint32(cursor);
    report->replicas_want = get_varint32(cursor);
    report->replicas_up = get_varint32(cursor);
    int r = get_services(codec, cursor, report);
    if (r == 0)
        r = get_views(codec, cursor, report);
    if (r == 0)
        r = codec_get_intents(codec, cursor, &report->intents, &report->n_intents);
    if (r == 0)
        *ret_report = report;
    return r;
}
