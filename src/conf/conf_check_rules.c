// SPDX-License-Identifier: MIT
// conf_check_rules: checks of routes, orders of numbers, money, and the warnings. See
// conf_check_parts.h.
#include "conf_check_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void conf_check_routes(const ConfCheck *check)
{
    const ConfRawService *services = check->raw->services.items;
    for (uint32_t i = 0; i < check->raw->services.n; i++) {
        const ConfRawRoute *routes = services[i].routes.items;
        const TreeNode *list = conf_item_place(check, "services", i, "routes");
        for (uint32_t j = 0; j < services[i].routes.n; j++) {
            const TreeNode *map = conf_tree_at(list, j), *node = conf_tree_get(map, "cache");
            char key[300];
            (void)snprintf(key, sizeof key, "services.%s.routes[%s].cache", services[i].name,
                           routes[j].path);
            conf_check_reference(check, node != NULL ? node : map, key, routes[j].cache,
                                 &check->raw->cache_rules, sizeof(ConfRawCacheRule), "cache rule");
        }
    }
}

// The earlier route with the same path, in any service; its service's name, or NULL.
static const char *route_before(const ConfRaw *raw, uint32_t service, uint32_t route)
{
    const ConfRawService *services = raw->services.items;
    const char *path = ((const ConfRawRoute *)services[service].routes.items)[route].path;
    for (uint32_t i = 0; i <= service; i++) {
        const ConfRawRoute *routes = services[i].routes.items;
        uint32_t end = i < service ? services[i].routes.n : route;
        for (uint32_t j = 0; j < end; j++) {
            if (strcmp(routes[j].path, path) == 0)
                return services[i].name;
        }
    }
    return NULL;
}

void conf_check_unique_routes(const ConfCheck *check)
{
    const ConfRawService *services = check->raw->services.items;
    for (uint32_t i = 0; i < check->raw->services.n; i++) {
        const ConfRawRoute *routes = services[i].routes.items;
        for (uint32_t j = 0; j < services[i].routes.n; j++) {
            const char *other = route_before(check->raw, i, j);
            if (other == NULL)
                continue;
            const TreeNode *map = conf_tree_at(conf_item_place(check, "services", i, "routes"), j);
            const TreeNode *node = conf_tree_get(map, "path");
            conf_report_error(check->report, node->line, node->column,
                              "key 'services.%s.routes[%s].path': value '%s': already a route of "
                              "'%s'; allowed: each path once",
                              services[i].name, routes[j].path, routes[j].path, other);
        }
    }
}

void conf_check_cache_rules(const ConfCheck *check)
{
    const ConfRawCacheRule *rules = check->raw->cache_rules.items;
    const TreeNode *list = conf_place(check, "edge", "cache_rules");
    for (uint32_t i = 1; i < check->raw->cache_rules.n; i++) {
        uint32_t j = 0;
        while (strcmp(rules[j].name, rules[i].name) != 0)
            j++;
        if (j == i)
            continue;
        const TreeNode *node = conf_tree_get(conf_tree_at(list, i), "name");
        conf_report_error(
            check->report, node->line, node->column,
            "key 'edge.cache_rules[%u].name': value '%s': already the name of a rule; "
            "allowed: a name of its own",
            i, rules[i].name);
    }
}

// Two durations that must stand in an order.
typedef struct Order {
    const char *section, *low_key, *high_key;
    size_t low, high; // in ConfRaw
    bool equal;       // may be the same
} Order;

