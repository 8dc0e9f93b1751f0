// SPDX-License-Identifier: MIT
// conf_value_word: switches, choices, names, addresses and paths. What gets through here may stand
// in an nginx configuration, a certificate or a shell command as it is. See conf_value_types.h.
#include "conf_value_types.h"

#include <inttypes.h>
#include <string.h>

#include "bounds.h"

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

const char *conf_value_keep(Arena *arena, const char *text, void *to)
{
    const char *copy = arena_strdup(arena, text);
    if (copy == NULL)
        return CONF_NO_MEMORY;
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
    return is_label(node->text, strlen(node->text)) ? conf_value_keep(arena, node->text, to)
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

const char *conf_value_domain(const ConfOption *option, const char *text)
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
    const char *wrong = conf_value_domain(option, node->text);
    return wrong != NULL ? wrong : conf_value_keep(arena, node->text, to);
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
    if (conf_value_in_range(option, len) != NULL)
        return "too long";
    return is_printable(node->text) ? conf_value_keep(arena, node->text, to)
                                    : "holds control characters";
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
    return conf_value_keep(arena, node->text, to);
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
    if (conf_value_in_range(option, (int64_t)len) != NULL)
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
    return conf_value_keep(arena, text, to);
}

static void allowed_path(const ConfOption *option, Buf *text)
{
    buf_printf(text,
               "a path of at most %" PRId64
               " letters, digits and '-._~/' that begins with '/' and may end with '/*'",
               option->max);
}

const ConfTypeRow CONF_ROW_BOOL = {"switch", read_bool, allowed_bool, format_bool};
const ConfTypeRow CONF_ROW_CHOICE = {"choice", read_choice, allowed_choice, format_choice};
const ConfTypeRow CONF_ROW_LABEL = {"name", read_label, allowed_label, format_text};
const ConfTypeRow CONF_ROW_DOMAIN = {"domain", read_domain, allowed_domain, format_text};
const ConfTypeRow CONF_ROW_TEXT = {"text", read_text, allowed_text, format_text};
const ConfTypeRow CONF_ROW_ADDRESS = {"address", read_address, allowed_address, format_text};
const ConfTypeRow CONF_ROW_PATH = {"path", read_path, allowed_path, format_text};
