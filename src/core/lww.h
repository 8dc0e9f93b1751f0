// SPDX-License-Identifier: MIT
// lww: the stamp, one hybrid logical clock for rows, objects and intents (contracts section 2).
// 64 bits, positive: microseconds since 1970 << 8 | origin (1..255). Order is integer order; of two
// writes the higher stamp wins everywhere. A reader never refuses a stamp, so convergence never
// depends on a clock; a writer whose clock is off refuses to make one (core_self_status says so).
#pragma once
#include <stdint.h>

#include "attr.h"
#include "instant.h"

#define LWW_TEXT_MAX 17 // 16 lower-case hex digits and NUL
#define LWW_ORIGIN_MAX 255U

// max(now, newest seen for that key + 1 us). `seen`: 0 when the key is new.
// ERROR_RANGE: no origin, a clock before 1970, or `seen` is the last stamp there is.
int lww_stamp_next(Wall now, int64_t seen, uint32_t origin, int64_t *ret_stamp) MUST_CHECK;
Wall lww_stamp_wall(int64_t stamp);
uint32_t lww_stamp_origin(int64_t stamp);
const char *lww_stamp_format(int64_t stamp, char text[LWW_TEXT_MAX]);
int lww_stamp_parse(const char *text, int64_t *ret_stamp) MUST_CHECK; // exactly 16 hex digits
