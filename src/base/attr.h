// SPDX-License-Identifier: MIT
// attr: the compiler attributes that we use, in one place, and the three kinds of assert.
// ASSERT stays in release builds and marks a bug of ours; input from outside never reaches one.
#pragma once
#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define MAYBE_UNUSED __attribute__((unused))
#define CLEANUP(f) __attribute__((cleanup(f)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

NORETURN void assert_failed(const char *what, const char *file, int line);

#define ASSERT(x) ((x) ? (void)0 : assert_failed(#x, __FILE__, __LINE__))
#define NOT_REACHED() assert_failed("not reached", __FILE__, __LINE__)
#ifdef NDEBUG
#define ASSERT_SLOW(x) ((void)0)
#else
#define ASSERT_SLOW(x) ASSERT(x)
#endif
