// SPDX-License-Identifier: MIT
// error: see error.h. The text lives on the heap; NO_MEMORY is never freed.
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char NO_MEMORY[] = "out of memory (and no memory to say where)";

PRINTF_LIKE(1, 0) static char *format(const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    char *text = len < 0 ? NULL : malloc((size_t)len + 1);
    if (text != NULL)
        (void)vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}

// Joins a, separator and b; takes ownership of both. NULL counts as out of memory.
static char *join(char *a, const char *separator, char *b)
{
    char *text = NULL;
    if (a != NULL && b != NULL) {
        size_t len = strlen(a) + strlen(separator) + strlen(b) + 1;
        text = malloc(len);
        if (text != NULL)
            (void)snprintf(text, len, "%s%s%s", a, separator, b);
    }
    if (a != NO_MEMORY)
        free(a);
    if (b != NO_MEMORY)
        free(b);
    return text;
}

static void put(Error *err, char *text)
{
    err->text = text != NULL ? text : NO_MEMORY;
}

static char *take(Error *err, int code)
{
    char *text = err->text;
    err->text = NULL;
    return text != NULL ? text : strdup(error_code_text(code));
}

int(error_set)(Error *reterr, int code, const char *fmt, ...)
{
    if (reterr != NULL) {
        va_list args;
        va_start(args, fmt);
        char *text = format(fmt, args);
        va_end(args);
        error_done(reterr);
        put(reterr, text);
    }
    return code;
}

int(error_errno)(Error *reterr, int errnum, const char *fmt, ...)
{
    if (reterr != NULL) {
        va_list args;
        va_start(args, fmt);
        char *text = format(fmt, args);
        va_end(args);
        error_done(reterr);
        put(reterr, join(text, ": ", strdup(error_code_text(-errnum))));
    }
    return errnum > 0 ? -errnum : -EIO;
}

int(error_wrap)(Error *reterr, int code, const char *fmt, ...)
{
    if (reterr != NULL) {
        va_list args;
        va_start(args, fmt);
        char *outer = format(fmt, args);
        va_end(args);
        put(reterr, join(outer, ": ", take(reterr, code)));
    }
    return code;
}

int(error_hint)(Error *reterr, int code, const char *fmt, ...)
{
    if (reterr != NULL) {
        va_list args;
        va_start(args, fmt);
        char *hint = format(fmt, args);
        va_end(args);
        put(reterr, join(take(reterr, code), "\nHINT: ", hint));
    }
    return code;
}

const char *error_text(const Error *err)
{
    return err != NULL && err->text != NULL ? err->text : "no error text";
}

const char *error_code_text(int code)
{
    switch (code) {
#define X(name, code, exit, text)                                                                  \
    case name:                                                                                     \
        return text;
        ERROR_CODES(X)
#undef X
    default:
        return code < 0 && code > -1000 ? strerror(-code) : "unknown error";
    }
}

int error_exit_code(int code)
{
    switch (code) {
#define X(name, code, exit, text)                                                                  \
    case name:                                                                                     \
        return exit;
        ERROR_CODES(X)
#undef X
    default:
        return code < 0 ? 1 : 0;
    }
}

void error_done(Error *err)
{
    if (err == NULL)
        return;
    if (err->text != NO_MEMORY)
        free(err->text);
    err->text = NULL;
}
