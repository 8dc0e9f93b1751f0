// SPDX-License-Identifier: MIT
// conf_value: see conf_value.h. A reader returns NULL, or in a few words what is wrong with the
// value; NO_MEMORY is its own answer.
#include "conf_value.h"

#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "parse.h"
#include "utf8.h"

static const char NO_MEMORY[] = "out of memory";
static const char BELOW[] = "below the minimum";
static const char ABOVE[] = "above the maximum";

typedef const char *ReadFn(Arena *arena, const ConfOption *option, const TreeNode *node, void *to);
typedef void AllowedFn(const ConfOption *option, Buf *text);
typedef void FormatFn(const ConfOption *option, const void *value, Buf *text);

typedef struct TypeRow {
    const char *name;
    ReadFn *read;
    AllowedFn *allowed;
    FormatFn *format;
} TypeRow;

static const char *in_range(const ConfOption *option, int64_t value)
{
    return value < option->min ? BELOW : value > option->max ? ABOVE : NULL;
}

// Numbers ---------------------------------------------------------------------------------------

static const char *number(const ConfOption *option, const TreeNode *node, int64_t *ret_value)
{
    const char *text = node->text;
    int r = parse_i64(text, strlen(text), INT64_MIN + 1, INT64_MAX, ret_value);
    if (r == ERROR_RANGE)
        return text[0] == '-' ? BELOW : ABOVE;
    return r < 0 ? "not a whole number" : in_range(option, *ret_value);
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

static void add_duration(int64_t ns, Buf *text)
{
    format_with_unit(ns, DURATION_UNITS, ARRAY_SIZE(DURATION_UNITS), "0s", text);
}

static void add_size(int64_t bytes, Buf *text)
{
    format_with_unit(bytes, SIZE_UNITS, ARRAY_SIZE(SIZE_UNITS), "0B", text);
}

static void add_share(uint32_t ppm, Buf *text)
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

static const char *duration(const ConfOption *option, const char *text, int64_t *ret_ns)
{
    int r = parse_duration(text, strlen(text), ret_ns);
    if (r == ERROR_RANGE)
        return ABOVE;
    return r < 0 ? "not a duration with its unit" : in_range(option, *ret_ns);
}

static const char *read_duration(Arena *arena, const ConfOption *option, const TreeNode *node,
                                 void *to)
{
    int64_t ns;
    const char *wrong = duration(option, node->text, &ns);
    if (wrong == NULL)
        *(int64_t *)to = ns;
    return wrong;
}

static void allowed_duration(const ConfOption *option, Buf *text)
{
    add_duration(option->min, text);
    buf_add_text(text, " to ");
    add_duration(option->max, text);
    buf_add_text(text, " (units us, ms, s, m, h, d)");
}

static void format_duration(const ConfOption *option, const void *value, Buf *text)
{
    add_duration(*(const int64_t *)value, text);
}

static const char *read_size(Arena *arena, const ConfOption *option, const TreeNode *node, void *to)
{
    uint64_t bytes;
    int r = parse_size(node->text, strlen(node->text), &bytes);
    if (r == ERROR_RANGE)
        return ABOVE;
    const char *wrong = r < 0 ? "not a size with its unit" : in_range(option, (int64_t)bytes);
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

static const char *share(const ConfOption *option, const char *text, uint32_t *ret_ppm)
{
    int r = parse_percent(text, strlen(text), ret_ppm);
    if (r == ERROR_RANGE)
        return ABOVE;
    return r < 0 ? "not a share in per cent" : in_range(option, *ret_ppm);
}

static const char *read_share(Arena *arena, const ConfOption *option, const TreeNode *node,
                              void *to)
{
    uint32_t ppm;
    const char *wrong = share(option, node->text, &ppm);
    if (wrong == NULL)
        *(uint32_t *)to = ppm;
    return wrong;
}

static void allowed_share(const ConfOption *option, Buf *text)
{
    add_share((uint32_t)option->min, text);
    buf_add_text(text, " to ");
    add_share((uint32_t)option->max, text);
}

static void format_share(const ConfOption *option, const void *value, Buf *text)
{
    add_share(*(const uint32_t *)value, text);
}

// Words -----------------------------------------------------------------------------------------

static const char *read_bool(Arena *arena, const ConfOption *option, const TreeNode *node, void *to)
{
    bool yes = strcmp(node->text, "true") == 0;
    if (!yes && strcmp(node->text, "false") != 0)
        return "neither true nor false";
    *(bool *)to = yes;
    return NULL;
}

static void allowed_bool(const ConfOption *option, Buf *text)
{
    buf_add_text(text, "true or false");
}

static void format_bool(const ConfOption *option, const void *value, Buf *text)
{
    buf_add_text(text, *(const bool *)value ? "true" : "false");
}

static const char *read_choice(Arena *arena, const ConfOption *option, const TreeNode *node,
                               void *to)
{
    for (uint32_t i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(node->text, option->choices[i]) == 0) {
            *(uint32_t *)to = i;
            return NULL;
        }
    }
    return "not one of the choices";
}

static void allowed_choice(const ConfOption *option, Buf *text)
{
    for (uint32_t i = 0; option->choices[i] != NULL; i++)
        buf_printf(text, "%s%s", i > 0 ? ", " : "", option->choices[i]);
}

static void format_choice(const ConfOption *option, const void *value, Buf *text)
{
    buf_add_text(text, option->choices[*(const uint32_t *)value]);
}

static const char *keep(Arena *arena, const char *text, void *to)
{
    const char *copy = arena_strdup(arena, text);
    if (copy == NULL)
        return NO_MEMORY;
    *(const char **)to = copy;
    return NULL;
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_label(const char *text, size_t len)
{
    if (len == 0 || len > BOUND_NAME || !is_word_char(text[0]) || !is_word_char(text[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_word_char(text[i]) && text[i] != '-')
            return false;
    }
    return true;
}

static const char *read_label(Arena *arena, const ConfOption *option, const TreeNode *node,
                              void *to)
{
    return is_label(node->text, strlen(node->text)) ? keep(arena, node->text, to)
                                                    : "not a DNS label";
}

static void allowed_label(const ConfOption *option, Buf *text)
{
    buf_printf(text, "1 to %d of a-z, 0-9 and '-', a letter or digit at both ends", BOUND_NAME);
}

static void format_text(const ConfOption *option, const void *value, Buf *text)
{
    buf_add_text(text, *(const char *const *)value);
}

static const char *domain(const ConfOption *option, const char *text)
{
    if (strlen(text) > (size_t)option->max)
        return "too long";
    size_t labels = 0;
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ".");
        if (!is_label(at, len))
            return "not a domain name";
        labels++;
        at += len;
        if (*at == '\0')
            return labels < 2 ? "a domain name needs two labels" : NULL;
    }
}

static const char *read_domain(Arena *arena, const ConfOption *option, const TreeNode *node,
                               void *to)
{
    const char *wrong = domain(option, node->text);
    return wrong != NULL ? wrong : keep(arena, node->text, to);
}

static void allowed_domain(const ConfOption *option, Buf *text)
{
    buf_printf(text, "a domain name in lower case, at most %" PRId64 " characters", option->max);
}

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)text[1] < 0xa0)) // C0, DEL, C1
            return false;
    }
    return true;
}

