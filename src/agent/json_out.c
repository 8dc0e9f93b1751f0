// SPDX-License-Identifier: MIT
// json_out: see the header.
#include "json_out.h"

#include <inttypes.h>

#include "instant.h"

static void put_key(JsonOut *out, const char *key)
{
    if (out->comma)
        buf_add_char(out->buf, ',');
    out->comma = true;
    if (!key)
        return;
    buf_add_json_string(out->buf, key);
    buf_add_char(out->buf, ':');
}

void out_begin(JsonOut *out, const char *key, char bracket)
{
    put_key(out, key);
    buf_add_char(out->buf, bracket);
    out->comma = false;
}

void out_end(JsonOut *out, char bracket)
{
    buf_add_char(out->buf, bracket);
    out->comma = true;
}

void out_text(JsonOut *out, const char *key, const char *text)
{
    put_key(out, key);
    if (text)
        buf_add_json_string(out->buf, text);
    else
        buf_add_text(out->buf, "null");
}

void out_int(JsonOut *out, const char *key, int64_t value)
{
    put_key(out, key);
    buf_printf(out->buf, "%" PRId64, value);
}

void out_bool(JsonOut *out, const char *key, bool value)
{
    put_key(out, key);
    buf_add_text(out->buf, value ? "true" : "false");
}

void out_null(JsonOut *out, const char *key)
{
    out_text(out, key, NULL);
}

void out_hex(JsonOut *out, const char *key, uint64_t value)
{
    put_key(out, key);
    buf_printf(out->buf, "\"%016" PRIx64 "\"", value);
}

void out_ms(JsonOut *out, const char *key, int64_t ns)
{
    if (ns == INT64_MAX)
        out_null(out, key);
    else
        out_int(out, key, ns / NS_PER_MS);
}

void out_raw(JsonOut *out, const char *key, const char *bytes)
{
    put_key(out, key);
    buf_add_text(out->buf, bytes);
}
