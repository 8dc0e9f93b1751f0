// SPDX-License-Identifier: MIT
// Fuzz target: the intents on disk, and one wish as POST /v1/intents takes it.
#include "report_json.h"
#include "seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena *arena = arena_new((size_t)4 << 20);
    if (arena == NULL)
        return 0;
    const Intent *intents;
    Intent wish;
    uint32_t n;
    Error err = ERROR_INIT;
    if (intents_json_decode((const char *)data, size, arena, &intents, &n, NULL, &err) == 0) {
        Buf buf = BUF_INIT(0);
        ASSERT(intents_json_encode(intents, n, &buf) == 0);
        ASSERT(intents_json_decode(buf.data, buf.len, arena, &intents, &n, NULL, NULL) == 0);
        buf_done(&buf);
    }
    (void)!intent_wish_decode((const char *)data, size, (Wall){1}, arena, &wish, &err);
    error_done(&err);
    arena_free(arena);
    return 0;
}
