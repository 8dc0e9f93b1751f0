// SPDX-License-Identifier: MIT
// Fuzz target: a plan file. What is taken must be sane and encode to the same bytes again.
#include "arena.h"
#include "plan_file.h"
#include "seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_plan(const void *data, size_t size)
{
    Arena *arena = arena_new((size_t)4 << 20);
    const Plan *plan;
    Error err = ERROR_INIT;
    if (arena != NULL && plan_file_decode(data, size, arena, &plan, &err) == 0) {
        Buf buf = BUF_INIT(0);
        ASSERT(plan_file_encode(plan, &buf) == 0);
        ASSERT(buf.len == size && memcmp(buf.data, data, size) == 0);
        buf_done(&buf);
    }
    error_done(&err);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_plan(data, size);
    unsigned char *sealed = seal_copy(data, size, 16);
    if (sealed != NULL)
        try_plan(sealed, size);
    free(sealed);
    return 0;
}
