// SPDX-License-Identifier: MIT
// conf_value_number: whole numbers, durations, sizes and shares. See conf_value_types.h.
#include "conf_value_types.h"

#include <inttypes.h>
#include <string.h>

#include "parse.h"

static const char BELOW[] = "below the minimum";
static const char ABOVE[] = "above the maximum";

const char *conf_value_in_range(const ConfOption *option, int64_t value)
{
    return value < option->min ? BELOW : value > option->max ? ABOVE : NULL;
}

static const char *number(const ConfOption *option, const TreeNode *node, int64_t *ret_value)
{
    const char *text = node->text;
    int r = parse_i64(text, strlen(text), INT64_MIN + 1, INT64_MAX, ret_value);
    if (r == ERROR_RANGE)
        return text[0] == '-' ? BELOW : ABOVE;
    return r < 0 ? "not a whole number" : conf_value_in_range(option, *ret_value);
}

static const char *read_count(Arena *arena, const ConfOption *option, const TreeNode *node,
                              void *to)
{
    int64_t value;
    const char *wrong = number(option, node, &value);
    if (wrong == NULL)
        *(uint32_t *)to = (uint32_t)value;
    return wrong;
}

static const char *read_port(Arena *arena, const ConfOption *option, const TreeNode *node, void *to)
{
    int64_t value;
    const char *wrong = number(option, node, &value);
    if (wrong == NULL)
        *(uint16_t *)to = (uint16_t)value;
    return wrong;
}

static void allowed_count(const ConfOption *option, Buf *text)
{
    buf_printf(text, "%" PRId64 " to %" PRId64, option->min, option->max);
    if (option->unit != NULL)
        buf_printf(text, " %s", option->unit);
}

static void format_count(const ConfOption *option, const void *value, Buf *text)
{
    buf_printf(text, "%" PRIu32, *(const uint32_t *)value);
}

static void format_port(const ConfOption *option, const void *value, Buf *text)
{
    buf_printf(text, "%u", *(const uint16_t *)value);
}

typedef struct UnitRow {
    const char *suffix;
    int64_t factor;
} UnitRow;

static const UnitRow DURATION_UNITS[] = {
    {"d", 86400 * NS_PER_S}, {"h", 3600 * NS_PER_S}, {"m", 60 * NS_PER_S},
    {"s", NS_PER_S},         {"ms", NS_PER_MS},      {"us", NS_PER_US},
};
static const UnitRow SIZE_UNITS[] = {
    {"TiB", INT64_C(1) << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1},
};

// In the largest unit that needs no fraction.
static void format_with_unit(int64_t value, const UnitRow *units, size_t n, const char *zero,
                             Buf *text)
{
    for (size_t i = 0; i < n && value != 0; i++) {
        if (value % units[i].factor == 0) {
            buf_printf(text, "%" PRId64 "%s", value / units[i].factor, units[i].suffix);
            return;
        }
    }
    buf_add_text(text, zero);
}

void conf_value_add_duration(int64_t ns, Buf *text)
{
    format_with_unit(ns, DURATION_UNITS, ARRAY_SIZE(DURATION_UNITS), "0s", text);
}

static void add_size(int64_t bytes, Buf *text)
{
    format_with_unit(bytes, SIZE_UNITS, ARRAY_SIZE(SIZE_UNITS), "0B", text);
}

void conf_value_add_share(uint32_t ppm, Buf *text)
{
    uint32_t fraction = ppm % 10000;
    int digits = 4;
    for (; digits > 0 && fraction % 10 == 0; digits--)
        fraction /= 10;
    buf_printf(text, "%" PRIu32, ppm / 10000);
    if (digits > 0)
        buf_printf(text, ".%0*" PRIu32, digits, fraction);
    buf_add_text(text, " %");
}

const char *conf_value_duration(const ConfOption *option, const char *text, int64_t *ret_ns)
{
    int r = parse_duration(text, strlen(text), ret_ns);
    if (r == ERROR_RANGE)
        return ABOVE;
    return r < 0 ? "not a duration with its unit" : conf_value_in_range(option, *ret_ns);
}

static const char *read_duration(Arena *arena, const ConfOption *option, const TreeNode *node,
                                 void *to)
{
    int64_t ns;
    const char *wrong = conf_value_duration(option, node->text, &ns);
    if (wrong == NULL)
        *(int64_t *)to = ns;
    return wrong;
}

void conf_value_allowed_duration(const ConfOption *option, Buf *text)
{
    conf_value_add_duration(option->min, text);
    buf_add_text(text, " to ");
    conf_value_add_duration(option->max, text);
    buf_add_text(text, " (units us, ms, s, m, h, d)");
}

static void format_duration(const ConfOption *option, const void *value, Buf *text)
{
    conf_value_add_duration(*(const int64_t *)value, text);
}

static const char *read_size(Arena *arena, const ConfOption *option, const TreeNode *node, void *to)
{
    uint64_t bytes;
    int r = parse_size(node->text, strlen(node->text), &bytes);
    if (r == ERROR_RANGE)
        return ABOVE;
    const char *wrong =
        r < 0 ? "not a size with its unit" : conf_value_in_range(option, (int64_t)bytes);
    if (wrong == NULL)
        *(uint64_t *)to = bytes;
    return wrong;
}

static void allowed_size(const ConfOption *option, Buf *text)
{
    add_size(option->min, text);
    buf_add_text(text, " to ");
    add_size(option->max, text);
    buf_add_text(text, " (units B, KiB, MiB, GiB, TiB)");
}

static void format_size(const ConfOption *option, const void *value, Buf *text)
{
    add_size((int64_t) * (const uint64_t *)value, text);
}

const char *conf_value_share(const ConfOption *option, const char *text, uint32_t *ret_ppm)
{
    int r = parse_percent(text, strlen(text), ret_ppm);
    if (r == ERROR_RANGE)
        return ABOVE;
    return r < 0 ? "not a share in per cent" : conf_value_in_range(option, *ret_ppm);
}

static const char *read_share(Arena *arena, const ConfOption *option, const TreeNode *node,
                              void *to)
{
    uint32_t ppm;
    const char *wrong = conf_value_share(option, node->text, &ppm);
    if (wrong == NULL)
        *(uint32_t *)to = ppm;
    return wrong;
}

void conf_value_allowed_share(const ConfOption *option, Buf *text)
{
    conf_value_add_share((uint32_t)option->min, text);
    buf_add_text(text, " to ");
    conf_value_add_share((uint32_t)option->max, text);
}

static void format_share(const ConfOption *option, const void *value, Buf *text)
{
    conf_value_add_share(*(const uint32_t *)value, text);
}

const ConfTypeRow CONF_ROW_COUNT = {"number", read_count, allowed_count, format_count};
const ConfTypeRow CONF_ROW_PORT = {"port", read_port, allowed_count, format_port};
const ConfTypeRow CONF_ROW_DURATION = {"duration", read_duration, conf_value_allowed_duration,
                                       format_duration};
const ConfTypeRow CONF_ROW_SIZE = {"size", read_size, allowed_size, format_size};
const ConfTypeRow CONF_ROW_SHARE = {"share", read_share, conf_value_allowed_share, format_share};
