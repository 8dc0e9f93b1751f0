// SPDX-License-Identifier: MIT
// fuzz probe_answer: what a gateway may answer to a probe. An answer once complete stays the same
// whatever follows it, and is never complete and malformed at once.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "attr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > PROBE_ANSWER_MAX)
        return 0;
    char *exact = malloc(size ? size : 1);
    if (!exact)
        return 0;
    memcpy(exact, data, size);
    ProbeAnswer answer = {0}, shorter = {0};
    int r = probe_answer_parse(exact, size, false, &answer);
    if (r == 1) {
        ASSERT(answer.len <= size && answer.status >= 100 && answer.status <= 999);
        ASSERT(!answer.ok || answer.status == 200);
        ASSERT(probe_answer_parse(exact, answer.len, false, &shorter) == 1);
        ASSERT(shorter.len == answer.len && shorter.ok == answer.ok);
    }
    (void)probe_answer_parse(exact, size, true, &answer);
    free(exact);
    return 0;
}