static const Order ORDERS[] = {
    {"health", "probe_fast", "probe_interval", offsetof(ConfRaw, health.probe_fast_ns),
     offsetof(ConfRaw, health.probe_interval_ns), true},
    {"health", "deadline_min", "deadline_max", offsetof(ConfRaw, health.deadline_min_ns),
     offsetof(ConfRaw, health.deadline_max_ns), true},
    {"health", "deadline_max", "span_soft", offsetof(ConfRaw, health.deadline_max_ns),
     offsetof(ConfRaw, health.span_soft_ns), false},
    {"health", "span_hard", "span_soft", offsetof(ConfRaw, health.span_hard_ns),
     offsetof(ConfRaw, health.span_soft_ns), true},
    {"health", "deadline_max", "slow", offsetof(ConfRaw, health.deadline_max_ns),
     offsetof(ConfRaw, health.slow_ns), true},
    {"health", "hold", "hold_max", offsetof(ConfRaw, health.hold_ns),
     offsetof(ConfRaw, health.hold_max_ns), true},
    {"quorum", "report_push_gap", "report_interval", offsetof(ConfRaw, health.report_push_gap_ns),
     offsetof(ConfRaw, health.report_interval_ns), true},
    {"quorum", "report_interval", "fresh", offsetof(ConfRaw, health.report_interval_ns),
     offsetof(ConfRaw, health.fresh_ns), false},
    {"edge", "connect_timeout", "read_timeout", offsetof(ConfRaw, edge.connect_timeout_ns),
     offsetof(ConfRaw, edge.read_timeout_ns), true},
    {"edge", "eject", "eject_max", offsetof(ConfRaw, pick.eject_ns),
     offsetof(ConfRaw, pick.eject_max_ns), true},
    {"certificates", "renew_before", "lifetime", offsetof(ConfRaw, renew_before_ns),
     offsetof(ConfRaw, certificate_lifetime_ns), false},
    {"dns", "negative_ttl", "ttl", offsetof(ConfRaw, dns.negative_ttl_ns),
     offsetof(ConfRaw, dns.ttl_ns), true},
    {"objectives", "failover", "rto", offsetof(ConfRaw, objectives.failover_ns),
     offsetof(ConfRaw, objectives.rto_ns), true},
};

static int64_t duration_at(const ConfRaw *raw, size_t offset)
{
    int64_t ns;
    memcpy(&ns, (const char *)raw + offset, sizeof ns);
    return ns;
}

void conf_check_orders(const ConfCheck *check)
{
    for (size_t i = 0; i < ARRAY_SIZE(ORDERS); i++) {
        const Order *order = &ORDERS[i];
        int64_t low = duration_at(check->raw, order->low);
        int64_t high = duration_at(check->raw, order->high);
        if (low < high || (order->equal && low == high))
            continue;
        const TreeNode *node = conf_place(check, order->section, order->low_key);
        Buf low_text = BUF_INIT(0), high_text = BUF_INIT(0);
        conf_report_error(check->report, node->line, node->column,
                          "key '%s.%s': value '%s': %s '%s.%s'; allowed: %s %s", order->section,
                          order->low_key, conf_shown_duration(low, &low_text),
                          order->equal ? "above" : "not below", order->section, order->high_key,
                          order->equal ? "at most" : "less than",
                          conf_shown_duration(high, &high_text));
        conf_report_buf_done(check->report, &low_text);
        conf_report_buf_done(check->report, &high_text);
    }
}

void conf_check_return_steps(const ConfCheck *check)
{
    const uint32_t *steps = check->raw->return_steps.items;
    uint32_t n = check->raw->return_steps.n;
    bool rising = n > 0 && steps[n - 1] == PPM_ONE;
    for (uint32_t i = 1; i < n; i++)
        rising &= steps[i] > steps[i - 1];
    if (rising)
        return;
    const TreeNode *node = conf_place(check, "health", "return_steps");
    conf_report_error(check->report, node->line, node->column,
                      "key 'health.return_steps': value '[...]': not rising to 100 %%; allowed: "
                      "shares that rise, the last one 100 %%");
}

void conf_check_canary_steps(const ConfCheck *check)
{
    const ConfRawCanaryStep *steps = check->raw->rollouts.canary.items;
    const TreeNode *list = conf_place(check, "rollouts", "canary");
    for (uint32_t i = 1; i < check->raw->rollouts.canary.n; i++) {
        if (steps[i].weight_ppm > steps[i - 1].weight_ppm)
            continue;
        const TreeNode *node = conf_tree_get(conf_tree_at(list, i), "weight");
        Buf value = BUF_INIT(0), before = BUF_INIT(0);
        conf_report_error(
            check->report, node->line, node->column,
            "key 'rollouts.canary[%u].weight': value '%s': not above the step before; "
            "allowed: more than %s",
            i, conf_shown_share(steps[i].weight_ppm, &value),
            conf_shown_share(steps[i - 1].weight_ppm, &before));
        conf_report_buf_done(check->report, &value);
        conf_report_buf_done(check->report, &before);
    }
}

void conf_check_scaling(const ConfCheck *check)
{
    const ConfRawScaling *scaling = &check->raw->scaling;
    if (scaling->min <= scaling->max)
        return;
    const TreeNode *node = conf_place(check, "scaling", "min");
    conf_report_error(check->report, node->line, node->column,
                      "key 'scaling.min': value '%u': above 'scaling.max'; allowed: at most %u",
                      scaling->min, scaling->max);
}

