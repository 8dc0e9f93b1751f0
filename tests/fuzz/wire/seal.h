// SPDX-License-Identifier: MIT
// seal: gives fuzzed bytes the right length and checksum, so that the fuzzer gets past the frame
// and into the parser. Each target tries its input as it is and sealed.
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

// A copy on the heap, or NULL. length_at: where the frame keeps its length; 0: nowhere.
static inline unsigned char *seal_copy(const uint8_t *data, size_t size, size_t length_at)
{
    if (size < length_at + 12)
        return NULL;
    unsigned char *copy = malloc(size);
    if (copy == NULL)
        return NULL;
    memcpy(copy, data, size);
    for (size_t i = 0; length_at > 0 && i < 8; i++)
        copy[length_at + i] = (unsigned char)((uint64_t)size >> (8 * i));
    uint32_t crc = crc32c(0, copy, size - 4);
    for (size_t i = 0; i < 4; i++)
        copy[size - 4 + i] = (unsigned char)(crc >> (8 * i));
    return copy;
}
