// SPDX-License-Identifier: MIT
// Requests: what is accepted, what is refused and why, the derived keys (vectors made with Python's
// hashlib; they are a contract between the regions), numbers and times that come back exactly.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "detection.h"

#define DIGEST "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"
#define START "{\"device\": \"cam-1\", \"taken_at\": \"2026-11-23T14:00:00.123456Z\", "
#define GOOD                                                                                       \
    START "\"species\": \"Lynx lynx\", \"confidence\": 0.9, \"image_digest\": \"" DIGEST "\""

static Detection parsed(const char *json, const char *key)
{
    Detection detection;
    DetectionProblem problem;
    if (!detection_parse(json, strlen(json), key, &detection, &problem))
        fail_msg("%s %s; allowed: %s", problem.path, problem.what, problem.allowed);
    return detection;
}

static void test_keys_are_vectors(void **state)
{
    // SHA-256 of "wildcam/detection/content\0cam-1\0" "1795442400123456\0" DIGEST
    assert_string_equal(parsed(GOOD "}", NULL).id.text, "d9c12e2a-0942-8c70-b323-8980b5d0ee3b");
    // SHA-256 of "wildcam/detection/key\0cam-1\0key-1"
    assert_string_equal(parsed(GOOD "}", "key-1").id.text, "bcb5983b-cdf1-85d8-8d1f-765d600a3765");
    assert_string_equal(parsed(START "\"species\": \"x\", \"confidence\": 1}", "key-1").id.text,
                        "bcb5983b-cdf1-85d8-8d1f-765d600a3765");
}

static void test_location_is_both_or_none(void **state)
{
    Detection detection = parsed(GOOD ", \"latitude\": -90, \"longitude\": 180}", NULL);
    assert_true(detection.has_location);
    assert_true(detection.latitude == -90 && detection.longitude == 180);
    assert_false(parsed(GOOD "}", NULL).has_location);
}

static void test_negative_zero_is_zero(void **state)
{
    Detection a = parsed(GOOD ", \"latitude\": -0.0, \"longitude\": 0}", NULL);
    Buf out = BUF_INIT(0);
    detection_write_json(&out, &a);
    assert_non_null(strstr(buf_text(&out), "\"latitude\": 0, \"longitude\": 0,"));
    buf_done(&out);
}

static void test_same_looks_at_everything(void **state)
{
    Detection a = parsed(GOOD ", \"latitude\": 1, \"longitude\": 2}", "k"), b = a;
    b.origin = 9; // where it was stored is not content
    assert_true(detection_same(&a, &b));
#define DIFFERS(change)                                                                            \
    do {                                                                                           \
        b = a;                                                                                     \
        change;                                                                                    \
        assert_false(detection_same(&a, &b));                                                      \
    } while (0)
    DIFFERS(b.id.text[0] ^= 1);
    DIFFERS(b.device[0] ^= 1);
    DIFFERS(b.taken_at_us++);
    DIFFERS(b.species[0] ^= 1);
    DIFFERS(b.confidence = 0.8999999999999999);
    DIFFERS(b.has_location = false);
    DIFFERS(b.latitude = 1.5);
    DIFFERS(b.longitude = 2.5);
    DIFFERS(b.image_digest[0] ^= 1);
    DIFFERS(b.idempotency_key[0] ^= 1);
}

static void test_problems(void **state)
{
    static const struct {
        const char *json, *key, *path, *what;
    } ROWS[] = {
        {"", NULL, "$", "line 1, column 0: '[' or '{' expected near end of file"},
        {"[]", NULL, "$", "is no object"},
        {GOOD "} x", NULL, "$", "line 1, column 191: end of file expected near 'x'"},
        {GOOD ", \"origin\": 1}", NULL, "$", "unknown key 'origin'"},
        {GOOD ", \"device\": \"b\"}", NULL, "$",
         "line 1, column 198: duplicate object key near "
         "'\"device\"'"},
        {START "\"confidence\": 1}", NULL, "$.species", "is missing"},
        {START "\"species\": \"x\", \"confidence\": true}", NULL, "$.confidence", "is no number"},
        {START "\"species\": \"x\", \"confidence\": 1}", NULL, "$.image_digest",
         "is missing; without it an Idempotency-Key is needed"},
        {GOOD ", \"latitude\": 1}", NULL, "$.longitude", "is missing"},
        {GOOD ", \"longitude\": 1}", NULL, "$.latitude", "is missing"},
        {GOOD "}", "", "Idempotency-Key", "is no such header"},
        {GOOD "}", "a b", "Idempotency-Key", "is no such header"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        Detection detection;
        DetectionProblem problem;
        assert_false(
            detection_parse(ROWS[i].json, strlen(ROWS[i].json), ROWS[i].key, &detection, &problem));
        assert_string_equal(problem.path, ROWS[i].path);
        assert_string_equal(problem.what, ROWS[i].what);
        assert_true(strlen(problem.allowed) > 0);
    }
}

static void test_nul_bytes_do_not_end_anything(void **state)
{
    Detection detection;
    DetectionProblem problem;
    char json[512];
    (void)snprintf(json, sizeof json, "%s}", GOOD);
    size_t len = strlen(json) + 1; // the NUL behind counts as input
    assert_false(detection_parse(json, len, NULL, &detection, &problem));
    const char *escaped = START "\"species\": \"a\\u0000b\", \"confidence\": 1}";
    assert_false(detection_parse(escaped, strlen(escaped), "k", &detection, &problem));
}

static void test_times(void **state)
{
    char text[DETECTION_TIME_MAX];
    detection_format_time(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
    detection_format_time(INT64_C(1795442400123456), text);
    assert_string_equal(text, "2026-11-23T14:00:00.123456Z");
}

static void test_uuids(void **state)
{
    Uuid uuid;
    assert_true(uuid_parse("0123ABCD-89ab-8def-8123-456789abcdef", &uuid));
    assert_string_equal(uuid.text, "0123abcd-89ab-8def-8123-456789abcdef");
    assert_false(uuid_parse("", &uuid));
    assert_false(uuid_parse("0123abcd-89ab-8def-8123-456789abcde", &uuid));
    assert_false(uuid_parse("0123abcd-89ab-8def-8123-456789abcdefa", &uuid));
    assert_false(uuid_parse("0123abcd-89ab-8def-8123_456789abcdef", &uuid));
    assert_false(uuid_parse("g123abcd-89ab-8def-8123-456789abcdef", &uuid));
    assert_false(uuid_parse("-123abcd-89ab-8def-8123-456789abcdef", &uuid));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_are_vectors),
        cmocka_unit_test(test_location_is_both_or_none),
        cmocka_unit_test(test_negative_zero_is_zero),
        cmocka_unit_test(test_same_looks_at_everything),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_nul_bytes_do_not_end_anything),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_uuids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
