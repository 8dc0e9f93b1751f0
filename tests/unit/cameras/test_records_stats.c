// SPDX-License-Identifier: MIT
// records and stats: what a run leaves on disk, and what it comes to.
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "homes.h"
#include "model.h"
#include "segment.h"
#include "stats.h"
#include "verify.h"

static const CameraRequest REQUEST = {
    .scheduled = {100},
    .first_ended = {INT64_C(5) * NS_PER_MS},
    .ended = {INT64_C(9) * NS_PER_MS + 100},
    .client = 59,
    .first_gateway = 2,
    .last_gateway = 5,
    .first = TRY_CONNECT,
    .last = TRY_OK,
    .status = 201,
    .tries = 2,
    .reconnects = 1,
    .idempotent = true,
    .write = true,
};

static void test_round_trips(void **state)
{
    Buf buf = BUF_INIT(0);
    RunStart start = {.run = UINT64_MAX, .wall = {1}, .mono = {2}, .rate = 1000, .n_regions = 2};
    strcpy(start.regions[0], "us-west-2");
    strcpy(start.regions[1], "eastus");
    LedgerEntry entry = {.run = 7,
                         .acknowledged = {-1},
                         .id = "00112233-4455-8677-8899-aabbccddeeff",
                         .key = "cam-7-1",
                         .region = "eastus"};
    assert_int_equal(records_put_start(&buf, &start), 0);
    assert_int_equal(records_put_request(&buf, &REQUEST), 0);
    assert_int_equal(records_put_entry(&buf, &entry), 0);
    Cursor cursor = cursor_of(buf.data, buf.len);
    RecordsItem item;
    assert_int_equal(records_next(&cursor, &item), RECORDS_START);
    assert_memory_equal(&item.u.start, &start, sizeof start);
    assert_int_equal(records_next(&cursor, &item), RECORDS_REQUEST);
    assert_int_equal(item.u.request.ended.ns, REQUEST.ended.ns);
    assert_int_equal(item.u.request.first, TRY_CONNECT);
    assert_int_equal(item.u.request.client, 59);
    assert_int_equal(item.u.request.last_gateway, 5);
    assert_true(item.u.request.write && item.u.request.idempotent);
    assert_int_equal(records_next(&cursor, &item), RECORDS_ENTRY);
    assert_memory_equal(&item.u.entry, &entry, sizeof entry);
    assert_int_equal(records_next(&cursor, &item), RECORDS_END);
    // Every cut ends quietly at the last whole item.
    for (size_t len = 0; len < buf.len; len++) {
        cursor = cursor_of(buf.data, len);
        int r;
        while ((r = records_next(&cursor, &item)) > 0)
            continue;
        assert_int_equal(r, RECORDS_END);
    }
    buf_done(&buf);
}

