// SPDX-License-Identifier: MIT
// Fuzz target: a peer's report. What is taken encodes, and that decodes to the same text again.
#include "report_json.h"
#include "seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena *arena = arena_new((size_t)4 << 20);
    const Report *report, *again;
    Error err = ERROR_INIT;
    Buf one = BUF_INIT(0), two = BUF_INIT(0);
    if (arena != NULL && report_json_decode((const char *)data, size, arena, &report, &err) == 0 &&
        report_json_encode(report, &one) == 0) {
        ASSERT(report_json_decode(one.data, one.len, arena, &again, NULL) == 0);
        ASSERT(report_json_encode(again, &two) == 0);
        ASSERT(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
    }
    buf_done(&one);
    buf_done(&two);
    error_done(&err);
    arena_free(arena);
    return 0;
}