static const char *read_text(Arena *arena, const ConfOption *option, const TreeNode *node, void *to)
{
    int64_t len = (int64_t)strlen(node->text);
    if (len == 0)
        return "empty";
    if (in_range(option, len) != NULL)
        return "too long";
    return is_printable(node->text) ? keep(arena, node->text, to) : "holds control characters";
}

static void allowed_text(const ConfOption *option, Buf *text)
{
    buf_printf(text, "%" PRId64 " to %" PRId64 " printable characters", option->min, option->max);
}

static const char *read_address(Arena *arena, const ConfOption *option, const TreeNode *node,
                                void *to)
{
    static const Ip NOWHERE_V6 = {{0}}, NOWHERE_V4 = {{[10] = 0xff, [11] = 0xff}};
    Ip ip;
    if (ip_parse(node->text, &ip) < 0)
        return "not an address";
    bool v4 = ip_is_v4(&ip);
    if (v4 && strchr(node->text, ':') != NULL)
        return "an IPv4 address in IPv6 form";
    if (memcmp(&ip, v4 ? &NOWHERE_V4 : &NOWHERE_V6, sizeof ip) == 0 ||
        (v4 ? ip.bytes[12] >= 224 : ip.bytes[0] == 0xff))
        return "not the address of one machine";
    return keep(arena, node->text, to);
}

