// SPDX-License-Identifier: MIT
// loop_until: runs a uv loop until a condition holds, with a deadline instead of sleeps.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "clock.h"

#define DEADLINE_NS (10 * NS_PER_S)

static inline void loop_tick(uv_timer_t *timer)
{
}

// Fails the test when *flag has not reached `value` in time.
static inline void loop_until(uv_loop_t *loop, const int *flag, int value)
{
    uv_timer_t tick;
    Mono end = mono_add(clock_mono(), DEADLINE_NS);
    (void)uv_timer_init(loop, &tick);
    (void)uv_timer_start(&tick, loop_tick, 10, 10);
    while (*flag < value && mono_since(end, clock_mono()) > 0)
        (void)uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&tick, NULL);
    (void)uv_run(loop, UV_RUN_NOWAIT);
    assert_int_equal(*flag, value);
}

// Everything must have been closed: a handle that is left fails the test.
static inline void loop_done(uv_loop_t *loop)
{
    Mono end = mono_add(clock_mono(), DEADLINE_NS);
    while (uv_loop_close(loop) == UV_EBUSY && mono_since(end, clock_mono()) > 0)
        (void)uv_run(loop, UV_RUN_NOWAIT);
    assert_true(mono_since(end, clock_mono()) > 0);
}

static inline char *temp_folder(void)
{
    static char path[64];
    (void)strcpy(path, "/tmp/wildcam-net-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}
