// SPDX-License-Identifier: MIT
// conf_value: see conf_value.h. The types themselves stand in conf_value_*.c; here is what they
// share: shapes, lists and the table.
#include "conf_value.h"

#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "conf_value_types.h"

const char CONF_NO_MEMORY[] = "out of memory";

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

static const ConfTypeRow ROW_MAP = {"map", NULL, allowed_map, NULL};
static const ConfTypeRow ROW_LIST = {"list of maps", NULL, allowed_list, NULL};

static const ConfTypeRow *const TYPES[CONF_TYPE_MAX] = {
    [CONF_TYPE_COUNT] = &CONF_ROW_COUNT,
    [CONF_TYPE_PORT] = &CONF_ROW_PORT,
    [CONF_TYPE_DURATION] = &CONF_ROW_DURATION,
    [CONF_TYPE_SIZE] = &CONF_ROW_SIZE,
    [CONF_TYPE_SHARE] = &CONF_ROW_SHARE,
    [CONF_TYPE_BOOL] = &CONF_ROW_BOOL,
    [CONF_TYPE_CHOICE] = &CONF_ROW_CHOICE,
    [CONF_TYPE_LABEL] = &CONF_ROW_LABEL,
    [CONF_TYPE_DOMAIN] = &CONF_ROW_DOMAIN,
    [CONF_TYPE_TEXT] = &CONF_ROW_TEXT,
    [CONF_TYPE_ADDRESS] = &CONF_ROW_ADDRESS,
    [CONF_TYPE_PATH] = &CONF_ROW_PATH,
    [CONF_TYPE_MONEY] = &CONF_ROW_MONEY,
    [CONF_TYPE_LOCATION] = &CONF_ROW_LOCATION,
    [CONF_TYPE_PREFIXES] = &CONF_ROW_PREFIXES,
    [CONF_TYPE_DOMAINS] = &CONF_ROW_DOMAINS,
    [CONF_TYPE_LABELS] = &CONF_ROW_LABELS,
    [CONF_TYPE_SHARES] = &CONF_ROW_SHARES,
    [CONF_TYPE_LATENCIES] = &CONF_ROW_LATENCIES,
    [CONF_TYPE_PORTIONS] = &CONF_ROW_PORTIONS,
    [CONF_TYPE_MAP] = &ROW_MAP,
    [CONF_TYPE_LIST] = &ROW_LIST,
};

static size_t item_size(ConfType type)
{
    switch (type) {
    case CONF_TYPE_PREFIXES:
        return sizeof(IpPrefix);
    case CONF_TYPE_DOMAINS:
    case CONF_TYPE_LABELS:
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
    if (wrong == CONF_NO_MEMORY)
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
                                : TYPES[option->type]->read(walk->arena, option, child, at);
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
                  TYPES[option->type]->read(walk->arena, option, node, ret_value));
}

void conf_value_allowed(const ConfOption *option, Buf *text)
{
    TYPES[option->type]->allowed(option, text);
}

void conf_value_format(const ConfOption *option, const void *value, Buf *text)
{
    TYPES[option->type]->format(option, value, text);
}

const char *conf_value_type_name(ConfType type)
{
    return TYPES[type]->name;
}
