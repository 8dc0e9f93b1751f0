// SPDX-License-Identifier: MIT
// conf_walk: see conf_walk.h. The recursion is as deep as the table, not as the file.
#include "conf_walk.h"

#include <string.h>

#include "conf_value.h"

static int walk_map(ConfWalk *walk, const ConfSection *section, const TreeNode *node, void *to);

void conf_walk_refuse(ConfWalk *walk, const ConfOption *option, const TreeNode *node,
                      const char *what)
{
    if (conf_report_is_full(walk->report))
        return;
    char shown[80];
    Buf allowed = BUF_INIT(0);
    conf_value_allowed(option, &allowed);
    conf_report_error(walk->report, node->line, node->column,
                      "key '%s': value '%s': %s; allowed: %s", buf_text(&walk->path),
                      conf_tree_show(node, shown), what, buf_text(&allowed));
    conf_report_buf_done(walk->report, &allowed);
}

size_t conf_walk_push(ConfWalk *walk, const char *key)
{
    size_t before = walk->path.len;
    buf_printf(&walk->path, "%s%s", before > 0 ? "." : "", key);
    return before;
}

void conf_walk_pop(ConfWalk *walk, size_t before)
{
    if (walk->path.failed)
        return; // sticky, ends the walk
    walk->path.len = before;
    walk->path.data[before] = '\0';
}

static const ConfOption *find_option(const ConfSection *section, const char *key)
{
    for (size_t i = 0; i < section->n; i++) {
        if (strcmp(section->options[i].key, key) == 0)
            return &section->options[i];
    }
    return NULL;
}

// At most one letter more, less or other: enough for typing errors.
static bool is_close(const char *a, const char *b)
{
    size_t same = 0;
    while (a[same] != '\0' && a[same] == b[same])
        same++;
    const char *rest_a = a + same, *rest_b = b + same;
    if (*rest_a == '\0' || *rest_b == '\0')
        return strlen(rest_a) + strlen(rest_b) <= 1;
    return strcmp(rest_a + 1, rest_b) == 0 || strcmp(rest_a, rest_b + 1) == 0 ||
           strcmp(rest_a + 1, rest_b + 1) == 0 ||
           (rest_a[0] == rest_b[1] && rest_a[1] == rest_b[0] &&
            strcmp(rest_a + 2, rest_b + 2) == 0);
}

static void refuse_unknown(ConfWalk *walk, const ConfSection *section, const TreeNode *child)
{
    if (conf_report_is_full(walk->report))
        return;
    char shown[80];
    Buf keys = BUF_INIT(0);
    const char *close = NULL;
    for (size_t i = 0; i < section->n; i++) {
        buf_printf(&keys, "%s%s", i > 0 ? ", " : "", section->options[i].key);
        if (is_close(child->key, section->options[i].key))
            close = section->options[i].key;
    }
    const TreeNode key = {.kind = TREE_SCALAR, .text = child->key};
    size_t before = conf_walk_push(walk, conf_tree_show(&key, shown));
    conf_report_error(walk->report, child->key_line, child->key_column,
                      "key '%s': unknown key%s%s%s; allowed: %s", buf_text(&walk->path),
                      close != NULL ? ", did you mean '" : "", close != NULL ? close : "",
                      close != NULL ? "'" : "", buf_text(&keys));
    conf_walk_pop(walk, before);
    conf_report_buf_done(walk->report, &keys);
}

static void refuse_duplicate(ConfWalk *walk, const TreeNode *child, const TreeNode *first)
{
    if (conf_report_is_full(walk->report))
        return;
    size_t before = conf_walk_push(walk, child->key);
    conf_report_error(walk->report, child->key_line, child->key_column,
                      "key '%s': given twice, first at line %zu; allowed: once",
                      buf_text(&walk->path), first->key_line);
    conf_walk_pop(walk, before);
}

// An item goes by its name or path, which may be wrong itself, else by its position.
static size_t push_item(ConfWalk *walk, const ConfSection *section, const TreeNode *item,
                        uint32_t index)
{
    const TreeNode *name = conf_tree_get(item, section->options[0].key);
    size_t before = walk->path.len;
    char shown[80];
    bool named = name != NULL && name->kind == TREE_SCALAR && name->text[0] != '\0';
    if (named && section->options[0].type == CONF_TYPE_LABEL)
        buf_printf(&walk->path, ".%s", conf_tree_show(name, shown));
    else if (named && section->options[0].type == CONF_TYPE_PATH)
        buf_printf(&walk->path, "[%s]", conf_tree_show(name, shown));
    else
        buf_printf(&walk->path, "[%u]", index);
    return before;
}

