// SPDX-License-Identifier: MIT
// counters: see counters.h. The file is in the machine's own byte order: writer and reader are
// processes of one host. No checksum: lines change all the time under the reader.
#include "counters.h"

#include <inttypes.h>

_Static_assert(sizeof(CountersHeader) == 64, "one cache line");
_Static_assert(sizeof(CountersEdge) == 128, "two cache lines");
_Static_assert(sizeof(CountersTarget) == 64, "one cache line");
_Static_assert(sizeof(CountersFile) % 64 == 0, "whole cache lines");

int counters_check(const void *bytes, size_t len, const CountersFile **ret_file, Error *reterr)
{
    if (len != sizeof(CountersFile))
        return error_set(reterr, ERROR_FORMAT, "counters: %zu bytes of %zu", len,
                         sizeof(CountersFile));
    if ((uintptr_t)bytes % _Alignof(CountersFile) != 0)
        return error_set(reterr, ERROR_USAGE, "counters: the copy is not aligned");
    const CountersFile *file = bytes;
    if (file->header.magic != COUNTERS_MAGIC)
        return error_set(reterr, ERROR_FOREIGN,
                         "counters: not such a file (magic '%016" PRIx64 "')", file->header.magic);
    if (file->header.version != COUNTERS_VERSION)
        return error_set(reterr, ERROR_FORMAT,
                         "counters: version '%" PRIu32 "', this program reads %d",
                         file->header.version, COUNTERS_VERSION);
    if (file->header.worker >= BOUND_WORKERS)
        return error_set(reterr, ERROR_RANGE, "counters: worker '%" PRIu32 "', at most %d",
                         file->header.worker, BOUND_WORKERS - 1);
    if (file->header.pid == 0 || file->header.started_ns == 0)
        return error_set(reterr, ERROR_RANGE, "counters: no writer yet");
    *ret_file = file;
    return 0;
}

uint64_t counters_delta(uint64_t later, uint64_t earlier, uint64_t max)
{
    return later >= earlier && later - earlier <= max ? later - earlier : 0;
}
