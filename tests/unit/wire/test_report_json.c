// SPDX-License-Identifier: MIT
// report_json: round trips, every damage refused with the path of what is wrong, tolerance for what
// another version may add.
#include "unit.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "bounds.h"
#include "intents.h"
#include "report_json.h"
#include "samples.h"

#define ARENA_LIMIT ((size_t)1 << 20)

static Buf encoded(void)
{
    Report report = sample_report();
    Buf buf = BUF_INIT(0);
    assert_int_equal(report_json_encode(&report, &buf), 0);
    return buf;
}

static int decode_and_forget(const char *bytes, size_t len, Error *reterr)
{
    Arena *arena = arena_new(ARENA_LIMIT);
    char *exact = malloc(len > 0 ? len : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, len);
    const Report *report;
    int r = report_json_decode(exact, len, arena, &report, reterr);
    free(exact);
    arena_free(arena);
    return r;
}

static void test_round_trip(void **state)
{
    Buf buf = encoded();
    Arena *arena = arena_new(ARENA_LIMIT);
    const Report *got;
    Error err = ERROR_INIT;
    assert_int_equal(report_json_decode(buf.data, buf.len, arena, &got, &err), 0);
    assert_string_equal(got->region, "us-west-2");
    assert_int_equal(got->boot, UINT64_MAX);
    assert_int_equal(got->config_hash, 0x8000000000000001);
    assert_int_equal(got->wall.ns, INT64_C(1795444812345678901));
    assert_int_equal(got->n_views, 2);
    assert_int_equal(got->views[0].votes[0].first_fail_age_ns, AGE_NEVER);
    assert_int_equal(got->views[0].votes[1].vote, VOTE_DOWN);
    assert_int_equal(got->views[0].votes[1].long_window.n, UINT32_MAX);
    assert_true(got->views[1].sick);
    assert_int_equal(got->views[1].n_votes, 0);
    assert_int_equal(got->n_intents, SAMPLE_N_INTENTS);
    assert_string_equal(got->intents[0].reason, SAMPLE_INTENTS[0].reason);
    assert_int_equal(got->intents[1].expires.ns, INT64_MAX);
    // Encoding what was read gives the same bytes: no field is lost.
    Buf again = BUF_INIT(0);
    assert_int_equal(report_json_encode(got, &again), 0);
    assert_string_equal(buf_text(&again), buf_text(&buf));
    buf_done(&again);
    buf_done(&buf);
    error_done(&err);
    arena_free(arena);
}

static void test_every_truncation_is_refused(void **state)
{
    Buf buf = encoded();
    for (size_t len = 0; len < buf.len; len++)
        assert_true(decode_and_forget(buf.data, len, NULL) < 0);
    buf_add_char(&buf, '}');
    assert_int_equal(decode_and_forget(buf.data, buf.len, NULL), ERROR_FORMAT);
    buf_done(&buf);
}

// Any value in the place of each key of an object: no crash; a wrong type is never taken.
static void try_replacements(json_t *root, json_t *object)
{
    static const char *const VALUES[] = {"\"x\"", "-1", "1e9", "[]", "[1]", "{}", "true", "\"\""};
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        json_t *before = json_incref(json_object_iter_value(at));
        for (size_t i = 0; i < ARRAY_SIZE(VALUES); i++) {
            json_object_iter_set_new(object, at, json_loads(VALUES[i], JSON_DECODE_ANY, NULL));
            char *text = json_dumps(root, 0);
            int r = decode_and_forget(text, strlen(text), NULL);
            json_t *now = json_object_iter_value(at);
            if (json_typeof(now) != json_typeof(before) &&
                !(json_is_boolean(now) && json_is_boolean(before)) &&
                !(json_is_null(before) && json_is_integer(now)))
                assert_true(r < 0);
            free(text);
        }
        json_object_iter_set_new(object, at, before);
    }
}

static void test_wrong_types(void **state)
{
    Buf buf = encoded();
    json_t *root = json_loadb(buf.data, buf.len, 0, NULL);
    assert_non_null(root);
    try_replacements(root, root);
    json_t *view = json_array_get(json_object_get(root, "views"), 0);
    try_replacements(root, view);
    try_replacements(root, json_array_get(json_object_get(view, "votes"), 1));
    try_replacements(root, json_array_get(json_object_get(root, "intents"), 3));
    try_replacements(root, json_array_get(json_object_get(root, "services"), 0));
    json_decref(root);
    buf_done(&buf);
}

