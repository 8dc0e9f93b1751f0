// SPDX-License-Identifier: MIT
// arena: a list of blocks, newest first; see arena.h.
#include "arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define BLOCK_SIZE ((size_t)16 * 1024)

typedef struct Block {
    struct Block *next;
    size_t size, used; // of data
    max_align_t data[];
} Block;

struct Arena {
    Block *newest;
    size_t limit, used;
};

Arena *arena_new(size_t limit)
{
    ASSERT(limit > 0);
    Arena *arena = alloc_zeroed(1, sizeof *arena);
    if (arena != NULL)
        arena->limit = limit;
    return arena;
}

static Block *block_new(size_t size)
{
    if (size > SIZE_MAX - sizeof(Block))
        return NULL;
    Block *block = alloc_zeroed(1, sizeof(Block) + size);
    if (block != NULL)
        block->size = size;
    return block;
}

void *arena_alloc(Arena *arena, size_t size)
{
    const size_t align = sizeof(max_align_t);
    if (size > arena->limit || arena->used > arena->limit - size)
        return NULL;
    size_t rounded = (size + align - 1) / align * align;
    if (rounded == 0)
        rounded = align;
    Block *block = arena->newest;
    if (block == NULL || block->size - block->used < rounded) {
        block = block_new(rounded > BLOCK_SIZE ? rounded : BLOCK_SIZE);
        if (block == NULL)
            return NULL;
        block->next = arena->newest;
        arena->newest = block;
    }
    void *piece = (char *)block->data + block->used;
    block->used += rounded;
    arena->used += size;
    return piece;
}

void *arena_alloc_array(Arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return arena_alloc(arena, total);
}

char *arena_strndup(Arena *arena, const char *text, size_t len)
{
    char *copy = len < SIZE_MAX ? arena_alloc(arena, len + 1) : NULL;
    if (copy != NULL)
        memcpy(copy, text, len);
    return copy;
}

char *arena_strdup(Arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

void *arena_memdup(Arena *arena, const void *data, size_t size)
{
    void *copy = arena_alloc(arena, size);
    if (copy != NULL && size > 0)
        memcpy(copy, data, size);
    return copy;
}

char *arena_printf(Arena *arena, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    char *text = len < 0 ? NULL : arena_alloc(arena, (size_t)len + 1);
    if (text != NULL)
        (void)vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    va_end(args);
    return text;
}

void arena_reset(Arena *arena)
{
    while (arena->newest != NULL && arena->newest->next != NULL) {
        Block *next = arena->newest->next;
        free(arena->newest);
        arena->newest = next;
    }
    if (arena->newest != NULL) {
        memset(arena->newest->data, 0, arena->newest->used);
        arena->newest->used = 0;
    }
    arena->used = 0;
}

size_t arena_used(const Arena *arena)
{
    return arena->used;
}

Arena *arena_free(Arena *arena)
{
    if (arena == NULL)
        return NULL;
    while (arena->newest != NULL) {
        Block *next = arena->newest->next;
        free(arena->newest);
        arena->newest = next;
    }
    free(arena);
    return NULL;
}