static void allowed_address(const ConfOption *option, Buf *text)
{
    buf_add_text(text, "an IPv4 or IPv6 address");
}

// No empty segment but a last one, no "." and no "..".
static bool is_normal_path(const char *text)
{
    while (*text == '/') {
        size_t len = strcspn(++text, "/");
        bool dots = (len == 1 && text[0] == '.') || (len == 2 && memcmp(text, "..", 2) == 0);
        if (dots || (len == 0 && *text == '/'))
            return false;
        text += len;
    }
    return true;
}

static const char *read_path(Arena *arena, const ConfOption *option, const TreeNode *node, void *to)
{
    const char *text = node->text;
    size_t len = strlen(text);
    if (len == 0 || text[0] != '/')
        return "a path begins with '/'";
    if (in_range(option, (int64_t)len) != NULL)
        return "too long";
    const char *star = strchr(text, '*');
    if (star != NULL && (star[1] != '\0' || star[-1] != '/'))
        return "'*' stands only at the end, after '/'";
    for (const char *at = text; *at != '\0'; at++) {
        bool plain =
            is_word_char(*at) || (*at >= 'A' && *at <= 'Z') || strchr("/-._~*", *at) != NULL;
        if (!plain)
            return "holds a character that a route cannot have";
    }
    if (!is_normal_path(text))
        return "not a normal path: it holds '//', '/.' or '/..'";
    if (strncmp(text, "/.well-known/wildcam", 20) == 0)
        return "reserved for the fleet's own requests";
    return keep(arena, text, to);
}

static void allowed_path(const ConfOption *option, Buf *text)
{
    buf_printf(text,
               "a path of at most %" PRId64
               " letters, digits and '-._~/' that begins with '/' and may end with '/*'",
               option->max);
}

// Values of several parts -----------------------------------------------------------------------

