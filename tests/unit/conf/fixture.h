// SPDX-License-Identifier: MIT
// fixture: what the tests of conf share: whole files as text, and a parse that must succeed.
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

// The bytes of a file with a NUL behind; free() them. Aborts when it cannot be read.
static inline char *fixture_read(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        abort();
    }
    (void)fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *bytes = size >= 0 ? calloc(1, (size_t)size + 1) : NULL;
    if (bytes == NULL || fread(bytes, 1, (size_t)size, file) != (size_t)size)
        abort();
    (void)fclose(file);
    *ret_len = (size_t)size;
    return bytes;
}

// The text with one place replaced, which must be there; free() it.
static inline char *fixture_replace(const char *text, const char *old, const char *new)
{
    const char *at = strstr(text, old);
    if (at == NULL) {
        (void)fprintf(stderr, "'%s' is not in the file\n", old);
        abort();
    }
    size_t len = strlen(text) - strlen(old) + strlen(new) + 1;
    char *result = malloc(len);
    if (result == NULL)
        abort();
    (void)snprintf(result, len, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
    return result;
}

static inline Conf *fixture_conf(const char *text)
{
    Conf *conf = NULL;
    Error err = ERROR_INIT;
    if (conf_parse("test.yaml", text, strlen(text), &conf, NULL, &err) < 0) {
        (void)fprintf(stderr, "%s\n", error_text(&err));
        abort();
    }
    return conf;
}

static inline Conf *fixture_load(const char *path)
{
    size_t len;
    char *text = fixture_read(path, &len);
    Conf *conf = fixture_conf(text);
    free(text);
    return conf;
}