void conf_check_budget_shares(const ConfCheck *check)
{
    const ConfNamedNumber *shares = check->raw->budget_shares.items;
    const ConfRawCloud *clouds = check->raw->clouds.items;
    const TreeNode *map = conf_place(check, "budgets", "shares");
    int64_t sum = 0;
    for (uint32_t i = 0; i < check->raw->budget_shares.n; i++) {
        const TreeNode *node = conf_tree_at(map, i);
        const TreeNode at = {.line = node->key_line, .column = node->key_column};
        conf_check_reference(check, &at, "budgets.shares", shares[i].name, &check->raw->clouds,
                             sizeof(ConfRawCloud), "cloud");
        sum += shares[i].value;
    }
    for (uint32_t i = 0; i < check->raw->clouds.n; i++) {
        if (!conf_has_name(&check->raw->budget_shares, sizeof(ConfNamedNumber), clouds[i].name))
            conf_report_error(check->report, map->line, map->column,
                              "key 'budgets.shares.%s': missing; allowed: a share for each cloud",
                              clouds[i].name);
    }
    if (sum == PPM_ONE)
        return;
    Buf text = BUF_INIT(0);
    conf_report_error(check->report, map->line, map->column,
                      "key 'budgets.shares': all clouds together have '%s'; allowed: 100 %%",
                      conf_shown_share(sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX, &text));
    conf_report_buf_done(check->report, &text);
}

void conf_check_prices(const ConfCheck *check)
{
    const ConfRawPrice *prices = check->raw->prices.items;
    for (uint32_t i = 0; i < check->raw->prices.n; i++) {
        const TreeNode *node = conf_item_place(check, "prices", i, "cloud");
        char key[100];
        (void)snprintf(key, sizeof key, "prices.%s.cloud", prices[i].cloud);
        conf_check_reference(check, node, key, prices[i].cloud, &check->raw->clouds,
                             sizeof(ConfRawCloud), "cloud");
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(prices[j].cloud, prices[i].cloud) != 0)
                continue;
            conf_report_error(check->report, node->line, node->column,
                              "key 'prices[%u].cloud': value '%s': has a price already; allowed: "
                              "each cloud once",
                              i, prices[i].cloud);
            break;
        }
        if (strcmp(prices[i].egress.currency, check->raw->budget.currency) == 0)
            continue;
        node = conf_item_place(check, "prices", i, "egress");
        conf_report_error(
            check->report, node->line, node->column,
            "key 'prices.%s.egress': value '%s %s': another currency than the budget; "
            "allowed: %s",
            prices[i].cloud, prices[i].egress.amount, prices[i].egress.currency,
            check->raw->budget.currency);
    }
}

void conf_check_dns_ttl(const ConfCheck *check)
{
    if (check->raw->dns.ttl_ns < check->raw->objectives.failover_ns)
        return;
    const TreeNode *node = conf_place(check, "dns", "ttl");
    Buf ttl = BUF_INIT(0), limit = BUF_INIT(0);
    conf_report_error(check->report, node->line, node->column,
                      "key 'dns.ttl': value '%s': not below 'objectives.failover'; allowed: less "
                      "than %s",
                      conf_shown_duration(check->raw->dns.ttl_ns, &ttl),
                      conf_shown_duration(check->raw->objectives.failover_ns, &limit));
    conf_report_buf_done(check->report, &ttl);
    conf_report_buf_done(check->report, &limit);
}

void conf_check_lags(const ConfCheck *check)
{
    static const char *const SECTIONS[] = {"rows", "objects"};
    const int64_t lags[] = {check->raw->rows.max_lag_ns, check->raw->objects_max_lag_ns};
    for (size_t i = 0; i < ARRAY_SIZE(lags); i++) {
        if (lags[i] <= check->raw->objectives.rpo_ns)
            continue;
        const TreeNode *node = conf_place(check, SECTIONS[i], "max_lag");
        Buf lag = BUF_INIT(0), limit = BUF_INIT(0);
        conf_report_error(
            check->report, node->line, node->column,
            "key '%s.max_lag': value '%s': above 'objectives.rpo'; allowed: at most %s",
            SECTIONS[i], conf_shown_duration(lags[i], &lag),
            conf_shown_duration(check->raw->objectives.rpo_ns, &limit));
        conf_report_buf_done(check->report, &lag);
        conf_report_buf_done(check->report, &limit);
    }
}

