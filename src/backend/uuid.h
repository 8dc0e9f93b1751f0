// SPDX-License-Identifier: MIT
// uuid: primary keys that no sequence makes (RFC 9562 version 8: our own bytes, here a SHA-256).
// The same request has the same key in every region, so a retry elsewhere is the same row.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "error.h"

#define UUID_TEXT_MAX 37 // 36 characters and NUL

typedef struct Uuid {
    char text[UUID_TEXT_MAX]; // lower case
} Uuid;

// The first 128 bits of the SHA-256 of `len` bytes, with version 8 and the RFC's variant set.
int uuid_v8_of(const void *bytes, size_t len, Uuid *ret_uuid) MUST_CHECK;
// 36 characters; upper-case digits are accepted and lowered.
bool uuid_parse(const char *text, Uuid *ret_uuid);