static void test_foreign_frames_are_refused(void **state)
{
    static const unsigned char PAYLOADS[][3] = {{9, 0, 0}, {RECORDS_REQUEST, 0, 0}, {0, 0, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(PAYLOADS); i++) {
        Buf buf = BUF_INIT(0);
        RecordsItem item;
        assert_int_equal(segment_frame(&buf, PAYLOADS[i], 3), 0);
        Cursor cursor = cursor_of(buf.data, buf.len);
        assert_int_equal(records_next(&cursor, &item), ERROR_FORMAT);
        buf_done(&buf);
    }
    Buf buf = BUF_INIT(0);
    CameraRequest request = REQUEST;
    request.first_gateway = RECORDS_REGIONS;
    RecordsItem item;
    assert_int_equal(records_put_request(&buf, &request), 0);
    Cursor cursor = cursor_of(buf.data, buf.len);
    assert_int_equal(records_next(&cursor, &item), ERROR_FORMAT);
    buf_done(&buf);
}

static void test_ledger_of_one_run(void **state)
{
    char path[] = "/tmp/wildcam-ledger-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    Buf buf = BUF_INIT(0);
    for (uint64_t run = 1; run <= 3; run++) {
        LedgerEntry entry = {.run = run, .id = "00112233-4455-8677-8899-aabbccddeeff"};
        for (uint64_t i = 0; i < run; i++)
            assert_int_equal(records_put_entry(&buf, &entry), 0);
    }
    buf_add_text(&buf, "torn");
    assert_int_equal(files_write_all(fd, buf.data, buf.len, NULL), 0);
    Ledger ledger;
    assert_int_equal(ledger_read(path, 2, &ledger, NULL), 0);
    assert_int_equal(ledger.n, 2);
    ledger_done(&ledger);
    assert_int_equal(ledger_read(path, 0, &ledger, NULL), 0);
    assert_int_equal(ledger.n, 6);
    ledger_done(&ledger);
    buf_done(&buf);
    files_close(fd);
    (void)unlink(path);
}

static void test_counts(void **state)
{
    Stats stats;
    stats_init(&stats);
    CameraRequest request = REQUEST;
    stats_add(&stats, &request); // saved by the retry
    request.last = TRY_STATUS;
    stats_add(&stats, &request); // not saved
    request.idempotent = false;
    request.tries = 1;
    stats_add(&stats, &request);
    request.first = request.last = TRY_OK;
    request.first_ended.ns *= 100; // a success does not move the last failure
    stats_add(&stats, &request);
    request.last = TRY_SHED;
    request.first = TRY_CONNECT;
    request.first_ended = REQUEST.first_ended;
    stats_add(&stats, &request); // its gateway was gone, and the other one was full
    request.first = TRY_SHED;
    request.first_ended.ns *= 100;
    stats_add(&stats, &request); // shed at once: no failed try
    assert_int_equal(stats.shed, 2);
    assert_int_equal(stats.first_results[TRY_SHED], 1);
    assert_int_equal(stats.requests, 6);
    assert_int_equal(stats.failed, 2);
    assert_int_equal(stats.failed_idempotent, 1);
    assert_int_equal(stats.failed_first_try, 4);
    assert_int_equal(stats.failed_first_try_idempotent, 2);
    assert_int_equal(stats.client_retries, 2);
    assert_int_equal(stats.reconnects, 6);
    assert_int_equal(stats.last_failed_first_try.ns, REQUEST.first_ended.ns);
    assert_int_equal(stats.first_results[TRY_CONNECT], 4);
    Stats sum, surviving, dead;
    stats_init(&sum);
    stats_merge(&sum, &stats);
    stats_merge(&sum, &stats);
    assert_int_equal(sum.requests, 12);
    assert_int_equal(sum.shed, 4);
    assert_int_equal(sum.worst_ns, stats.worst_ns);
    assert_ptr_equal(stats_side(&surviving, &dead, 1U << 2, &REQUEST), &dead);
    assert_ptr_equal(stats_side(&surviving, &dead, 1U << 5, &REQUEST), &surviving);
}

static void test_quantiles(void **state)
{
    Stats stats;
    stats_init(&stats);
    assert_int_equal(stats_quantile_ns(&stats, PPM_ONE / 2), 0);
    for (int64_t us = 1; us <= 100000; us++) {
        CameraRequest request = {.ended = {us * NS_PER_US}, .first = TRY_OK, .last = TRY_OK};
        stats_add(&stats, &request);
    }
    static const uint32_t PPM[] = {10000, 100000, 500000, 900000, 990000, 999900, 1000000};
    for (size_t i = 0; i < ARRAY_SIZE(PPM); i++) {
        int64_t exact = (int64_t)PPM[i] * NS_PER_US / 10;
        int64_t got = stats_quantile_ns(&stats, PPM[i]);
        assert_true(got >= exact && got <= exact + exact / 25);
    }
    assert_int_equal(stats.worst_ns, 100000 * NS_PER_US);
    CameraRequest endless = {.ended = {INT64_MAX}, .first = TRY_OK, .last = TRY_OK};
    stats_add(&stats, &endless);
    assert_int_equal(stats_quantile_ns(&stats, PPM_ONE), INT64_MAX);
}

static int home(const char *json, uint32_t *ret_home, int32_t *ret_backup)
{
    static const ModelRegion regions[] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    const Model model = {.n_regions = 3, .regions = regions};
    return homes_read(&model, json, strlen(json), ret_home, ret_backup);
}

static void test_homes(void **state)
{
    uint32_t first;
    int32_t backup;
    assert_int_equal(home("{\"gateway\":\"b\",\"backup\":{\"gateway\":\"c\"}}", &first, &backup),
                     0);
    assert_int_equal(first, 1);
    assert_int_equal(backup, 2);
    assert_int_equal(home("{\"gateway\":\"a\",\"backup\":null}", &first, &backup), 0);
    assert_int_equal(backup, -1);
    assert_int_equal(home("{\"gateway\":\"x\"}", &first, &backup), ERROR_NOT_FOUND);
    assert_int_equal(home("{\"gateway\":\"a\",\"backup\":{\"gateway\":\"x\"}}", &first, &backup),
                     ERROR_NOT_FOUND);
    assert_int_equal(home("{\"gateway\":null}", &first, &backup), ERROR_FORMAT);
    assert_int_equal(home("<html>", &first, &backup), ERROR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),       cmocka_unit_test(test_foreign_frames_are_refused),
        cmocka_unit_test(test_ledger_of_one_run), cmocka_unit_test(test_counts),
        cmocka_unit_test(test_quantiles),         cmocka_unit_test(test_homes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
