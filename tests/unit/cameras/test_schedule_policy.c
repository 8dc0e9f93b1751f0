// SPDX-License-Identifier: MIT
// schedule and policy: when requests are due, and what a camera does after a try.
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "camera_request.h"
#include "model.h"
#include "policy.h"
#include "schedule.h"

static const Schedule SCHEDULE = {
    .start = {1000}, .rate = 300, .read_ppm = 800000, .keyless_ppm = 250000, .seed = 7};

static void test_due_times(void **state)
{
    assert_int_equal(schedule_due(&SCHEDULE, 0).ns, 1000);
    assert_int_equal(schedule_due(&SCHEDULE, 300).ns, 1000 + NS_PER_S);
    assert_int_equal(schedule_due(&SCHEDULE, 300 * 86400).ns, 1000 + 86400 * NS_PER_S);
    assert_int_equal(schedule_count(&SCHEDULE, (Mono){999}), 0);
    assert_int_equal(schedule_count(&SCHEDULE, (Mono){1000}), 1);
    // Count and due time agree at every instant around each due time.
    for (uint64_t i = 0; i < 2000; i++) {
        Mono due = schedule_due(&SCHEDULE, i);
        assert_int_equal(schedule_count(&SCHEDULE, due), i + 1);
        assert_int_equal(schedule_count(&SCHEDULE, (Mono){due.ns - 1}), i);
    }
}

static void test_mix(void **state)
{
    uint32_t writes = 0, keyless = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        bool write = schedule_is_write(&SCHEDULE, i);
        assert_int_equal(write, schedule_is_write(&SCHEDULE, i));
        writes += write;
        keyless += write && !schedule_has_key(&SCHEDULE, i);
    }
    assert_in_range(writes, 19500, 20500);
    assert_in_range(keyless, 4700, 5300);
    Schedule all = SCHEDULE;
    all.read_ppm = 0, all.keyless_ppm = 0;
    for (uint64_t i = 0; i < 1000; i++)
        assert_true(schedule_is_write(&all, i) && schedule_has_key(&all, i));
    all.read_ppm = PPM_ONE;
    for (uint64_t i = 0; i < 1000; i++)
        assert_false(schedule_is_write(&all, i));
}

static void test_addresses(void **state)
{
    // The first 256 cameras are in 256 different blocks, and no two cameras share an address.
    static uint8_t seen[256][256];
    for (uint32_t i = 0; i < SCHEDULE_CLIENTS_MAX; i++) {
        Ip ip = schedule_client(i);
        assert_true(ip_is_v4(&ip));
        assert_int_equal(ip.bytes[12], 127);
        assert_int_equal(ip.bytes[13], 100);
        assert_in_range(ip.bytes[15], 1, 254);
        assert_int_equal(seen[ip.bytes[14]][ip.bytes[15]]++, 0);
        if (i < 256)
            assert_int_equal(ip.bytes[15], 1);
    }
}

static PolicyTry attempt(bool idempotent, bool second, bool reused, bool any_byte, int status)
{
    return (PolicyTry){.idempotent = idempotent,
                       .second = second,
                       .has_other = true,
                       .reused = reused,
                       .any_byte = any_byte,
                       .status = status};
}

static void test_policy(void **state)
{
    static const struct {
        TryResult result;
        bool idempotent, second, reused, any_byte;
        int status;
        PolicyStep step;
    } ROWS[] = {
        {TRY_OK, true, false, true, true, 200, POLICY_DONE},
        {TRY_CONNECT, true, false, false, false, 0, POLICY_RETRY},
        {TRY_SILENT, true, false, true, false, 0, POLICY_RETRY},
        {TRY_GARBAGE, true, false, true, true, 0, POLICY_RETRY},
        {TRY_STATUS, true, false, true, true, 503, POLICY_RETRY},
        {TRY_STATUS, true, false, true, true, 404, POLICY_DONE}, // nobody else will like it better
        // Shed: no second try, or the load that is too much would double.
        {TRY_SHED, true, false, true, true, 503, POLICY_DONE},
        {TRY_SHED, true, true, true, true, 503, POLICY_DONE},
        {TRY_SHED, false, false, true, true, 503, POLICY_DONE},
        // Closed before a byte of an answer on a kept connection: no failed try.
        {TRY_CLOSED, true, false, true, false, 0, POLICY_RECONNECT},
        {TRY_CLOSED, true, true, true, false, 0, POLICY_RECONNECT},
        {TRY_CLOSED, true, false, true, true, 0, POLICY_RETRY},
        {TRY_CLOSED, true, false, false, false, 0, POLICY_RETRY},
        // One retry, not two.
        {TRY_CONNECT, true, true, false, false, 0, POLICY_DONE},
        {TRY_STATUS, true, true, true, true, 502, POLICY_DONE},
        // Without an Idempotency-Key a write is said once.
        {TRY_CLOSED, false, false, true, false, 0, POLICY_DONE},
        {TRY_CONNECT, false, false, false, false, 0, POLICY_DONE},
        {TRY_STATUS, false, false, true, true, 503, POLICY_DONE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        PolicyTry one = attempt(ROWS[i].idempotent, ROWS[i].second, ROWS[i].reused,
                                ROWS[i].any_byte, ROWS[i].status);
        if (policy_next(&one, ROWS[i].result) != ROWS[i].step)
            fail_msg("row %zu", i);
    }
    PolicyTry lonely = attempt(true, false, false, false, 0);
    lonely.has_other = false;
    assert_int_equal(policy_next(&lonely, TRY_CONNECT), POLICY_DONE);
    assert_true(policy_status_ok(201) && policy_status_ok(304));
    assert_false(policy_status_ok(404) || policy_status_ok(199) || policy_status_ok(500));
}

static void test_request_text(void **state)
{
    CameraRequestText text = {.host = "api.wildcam.org",
                              .client = 3,
                              .run = 0xabc,
                              .number = 12,
                              .write = true,
                              .key = true,
                              .now = {INT64_C(1795444812345678901)}};
    char bytes[CAMERA_REQUEST_MAX], again[CAMERA_REQUEST_MAX], key[RECORDS_KEY + 1];
    size_t len = camera_request_write(&text, bytes, key);
    assert_string_equal(key, "cam-0000000000000abc-12");
    assert_non_null(strstr(bytes, "\r\nIdempotency-Key: cam-0000000000000abc-12\r\n"));
    assert_non_null(strstr(bytes, "\"taken_at\":\"2026-11-23T"));
    const char *body = strstr(bytes, "\r\n\r\n") + 4;
    const char *declared = strstr(bytes, "Content-Length: ");
    assert_int_equal(strtoul(declared + 16, NULL, 10), bytes + len - body);
    assert_int_equal(camera_request_write(&text, again, key), len);
    assert_memory_equal(bytes, again, len);
    text.key = false;
    (void)camera_request_write(&text, bytes, key);
    assert_string_equal(key, "");
    assert_null(strstr(bytes, "Idempotency-Key"));
    text.write = false;
    len = camera_request_write(&text, bytes, key);
    assert_memory_equal(bytes, "GET /api/detections?", 20);
    assert_memory_equal(bytes + len - 4, "\r\n\r\n", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_due_times),    cmocka_unit_test(test_mix),
        cmocka_unit_test(test_addresses),    cmocka_unit_test(test_policy),
        cmocka_unit_test(test_request_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
