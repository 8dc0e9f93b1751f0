// SPDX-License-Identifier: MIT
// json_reader: strict reading of a JSON object with one sticky error that names the path of what
// was wrong ("views[2].votes[0].streak: ..."). After the first error every getter returns an empty
// value, so a decoder reads straight through and asks `r` once (as cursor.h does for bytes). Texts
// are copied into the arena; the json_t tree can go away afterwards.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "error.h"

#define JSON_READER_DEPTH 6

typedef struct JsonReader {
    Arena *arena;
    Error *reterr;
    const char *what; // first word of messages: "report"
    int r;            // 0 or the first error
    struct {
        const char *key;
        size_t index;
    } path[JSON_READER_DEPTH];
    size_t depth;
    uint32_t left_out; // items of lists that this version cannot use
} JsonReader;

// Parses one JSON text (no trailing bytes, no duplicate keys, at most `max` bytes). NULL on
// failure.
json_t *json_reader_parse(JsonReader *reader, const char *bytes, size_t len, size_t max);
// "report: path.key: ..." with what is wrong.
void json_reader_fail(JsonReader *reader, const char *key, int code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void json_reader_enter(JsonReader *reader, const char *key, size_t index);
void json_reader_leave(JsonReader *reader);

// Length between min and max bytes.
const char *json_reader_text(JsonReader *reader, const json_t *object, const char *key, size_t min,
                             size_t max);
int64_t json_reader_i64(JsonReader *reader, const json_t *object, const char *key, int64_t min,
                        int64_t max);
// null or absent gives `if_null`.
int64_t json_reader_i64_or(JsonReader *reader, const json_t *object, const char *key, int64_t min,
                           int64_t max, int64_t if_null);
uint32_t json_reader_u32(JsonReader *reader, const json_t *object, const char *key, uint32_t max);
uint64_t json_reader_hex64(JsonReader *reader, const json_t *object, const char *key);
bool json_reader_bool(JsonReader *reader, const json_t *object, const char *key);
// An array of between min and max objects; NULL after an error.
const json_t *json_reader_array(JsonReader *reader, const json_t *object, const char *key,
                                size_t min, size_t max);
void *json_reader_new_array(JsonReader *reader, size_t n, size_t size);