// "10000 USD", "0.09 USD": up to 12 digits, up to 9 decimals (nano units), three capitals.
static const char *read_money(Arena *arena, const ConfOption *option, const TreeNode *node,
                              void *to)
{
    static const char WRONG[] = "not an amount with its currency";
    const char *text = node->text;
    size_t whole = strspn(text, "0123456789"), amount = whole;
    if (whole == 0 || whole > 12 || (whole > 1 && text[0] == '0'))
        return WRONG;
    if (text[whole] == '.') {
        size_t decimals = strspn(text + whole + 1, "0123456789");
        if (decimals == 0 || decimals > 9)
            return WRONG;
        amount += 1 + decimals;
    }
    const char *currency = text + amount + 1;
    if (text[amount] != ' ' || strspn(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3 ||
        currency[3] != '\0')
        return WRONG;
    ConfMoney *money = to;
    money->amount = arena_strndup(arena, text, amount);
    money->currency = arena_strdup(arena, currency);
    return money->amount == NULL || money->currency == NULL ? NO_MEMORY : NULL;
}

static void allowed_money(const ConfOption *option, Buf *text)
{
    buf_add_text(text, "a decimal amount and its currency, such as '10000 USD' or '0.09 USD'");
}

static void format_money(const ConfOption *option, const void *value, Buf *text)
{
    const ConfMoney *money = value;
    buf_printf(text, "%s %s", money->amount, money->currency);
}

// Degrees with up to 6 decimals -> millionths.
static bool degrees(const TreeNode *node, int64_t max, int32_t *ret_udeg)
{
    if (node->kind != TREE_SCALAR)
        return false;
    const char *text = node->text;
    bool negative = text[0] == '-';
    text += negative ? 1 : 0;
    size_t whole_len = strspn(text, "0123456789");
    uint64_t whole, fraction = 0;
    if (parse_u64(text, whole_len, 180, &whole) < 0)
        return false;
    if (text[whole_len] == '.') {
        size_t len = strlen(text + whole_len + 1);
        if (len > 6 || parse_u64(text + whole_len + 1, len, 999999, &fraction) < 0)
            return false;
        for (; len < 6; len++)
            fraction *= 10;
    } else if (text[whole_len] != '\0') {
        return false;
    }
    int64_t udeg = (int64_t)(whole * 1000000 + fraction);
    if (udeg > max)
        return false;
    *ret_udeg = (int32_t)(negative ? -udeg : udeg);
    return true;
}

static const char *read_location(Arena *arena, const ConfOption *option, const TreeNode *node,
                                 void *to)
{
    ConfLocation location = {.given = true};
    if (node->n != 2 || !degrees(node->first, 90000000, &location.latitude_udeg) ||
        !degrees(node->last, 180000000, &location.longitude_udeg))
        return "not a place on Earth";
    *(ConfLocation *)to = location;
    return NULL;
}

static void allowed_location(const ConfOption *option, Buf *text)
{
    buf_add_text(text,
                 "[latitude, longitude] in degrees, -90 to 90 and -180 to 180, at most 6 decimals");
}

static void add_degrees(int32_t udeg, Buf *text)
{
    uint32_t magnitude = udeg < 0 ? (uint32_t) - (int64_t)udeg : (uint32_t)udeg;
    buf_printf(text, "%s%" PRIu32 ".%06" PRIu32, udeg < 0 ? "-" : "", magnitude / 1000000,
               magnitude % 1000000);
    while (text->len > 0 && text->data[text->len - 1] == '0' && text->data[text->len - 2] != '.')
        text->data[--text->len] = '\0';
}

static void format_location(const ConfOption *option, const void *value, Buf *text)
{
    const ConfLocation *location = value;
    if (!location->given)
        return;
    buf_add_char(text, '[');
    add_degrees(location->latitude_udeg, text);
    buf_add_text(text, ", ");
    add_degrees(location->longitude_udeg, text);
    buf_add_char(text, ']');
}

// Lists of scalars and maps of names: one reader each for an item, see conf_value_parse.

static const char *item_prefix(Arena *arena, const ConfOption *option, const TreeNode *node,
                               void *to)
{
    if (ip_prefix_parse(node->text, to) == 0)
        return NULL;
    // Tell apart what can be told apart: 10.0.0.1/8 is no typo in the address.
    char address[IP_TEXT_MAX];
    size_t len = strcspn(node->text, "/");
    Ip ip;
    uint64_t bits;
    if (len >= sizeof address || node->text[len] == '\0')
        return "not a prefix";
    memcpy(address, node->text, len);
    address[len] = '\0';
    const char *bits_text = node->text + len + 1;
    if (ip_parse(address, &ip) < 0 ||
        parse_u64(bits_text, strlen(bits_text), strchr(address, ':') != NULL ? 128 : 32, &bits) < 0)
        return "not a prefix";
    return "a prefix with bits set behind its length";
}

static void allowed_prefixes(const ConfOption *option, Buf *text)
{
    buf_printf(text,
               "a list of %" PRId64 " to %" PRId64 " prefixes such as 192.0.2.0/24, 2001:db8::/32",
               option->min, option->max);
}

static void format_prefixes(const ConfOption *option, const void *value, Buf *text)
{
    const ConfList *list = value;
    const IpPrefix *items = list->items;
    for (uint32_t i = 0; i < list->n; i++) {
        char one[IP_TEXT_MAX];
        buf_printf(text, "%s%s", i > 0 ? ", " : "[", ip_prefix_format(&items[i], one));
    }
    buf_add_text(text, list->n > 0 ? "]" : "[]");
}

static const char *item_domain(Arena *arena, const ConfOption *option, const TreeNode *node,
                               void *to)
{
    static const ConfOption ONE = {.max = 200};
    const char *wrong = domain(&ONE, node->text);
    return wrong != NULL ? wrong : keep(arena, node->text, to);
}

static void allowed_domains(const ConfOption *option, Buf *text)
{
    buf_printf(text, "a list of %" PRId64 " to %" PRId64 " domain names", option->min, option->max);
}

static void format_domains(const ConfOption *option, const void *value, Buf *text)
{
    const ConfList *list = value;
    const char *const *items = list->items;
    for (uint32_t i = 0; i < list->n; i++)
        buf_printf(text, "%s%s", i > 0 ? ", " : "[", items[i]);
    buf_add_text(text, list->n > 0 ? "]" : "[]");
}

static const char *item_share(Arena *arena, const ConfOption *option, const TreeNode *node,
                              void *to)
{
    static const ConfOption ONE = {.min = 1, .max = PPM_ONE};
    return share(&ONE, node->text, to);
}

static void allowed_shares(const ConfOption *option, Buf *text)
{
    if (option->min == option->max)
        buf_printf(text, "a list of %" PRId64 " shares, each above 0 %% to 100 %%", option->min);
    else
        buf_printf(text, "a list of %" PRId64 " to %" PRId64 " shares, each above 0 %% to 100 %%",
                   option->min, option->max);
}

static void format_shares(const ConfOption *option, const void *value, Buf *text)
{
    const ConfList *list = value;
    const uint32_t *items = list->items;
    for (uint32_t i = 0; i < list->n; i++) {
        buf_add_text(text, i > 0 ? ", " : "[");
        add_share(items[i], text);
    }
    buf_add_text(text, list->n > 0 ? "]" : "[]");
}

static const char *item_latency(Arena *arena, const ConfOption *option, const TreeNode *node,
                                void *to)
{
    ConfNamedNumber *item = to;
    const char *wrong = duration(option, node->text, &item->value);
    return wrong != NULL ? wrong : keep(arena, node->key, &item->name);
}

static void allowed_latencies(const ConfOption *option, Buf *text)
{
    buf_add_text(text, "a map of regions to ");
    allowed_duration(option, text);
}

static void format_latencies(const ConfOption *option, const void *value, Buf *text)
{
    const ConfList *list = value;
    const ConfNamedNumber *items = list->items;
    for (uint32_t i = 0; i < list->n; i++) {
        buf_printf(text, "%s%s: ", i > 0 ? ", " : "{", items[i].name);
        add_duration(items[i].value, text);
    }
    buf_add_text(text, list->n > 0 ? "}" : "{}");
}

static const char *item_portion(Arena *arena, const ConfOption *option, const TreeNode *node,
                                void *to)
{
    ConfNamedNumber *item = to;
    uint32_t ppm;
    const char *wrong = share(option, node->text, &ppm);
    if (wrong != NULL)
        return wrong;
    item->value = ppm;
    return keep(arena, node->key, &item->name);
}

static void allowed_portions(const ConfOption *option, Buf *text)
{
    buf_add_text(text, "a map of clouds to ");
    allowed_share(option, text);
}

static void format_portions(const ConfOption *option, const void *value, Buf *text)
{
    const ConfList *list = value;
    const ConfNamedNumber *items = list->items;
    for (uint32_t i = 0; i < list->n; i++) {
        buf_printf(text, "%s%s: ", i > 0 ? ", " : "{", items[i].name);
        add_share((uint32_t)items[i].value, text);
    }
    buf_add_text(text, list->n > 0 ? "}" : "{}");
}

static void allowed_map(const ConfOption *option, Buf *text)
{
    buf_add_text(text, "a map with the keys ");
    for (size_t i = 0; i < option->child->n; i++)
        buf_printf(text, "%s%s", i > 0 ? ", " : "", option->child->options[i].key);
}

static void allowed_list(const ConfOption *option, Buf *text)
{
    buf_printf(text, "a list of %" PRId64 " to %" PRId64 " maps with the keys ", option->min,
               option->max);
    for (size_t i = 0; i < option->child->n; i++)
        buf_printf(text, "%s%s", i > 0 ? ", " : "", option->child->options[i].key);
}

static const TypeRow TYPES[CONF_TYPE_MAX] = {
    [CONF_TYPE_COUNT] = {"number", read_count, allowed_count, format_count},
    [CONF_TYPE_PORT] = {"port", read_port, allowed_count, format_port},
    [CONF_TYPE_DURATION] = {"duration", read_duration, allowed_duration, format_duration},
    [CONF_TYPE_SIZE] = {"size", read_size, allowed_size, format_size},
    [CONF_TYPE_SHARE] = {"share", read_share, allowed_share, format_share},
    [CONF_TYPE_BOOL] = {"switch", read_bool, allowed_bool, format_bool},
    [CONF_TYPE_CHOICE] = {"choice", read_choice, allowed_choice, format_choice},
    [CONF_TYPE_LABEL] = {"name", read_label, allowed_label, format_text},
    [CONF_TYPE_DOMAIN] = {"domain", read_domain, allowed_domain, format_text},
    [CONF_TYPE_TEXT] = {"text", read_text, allowed_text, format_text},
    [CONF_TYPE_ADDRESS] = {"address", read_address, allowed_address, format_text},
    [CONF_TYPE_PATH] = {"path", read_path, allowed_path, format_text},
    [CONF_TYPE_MONEY] = {"money", read_money, allowed_money, format_money},
    [CONF_TYPE_LOCATION] = {"location", read_location, allowed_location, format_location},
    [CONF_TYPE_PREFIXES] = {"prefixes", item_prefix, allowed_prefixes, format_prefixes},
    [CONF_TYPE_DOMAINS] = {"domains", item_domain, allowed_domains, format_domains},
    [CONF_TYPE_SHARES] = {"shares", item_share, allowed_shares, format_shares},
    [CONF_TYPE_LATENCIES] = {"latencies", item_latency, allowed_latencies, format_latencies},
    [CONF_TYPE_PORTIONS] = {"portions", item_portion, allowed_portions, format_portions},
    [CONF_TYPE_MAP] = {"map", NULL, allowed_map, NULL},
    [CONF_TYPE_LIST] = {"list of maps", NULL, allowed_list, NULL},
};

static size_t item_size(ConfType type)
{
    switch (type) {
    case CONF_TYPE_PREFIXES:
        return sizeof(IpPrefix);
    case CONF_TYPE_DOMAINS:
        return sizeof(const char *);
    case CONF_TYPE_SHARES:
        return sizeof(uint32_t);
    case CONF_TYPE_LATENCIES:
    case CONF_TYPE_PORTIONS:
        return sizeof(ConfNamedNumber);
    default:
        return 0; // no list
    }
}

static bool has_duplicate_key(const TreeNode *map, const TreeNode *child)
{
    for (const TreeNode *other = map->first; other != child; other = other->next) {
        if (strcmp(other->key, child->key) == 0)
            return true;
    }
    return false;
}

static int report(ConfWalk *walk, const ConfOption *option, const TreeNode *node, const char *wrong)
{
    if (wrong == NO_MEMORY)
        return ERROR_MEMORY;
    if (wrong != NULL)
        conf_walk_refuse(walk, option, node, wrong);
    return 0;
}

// A list of scalars, or a map of names to scalars.
static int parse_items(ConfWalk *walk, const ConfOption *option, const TreeNode *node, ConfList *to)
{
    bool named = option->type == CONF_TYPE_LATENCIES || option->type == CONF_TYPE_PORTIONS;
    if (node->kind != (named ? TREE_MAP : TREE_LIST))
        return report(walk, option, node, named ? "not a map" : "not a list");
    int64_t most = named ? BOUND_REGIONS : option->max; // min and max of a map are its values'
    if (node->n > most || (!named && node->n < option->min))
        return report(walk, option, node, node->n > most ? "too many entries" : "too few entries");
    size_t size = item_size(option->type);
    char *items = arena_alloc_array(walk->arena, node->n > 0 ? node->n : 1, size);
    if (items == NULL)
        return ERROR_MEMORY;
    char *at = items;
    for (const TreeNode *child = node->first; child != NULL; child = child->next, at += size) {
        const char *wrong = child->kind != TREE_SCALAR ? "not a single value"
                            : named && has_duplicate_key(node, child)
                                ? "given twice"
                                : TYPES[option->type].read(walk->arena, option, child, at);
        char shown[80];
        const TreeNode key = {.kind = TREE_SCALAR, .text = named ? child->key : ""};
        size_t before = wrong != NULL && named ? conf_walk_push(walk, conf_tree_show(&key, shown))
                                               : walk->path.len;
        int r = report(walk, option, child, wrong);
        if (r < 0)
            return r;
        conf_walk_pop(walk, before);
    }
    *to = (ConfList){.items = items, .n = node->n};
    return 0;
}

int conf_value_parse(ConfWalk *walk, const ConfOption *option, const TreeNode *node,
                     void *ret_value)
{
    if (item_size(option->type) > 0)
        return parse_items(walk, option, node, ret_value);
    TreeKind kind = option->type == CONF_TYPE_LOCATION ? TREE_LIST : TREE_SCALAR;
    if (node->kind != kind)
        return report(walk, option, node, kind == TREE_LIST ? "not a list" : "not a single value");
    if (kind == TREE_SCALAR && node->text[0] == '\0')
        return report(walk, option, node, "empty");
    return report(walk, option, node,
                  TYPES[option->type].read(walk->arena, option, node, ret_value));
}

void conf_value_allowed(const ConfOption *option, Buf *text)
{
    TYPES[option->type].allowed(option, text);
}

void conf_value_format(const ConfOption *option, const void *value, Buf *text)
{
    TYPES[option->type].format(option, value, text);
}

const char *conf_value_type_name(ConfType type)
{
    return TYPES[type].name;
}
