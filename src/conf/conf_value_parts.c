// SPDX-License-Identifier: MIT
// conf_value_parts: values of several parts: money, places, and the items of lists. See
// conf_value_types.h.
#include "conf_value_types.h"

#include <inttypes.h>
#include <string.h>

#include "parse.h"

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
    return money->amount == NULL || money->currency == NULL ? CONF_NO_MEMORY : NULL;
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
    const char *wrong = conf_value_domain(&ONE, node->text);
    return wrong != NULL ? wrong : conf_value_keep(arena, node->text, to);
}

static void allowed_domains(const ConfOption *option, Buf *text)
{
    buf_printf(text, "a list of %" PRId64 " to %" PRId64 " domain names", option->min, option->max);
}

static const char *item_label(Arena *arena, const ConfOption *option, const TreeNode *node,
                              void *to)
{
    return CONF_ROW_LABEL.read(arena, option, node, to);
}

static void allowed_labels(const ConfOption *option, Buf *text)
{
    buf_printf(text, "a list of %" PRId64 " to %" PRId64 " names", option->min, option->max);
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
    return conf_value_share(&ONE, node->text, to);
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
        conf_value_add_share(items[i], text);
    }
    buf_add_text(text, list->n > 0 ? "]" : "[]");
}

static const char *item_latency(Arena *arena, const ConfOption *option, const TreeNode *node,
                                void *to)
{
    ConfNamedNumber *item = to;
    const char *wrong = conf_value_duration(option, node->text, &item->value);
    return wrong != NULL ? wrong : conf_value_keep(arena, node->key, &item->name);
}

static void allowed_latencies(const ConfOption *option, Buf *text)
{
    buf_add_text(text, "a map of regions to ");
    conf_value_allowed_duration(option, text);
}

static void format_latencies(const ConfOption *option, const void *value, Buf *text)
{
    const ConfList *list = value;
    const ConfNamedNumber *items = list->items;
    for (uint32_t i = 0; i < list->n; i++) {
        buf_printf(text, "%s%s: ", i > 0 ? ", " : "{", items[i].name);
        conf_value_add_duration(items[i].value, text);
    }
    buf_add_text(text, list->n > 0 ? "}" : "{}");
}

static const char *item_portion(Arena *arena, const ConfOption *option, const TreeNode *node,
                                void *to)
{
    ConfNamedNumber *item = to;
    uint32_t ppm;
    const char *wrong = conf_value_share(option, node->text, &ppm);
    if (wrong != NULL)
        return wrong;
    item->value = ppm;
    return conf_value_keep(arena, node->key, &item->name);
}

static void allowed_portions(const ConfOption *option, Buf *text)
{
    buf_add_text(text, "a map of clouds to ");
    conf_value_allowed_share(option, text);
}

static void format_portions(const ConfOption *option, const void *value, Buf *text)
{
    const ConfList *list = value;
    const ConfNamedNumber *items = list->items;
    for (uint32_t i = 0; i < list->n; i++) {
        buf_printf(text, "%s%s: ", i > 0 ? ", " : "{", items[i].name);
        conf_value_add_share((uint32_t)items[i].value, text);
    }
    buf_add_text(text, list->n > 0 ? "}" : "{}");
}

const ConfTypeRow CONF_ROW_MONEY = {"money", read_money, allowed_money, format_money};
const ConfTypeRow CONF_ROW_LOCATION = {"location", read_location, allowed_location,
                                       format_location};
const ConfTypeRow CONF_ROW_PREFIXES = {"prefixes", item_prefix, allowed_prefixes, format_prefixes};
const ConfTypeRow CONF_ROW_DOMAINS = {"domains", item_domain, allowed_domains, format_domains};
const ConfTypeRow CONF_ROW_LABELS = {"labels", item_label, allowed_labels, format_domains};
const ConfTypeRow CONF_ROW_SHARES = {"shares", item_share, allowed_shares, format_shares};
const ConfTypeRow CONF_ROW_LATENCIES = {"latencies", item_latency, allowed_latencies,
                                        format_latencies};
const ConfTypeRow CONF_ROW_PORTIONS = {"portions", item_portion, allowed_portions, format_portions};
