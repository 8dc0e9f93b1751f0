// SPDX-License-Identifier: MIT
// Fuzz target: a table of prefixes. What is taken encodes to the same bytes again.
#include "arena.h"
#include "plan_file.h"
#include "seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_prefixes(const void *data, size_t size)
{
    Arena *arena = arena_new((size_t)4 << 20);
    const ModelPrefix *prefixes;
    uint32_t n;
    uint64_t digest;
    if (arena != NULL && prefixes_decode(data, size, arena, &prefixes, &n, &digest, NULL) == 0) {
        Buf buf = BUF_INIT(0);
        ASSERT(prefixes_encode(prefixes, n, digest, &buf) == 0);
        ASSERT(buf.len == size && memcmp(buf.data, data, size) == 0);
        buf_done(&buf);
    }
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_prefixes(data, size);
    unsigned char *sealed = seal_copy(data, size, 16);
    if (sealed != NULL)
        try_prefixes(sealed, size);
    free(sealed);
    return 0;
}
