// SPDX-License-Identifier: MIT
// hash: not for secrets. hash64 chooses (rendezvous hashing, shares), crc32c finds damage in files.
// Both give the same value on every machine; they are part of the plan's contract.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define HASH_SEED UINT64_C(0xcbf29ce484222325)

// FNV-1a over bytes (http://www.isthe.com/chongo/tech/comp/fnv/), chainable through `seed`.
uint64_t hash_bytes(uint64_t seed, const void *data, size_t len);
uint64_t hash_text(uint64_t seed, const char *text); // with its terminating NUL: "a","b" != "ab",""
uint64_t hash_u64(uint64_t seed, uint64_t value);    // as 8 little-endian bytes
// Finaliser of MurmurHash3 (Appleby): spreads a value over all 64 bits. FNV alone is weak there.
uint64_t hash_mix(uint64_t value);
// CRC-32C (Castagnoli, RFC 3720 appendix B.4). Chain by passing the last result; start with 0.
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
