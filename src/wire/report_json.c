// SPDX-License-Identifier: MIT
// report_json: see report_json.h; the schema is docs/contracts/report.schema.json. Written straight
// into the buffer (a report goes out twenty times a second), read by jansson. Numbers that may use
// all 64 bits (boot ids, hashes, plan numbers) are hex texts, since JSON readers lose such bits.
#include "report_json.h"

#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "intents_json.h"
#include "json_reader.h"

static const char *const VOTE_NAMES[VOTE_MAX] = {"unknown", "up", "down"};

static void put_age(Buf *buf, const char *key, int64_t age_ns)
{
    if (age_ns == AGE_NEVER)
        buf_printf(buf, ",\"%s\":null", key);
    else
        buf_printf(buf, ",\"%s\":%" PRId64, key, age_ns);
}

static void put_window(Buf *buf, const char *key, const ErrorWindow *window)
{
    buf_printf(buf, ",\"%s\":[%" PRIu32 ",%" PRIu32 ",%" PRIu32 "]", key, window->n, window->k,
               window->buckets);
}

static const char *bool_text(bool value)
{
    return value ? "true" : "false";
}

static void put_vote(Buf *buf, const ReportVote *vote)
{
    ASSERT(vote->vote < VOTE_MAX);
    buf_add_text(buf, "{\"gateway\":");
    buf_add_json_string(buf, vote->gateway);
    buf_printf(buf, ",\"vote\":\"%s\",\"soft\":%s,\"slow\":%s,\"held\":%s", VOTE_NAMES[vote->vote],
               bool_text(vote->soft), bool_text(vote->slow), bool_text(vote->held));
    put_age(buf, "first_fail_age_ns", vote->first_fail_age_ns);
    put_age(buf, "edge_success_age_ns", vote->edge_success_age_ns);
    put_age(buf, "held_age_ns", vote->held_age_ns);
    buf_printf(buf,
               ",\"hold_left_ns\":%" PRId64 ",\"streak\":%" PRIu32 ",\"flaps\":%" PRIu32
               ",\"p50_us\":%" PRIu32 ",\"p99_us\":%" PRIu32,
               vote->hold_left_ns, vote->streak, vote->flaps, vote->p50_us, vote->p99_us);
    put_window(buf, "window_10s", &vote->short_window);
    put_window(buf, "window_60s", &vote->long_window);
    buf_add_char(buf, '}');
}

static void put_view(Buf *buf, const ReportView *view)
{
    buf_add_text(buf, "{\"observer\":");
    buf_add_json_string(buf, view->observer);
    buf_printf(buf,
               ",\"boot\":\"%016" PRIx64 "\",\"sequence\":%" PRIu64 ",\"age_ns\":%" PRId64
               ",\"sick\":%s,\"alone\":%s,\"votes\":[",
               view->boot, view->sequence, view->age_ns, bool_text(view->sick),
               bool_text(view->alone));
    for (uint32_t i = 0; i < view->n_votes; i++) {
        if (i > 0)
            buf_add_char(buf, ',');
        put_vote(buf, &view->votes[i]);
    }
    buf_add_text(buf, "]}");
}

static void put_head(Buf *buf, const Report *report)
{
    buf_printf(buf, "{\"version\":%" PRIu32 ",\"region\":", report->version);
    buf_add_json_string(buf, report->region);
    buf_printf(buf,
               ",\"boot\":\"%016" PRIx64 "\",\"sequence\":%" PRIu64 ",\"generation\":%" PRIu32
               ",\"config_hash\":\"%016" PRIx64 "\",\"plan\":\"%016" PRIx64
               "\",\"plan_fleet_digest\":\"%016" PRIx64 "\",\"wall_ns\":%" PRId64
               ",\"stamp_ns\":%" PRId64 ",\"echo_boot\":\"%016" PRIx64 "\",\"echo_ns\":%" PRId64
               ",\"echo_held_ns\":%" PRId64,
               report->boot, report->sequence, report->generation, report->config_hash,
               report->plan_number, report->plan_fleet_digest, report->wall.ns, report->stamp_ns,
               report->echo_boot, report->echo_ns, report->echo_held_ns);
    buf_printf(buf,
               ",\"capacity_rps\":%" PRIu32 ",\"load_rps\":%" PRIu32 ",\"replicas_want\":%" PRIu32
               ",\"replicas_up\":%" PRIu32,
               report->capacity_rps, report->load_rps, report->replicas_want, report->replicas_up);
}