static int walk_list(ConfWalk *walk, const ConfOption *option, const TreeNode *node, ConfList *to)
{
    if (node->kind != TREE_LIST || node->n < option->min || node->n > option->max) {
        conf_walk_refuse(walk, option, node,
                         node->kind != TREE_LIST ? "not a list"
                         : node->n < option->min ? "too few entries"
                                                 : "too many entries");
        return 0;
    }
    char *items = arena_alloc_array(walk->arena, node->n > 0 ? node->n : 1, option->child->size);
    if (items == NULL)
        return ERROR_MEMORY;
    uint32_t i = 0;
    for (const TreeNode *child = node->first; child != NULL; child = child->next, i++) {
        size_t before = push_item(walk, option->child, child, i);
        char shown[80];
        int r = 0;
        if (child->kind != TREE_MAP)
            conf_report_error(walk->report, child->line, child->column,
                              "key '%s': value '%s': not a map; allowed: a map of this list's keys",
                              buf_text(&walk->path), conf_tree_show(child, shown));
        else
            r = walk_map(walk, option->child, child, items + i * option->child->size);
        if (r < 0)
            return r;
        conf_walk_pop(walk, before);
    }
    *to = (ConfList){.items = items, .n = node->n};
    return 0;
}

static int walk_value(ConfWalk *walk, const ConfOption *option, const TreeNode *node, void *base)
{
    void *to = (char *)base + option->offset;
    if (option->type == CONF_TYPE_LIST)
        return walk_list(walk, option, node, to);
    if (option->type != CONF_TYPE_MAP)
        return conf_value_parse(walk, option, node, to);
    if (node->kind == TREE_MAP)
        return walk_map(walk, option->child, node, base);
    bool empty = node->kind == TREE_SCALAR && node->text[0] == '\0';
    conf_walk_refuse(walk, option, node, empty ? "empty" : "not a map");
    return 0;
}

// The default, read exactly as if it stood in the file, at the place of the map that lacks it.
static int walk_default(ConfWalk *walk, const ConfOption *option, const TreeNode *map, void *base)
{
    if (option->type == CONF_TYPE_MAP) {
        const TreeNode empty = {.kind = TREE_MAP, .line = map->line, .column = map->column};
        return walk_map(walk, option->child, &empty, base);
    }
    if (option->fallback == NULL) {
        Buf allowed = BUF_INIT(0);
        conf_value_allowed(option, &allowed);
        conf_report_error(walk->report, map->line, map->column, "key '%s': missing; allowed: %s",
                          buf_text(&walk->path), buf_text(&allowed));
        conf_report_buf_done(walk->report, &allowed);
        return 0;
    }
    if (option->fallback[0] == '\0')
        return 0; // nothing given is a value of its own
    const TreeNode scalar = {
        .kind = TREE_SCALAR, .text = option->fallback, .line = map->line, .column = map->column};
    const TreeNode *node = &scalar;
    if (strchr("[{", option->fallback[0]) != NULL) {
        int r = conf_tree_parse(option->fallback, strlen(option->fallback), walk->arena,
                                walk->report, &node);
        if (r < 0)
            return r;
    }
    return walk_value(walk, option, node, base);
}

static int walk_map(ConfWalk *walk, const ConfSection *section, const TreeNode *node, void *to)
{
    const TreeNode *given[64] = {NULL};
    ASSERT(section->n <= ARRAY_SIZE(given));
    for (const TreeNode *child = node->first; child != NULL; child = child->next) {
        const ConfOption *option = find_option(section, child->key);
        if (option == NULL) {
            refuse_unknown(walk, section, child);
            continue;
        }
        const TreeNode **first = &given[option - section->options];
        if (*first != NULL) {
            refuse_duplicate(walk, child, *first);
            continue;
        }
        *first = child;
    }
    for (size_t i = 0; i < section->n; i++) {
        const ConfOption *option = &section->options[i];
        size_t before = conf_walk_push(walk, option->key);
        if (walk->path.failed)
            return buf_check(&walk->path);
        int r = given[i] != NULL ? walk_value(walk, option, given[i], to)
                                 : walk_default(walk, option, node, to);
        if (r < 0)
            return r;
        conf_walk_pop(walk, before);
    }
    return 0;
}

int conf_walk_section(const ConfSection *section, const TreeNode *root, Arena *arena,
                      ConfReport *report, void *ret_values)
{
    ConfWalk walk = {.arena = arena, .report = report, .path = BUF_INIT(0)};
    int r = 0;
    if (root->kind == TREE_MAP)
        r = walk_map(&walk, section, root, ret_values);
    else
        conf_report_error(report, root->line, root->column,
                          "the file is not a map; allowed: a map of sections");
    buf_done(&walk.path);
    return r;
}

int conf_walk(const TreeNode *root, Arena *arena, ConfReport *report, ConfRaw *ret_raw)
{
    return conf_walk_section(&CONF_ROOT, root, arena, report, ret_raw);
}
