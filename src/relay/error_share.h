// SPDX-License-Identifier: MIT
// error_share: which requests of a stream are answered with an error, so that any stretch of it has
// its share. Not random (a drill must be repeatable) and not every n-th (retries of a request would
// fall into step with it): the golden-ratio sequence, whose count over n requests is off by less
// than 4 from n * share, everywhere in the stream.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define ERROR_SHARE_ALL 1000000 // ppm

typedef struct ErrorShare {
    uint64_t at; // fraction of 2^64
} ErrorShare;

// Whether the next request gets an error; ppm up to ERROR_SHARE_ALL.
static inline bool error_share_next(ErrorShare *share, uint32_t ppm)
{
    share->at += UINT64_C(0x9E3779B97F4A7C15); // 2^64 / golden ratio
    return (share->at >> 32) * ERROR_SHARE_ALL < (uint64_t)ppm << 32;
}