static void expect(json_t *root, int code, const char *message)
{
    char *text = json_dumps(root, 0);
    Error err = ERROR_INIT;
    assert_int_equal(decode_and_forget(text, strlen(text), &err), code);
    if (code < 0)
        assert_string_equal(error_text(&err), message);
    error_done(&err);
    free(text);
}

static void test_messages_name_the_path(void **state)
{
    Buf buf = encoded();
    json_t *root = json_loadb(buf.data, buf.len, 0, NULL);
    json_t *view = json_array_get(json_object_get(root, "views"), 1);
    json_object_set_new(view, "age_ns", json_integer(-4));
    expect(root, ERROR_RANGE, "report: views[1].age_ns: '-4', allowed 0 to 9223372036854775807");
    json_object_set_new(view, "age_ns", json_integer(4));
    json_t *vote = json_array_get(
        json_object_get(json_array_get(json_object_get(root, "views"), 0), "votes"), 2);
    json_object_set_new(vote, "vote", json_string("maybe"));
    expect(root, ERROR_RANGE,
           "report: views[0].votes[2].vote: 'maybe', allowed: unknown, up, down");
    json_object_del(vote, "vote");
    expect(root, ERROR_FORMAT, "report: views[0].votes[2].vote: is missing");
    json_object_set_new(vote, "vote", json_string("up"));
    json_object_set_new(root, "boot", json_string("FFFF"));
    expect(root, ERROR_FORMAT, "report: boot: must be 16 lower-case hex digits in quotes");
    json_decref(root);
    buf_done(&buf);
}

static void test_other_versions(void **state)
{
    Buf buf = encoded();
    json_t *root = json_loadb(buf.data, buf.len, 0, NULL);
    json_object_set_new(root, "version", json_integer(2));
    json_object_set_new(root, "mood", json_string("an unknown key"));
    json_object_set_new(json_array_get(json_object_get(root, "views"), 0), "mood", json_null());
    // A kind of the future: left out, the others stay.
    json_object_set_new(json_array_get(json_object_get(root, "intents"), 1), "kind",
                        json_string("teleport"));
    char *text = json_dumps(root, 0);
    Arena *arena = arena_new(ARENA_LIMIT);
    const Report *got;
    assert_int_equal(report_json_decode(text, strlen(text), arena, &got, NULL), 0);
    assert_int_equal(got->n_intents, SAMPLE_N_INTENTS - 1);
    assert_int_equal(got->intents[1].kind, INTENT_PIN);
    arena_free(arena);
    free(text);
    json_object_set_new(root, "version", json_integer(3));
    expect(root, ERROR_RANGE, "report: version: '3', allowed 1 to 2");
    json_decref(root);
    buf_done(&buf);
}

static void test_limits(void **state)
{
    Report report = sample_report();
    ReportView *views = alloc_zeroed(200, sizeof *views);
    assert_non_null(views);
    for (uint32_t i = 0; i < 200; i++)
        views[i] = report.views[0];
    report.views = views, report.n_views = 200;
    Buf buf = BUF_INIT(0);
    assert_int_equal(report_json_encode(&report, &buf), ERROR_LIMIT);
    assert_int_equal(decode_and_forget(buf.data, buf.len, NULL), ERROR_LIMIT);
    free(views);
    buf_done(&buf);
    static const char *const BAD[] = {
        "", "[]", "null", "{}", "{\"version\":1}", "{\"a\":1,\"a\":2}", "\xff\xfe"};
    for (size_t i = 0; i < ARRAY_SIZE(BAD); i++)
        assert_true(decode_and_forget(BAD[i], strlen(BAD[i]), NULL) < 0);
}

