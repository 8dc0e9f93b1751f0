// SPDX-License-Identifier: MIT
// alloc: see alloc.h. The countdown is one global, switched off outside tests.
#include "alloc.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "error.h"

static long fail_countdown = -1;

void alloc_fail_after(long successes)
{
    fail_countdown = successes;
}

static bool must_fail(void)
{
    if (fail_countdown < 0)
        return false;
    return fail_countdown-- == 0;
}

void *alloc_zeroed(size_t count, size_t size)
{
    if (must_fail())
        return NULL;
    return calloc(count, size);
}

int alloc_grow(void **array, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity)
        return 0;
    size_t wanted = *capacity < 8 ? 8 : *capacity;
    while (wanted < need) {
        if (wanted > SIZE_MAX / 2)
            return ERROR_MEMORY;
        wanted *= 2;
    }
    size_t bytes;
    if (__builtin_mul_overflow(wanted, size, &bytes) || must_fail())
        return ERROR_MEMORY;
    void *grown = realloc(*array, bytes);
    if (grown == NULL)
        return ERROR_MEMORY;
    memset((char *)grown + *capacity * size, 0, bytes - *capacity * size);
    *array = grown;
    *capacity = wanted;
    return 0;
}

char *alloc_strdup(const char *text)
{
    size_t len = strlen(text) + 1;
    char *copy = alloc_zeroed(1, len);
    if (copy != NULL)
        memcpy(copy, text, len);
    return copy;
}
