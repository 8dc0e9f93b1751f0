// SPDX-License-Identifier: MIT
// lww: see lww.h.
#include "lww.h"

#include <stddef.h>

#include "error.h"

#define MICROS_MAX (INT64_MAX >> 8)

int lww_stamp_next(Wall now, int64_t seen, uint32_t origin, int64_t *ret_stamp)
{
    if (origin == 0 || origin > LWW_ORIGIN_MAX || now.ns < 0 || seen < 0)
        return ERROR_RANGE;
    int64_t micros = now.ns / NS_PER_US;
    if (seen > 0 && micros <= seen >> 8)
        micros = (seen >> 8) + 1;
    if (micros > MICROS_MAX)
        return ERROR_RANGE;
    *ret_stamp = micros << 8 | (int64_t)origin;
    return 0;
}

Wall lww_stamp_wall(int64_t stamp)
{
    int64_t micros = stamp >> 8;
    return (Wall){micros > INT64_MAX / NS_PER_US ? INT64_MAX : micros * NS_PER_US};
}

uint32_t lww_stamp_origin(int64_t stamp)
{
    return (uint32_t)(stamp & 0xff);
}

const char *lww_stamp_format(int64_t stamp, char text[LWW_TEXT_MAX])
{
    for (int i = 0; i < 16; i++)
        text[i] = "0123456789abcdef"[(uint64_t)stamp >> (60 - 4 * i) & 15];
    text[16] = '\0';
    return text;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int lww_stamp_parse(const char *text, int64_t *ret_stamp)
{
    uint64_t stamp = 0;
    for (size_t i = 0; i < 16; i++) {
        int value = hex_value(text[i]); // a NUL is no digit: never reads behind the text
        if (value < 0)
            return ERROR_FORMAT;
        stamp = stamp << 4 | (uint64_t)value;
    }
    if (text[16] != '\0')
        return ERROR_FORMAT;
    if (stamp == 0 || stamp > INT64_MAX || (stamp & 0xff) == 0)
        return ERROR_RANGE;
    *ret_stamp = (int64_t)stamp;
    return 0;
}
