// SPDX-License-Identifier: MIT
// error: why something failed, as a text for operators that grows on the way out.
// A function that can fail returns one int: 0 or more on success, a negative code on failure, and
// then fills its `Error *reterr` (which may be NULL). Callers add context: "outer: inner".
// Codes: -errno for system errors, the codes below for our own. The text is on the heap and never
// cut; when even that allocation fails, a constant text stands in.
// Texts: lower case, no full stop, values in single quotes; a hint is a second line "HINT: ...".
#pragma once
#include "attr.h"

#define ERROR_CODES(X)                                                                             \
    X(ERROR_MEMORY, -1000, 1, "out of memory")                                                     \
    X(ERROR_USAGE, -1001, 2, "wrong usage")                                                        \
    X(ERROR_FORMAT, -1002, 1, "malformed input")                                                   \
    X(ERROR_RANGE, -1003, 1, "value out of range")                                                 \
    X(ERROR_LIMIT, -1004, 1, "limit exceeded")                                                     \
    X(ERROR_CONFLICT, -1005, 1, "conflict")                                                        \
    X(ERROR_STALE, -1006, 1, "older than what is there")                                           \
    X(ERROR_FOREIGN, -1007, 1, "belongs to something else")                                        \
    X(ERROR_CORRUPT, -1008, 1, "checksum does not match")                                          \
    X(ERROR_NOT_FOUND, -1009, 1, "not found")                                                      \
    X(ERROR_RUNNING, -1010, 1, "already running")                                                  \
    X(ERROR_TIMEOUT, -1011, 1, "timed out")                                                        \
    X(ERROR_UNAVAILABLE, -1012, 1, "unavailable")                                                  \
    X(ERROR_NOT_HELD, -1013, 3, "the checked thing does not hold")

enum {
#define X(name, code, exit, text) name = (code),
    ERROR_CODES(X)
#undef X
};

typedef struct Error {
    char *text; // NULL: none set
} Error;

#define ERROR_INIT ((Error){NULL})

// Sets the text (replacing any) and returns `code`, so that `return error_set(...)` reads well.
int error_set(Error *reterr, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
// Like error_set with strerror's text added: "outer: No such file or directory". Returns -errnum.
int error_errno(Error *reterr, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);
// Puts "outer: " before the text that is there (or before the code's own text). Returns `code`.
int error_wrap(Error *reterr, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
// Adds a second line "HINT: ...". Returns `code`.
int error_hint(Error *reterr, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
// Never NULL.
const char *error_text(const Error *err);
// The short constant text of a code, for both kinds of codes.
const char *error_code_text(int code);
// What `main` returns for a code: 0 done, 1 failed, 2 wrong usage, 3 does not hold.
int error_exit_code(int code);
void error_done(Error *err); // forgiving: may be called twice

#ifdef __clang_analyzer__
// The analyser does not look into error.c: tell it that these return what they were given, a
// failure.
#define error_set(reterr, code, ...) ((void)(error_set)((reterr), (code), __VA_ARGS__), (code))
#define error_wrap(reterr, code, ...) ((void)(error_wrap)((reterr), (code), __VA_ARGS__), (code))
#define error_hint(reterr, code, ...) ((void)(error_hint)((reterr), (code), __VA_ARGS__), (code))
#define error_errno(reterr, errnum, ...) ((void)(error_errno)((reterr), (errnum), __VA_ARGS__), -5)
#endif
