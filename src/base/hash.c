// SPDX-License-Identifier: MIT
// hash: see hash.h.
#include "hash.h"

#include <string.h>

uint64_t hash_bytes(uint64_t seed, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        seed = (seed ^ bytes[i]) * UINT64_C(0x100000001b3);
    return seed;
}

uint64_t hash_text(uint64_t seed, const char *text)
{
    return hash_bytes(seed, text, strlen(text) + 1);
}

uint64_t hash_u64(uint64_t seed, uint64_t value)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    return hash_bytes(seed, bytes, sizeof bytes);
}

uint64_t hash_mix(uint64_t value)
{
    value ^= value >> 33;
    value *= UINT64_C(0xff51afd7ed558ccd);
    value ^= value >> 33;
    value *= UINT64_C(0xc4ceb9fe1a85ec53);
    return value ^ value >> 33;
}

// One nibble at a time: 16 entries, no start-up, fast enough for files of a few KiB.
uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    static const uint32_t TABLE[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    const unsigned char *bytes = data;
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc = TABLE[(crc ^ bytes[i]) & 15] ^ crc >> 4;
        crc = TABLE[(crc ^ (uint32_t)(bytes[i] >> 4)) & 15] ^ crc >> 4;
    }
    return ~crc;
}
