// SPDX-License-Identifier: MIT
// arena: memory with one lifetime (a request, a decision step, a loaded configuration): allocate
// piece by piece, free all at once. The arena is always a parameter, never a hidden current one.
// Pieces are zeroed and aligned for any type. Every arena has a limit, so that nothing an outsider
// sends can grow it without bound; beyond it, and when malloc fails, allocation returns NULL.
#pragma once
#include <stdarg.h>
#include <stddef.h>

#include "attr.h"

typedef struct Arena Arena;

// limit in bytes over all pieces; 0 is not accepted.
Arena *arena_new(size_t limit);
void *arena_alloc(Arena *arena, size_t size);
// Checks count * size for overflow.
void *arena_alloc_array(Arena *arena, size_t count, size_t size);
char *arena_strdup(Arena *arena, const char *text);
char *arena_strndup(Arena *arena, const char *text, size_t len);
char *arena_printf(Arena *arena, const char *fmt, ...) PRINTF_LIKE(2, 3);
void *arena_memdup(Arena *arena, const void *data, size_t size);
// Frees all pieces but keeps the first block for the next round.
void arena_reset(Arena *arena);
size_t arena_used(const Arena *arena);
Arena *arena_free(Arena *arena); // takes NULL, returns NULL

#define arena_new_of(arena, Type) ((Type *)arena_alloc((arena), sizeof(Type)))
#define arena_new_array(arena, Type, count)                                                        \
    ((Type *)arena_alloc_array((arena), (count), sizeof(Type)))

static inline void arena_freep(Arena **arena)
{
    *arena = arena_free(*arena);
}