int report_json_encode(const Report *report, Buf *buf)
{
    size_t start = buf->len;
    put_head(buf, report);
    buf_add_text(buf, ",\"services\":[");
    for (uint32_t i = 0; i < report->n_services; i++) {
        buf_add_text(buf, i > 0 ? ",{\"name\":" : "{\"name\":");
        buf_add_json_string(buf, report->services[i].name);
        buf_printf(buf, ",\"classes\":%" PRIu32 "}", report->services[i].classes);
    }
    buf_add_text(buf, "],\"views\":[");
    for (uint32_t i = 0; i < report->n_views; i++) {
        if (i > 0)
            buf_add_char(buf, ',');
        put_view(buf, &report->views[i]);
    }
    buf_add_text(buf, "],\"intents\":");
    intents_json_put(report->intents, report->n_intents, buf);
    buf_add_char(buf, '}');
    int r = buf_check(buf);
    if (r < 0)
        return r;
    return buf->len - start > BOUND_REPORT_BYTES ? ERROR_LIMIT : 0;
}

static ErrorWindow get_window(JsonReader *reader, const json_t *object, const char *key)
{
    const json_t *list = json_object_get(object, key);
    uint32_t numbers[3] = {0};
    if (json_array_size(list) != ARRAY_SIZE(numbers)) {
        json_reader_fail(reader, key, ERROR_FORMAT, "must be [requests, failures, buckets]");
        return (ErrorWindow){0};
    }
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        const json_t *item = json_array_get(list, i);
        json_int_t number = json_integer_value(item);
        if (!json_is_integer(item) || number < 0 || number > UINT32_MAX) {
            json_reader_fail(reader, key, ERROR_RANGE, "element %zu is not a count", i);
            return (ErrorWindow){0};
        }
        numbers[i] = (uint32_t)number;
    }
    if (numbers[1] > numbers[0])
        json_reader_fail(reader, key, ERROR_RANGE, "more failures than requests");
    return (ErrorWindow){.n = numbers[0], .k = numbers[1], .buckets = numbers[2]};
}

static Vote get_vote_value(JsonReader *reader, const json_t *object)
{
    const char *name = json_reader_text(reader, object, "vote", 1, BOUND_NAME);
    for (int vote = 0; vote < VOTE_MAX; vote++) {
        if (strcmp(name, VOTE_NAMES[vote]) == 0)
            return (Vote)vote;
    }
    json_reader_fail(reader, "vote", ERROR_RANGE, "'%s', allowed: unknown, up, down", name);
    return VOTE_UNKNOWN;
}

static int64_t get_age(JsonReader *reader, const json_t *object, const char *key)
{
    return json_reader_i64_or(reader, object, key, 0, INT64_MAX, AGE_NEVER);
}

static void get_vote(JsonReader *reader, const json_t *object, ReportVote *ret_vote)
{
    ret_vote->gateway = json_reader_text(reader, object, "gateway", 1, BOUND_NAME);
    ret_vote->vote = get_vote_value(reader, object);
    ret_vote->soft = json_reader_bool(reader, object, "soft");
    ret_vote->slow = json_reader_bool(reader, object, "slow");
    ret_vote->held = json_reader_bool(reader, object, "held");
    ret_vote->first_fail_age_ns = get_age(reader, object, "first_fail_age_ns");
    ret_vote->edge_success_age_ns = get_age(reader, object, "edge_success_age_ns");
    ret_vote->held_age_ns = get_age(reader, object, "held_age_ns");
    ret_vote->hold_left_ns = json_reader_i64(reader, object, "hold_left_ns", 0, INT64_MAX);
    ret_vote->streak = json_reader_u32(reader, object, "streak", UINT32_MAX);
    ret_vote->flaps = json_reader_u32(reader, object, "flaps", UINT32_MAX);
    ret_vote->p50_us = json_reader_u32(reader, object, "p50_us", UINT32_MAX);
    ret_vote->p99_us = json_reader_u32(reader, object, "p99_us", UINT32_MAX);
    ret_vote->short_window = get_window(reader, object, "window_10s");
    ret_vote->long_window = get_window(reader, object, "window_60s");
}

static void get_view(JsonReader *reader, const json_t *object, ReportView *ret_view)
{
    ret_view->observer = json_reader_text(reader, object, "observer", 1, BOUND_NAME);
    ret_view->boot = json_reader_hex64(reader, object, "boot");
    ret_view->sequence = (uint64_t)json_reader_i64(reader, object, "sequence", 0, INT64_MAX);
    ret_view->age_ns = json_reader_i64(reader, object, "age_ns", 0, INT64_MAX);
    ret_view->sick = json_reader_bool(reader, object, "sick");
    ret_view->alone = json_reader_bool(reader, object, "alone");
    const json_t *list = json_reader_array(reader, object, "votes", 0, BOUND_REGIONS);
    size_t n = json_array_size(list);
    ret_view->n_votes = (uint32_t)n;
    ret_view->votes = json_reader_new_array(reader, n, sizeof *ret_view->votes);
    for (size_t i = 0; reader->r == 0 && i < n; i++) {
        json_reader_enter(reader, "votes", i);
        get_vote(reader, json_array_get(list, i), &ret_view->votes[i]);
        json_reader_leave(reader);
    }
}

