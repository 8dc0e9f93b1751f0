// SPDX-License-Identifier: MIT
// json_out: writes JSON into a Buf with the commas in the right places. `key` is NULL for the
// elements of a list and for the outermost value.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

typedef struct JsonOut {
    Buf *buf;
    bool comma; // the next value in this object or list needs one
} JsonOut;

void out_begin(JsonOut *out, const char *key, char bracket);    // '{' or '['
void out_end(JsonOut *out, char bracket);                       // '}' or ']'
void out_text(JsonOut *out, const char *key, const char *text); // NULL: null
void out_int(JsonOut *out, const char *key, int64_t value);
void out_bool(JsonOut *out, const char *key, bool value);
void out_null(JsonOut *out, const char *key);
void out_hex(JsonOut *out, const char *key, uint64_t value); // as text of 16 digits
void out_ms(JsonOut *out, const char *key, int64_t ns);      // INT64_MAX: null
// What `bytes` holds is JSON already.
void out_raw(JsonOut *out, const char *key, const char *bytes);
