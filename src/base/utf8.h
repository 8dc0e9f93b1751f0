// SPDX-License-Identifier: MIT
// utf8: validity of UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF).
#pragma once
#include <stdbool.h>
#include <stddef.h>

// Length (1..4) of the sequence that starts at `text`, 0 if it is not valid. `left` must be > 0.
size_t utf8_sequence_len(const char *text, size_t left);
bool utf8_valid(const char *text, size_t len);
