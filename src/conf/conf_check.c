// SPDX-License-Identifier: MIT
// conf_check: see conf_check.h. Each check is a named function in CHECKS at the end; a check that
// finds something says it and goes on. Here stand what they share and the check of names.
#include "conf_check.h"

#include <string.h>

#include "conf_check_parts.h"
#include "conf_value.h"

#define NAMES_SHOWN_MAX 1000 // characters of a list of names

// Where a value stands, or the nearest thing around it that stands in the file.
const TreeNode *conf_place(const ConfCheck *check, const char *section, const char *key)
{
    const TreeNode *around = conf_tree_get(check->root, section);
    const TreeNode *node = conf_tree_get(around, key);
    return node != NULL ? node : around != NULL ? around : check->root;
}

const TreeNode *conf_item_place(const ConfCheck *check, const char *section, uint32_t index,
                                const char *key)
{
    const TreeNode *around = conf_tree_at(conf_tree_get(check->root, section), index);
    const TreeNode *node = conf_tree_get(around, key);
    return node != NULL ? node : around != NULL ? around : check->root;
}

// The value as the file would write it.
const char *conf_shown_duration(int64_t ns, Buf *text)
{
    static const ConfOption DURATION = {.type = CONF_TYPE_DURATION};
    buf_clear(text);
    conf_value_format(&DURATION, &ns, text);
    return buf_text(text);
}

const char *conf_shown_share(uint32_t ppm, Buf *text)
{
    static const ConfOption SHARE = {.type = CONF_TYPE_SHARE};
    buf_clear(text);
    conf_value_format(&SHARE, &ppm, text);
    return buf_text(text);
}

// Names of a list of maps, each struct beginning with its name.
typedef struct Names {
    const char *section;
    size_t list; // in ConfRaw
    size_t size; // of a struct
} Names;

static const Names NAMES[] = {
    {"clients", offsetof(ConfRaw, clients), sizeof(ConfRawGroup)},
    {"clouds", offsetof(ConfRaw, clouds), sizeof(ConfRawCloud)},
    {"regions", offsetof(ConfRaw, regions), sizeof(ConfRawRegion)},
    {"services", offsetof(ConfRaw, services), sizeof(ConfRawService)},
};

static const char *name_at(const ConfList *list, size_t size, uint32_t index)
{
    const char *name;
    memcpy(&name, (const char *)list->items + index * size, sizeof name);
    return name;
}

static void check_unique_names(const ConfCheck *check)
{
    for (size_t i = 0; i < ARRAY_SIZE(NAMES); i++) {
        const Names *names = &NAMES[i];
        const ConfList *list =
            (const ConfList *)(const void *)((const char *)check->raw + names->list);
        for (uint32_t j = 1; j < list->n; j++) {
            const char *name = name_at(list, names->size, j);
            uint32_t k = 0;
            while (strcmp(name_at(list, names->size, k), name) != 0)
                k++;
            if (k == j)
                continue;
            const TreeNode *node = conf_item_place(check, names->section, j, "name");
            const TreeNode *first = conf_item_place(check, names->section, k, "name");
            conf_report_error(check->report, node->line, node->column,
                              "key '%s[%u].name': value '%s': already the name at line %zu; "
                              "allowed: a name of its own",
                              names->section, j, name, first->line);
        }
    }
}

bool conf_has_name(const ConfList *list, size_t size, const char *name)
{
    for (uint32_t i = 0; i < list->n; i++) {
        if (strcmp(name_at(list, size, i), name) == 0)
            return true;
    }
    return false;
}

static void add_names(const ConfList *list, size_t size, Buf *text)
{
    for (uint32_t i = 0; i < list->n; i++) {
        if (text->len > NAMES_SHOWN_MAX) {
            buf_printf(text, ", ... (%u in all)", list->n);
            return;
        }
        buf_printf(text, "%s%s", i > 0 ? ", " : "", name_at(list, size, i));
    }
}

// A value that must be a name of a list.
void conf_check_reference(const ConfCheck *check, const TreeNode *node, const char *key,
                          const char *value, const ConfList *list, size_t size, const char *what)
{
    if (conf_has_name(list, size, value))
        return;
    Buf names = BUF_INIT(0);
    add_names(list, size, &names);
    conf_report_error(check->report, node->line, node->column,
                      "key '%s': value '%s': unknown %s; allowed: %s", key, value, what,
                      buf_text(&names));
    conf_report_buf_done(check->report, &names);
}

typedef void CheckFn(const ConfCheck *check);

static CheckFn *const CHECKS[] = {
    check_unique_names,        conf_check_region_clouds,
    conf_check_unique_origins, conf_check_unique_addresses,
    conf_check_unique_ports,   conf_check_databases,
    conf_check_stores,         conf_check_client_latencies,
    conf_check_client_demand,  conf_check_unique_prefixes,
    conf_check_coverage,       conf_check_routes,
    conf_check_unique_routes,  conf_check_cache_rules,
    conf_check_orders,         conf_check_return_steps,
    conf_check_canary_steps,   conf_check_scaling,
    conf_check_budget_shares,  conf_check_prices,
    conf_check_dns_ttl,        conf_check_lags,
    conf_check_rows_tables,    conf_warn_quorum,
    conf_warn_capacity,        conf_warn_empty_clouds,
};

void conf_check(const ConfRaw *raw, const SortedPrefixes *sorted, const TreeNode *root,
                ConfReport *report)
{
    const ConfCheck check = {.raw = raw, .sorted = sorted, .root = root, .report = report};
    for (size_t i = 0; i < ARRAY_SIZE(CHECKS); i++)
        CHECKS[i](&check);
}
