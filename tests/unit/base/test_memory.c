// SPDX-License-Identifier: MIT
// arena, alloc, buf: limits hold, failures are sticky and injectable, nothing is lost before them.
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "arena.h"
#include "buf.h"
#include "error.h"

static void test_arena_pieces_are_zeroed_and_aligned(void **state)
{
    Arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);
    for (size_t size = 1; size < 100; size++) {
        unsigned char *piece = arena_alloc(arena, size);
        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % sizeof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(piece[i], 0);
        memset(piece, 0xff, size);
    }
    arena_reset(arena);
    unsigned char *piece = arena_alloc(arena, 4000);
    for (size_t i = 0; i < 4000; i++)
        assert_int_equal(piece[i], 0);
}

static void test_arena_limit(void **state)
{
    Arena *arena CLEANUP(arena_freep) = arena_new(100);
    assert_non_null(arena_alloc(arena, 60));
    assert_null(arena_alloc(arena, 41));
    assert_non_null(arena_alloc(arena, 40));
    assert_null(arena_alloc(arena, 1));
    assert_int_equal(arena_used(arena), 100);
    assert_null(arena_alloc_array(arena, SIZE_MAX / 2, 3));
}

static void test_arena_larger_than_a_block(void **state)
{
    Arena *arena CLEANUP(arena_freep) = arena_new(10 << 20);
    char *big = arena_alloc(arena, 5 << 20);
    assert_non_null(big);
    memset(big, 1, 5 << 20);
    assert_string_equal(arena_printf(arena, "%d-%s", 7, "x"), "7-x");
    assert_string_equal(arena_strndup(arena, "abcdef", 3), "abc");
}

static void test_arena_out_of_memory(void **state)
{
    alloc_fail_after(0);
    assert_null(arena_new(100));
    Arena *arena CLEANUP(arena_freep) = arena_new(100);
    alloc_fail_after(0);
    assert_null(arena_alloc(arena, 10));
    assert_non_null(arena_alloc(arena, 10));
    alloc_fail_after(-1);
}

static void test_grow_keeps_and_zeroes(void **state)
{
    int *numbers = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(alloc_grow((void **)&numbers, &capacity, i + 1, sizeof *numbers), 0);
        assert_int_equal(numbers[i], 0);
        numbers[i] = (int)i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(numbers[i], i);
    assert_int_equal(alloc_grow((void **)&numbers, &capacity, SIZE_MAX / 2, sizeof *numbers),
                     ERROR_MEMORY);
    free(numbers);
}

static void test_buf_limit_is_sticky(void **state)
{
    Buf buf CLEANUP(buf_done) = BUF_INIT(5);
    buf_add_text(&buf, "abc");
    buf_add_text(&buf, "def");
    buf_add_text(&buf, "g");
    assert_int_equal(buf_check(&buf), ERROR_LIMIT);
    assert_string_equal(buf_text(&buf), "abc");
    buf_clear(&buf);
    buf_printf(&buf, "%05d", 42);
    assert_int_equal(buf_check(&buf), 0);
    assert_string_equal(buf_text(&buf), "00042");
}

static void test_buf_json_string(void **state)
{
    Buf buf CLEANUP(buf_done) = BUF_INIT(0);
    buf_add_json_string(&buf, "a\"\\\n\x7f\xc3\xa4\xff\xed\xa0\x80");
    assert_string_equal(buf_text(&buf),
                        "\"a\\\"\\\\\\u000a\\u007f\xc3\xa4\\ufffd\\ufffd\\ufffd\\ufffd\"");
}

static void test_error_grows_outward(void **state)
{
    Error err = ERROR_INIT;
    assert_int_equal(error_set(&err, ERROR_RANGE, "value '%d'", 9), ERROR_RANGE);
    assert_int_equal(error_wrap(&err, ERROR_RANGE, "load"), ERROR_RANGE);
    assert_int_equal(error_hint(&err, ERROR_RANGE, "Use 8."), ERROR_RANGE);
    assert_string_equal(error_text(&err), "load: value '9'\nHINT: Use 8.");
    error_done(&err);
    error_done(&err);
    assert_int_equal(error_errno(&err, 2, "file"), -2);
    assert_string_equal(error_text(&err), "file: No such file or directory");
    error_done(&err);
    assert_int_equal(error_wrap(&err, ERROR_STALE, "plan"), ERROR_STALE);
    assert_string_equal(error_text(&err), "plan: older than what is there");
    error_done(&err);
    assert_int_equal(error_set(NULL, ERROR_USAGE, "nobody listens"), ERROR_USAGE);
    assert_int_equal(error_exit_code(ERROR_USAGE), 2);
    assert_int_equal(error_exit_code(ERROR_NOT_HELD), 3);
    assert_int_equal(error_exit_code(-2), 1);
    assert_int_equal(error_exit_code(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_pieces_are_zeroed_and_aligned),
        cmocka_unit_test(test_arena_limit),
        cmocka_unit_test(test_arena_larger_than_a_block),
        cmocka_unit_test(test_arena_out_of_memory),
        cmocka_unit_test(test_grow_keeps_and_zeroes),
        cmocka_unit_test(test_buf_limit_is_sticky),
        cmocka_unit_test(test_buf_json_string),
        cmocka_unit_test(test_error_grows_outward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
