// SPDX-License-Identifier: MIT
// segment: the framing of bounded recording files (contracts section 10): core input events,
// decision records, ledgers. frame = u32 length, u32 CRC-32C of payload, payload. A torn tail is
// the normal end after a crash: the reader stops there and says how many bytes it left.
#pragma once
#include "buf.h"
#include "cursor.h"
#include "error.h"

#define SEGMENT_FRAME_MAX (64U << 10)

int segment_frame(Buf *buf, const void *payload, size_t len) MUST_CHECK; // appends one frame
// 1 and the payload; 0 at a clean end; ERROR_CORRUPT / ERROR_FORMAT for a torn or damaged tail.
int segment_next(Cursor *cursor, const void **ret_payload, size_t *ret_len) MUST_CHECK;
