// SPDX-License-Identifier: MIT
// parse: see parse.h.
#include "parse.h"

#include <string.h>

#include "error.h"
#include "instant.h"

int parse_u64(const char *text, size_t len, uint64_t max, uint64_t *ret_value)
{
    if (len == 0)
        return ERROR_FORMAT;
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return ERROR_FORMAT;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return ERROR_RANGE;
        value = value * 10 + digit;
    }
    if (value > max)
        return ERROR_RANGE;
    *ret_value = value;
    return 0;
}

int parse_i64(const char *text, size_t len, int64_t min, int64_t max, int64_t *ret_value)
{
    bool negative = len > 0 && text[0] == '-';
    uint64_t magnitude;
    int r = parse_u64(text + (negative ? 1 : 0), len - (negative ? 1 : 0), INT64_MAX, &magnitude);
    if (r < 0)
        return r;
    int64_t value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (value < min || value > max)
        return ERROR_RANGE;
    *ret_value = value;
    return 0;
}

int parse_hex(const char *text, size_t len, size_t digits, uint64_t *ret_value)
{
    if (len != digits || digits > 16)
        return ERROR_FORMAT;
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned digit;
        if (text[i] >= '0' && text[i] <= '9')
            digit = (unsigned)(text[i] - '0');
        else if (text[i] >= 'a' && text[i] <= 'f')
            digit = (unsigned)(text[i] - 'a') + 10;
        else
            return ERROR_FORMAT;
        value = value << 4 | digit;
    }
    *ret_value = value;
    return 0;
}

typedef struct Unit {
    const char *suffix;
    uint64_t factor;
} Unit;

static int parse_with_unit(const char *text, size_t len, const Unit *units, size_t n_units,
                           uint64_t max, uint64_t *ret_value)
{
    size_t digits = 0;
    while (digits < len && text[digits] >= '0' && text[digits] <= '9')
        digits++;
    for (size_t i = 0; i < n_units; i++) {
        size_t suffix_len = strlen(units[i].suffix);
        if (suffix_len != len - digits || memcmp(text + digits, units[i].suffix, suffix_len) != 0)
            continue;
        uint64_t value;
        int r = parse_u64(text, digits, max, &value);
        if (r < 0)
            return r;
        if (value > max / units[i].factor)
            return ERROR_RANGE;
        *ret_value = value * units[i].factor;
        return 0;
    }
    return ERROR_FORMAT;
}

int parse_duration(const char *text, size_t len, int64_t *ret_ns)
{
    static const Unit UNITS[] = {
        {"us", (uint64_t)NS_PER_US},        {"ms", (uint64_t)NS_PER_MS},
        {"s", (uint64_t)NS_PER_S},          {"m", (uint64_t)(60 * NS_PER_S)},
        {"h", (uint64_t)(3600 * NS_PER_S)}, {"d", (uint64_t)(86400 * NS_PER_S)},
    };
    uint64_t value;
    int r = parse_with_unit(text, len, UNITS, ARRAY_SIZE(UNITS), INT64_MAX, &value);
    if (r < 0)
        return r;
    *ret_ns = (int64_t)value;
    return 0;
}

int parse_size(const char *text, size_t len, uint64_t *ret_bytes)
{
    static const Unit UNITS[] = {
        {"B", 1},
        {"KiB", UINT64_C(1) << 10},
        {"MiB", UINT64_C(1) << 20},
        {"GiB", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
    };
    return parse_with_unit(text, len, UNITS, ARRAY_SIZE(UNITS), INT64_MAX, ret_bytes);
}

int parse_percent(const char *text, size_t len, uint32_t *ret_ppm)
{
    if (len == 0 || text[len - 1] != '%')
        return ERROR_FORMAT;
    len--;
    if (len > 0 && text[len - 1] == ' ')
        len--;
    const char *dot = memchr(text, '.', len);
    size_t whole_len = dot != NULL ? (size_t)(dot - text) : len;
    uint64_t whole, fraction = 0;
    int r = parse_u64(text, whole_len, 1000, &whole);
    if (r < 0)
        return r;
    if (dot != NULL) {
        size_t fraction_len = len - whole_len - 1;
        r = fraction_len <= 4 ? parse_u64(dot + 1, fraction_len, 9999, &fraction) : ERROR_FORMAT;
        if (r < 0)
            return r;
        for (size_t i = fraction_len; i < 4; i++)
            fraction *= 10;
    }
    uint64_t ppm = whole * 10000 + fraction;
    if (ppm > 1000000)
        return ERROR_RANGE;
    *ret_ppm = (uint32_t)ppm;
    return 0;
}

// Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant, chrono-compatible low-level
// date algorithms, days_from_civil).
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static bool field(const char *text, size_t at, size_t len, uint64_t min, uint64_t max,
                  int64_t *ret_value)
{
    uint64_t value;
    if (parse_u64(text + at, len, max, &value) < 0 || value < min)
        return false;
    *ret_value = (int64_t)value;
    return true;
}

int parse_rfc3339(const char *text, size_t len, int64_t *ret_ns)
{
    int64_t year, month, day, hour, minute, second, fraction = 0;
    if (len < 20 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') ||
        text[13] != ':' || text[16] != ':' || (text[len - 1] != 'Z' && text[len - 1] != 'z') ||
        !field(text, 0, 4, 1970, 2200, &year) || !field(text, 5, 2, 1, 12, &month) ||
        !field(text, 8, 2, 1, 31, &day) || !field(text, 11, 2, 0, 23, &hour) ||
        !field(text, 14, 2, 0, 59, &minute) || !field(text, 17, 2, 0, 59, &second))
        return ERROR_FORMAT;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    static const int8_t DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (day > DAYS[month - 1] + (month == 2 && leap ? 1 : 0))
        return ERROR_RANGE;
    if (len > 20) {
        size_t digits = len - 21;
        if (text[19] != '.' || digits == 0 || digits > 9 ||
            !field(text, 20, digits, 0, 999999999, &fraction))
            return ERROR_FORMAT;
        for (size_t i = digits; i < 9; i++)
            fraction *= 10;
    }
    int64_t seconds =
        days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    *ret_ns = seconds * NS_PER_S + fraction;
    return 0;
}
