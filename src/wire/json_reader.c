// SPDX-License-Identifier: MIT
// json_reader: see json_reader.h.
#include "json_reader.h"

#include <inttypes.h>
#include <string.h>

#include "buf.h"
#include "parse.h"

json_t *json_reader_parse(JsonReader *reader, const char *bytes, size_t len, size_t max)
{
    if (len > max) {
        reader->r = error_set(reader->reterr, ERROR_LIMIT, "%s: %zu bytes, at most %zu",
                              reader->what, len, max);
        return NULL;
    }
    json_error_t error;
    json_t *root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        reader->r = error_set(reader->reterr,
                              json_error_code(&error) == json_error_out_of_memory ? ERROR_MEMORY
                                                                                  : ERROR_FORMAT,
                              "%s: line %d: %s", reader->what, error.line, error.text);
    return root;
}

void json_reader_fail(JsonReader *reader, const char *key, int code, const char *fmt, ...)
{
    if (reader->r < 0)
        return;
    reader->r = code;
    Buf text = BUF_INIT(1024);
    for (size_t i = 0; i < reader->depth; i++)
        buf_printf(&text, "%s[%zu].", reader->path[i].key, reader->path[i].index);
    buf_printf(&text, "%s: ", key);
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    (void)error_set(reader->reterr, code, "%s: %s", reader->what, buf_text(&text));
    buf_done(&text);
}

void json_reader_enter(JsonReader *reader, const char *key, size_t index)
{
    ASSERT(reader->depth < JSON_READER_DEPTH);
    reader->path[reader->depth].key = key;
    reader->path[reader->depth++].index = index;
}

void json_reader_leave(JsonReader *reader)
{
    ASSERT(reader->depth > 0);
    reader->depth--;
}

// The value, or NULL after an error or when it is absent or null.
static const json_t *find(JsonReader *reader, const json_t *object, const char *key)
{
    if (reader->r < 0)
        return NULL;
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static const json_t *need(JsonReader *reader, const json_t *object, const char *key)
{
    const json_t *value = find(reader, object, key);
    if (value == NULL)
        json_reader_fail(reader, key, ERROR_FORMAT, "is missing");
    return value;
}

const char *json_reader_text(JsonReader *reader, const json_t *object, const char *key, size_t min,
                             size_t max)
{
    const json_t *value = need(reader, object, key);
    if (value == NULL)
        return "";
    if (!json_is_string(value)) {
        json_reader_fail(reader, key, ERROR_FORMAT, "must be a text");
        return "";
    }
    size_t len = json_string_length(value);
    if (len < min || len > max) {
        json_reader_fail(reader, key, ERROR_RANGE, "%zu bytes, allowed %zu to %zu", len, min, max);
        return "";
    }
    const char *text = arena_strndup(reader->arena, json_string_value(value), len);
    if (text == NULL)
        json_reader_fail(reader, key, ERROR_MEMORY, "out of memory");
    return text != NULL ? text : "";
}

int64_t json_reader_i64_or(JsonReader *reader, const json_t *object, const char *key, int64_t min,
                           int64_t max, int64_t if_null)
{
    const json_t *value = find(reader, object, key);
    if (value == NULL)
        return if_null;
    if (!json_is_integer(value)) {
        json_reader_fail(reader, key, ERROR_FORMAT, "must be a whole number");
        return if_null;
    }
    int64_t number = json_integer_value(value);
    if (number < min || number > max) {
        json_reader_fail(reader, key, ERROR_RANGE, "'%" PRId64 "', allowed %" PRId64 " to %" PRId64,
                         number, min, max);
        return if_null;
    }
    return number;
}

int64_t json_reader_i64(JsonReader *reader, const json_t *object, const char *key, int64_t min,
                        int64_t max)
{
    if (need(reader, object, key) == NULL)
        return 0;
    return json_reader_i64_or(reader, object, key, min, max, 0);
}

uint32_t json_reader_u32(JsonReader *reader, const json_t *object, const char *key, uint32_t max)
{
    return (uint32_t)json_reader_i64(reader, object, key, 0, max);
}

uint64_t json_reader_hex64(JsonReader *reader, const json_t *object, const char *key)
{
    const json_t *value = need(reader, object, key);
    uint64_t number = 0;
    if (value != NULL &&
        (!json_is_string(value) ||
         parse_hex(json_string_value(value), json_string_length(value), 16, &number) < 0))
        json_reader_fail(reader, key, ERROR_FORMAT, "must be 16 lower-case hex digits in quotes");
    return number;
}

bool json_reader_bool(JsonReader *reader, const json_t *object, const char *key)
{
    const json_t *value = need(reader, object, key);
    if (value != NULL && !json_is_boolean(value))
        json_reader_fail(reader, key, ERROR_FORMAT, "must be true or false");
    return json_is_true(value);
}

const json_t *json_reader_array(JsonReader *reader, const json_t *object, const char *key,
                                size_t min, size_t max)
{
    const json_t *value = need(reader, object, key);
    if (value == NULL)
        return NULL;
    if (!json_is_array(value)) {
        json_reader_fail(reader, key, ERROR_FORMAT, "must be a list");
        return NULL;
    }
    size_t n = json_array_size(value);
    if (n < min || n > max) {
        json_reader_fail(reader, key, ERROR_RANGE, "%zu elements, allowed %zu to %zu", n, min, max);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (!json_is_object(json_array_get(value, i))) {
            json_reader_fail(reader, key, ERROR_FORMAT, "element %zu must be an object", i);
            return NULL;
        }
    }
    return value;
}

void *json_reader_new_array(JsonReader *reader, size_t n, size_t size)
{
    void *array = arena_alloc_array(reader->arena, n, size);
    if (array == NULL && reader->r == 0)
        reader->r = error_set(reader->reterr, ERROR_MEMORY, "%s: out of memory", reader->what);
    return array;
}