static void test_allocation_failure(void **state)
{
    Buf buf = encoded();
    Arena *arena = arena_new(ARENA_LIMIT);
    const Report *got;
    assert_int_equal(report_json_decode(buf.data, buf.len, arena, &got, NULL), 0);
    size_t need = arena_used(arena);
    arena_free(arena);
    for (size_t limit = 1; limit < need; limit += 5) {
        arena = arena_new(limit);
        assert_int_equal(report_json_decode(buf.data, buf.len, arena, &got, NULL), ERROR_MEMORY);
        arena_free(arena);
    }
    Report report = sample_report();
    for (long n = 0;; n++) {
        Buf out = BUF_INIT(0);
        alloc_fail_after(n);
        int r = report_json_encode(&report, &out);
        alloc_fail_after(-1);
        buf_done(&out);
        if (r == 0)
            break;
        assert_int_equal(r, ERROR_MEMORY);
    }
    buf_done(&buf);
}

// The keys that are written are those of the schema, no more and no less.
static void compare_keys(const json_t *schema, const json_t *value)
{
    const json_t *properties = json_object_get(schema, "properties");
    assert_int_equal(json_object_size(properties), json_object_size(value));
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)properties, key, item)
    {
        if (json_object_get(value, key) == NULL)
            fail_msg("'%s' is in the schema and not in the report", key);
    }
}

static void test_schema(void **state)
{
    json_t *schema = json_load_file(REPORT_SCHEMA, 0, NULL);
    assert_non_null(schema);
    Buf buf = encoded();
    json_t *root = json_loadb(buf.data, buf.len, 0, NULL);
    json_t *definitions = json_object_get(schema, "$defs");
    compare_keys(schema, root);
    json_t *view = json_array_get(json_object_get(root, "views"), 0);
    compare_keys(json_object_get(definitions, "view"), view);
    compare_keys(json_object_get(definitions, "vote"),
                 json_array_get(json_object_get(view, "votes"), 1));
    compare_keys(json_object_get(definitions, "intent"),
                 json_array_get(json_object_get(root, "intents"), 0));
    json_t *services = json_object_get(json_object_get(schema, "properties"), "services");
    compare_keys(json_object_get(services, "items"),
                 json_array_get(json_object_get(root, "services"), 0));
    json_decref(root);
    json_decref(schema);
    buf_done(&buf);
}

static void test_intents_on_disk(void **state)
{
    Buf buf = BUF_INIT(0);
    assert_int_equal(intents_json_encode(SAMPLE_INTENTS, SAMPLE_N_INTENTS, &buf), 0);
    Arena *arena = arena_new(ARENA_LIMIT);
    const Intent *got;
    uint32_t n;
    assert_int_equal(intents_json_decode(buf.data, buf.len, arena, &got, &n, NULL, NULL), 0);
    assert_int_equal(n, SAMPLE_N_INTENTS);
    Buf again = BUF_INIT(0);
    assert_int_equal(intents_json_encode(got, n, &again), 0);
    assert_string_equal(buf_text(&again), buf_text(&buf));
    for (size_t len = 0; len + 1 < buf.len; len++) // the last byte is a line feed
        assert_true(intents_json_decode(buf.data, len, arena, &got, &n, NULL, NULL) < 0);
    buf_clear(&buf);
    assert_int_equal(intents_json_encode(NULL, 0, &buf), 0);
    assert_int_equal(intents_json_decode(buf.data, buf.len, arena, &got, &n, NULL, NULL), 0);
    assert_int_equal(n, 0);
    arena_free(arena);
    buf_done(&again);
    buf_done(&buf);
}

// One wish that does not fit costs itself, not the report or the file.
static void test_unfit_wishes_are_left_out(void **state)
{
    static const char *const targets[] = {"region:a", "cloud:b", "fleet", "prefix:10.0.0.0/8"};
    for (int kind = 0; kind < INTENT_KIND_MAX; kind++)
        for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
            Arena *arena = arena_new(ARENA_LIMIT);
            Intent both[2] = {SAMPLE_INTENTS[kind], SAMPLE_INTENTS[0]};
            both[0].target = targets[i];
            IntentSet none = {0};
            bool fits = intent_set_is_news(&none, &both[0], (Wall){0}); // what the core takes
            Report report = sample_report();
            report.intents = both;
            report.n_intents = 2;
            Buf buf CLEANUP(buf_done) = BUF_INIT(0), file CLEANUP(buf_done) = BUF_INIT(0);
            const Report *got;
            const Intent *intents;
            uint32_t n, left_out;
            assert_int_equal(report_json_encode(&report, &buf), 0);
            assert_int_equal(report_json_decode(buf.data, buf.len, arena, &got, NULL), 0);
            assert_int_equal(got->n_intents, fits ? 2 : 1);
            assert_int_equal(intents_json_encode(both, 2, &file), 0);
            assert_int_equal(
                intents_json_decode(file.data, file.len, arena, &intents, &n, &left_out, NULL), 0);
            assert_int_equal(n, fits ? 2 : 1);
            assert_int_equal(left_out, fits ? 0 : 1);
            arena_free(arena);
        }
}

