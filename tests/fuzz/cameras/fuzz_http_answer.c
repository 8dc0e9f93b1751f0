// SPDX-License-Identifier: MIT
// Fuzz target: an HTTP answer, whole and byte by byte: both ways must come to the same.
#include <string.h>

#include "attr.h"
#include "http_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static HttpAnswer whole, pieces;
    http_answer_begin(&whole);
    size_t used = http_answer_feed(&whole, (const char *)data, size);
    ASSERT(used <= size);
    ASSERT(used == size || whole.state == HTTP_ANSWER_DONE || whole.state == HTTP_ANSWER_BAD);
    http_answer_begin(&pieces);
    size_t at = 0;
    while (at < size && http_answer_feed(&pieces, (const char *)data + at, 1) == 1)
        at++;
    ASSERT(at == used && pieces.state == whole.state && pieces.status == whole.status);
    ASSERT(pieces.body_len == whole.body_len &&
           memcmp(pieces.body, whole.body, whole.body_len) == 0);
    (void)http_answer_end(&whole);
    return 0;
}
