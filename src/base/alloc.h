// SPDX-License-Identifier: MIT
// alloc: the heap, with overflow checked and failure injectable. Tests set a countdown and see the
// n-th allocation fail (raft's test/lib/heap.h is the model); `core`, `wire` and `conf` are tested
// so. Memory from here is freed with free().
#pragma once
#include <stddef.h>
#include <stdlib.h>

#include "attr.h"

void *alloc_zeroed(size_t count, size_t size);
// Grows *array to hold at least `need` elements, doubling; *capacity is updated. 0 or ERROR_MEMORY.
int alloc_grow(void **array, size_t *capacity, size_t need, size_t size) MUST_CHECK;
char *alloc_strdup(const char *text);
// The allocation after `successes` more ones fails, once; negative switches it off.
void alloc_fail_after(long successes);

static inline void alloc_freep(void *pointer_to_pointer)
{
    void **p = pointer_to_pointer;
    free(*p);
    *p = NULL;
}