// wire keeps the names itself, because it does not link the core.
static void test_names_of_kinds(void **state)
{
    for (int kind = 0; kind < INTENT_KIND_MAX; kind++) {
        Intent intent = SAMPLE_INTENTS[kind];
        assert_int_equal(intent.kind, kind);
        Buf buf = BUF_INIT(0), want = BUF_INIT(0);
        assert_int_equal(intents_json_encode(&intent, 1, &buf), 0);
        buf_printf(&want, "{\"kind\":\"%s\"", intent_kind_name((IntentKind)kind));
        assert_non_null(strstr(buf_text(&buf), buf_text(&want)));
        buf_done(&want);
        buf_done(&buf);
    }
}

static int wish(Arena *arena, const char *text, Intent *ret_intent, Error *reterr)
{
    return intent_wish_decode(text, strlen(text), (Wall){1000}, arena, ret_intent, reterr);
}

static void test_wishes(void **state)
{
    Arena *arena = arena_new(ARENA_LIMIT);
    Error err = ERROR_INIT;
    Intent got;
    assert_int_equal(wish(arena,
                          "{\"kind\":\"drain\",\"target\":\"region:a\",\"author\":\"x\","
                          "\"reason\":\"y\",\"expires_s\":60}",
                          &got, &err),
                     0);
    assert_int_equal(got.kind, INTENT_DRAIN);
    assert_int_equal(got.stamp, 0);
    assert_int_equal(got.created.ns, 1000);
    assert_int_equal(got.expires.ns, 60 * NS_PER_S + 1000);
    assert_int_equal(wish(arena, "{\"kind\":\"reset_flaps\",\"target\":\"fleet\"}", &got, &err), 0);
    assert_int_equal(got.expires.ns, INT64_MAX);
    static const char *const BAD[][2] = {
        {"{\"kind\":\"burn\",\"target\":\"fleet\"}",
         "intent: kind: allowed: drain, never, pin, weight, release, reset_flaps"},
        {"{\"kind\":\"drain\",\"target\":\"fleet\"}",
         "intent: target: 'fleet' does not fit kind 'drain'"},
        {"{\"kind\":\"pin\",\"target\":\"prefix:10.0.0.1/8\",\"region\":\"a\"}",
         "intent: target: 'prefix:10.0.0.1/8' does not fit kind 'pin'"},
        {"{\"kind\":\"pin\",\"target\":\"prefix:10.0.0.0/8\"}", "intent: region: is missing"},
        {"{\"kind\":\"weight\",\"target\":\"region:a\"}", "intent: value_ppm: is missing"},
        {"{\"kind\":\"weight\",\"target\":\"region:a\",\"value_ppm\":1000001}",
         "intent: value_ppm: '1000001', allowed 0 to 1000000"},
        {"{\"kind\":\"drain\",\"target\":\"region:\"}",
         "intent: target: 'region:' does not fit kind 'drain'"},
        {"{\"kind\":\"drain\",\"target\":\"region:a\",\"expires_s\":0}",
         "intent: expires_s: '0', allowed 1 to 9223372036"},
        {"[]", "intent: not an object"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(BAD); i++) {
        assert_true(wish(arena, BAD[i][0], &got, &err) < 0);
        assert_string_equal(error_text(&err), BAD[i][1]);
    }
    error_done(&err);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_messages_name_the_path),
        cmocka_unit_test(test_other_versions),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_allocation_failure),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_intents_on_disk),
        cmocka_unit_test(test_unfit_wishes_are_left_out),
        cmocka_unit_test(test_names_of_kinds),
        cmocka_unit_test(test_wishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
