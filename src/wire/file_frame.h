// SPDX-License-Identifier: MIT
// file_frame: the frame around the files that an agent publishes (plan, prefixes). Little-endian.
//
//   u64 magic | u32 version | u32 zero | u64 length of the whole file | body ... | u32 CRC-32C
//
// The checksum covers everything before it. The length is inside, so that a file with another one
// glued behind it is refused too. The order of checks is the order of what an operator wants to
// hear: too short, foreign, another version, truncated, damaged.
#pragma once
#include "buf.h"
#include "cursor.h"
#include "error.h"

#define FILE_FRAME_HEADER 24
#define FILE_FRAME_OVERHEAD (FILE_FRAME_HEADER + 4)

typedef struct FileFrame {
    const char *what; // for messages: "plan"
    uint64_t magic;
    uint32_t version;
    size_t max; // bytes of a whole file
} FileFrame;

// Appends the header and returns where the file starts in the buffer, for file_frame_end.
size_t file_frame_begin(const FileFrame *frame, Buf *buf);
// Fills in the length and appends the checksum. 0, ERROR_MEMORY or ERROR_LIMIT.
int file_frame_end(const FileFrame *frame, Buf *buf, size_t start) MUST_CHECK;
// Checks everything but the body and returns a cursor over the body.
int file_frame_open(const FileFrame *frame, const void *bytes, size_t len, Cursor *ret_body,
                    Error *reterr) MUST_CHECK;
