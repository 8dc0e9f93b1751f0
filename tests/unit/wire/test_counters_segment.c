// SPDX-License-Identifier: MIT
// counters and segment: what the edge hands over, and the frames of recordings.
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "counters.h"
#include "segment.h"

static void test_counters_check(void **state)
{
    CountersFile *file = alloc_zeroed(1, sizeof *file);
    assert_non_null(file);
    const CountersFile *got;
    Error err = ERROR_INIT;
    const size_t len = sizeof *file;
    assert_int_equal(counters_check(file, len, &got, &err), ERROR_FOREIGN); // just preallocated
    file->header.magic = COUNTERS_MAGIC;
    assert_int_equal(counters_check(file, len, &got, &err), ERROR_FORMAT);
    file->header.version = COUNTERS_VERSION;
    assert_int_equal(counters_check(file, len, &got, &err), ERROR_RANGE);
    assert_string_equal(error_text(&err), "counters: no writer yet");
    file->header.pid = 1, file->header.started_ns = 1;
    assert_int_equal(counters_check(file, len, &got, &err), 0);
    assert_ptr_equal(got, file);
    for (size_t short_len = 0; short_len < len; short_len += 61)
        assert_int_equal(counters_check(file, short_len, &got, &err), ERROR_FORMAT);
    assert_int_equal(counters_check(file, len + 1, &got, &err), ERROR_FORMAT);
    file->header.worker = BOUND_WORKERS;
    assert_int_equal(counters_check(file, len, &got, &err), ERROR_RANGE);
    file->header.worker = 0;
    file->header.version = COUNTERS_VERSION + 1;
    assert_int_equal(counters_check(file, len, &got, &err), ERROR_FORMAT);
    char *shifted = malloc(len + 1);
    assert_non_null(shifted);
    assert_int_equal(counters_check(shifted + 1, len, &got, &err), ERROR_USAGE);
    free(shifted);
    error_done(&err);
    free(file);
}

static void test_counters_delta(void **state)
{
    assert_int_equal(counters_delta(10, 4, 100), 6);
    assert_int_equal(counters_delta(4, 4, 0), 0);
    assert_int_equal(counters_delta(4, 10, 100), 0);   // another writer
    assert_int_equal(counters_delta(1000, 4, 100), 0); // damage
    assert_int_equal(counters_delta(104, 4, 100), 100);
    assert_int_equal(counters_delta(UINT64_MAX, 0, UINT64_MAX), UINT64_MAX);
}

static Buf three_frames(void)
{
    static const char *const TEXTS[] = {"one", "payload two", "3"};
    Buf buf = BUF_INIT(0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(segment_frame(&buf, TEXTS[i], strlen(TEXTS[i])), 0);
    return buf;
}

// Reads all; returns the count and the result that ended it.
static int read_all(const void *bytes, size_t len, int *ret_r, size_t *ret_left)
{
    Cursor cursor = cursor_of(bytes, len);
    const void *payload;
    size_t n;
    int count = 0;
    while ((*ret_r = segment_next(&cursor, &payload, &n)) == 1)
        count++;
    *ret_left = cursor_left(&cursor);
    return count;
}

static void test_segment_torn_tail(void **state)
{
    Buf buf = three_frames();
    int r;
    size_t left;
    assert_int_equal(read_all(buf.data, buf.len, &r, &left), 3);
    assert_int_equal(r, 0);
    const size_t ends[] = {0, 11, 30, 39};
    for (size_t len = 0; len <= buf.len; len++) {
        int want = len >= ends[3] ? 3 : len >= ends[2] ? 2 : len >= ends[1] ? 1 : 0;
        assert_int_equal(read_all(buf.data, len, &r, &left), want);
        assert_int_equal(r, len == ends[want] ? 0 : ERROR_FORMAT);
        assert_int_equal(left, len - ends[want]); // what a writer cuts off
    }
    buf_done(&buf);
}

static void test_segment_damage(void **state)
{
    Buf buf = three_frames();
    for (size_t i = 0; i < 19 * 8; i++) { // the second frame's bits
        size_t bit = 11 * 8 + i;
        buf.data[bit / 8] = (char)(buf.data[bit / 8] ^ (1 << (bit % 8)));
        int r;
        size_t left;
        assert_int_equal(read_all(buf.data, buf.len, &r, &left), 1);
        assert_true(r < 0);
        assert_int_equal(left, buf.len - 11);
        buf.data[bit / 8] = (char)(buf.data[bit / 8] ^ (1 << (bit % 8)));
    }
    buf_done(&buf);
}

static void test_segment_limits(void **state)
{
    Buf buf = BUF_INIT(0);
    static char payload[SEGMENT_FRAME_MAX + 1];
    assert_int_equal(segment_frame(&buf, payload, sizeof payload), ERROR_LIMIT);
    assert_int_equal(segment_frame(&buf, payload, 0), ERROR_LIMIT);
    assert_int_equal(buf.len, 0);
    assert_int_equal(segment_frame(&buf, payload, SEGMENT_FRAME_MAX), 0);
    int r;
    size_t left;
    assert_int_equal(read_all(buf.data, buf.len, &r, &left), 1);
    const char zeros[16] = {0}; // a hole in a file: length 0 is no frame
    assert_int_equal(read_all(zeros, sizeof zeros, &r, &left), 0);
    assert_int_equal(r, ERROR_FORMAT);
    buf_done(&buf);
    alloc_fail_after(0);
    assert_int_equal(segment_frame(&buf, payload, 1), ERROR_MEMORY);
    alloc_fail_after(-1);
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_check),    cmocka_unit_test(test_counters_delta),
        cmocka_unit_test(test_segment_torn_tail), cmocka_unit_test(test_segment_damage),
        cmocka_unit_test(test_segment_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