// Plain names only, so that a name is the same table however it is written; each once.
static bool is_table_name(const char *name)
{
    unsigned dots = 0;
    bool begins = true;
    for (; *name != '\0'; name++) {
        bool letter = (*name >= 'a' && *name <= 'z') || *name == '_';
        bool digit = *name >= '0' && *name <= '9';
        if (*name == '.' && !begins && dots++ == 0)
            begins = true;
        else if (letter || (digit && !begins))
            begins = false;
        else
            return false;
    }
    return !begins;
}

static const char *table_of(const char *name)
{
    return strncmp(name, "public.", 7) == 0 ? name + 7 : name;
}

void conf_check_rows_tables(const ConfCheck *check)
{
    const ConfRawRowsTable *tables = check->raw->rows_tables.items;
    const TreeNode *node = conf_place(check, "rows", "tables");
    for (uint32_t i = 0; i < check->raw->rows_tables.n; i++) {
        const char *name = table_of(tables[i].name), *wrong = NULL;
        if (!is_table_name(tables[i].name))
            wrong = "not a table's name; allowed: NAME or SCHEMA.NAME of a-z, 0-9 and '_'";
        else if (strcmp(name, "detections") == 0)
            wrong = "federated anyway; allowed: other tables";
        for (uint32_t j = 0; wrong == NULL && j < i; j++)
            if (strcmp(table_of(tables[j].name), name) == 0)
                wrong = "already in the list; allowed: each table once";
        if (wrong != NULL)
            conf_report_error(check->report, node->line, node->column,
                              "key 'rows.tables[%u].name': value '%s': %s", i, tables[i].name,
                              wrong);
    }
}

// Warnings: the fleet runs, but not as well as it should
// --------------------------------------------

void conf_warn_quorum(const ConfCheck *check)
{
    const ConfRawRegion *regions = check->raw->regions.items;
    bool two = false;
    for (uint32_t i = 1; i < check->raw->regions.n; i++)
        two |= strcmp(regions[i].cloud, regions[0].cloud) != 0;
    const TreeNode *node = conf_tree_get(check->root, "regions");
    if (!two)
        conf_report_warning(check->report, node->key_line, node->key_column,
                            "key 'regions': all in one cloud: no gateway can ever be held down, a "
                            "verdict needs votes from two clouds");
    else if (check->raw->regions.n < 4)
        conf_report_warning(
            check->report, node->key_line, node->key_column,
            "key 'regions': only %u: one region that is lost or sick can block every "
            "verdict; four or more are advised",
            check->raw->regions.n);
}

void conf_warn_capacity(const ConfCheck *check)
{
    const ConfRawCloud *clouds = check->raw->clouds.items;
    const ConfRawRegion *regions = check->raw->regions.items;
    for (uint32_t i = 0; i < check->raw->clouds.n; i++) {
        uint64_t left = 0;
        for (uint32_t j = 0; j < check->raw->regions.n; j++) {
            if (strcmp(regions[j].cloud, clouds[i].name) != 0)
                left += regions[j].capacity_rps;
        }
        if (left >= check->raw->peak_load_rps)
            continue;
        const TreeNode *node = conf_item_place(check, "clouds", i, "name");
        conf_report_warning(check->report, node->line, node->column,
                            "key 'clouds.%s': when it is lost the other regions can carry %" PRIu64
                            " requests/s, 'fleet.peak_load' is %u; advised: more capacity",
                            clouds[i].name, left, check->raw->peak_load_rps);
    }
}

void conf_warn_empty_clouds(const ConfCheck *check)
{
    const ConfRawCloud *clouds = check->raw->clouds.items;
    const ConfRawRegion *regions = check->raw->regions.items;
    for (uint32_t i = 0; i < check->raw->clouds.n; i++) {
        uint32_t n = 0;
        for (uint32_t j = 0; j < check->raw->regions.n; j++)
            n += strcmp(regions[j].cloud, clouds[i].name) == 0;
        if (n > 0)
            continue;
        const TreeNode *node = conf_item_place(check, "clouds", i, "name");
        conf_report_warning(check->report, node->line, node->column,
                            "key 'clouds.%s': no region is in it", clouds[i].name);
    }
}