static void get_head(JsonReader *reader, const json_t *root, Report *ret_report)
{
    ret_report->version = (uint32_t)json_reader_i64(reader, root, "version", 1, 2);
    ret_report->region = json_reader_text(reader, root, "region", 1, BOUND_NAME);
    ret_report->boot = json_reader_hex64(reader, root, "boot");
    ret_report->sequence = (uint64_t)json_reader_i64(reader, root, "sequence", 0, INT64_MAX);
    ret_report->generation = json_reader_u32(reader, root, "generation", UINT32_MAX);
    ret_report->config_hash = json_reader_hex64(reader, root, "config_hash");
    ret_report->plan_number = json_reader_hex64(reader, root, "plan");
    ret_report->plan_fleet_digest = json_reader_hex64(reader, root, "plan_fleet_digest");
    ret_report->wall.ns = json_reader_i64(reader, root, "wall_ns", INT64_MIN, INT64_MAX);
    ret_report->stamp_ns = json_reader_i64(reader, root, "stamp_ns", INT64_MIN, INT64_MAX);
    ret_report->echo_boot = json_reader_hex64(reader, root, "echo_boot");
    ret_report->echo_ns = json_reader_i64(reader, root, "echo_ns", INT64_MIN, INT64_MAX);
    ret_report->echo_held_ns = json_reader_i64(reader, root, "echo_held_ns", 0, INT64_MAX);
    ret_report->capacity_rps = json_reader_u32(reader, root, "capacity_rps", UINT32_MAX);
    ret_report->load_rps = json_reader_u32(reader, root, "load_rps", UINT32_MAX);
    ret_report->replicas_want = json_reader_u32(reader, root, "replicas_want", BOUND_REPLICAS);
    ret_report->replicas_up = json_reader_u32(reader, root, "replicas_up", BOUND_REPLICAS);
}

static void get_services(JsonReader *reader, const json_t *root, Report *ret_report)
{
    const json_t *list = json_reader_array(reader, root, "services", 0, BOUND_SERVICES);
    size_t n = json_array_size(list);
    ret_report->n_services = (uint32_t)n;
    ret_report->services = json_reader_new_array(reader, n, sizeof *ret_report->services);
    for (size_t i = 0; reader->r == 0 && i < n; i++) {
        const json_t *item = json_array_get(list, i);
        json_reader_enter(reader, "services", i);
        ret_report->services[i].name = json_reader_text(reader, item, "name", 1, BOUND_NAME);
        ret_report->services[i].classes = json_reader_u32(reader, item, "classes", CLASS_MASK_ALL);
        json_reader_leave(reader);
    }
}

static void get_views(JsonReader *reader, const json_t *root, Report *ret_report)
{
    const json_t *list = json_reader_array(reader, root, "views", 1, BOUND_REGIONS);
    size_t n = json_array_size(list);
    ret_report->n_views = (uint32_t)n;
    ret_report->views = json_reader_new_array(reader, n, sizeof *ret_report->views);
    for (size_t i = 0; reader->r == 0 && i < n; i++) {
        json_reader_enter(reader, "views", i);
        get_view(reader, json_array_get(list, i), &ret_report->views[i]);
        json_reader_leave(reader);
    }
    if (reader->r == 0 && strcmp(ret_report->views[0].observer, ret_report->region) != 0)
        json_reader_fail(reader, "views", ERROR_RANGE, "the first is not the sender's own");
}

int report_json_decode(const char *bytes, size_t len, Arena *arena, const Report **ret_report,
                       Error *reterr)
{
    JsonReader reader = {.arena = arena, .reterr = reterr, .what = "report"};
    json_t *root = json_reader_parse(&reader, bytes, len, BOUND_REPORT_BYTES);
    if (root == NULL)
        return reader.r;
    Report *report = json_reader_new_array(&reader, 1, sizeof *report);
    if (reader.r == 0 && !json_is_object(root))
        reader.r = error_set(reterr, ERROR_FORMAT, "report: not an object");
    if (reader.r == 0) {
        get_head(&reader, root, report);
        get_services(&reader, root, report);
        get_views(&reader, root, report);
        intents_json_get(&reader, root, "intents", &report->intents, &report->n_intents);
    }
    json_decref(root);
    if (reader.r < 0)
        return reader.r;
    *ret_report = report;
    return 0;
}
