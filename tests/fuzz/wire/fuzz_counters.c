// SPDX-License-Identifier: MIT
// Fuzz target: an edge worker's counters. The input is laid over a file of the right size, since a
// reader always reads that much.
#include "alloc.h"
#include "counters.h"
#include "seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CountersFile *file = alloc_zeroed(1, sizeof *file);
    if (file == NULL)
        return 0;
    const CountersFile *got;
    memcpy(file, data, size < sizeof *file ? size : sizeof *file);
    (void)!counters_check(file, size < sizeof *file ? size : sizeof *file, &got, NULL);
    if (counters_check(file, sizeof *file, &got, NULL) == 0) {
        ASSERT(got->header.worker < BOUND_WORKERS);
        ASSERT(counters_delta(got->edge.requests, got->edge.retries, 1000) <= 1000);
    }
    free(file);
    return 0;
}
