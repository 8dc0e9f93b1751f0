// SPDX-License-Identifier: MIT
// conf_diff: see conf_diff.h. Walks the table over both files' values; items of lists are matched
// by their first key (name, cloud, path) when that is a word, else by position.
#include "conf_diff.h"

#include <string.h>

#include "conf_held.h"
#include "conf_value.h"

#define VALUE_SHOWN_MAX 160 // longer values, such as lists of prefixes, are described

typedef struct Diff {
    Buf *text;
    Buf path;
} Diff;

static void diff_map(Diff *diff, const ConfSection *section, const char *from, const char *to);

static size_t push(Diff *diff, const char *key)
{
    size_t before = diff->path.len;
    buf_printf(&diff->path, "%s%s", before > 0 ? "." : "", key);
    return before;
}

static void pop(Diff *diff, size_t before)
{
    if (diff->path.failed)
        return;
    diff->path.len = before;
    diff->path.data[before] = '\0';
}

static bool is_list(ConfType type)
{
    return type == CONF_TYPE_PREFIXES || type == CONF_TYPE_DOMAINS || type == CONF_TYPE_SHARES ||
           type == CONF_TYPE_LATENCIES || type == CONF_TYPE_PORTIONS;
}

static void add_value(Diff *diff, const ConfOption *option, const void *value, const Buf *shown)
{
    if (shown->len == 0)
        buf_add_text(diff->text, "(none)");
    else if (shown->len <= VALUE_SHOWN_MAX)
        buf_add_text(diff->text, buf_text(shown));
    else if (is_list(option->type))
        buf_printf(diff->text, "(%u entries)", ((const ConfList *)value)->n);
    else
        buf_printf(diff->text, "%.*s...", VALUE_SHOWN_MAX, buf_text(shown));
}

static void diff_value(Diff *diff, const ConfOption *option, const void *from, const void *to)
{
    Buf before = BUF_INIT(0), after = BUF_INIT(0);
    conf_value_format(option, from, &before);
    conf_value_format(option, to, &after);
    if (before.failed || after.failed) {
        diff->text->failed = true;
    } else if (strcmp(buf_text(&before), buf_text(&after)) != 0) {
        buf_printf(diff->text, "%s: ", buf_text(&diff->path));
        add_value(diff, option, from, &before);
        buf_add_text(diff->text, " -> ");
        add_value(diff, option, to, &after);
        buf_add_char(diff->text, '\n');
    }
    buf_done(&before);
    buf_done(&after);
}

static bool has_word(const ConfSection *section)
{
    return section->options[0].type == CONF_TYPE_LABEL ||
           section->options[0].type == CONF_TYPE_PATH;
}

static const char *item(const ConfSection *section, const ConfList *list, uint32_t index)
{
    return (const char *)list->items + index * section->size;
}

static const char *word(const ConfSection *section, const ConfList *list, uint32_t index)
{
    const char *text;
    memcpy(&text, item(section, list, index) + section->options[0].offset, sizeof text);
    return text;
}

// Position of the item that `index` of `list` corresponds to, or -1.
static int64_t find(const ConfSection *section, const ConfList *list, uint32_t index,
                    const ConfList *other)
{
    if (!has_word(section))
        return index < other->n ? (int64_t)index : -1;
    for (uint32_t i = 0; i < other->n; i++) {
        if (strcmp(word(section, other, i), word(section, list, index)) == 0)
            return i;
    }
    return -1;
}

static size_t push_item(Diff *diff, const ConfSection *section, const ConfList *list,
                        uint32_t index)
{
    size_t before = diff->path.len;
    if (section->options[0].type == CONF_TYPE_LABEL)
        buf_printf(&diff->path, ".%s", word(section, list, index));
    else if (section->options[0].type == CONF_TYPE_PATH)
        buf_printf(&diff->path, "[%s]", word(section, list, index));
    else
        buf_printf(&diff->path, "[%u]", index);
    return before;
}

static void diff_list(Diff *diff, const ConfSection *section, const ConfList *from,
                      const ConfList *to)
{
    bool same_items = from->n == to->n, same_order = true;
    for (uint32_t i = 0; i < from->n; i++) {
        int64_t other = find(section, from, i, to);
        size_t before = push_item(diff, section, from, i);
        if (other < 0)
            buf_printf(diff->text, "%s: removed\n", buf_text(&diff->path));
        else
            diff_map(diff, section, item(section, from, i), item(section, to, (uint32_t)other));
        pop(diff, before);
        same_items &= other >= 0;
        same_order &= other == i;
    }
    for (uint32_t i = 0; i < to->n; i++) {
        if (find(section, to, i, from) >= 0)
            continue;
        size_t before = push_item(diff, section, to, i);
        buf_printf(diff->text, "%s: added\n", buf_text(&diff->path));
        pop(diff, before);
    }
    if (same_items && !same_order)
        buf_printf(diff->text, "%s: in another order\n", buf_text(&diff->path));
}

static void diff_map(Diff *diff, const ConfSection *section, const char *from, const char *to)
{
    for (size_t i = 0; i < section->n; i++) {
        const ConfOption *option = &section->options[i];
        const void *before = from + option->offset, *after = to + option->offset;
        size_t mark = push(diff, option->key);
        if (option->type == CONF_TYPE_MAP)
            diff_map(diff, option->child, from, to);
        else if (option->type == CONF_TYPE_LIST)
            diff_list(diff, option->child, before, after);
        else
            diff_value(diff, option, before, after);
        pop(diff, mark);
    }
}

int conf_diff(const Conf *from, const Conf *to, Buf *ret_text)
{
    Diff diff = {.text = ret_text, .path = BUF_INIT(0)};
    diff_map(&diff, &CONF_ROOT, (const char *)&conf_held_const(from)->raw,
             (const char *)&conf_held_const(to)->raw);
    int r = buf_check(&diff.path);
    buf_done(&diff.path);
    return r < 0 ? r : buf_check(ret_text);
}
