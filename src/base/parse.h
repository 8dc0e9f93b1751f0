// SPDX-License-Identifier: MIT
// parse: strict numbers from text. The whole text must be the number: no spaces, no sign unless
// said, no overflow, no octal. Used for everything from outside, so nothing here asserts on input.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"

// 0, ERROR_FORMAT or ERROR_RANGE; the result is written only on success.
int parse_u64(const char *text, size_t len, uint64_t max, uint64_t *ret_value) MUST_CHECK;
int parse_i64(const char *text, size_t len, int64_t min, int64_t max,
              int64_t *ret_value) MUST_CHECK;
// Exactly `digits` lower-case hex digits.
int parse_hex(const char *text, size_t len, size_t digits, uint64_t *ret_value) MUST_CHECK;
// A number with a unit, as fleet.yaml writes it: "250ms", "5s", "5m", "24h", "365d", "1us".
int parse_duration(const char *text, size_t len, int64_t *ret_ns) MUST_CHECK;
// "64KiB", "1MiB", "2GiB", "512B".
int parse_size(const char *text, size_t len, uint64_t *ret_bytes) MUST_CHECK;
// A share: "5 %", "5%", "0.1%" (up to 4 decimals) -> parts per million; at most 100 %.
int parse_percent(const char *text, size_t len, uint32_t *ret_ppm) MUST_CHECK;
// RFC 3339 UTC as "2026-11-23T14:00:00Z" with optional fraction -> ns since 1970.
int parse_rfc3339(const char *text, size_t len, int64_t *ret_ns) MUST_CHECK;
