// SPDX-License-Identifier: MIT
// conf_check: see conf_check.h. Each check is a named function in CHECKS at the end; a check that
// finds something says it and goes on.
#include "conf_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "conf_value.h"

#define NAMES_SHOWN_MAX 1000 // characters of a list of names

typedef struct Check {
    const ConfRaw *raw;
    const SortedPrefixes *sorted;
    const TreeNode *root;
    ConfReport *report;
} Check;

// Where a value stands, or the nearest thing around it that stands in the file.
static const TreeNode *place(const Check *check, const char *section, const char *key)
{
    const TreeNode *around = conf_tree_get(check->root, section);
    const TreeNode *node = conf_tree_get(around, key);
    return node != NULL ? node : around != NULL ? around : check->root;
}

static const TreeNode *item_place(const Check *check, const char *section, uint32_t index,
                                  const char *key)
{
    const TreeNode *around = conf_tree_at(conf_tree_get(check->root, section), index);
    const TreeNode *node = conf_tree_get(around, key);
    return node != NULL ? node : around != NULL ? around : check->root;
}

// The value as the file would write it.
static const char *shown_duration(int64_t ns, Buf *text)
{
    static const ConfOption DURATION = {.type = CONF_TYPE_DURATION};
    buf_clear(text);
    conf_value_format(&DURATION, &ns, text);
    return buf_text(text);
}

static const char *shown_share(uint32_t ppm, Buf *text)
{
    static const ConfOption SHARE = {.type = CONF_TYPE_SHARE};
    buf_clear(text);
    conf_value_format(&SHARE, &ppm, text);
    return buf_text(text);
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

static void check_orders(const Check *check)
{
    for (size_t i = 0; i < ARRAY_SIZE(ORDERS); i++) {
        const Order *order = &ORDERS[i];
        int64_t low = duration_at(check->raw, order->low);
        int64_t high = duration_at(check->raw, order->high);
        if (low < high || (order->equal && low == high))
            continue;
        const TreeNode *node = place(check, order->section, order->low_key);
        Buf low_text = BUF_INIT(0), high_text = BUF_INIT(0);
        conf_report_error(check->report, node->line, node->column,
                          "key '%s.%s': value '%s': %s '%s.%s'; allowed: %s %s", order->section,
                          order->low_key, shown_duration(low, &low_text),
                          order->equal ? "above" : "not below", order->section, order->high_key,
                          order->equal ? "at most" : "less than", shown_duration(high, &high_text));
        conf_report_buf_done(check->report, &low_text);
        conf_report_buf_done(check->report, &high_text);
    }
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

static void check_unique_names(const Check *check)
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
            const TreeNode *node = item_place(check, names->section, j, "name");
            const TreeNode *first = item_place(check, names->section, k, "name");
            conf_report_error(check->report, node->line, node->column,
                              "key '%s[%u].name': value '%s': already the name at line %zu; "
                              "allowed: a name of its own",
                              names->section, j, name, first->line);
        }
    }
}

static bool has_name(const ConfList *list, size_t size, const char *name)
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
static void check_reference(const Check *check, const TreeNode *node, const char *key,
                            const char *value, const ConfList *list, size_t size, const char *what)
{
    if (has_name(list, size, value))
        return;
    Buf names = BUF_INIT(0);
    add_names(list, size, &names);
    conf_report_error(check->report, node->line, node->column,
                      "key '%s': value '%s': unknown %s; allowed: %s", key, value, what,
                      buf_text(&names));
    conf_report_buf_done(check->report, &names);
}

static void check_region_clouds(const Check *check)
{
    const ConfRawRegion *regions = check->raw->regions.items;
    for (uint32_t i = 0; i < check->raw->regions.n; i++) {
        char key[100];
        (void)snprintf(key, sizeof key, "regions.%s.cloud", regions[i].name);
        check_reference(check, item_place(check, "regions", i, "cloud"), key, regions[i].cloud,
                        &check->raw->clouds, sizeof(ConfRawCloud), "cloud");
    }
}

static void check_unique_origins(const Check *check)
{
    const ConfRawRegion *regions = check->raw->regions.items;
    for (uint32_t i = 1; i < check->raw->regions.n; i++) {
        uint32_t j = 0;
        while (regions[j].origin != regions[i].origin)
            j++;
        if (j == i)
            continue;
        const TreeNode *node = item_place(check, "regions", i, "origin");
        conf_report_error(check->report, node->line, node->column,
                          "key 'regions.%s.origin': value '%u': already the origin of '%s'; "
                          "allowed: a number of its own, 1 to 255",
                          regions[i].name, regions[i].origin, regions[j].name);
    }
}

static const TreeNode *gateway_place(const Check *check, uint32_t region, const char *key)
{
    const TreeNode *gateway = item_place(check, "regions", region, "gateway");
    const TreeNode *node = conf_tree_get(gateway, key);
    return node != NULL ? node : gateway;
}

static void check_unique_addresses(const Check *check)
{
    const ConfRawRegion *regions = check->raw->regions.items;
    for (uint32_t i = 0; i < check->raw->regions.n; i++) {
        Ip mine, other;
        if (ip_parse(regions[i].address, &mine) < 0)
            continue;
        for (uint32_t j = 0; j < i; j++) {
            if (ip_parse(regions[j].address, &other) < 0 || memcmp(&mine, &other, sizeof mine) != 0)
                continue;
            const TreeNode *node = gateway_place(check, i, "address");
            conf_report_error(
                check->report, node->line, node->column,
                "key 'regions.%s.gateway.address': value '%s': already the address of "
                "'%s'; allowed: an address of its own",
                regions[i].name, regions[i].address, regions[j].name);
            break;
        }
    }
}

// The ports of one region differ: they listen on one address.
static void check_unique_ports(const Check *check)
{
    static const char *const KEYS[] = {"https", "http", "peer", "dns"};
    const ConfRawRegion *regions = check->raw->regions.items;
    for (uint32_t i = 0; i < check->raw->regions.n; i++) {
        const ConfRawRegion *region = &regions[i];
        const uint16_t ports[] = {region->https_port, region->http_port, region->peer_port,
                                  region->dns_port, region->database_port};
        for (uint32_t j = 1; j < ARRAY_SIZE(ports); j++) {
            uint32_t k = 0;
            while (ports[k] != ports[j])
                k++;
            if (k == j || (j == 4 && strcmp(region->database, "local") != 0))
                continue;
            const TreeNode *node = j < 4 ? gateway_place(check, i, KEYS[j])
                                         : item_place(check, "regions", i, "database_port");
            conf_report_error(
                check->report, node->line, node->column,
                "key 'regions.%s.%s%s': value '%u': already the port of 'gateway.%s'; "
                "allowed: a port of its own",
                region->name, j < 4 ? "gateway." : "", j < 4 ? KEYS[j] : "database_port", ports[j],
                KEYS[k]);
        }
    }
}

static void check_databases(const Check *check)
{
    const ConfRawRegion *regions = check->raw->regions.items;
    for (uint32_t i = 0; i < check->raw->regions.n; i++) {
        const char *text = regions[i].database;
        const char *scheme = strstr(text, "://");
        const char *at = scheme != NULL ? strchr(scheme + 3, '@') : NULL;
        bool secret = strstr(text, "password") != NULL ||
                      (at != NULL && memchr(scheme + 3, ':', (size_t)(at - scheme - 3)) != NULL);
        bool known = strcmp(text, "local") == 0 || strchr(text, '=') != NULL ||
                     strncmp(text, "postgresql://", 13) == 0 ||
                     strncmp(text, "postgres://", 11) == 0;
        if (known && !secret)
            continue;
        const TreeNode *node = item_place(check, "regions", i, "database");
        // A password is not repeated in the message.
        conf_report_error(check->report, node->line, node->column,
                          "key 'regions.%s.database': value '%s': %s; allowed: local, or a "
                          "connection string without password",
                          regions[i].name, secret ? "***" : text,
                          secret ? "holds a password" : "not a connection string");
    }
}

static void check_stores(const Check *check)
{
    static const char *const SCHEMES[] = {"s3://", "azure://", "gs://"};
    const ConfRawRegion *regions = check->raw->regions.items;
    for (uint32_t i = 0; i < check->raw->regions.n; i++) {
        bool known = strcmp(regions[i].store, "dir") == 0;
        for (size_t j = 0; j < ARRAY_SIZE(SCHEMES); j++) {
            size_t len = strlen(SCHEMES[j]);
            known |=
                strncmp(regions[i].store, SCHEMES[j], len) == 0 && regions[i].store[len] != '\0';
        }
        if (known)
            continue;
        const TreeNode *node = item_place(check, "regions", i, "store");
        conf_report_error(check->report, node->line, node->column,
                          "key 'regions.%s.store': value '%s': not a store; allowed: dir, "
                          "s3://BUCKET, azure://ACCOUNT/CONTAINER, gs://BUCKET",
                          regions[i].name, regions[i].store);
    }
}

static void check_client_latencies(const Check *check)
{
    const ConfRawGroup *groups = check->raw->clients.items;
    for (uint32_t i = 0; i < check->raw->clients.n; i++) {
        const ConfNamedNumber *items = groups[i].latency.items;
        const TreeNode *map = item_place(check, "clients", i, "latency");
        for (uint32_t j = 0; j < groups[i].latency.n; j++) {
            char key[200];
            (void)snprintf(key, sizeof key, "clients.%s.latency", groups[i].name);
            const TreeNode *node = conf_tree_get(map, items[j].name);
            const TreeNode at = {.line = node != NULL ? node->key_line : map->line,
                                 .column = node != NULL ? node->key_column : map->column};
            check_reference(check, &at, key, items[j].name, &check->raw->regions,
                            sizeof(ConfRawRegion), "region");
        }
        if (!groups[i].location.given && groups[i].latency.n < check->raw->regions.n) {
            const TreeNode *node = item_place(check, "clients", i, "name");
            conf_report_error(
                check->report, node->line, node->column,
                "key 'clients.%s.location': missing; allowed: a location, or a latency "
                "for each of the %u regions",
                groups[i].name, check->raw->regions.n);
        }
    }
}

static void check_client_demand(const Check *check)
{
    const ConfRawGroup *groups = check->raw->clients.items;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < check->raw->clients.n; i++)
        sum += groups[i].demand_ppm;
    if (sum == PPM_ONE)
        return;
    const TreeNode *node = item_place(check, "clients", check->raw->clients.n - 1, "demand");
    Buf text = BUF_INIT(0);
    conf_report_error(check->report, node->line, node->column,
                      "key 'clients.%s.demand': all groups together have '%s'; allowed: 100 %%",
                      groups[check->raw->clients.n - 1].name,
                      shown_share(sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX, &text));
    conf_report_buf_done(check->report, &text);
}

static void check_unique_prefixes(const Check *check)
{
    const ConfRawGroup *groups = check->raw->clients.items;
    for (uint32_t i = 1; i < check->sorted->n; i++) {
        const SortedPrefix *before = &check->sorted->items[i - 1], *item = &check->sorted->items[i];
        if (memcmp(&before->prefix.ip, &item->prefix.ip, sizeof item->prefix.ip) != 0 ||
            before->prefix.bits != item->prefix.bits)
            continue;
        const TreeNode *list = item_place(check, "clients", item->group, "prefixes");
        const TreeNode *node = conf_tree_at(list, item->index);
        char text[IP_TEXT_MAX];
        conf_report_error(check->report, node->line, node->column,
                          "key 'clients.%s.prefixes': value '%s': already a prefix of '%s'; "
                          "allowed: each prefix once",
                          groups[item->group].name, ip_prefix_format(&item->prefix, text),
                          groups[before->group].name);
    }
}

static void check_coverage(const Check *check)
{
    for (int v4 = 0; v4 <= 1; v4++) {
        Ip gap;
        if (!conf_prefixes_gap(check->sorted, v4 == 1, &gap))
            continue;
        const TreeNode *node = conf_tree_get(check->root, "clients");
        char text[IP_TEXT_MAX];
        conf_report_error(
            check->report, node->key_line, node->key_column,
            "key 'clients': no group has a prefix with %s; allowed: groups that cover "
            "all of %s, for example one with %s",
            ip_format(&gap, text), v4 == 1 ? "IPv4" : "IPv6", v4 == 1 ? "0.0.0.0/0" : "::/0");
    }
}

static void check_routes(const Check *check)
{
    const ConfRawService *services = check->raw->services.items;
    for (uint32_t i = 0; i < check->raw->services.n; i++) {
        const ConfRawRoute *routes = services[i].routes.items;
        const TreeNode *list = item_place(check, "services", i, "routes");
        for (uint32_t j = 0; j < services[i].routes.n; j++) {
            const TreeNode *map = conf_tree_at(list, j), *node = conf_tree_get(map, "cache");
            char key[300];
            (void)snprintf(key, sizeof key, "services.%s.routes[%s].cache", services[i].name,
                           routes[j].path);
            check_reference(check, node != NULL ? node : map, key, routes[j].cache,
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

static void check_unique_routes(const Check *check)
{
    const ConfRawService *services = check->raw->services.items;
    for (uint32_t i = 0; i < check->raw->services.n; i++) {
        const ConfRawRoute *routes = services[i].routes.items;
        for (uint32_t j = 0; j < services[i].routes.n; j++) {
            const char *other = route_before(check->raw, i, j);
            if (other == NULL)
                continue;
            const TreeNode *map = conf_tree_at(item_place(check, "services", i, "routes"), j);
            const TreeNode *node = conf_tree_get(map, "path");
            conf_report_error(check->report, node->line, node->column,
                              "key 'services.%s.routes[%s].path': value '%s': already a route of "
                              "'%s'; allowed: each path once",
                              services[i].name, routes[j].path, routes[j].path, other);
        }
    }
}

static void check_cache_rules(const Check *check)
{
    const ConfRawCacheRule *rules = check->raw->cache_rules.items;
    const TreeNode *list = place(check, "edge", "cache_rules");
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

static void check_return_steps(const Check *check)
{
    const uint32_t *steps = check->raw->return_steps.items;
    uint32_t n = check->raw->return_steps.n;
    bool rising = n > 0 && steps[n - 1] == PPM_ONE;
    for (uint32_t i = 1; i < n; i++)
        rising &= steps[i] > steps[i - 1];
    if (rising)
        return;
    const TreeNode *node = place(check, "health", "return_steps");
    conf_report_error(check->report, node->line, node->column,
                      "key 'health.return_steps': value '[...]': not rising to 100 %%; allowed: "
                      "shares that rise, the last one 100 %%");
}

static void check_canary_steps(const Check *check)
{
    const ConfRawCanaryStep *steps = check->raw->rollouts.canary.items;
    const TreeNode *list = place(check, "rollouts", "canary");
    for (uint32_t i = 1; i < check->raw->rollouts.canary.n; i++) {
        if (steps[i].weight_ppm > steps[i - 1].weight_ppm)
            continue;
        const TreeNode *node = conf_tree_get(conf_tree_at(list, i), "weight");
        Buf value = BUF_INIT(0), before = BUF_INIT(0);
        conf_report_error(
            check->report, node->line, node->column,
            "key 'rollouts.canary[%u].weight': value '%s': not above the step before; "
            "allowed: more than %s",
            i, shown_share(steps[i].weight_ppm, &value),
            shown_share(steps[i - 1].weight_ppm, &before));
        conf_report_buf_done(check->report, &value);
        conf_report_buf_done(check->report, &before);
    }
}

static void check_scaling(const Check *check)
{
    const ConfRawScaling *scaling = &check->raw->scaling;
    if (scaling->min <= scaling->max)
        return;
    const TreeNode *node = place(check, "scaling", "min");
    conf_report_error(check->report, node->line, node->column,
                      "key 'scaling.min': value '%u': above 'scaling.max'; allowed: at most %u",
                      scaling->min, scaling->max);
}

static void check_budget_shares(const Check *check)
{
    const ConfNamedNumber *shares = check->raw->budget_shares.items;
    const ConfRawCloud *clouds = check->raw->clouds.items;
    const TreeNode *map = place(check, "budgets", "shares");
    int64_t sum = 0;
    for (uint32_t i = 0; i < check->raw->budget_shares.n; i++) {
        const TreeNode *node = conf_tree_at(map, i);
        const TreeNode at = {.line = node->key_line, .column = node->key_column};
        check_reference(check, &at, "budgets.shares", shares[i].name, &check->raw->clouds,
                        sizeof(ConfRawCloud), "cloud");
        sum += shares[i].value;
    }
    for (uint32_t i = 0; i < check->raw->clouds.n; i++) {
        if (!has_name(&check->raw->budget_shares, sizeof(ConfNamedNumber), clouds[i].name))
            conf_report_error(check->report, map->line, map->column,
                              "key 'budgets.shares.%s': missing; allowed: a share for each cloud",
                              clouds[i].name);
    }
    if (sum == PPM_ONE)
        return;
    Buf text = BUF_INIT(0);
    conf_report_error(check->report, map->line, map->column,
                      "key 'budgets.shares': all clouds together have '%s'; allowed: 100 %%",
                      shown_share(sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX, &text));
    conf_report_buf_done(check->report, &text);
}

static void check_prices(const Check *check)
{
    const ConfRawPrice *prices = check->raw->prices.items;
    for (uint32_t i = 0; i < check->raw->prices.n; i++) {
        const TreeNode *node = item_place(check, "prices", i, "cloud");
        char key[100];
        (void)snprintf(key, sizeof key, "prices.%s.cloud", prices[i].cloud);
        check_reference(check, node, key, prices[i].cloud, &check->raw->clouds,
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
        node = item_place(check, "prices", i, "egress");
        conf_report_error(
            check->report, node->line, node->column,
            "key 'prices.%s.egress': value '%s %s': another currency than the budget; "
            "allowed: %s",
            prices[i].cloud, prices[i].egress.amount, prices[i].egress.currency,
            check->raw->budget.currency);
    }
}

static void check_dns_ttl(const Check *check)
{
    if (check->raw->dns.ttl_ns < check->raw->objectives.failover_ns)
        return;
    const TreeNode *node = place(check, "dns", "ttl");
    Buf ttl = BUF_INIT(0), limit = BUF_INIT(0);
    conf_report_error(check->report, node->line, node->column,
                      "key 'dns.ttl': value '%s': not below 'objectives.failover'; allowed: less "
                      "than %s",
                      shown_duration(check->raw->dns.ttl_ns, &ttl),
                      shown_duration(check->raw->objectives.failover_ns, &limit));
    conf_report_buf_done(check->report, &ttl);
    conf_report_buf_done(check->report, &limit);
}

static void check_lags(const Check *check)
{
    static const char *const SECTIONS[] = {"rows", "objects"};
    const int64_t lags[] = {check->raw->rows_max_lag_ns, check->raw->objects_max_lag_ns};
    for (size_t i = 0; i < ARRAY_SIZE(lags); i++) {
        if (lags[i] <= check->raw->objectives.rpo_ns)
            continue;
        const TreeNode *node = place(check, SECTIONS[i], "max_lag");
        Buf lag = BUF_INIT(0), limit = BUF_INIT(0);
        conf_report_error(
            check->report, node->line, node->column,
            "key '%s.max_lag': value '%s': above 'objectives.rpo'; allowed: at most %s",
            SECTIONS[i], shown_duration(lags[i], &lag),
            shown_duration(check->raw->objectives.rpo_ns, &limit));
        conf_report_buf_done(check->report, &lag);
        conf_report_buf_done(check->report, &limit);
    }
}

// Warnings: the fleet runs, but not as well as it should
// --------------------------------------------

static void warn_quorum(const Check *check)
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

static void warn_capacity(const Check *check)
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
        const TreeNode *node = item_place(check, "clouds", i, "name");
        conf_report_warning(check->report, node->line, node->column,
                            "key 'clouds.%s': when it is lost the other regions can carry %" PRIu64
                            " requests/s, 'fleet.peak_load' is %u; advised: more capacity",
                            clouds[i].name, left, check->raw->peak_load_rps);
    }
}

static void warn_empty_clouds(const Check *check)
{
    const ConfRawCloud *clouds = check->raw->clouds.items;
    const ConfRawRegion *regions = check->raw->regions.items;
    for (uint32_t i = 0; i < check->raw->clouds.n; i++) {
        uint32_t n = 0;
        for (uint32_t j = 0; j < check->raw->regions.n; j++)
            n += strcmp(regions[j].cloud, clouds[i].name) == 0;
        if (n > 0)
            continue;
        const TreeNode *node = item_place(check, "clouds", i, "name");
        conf_report_warning(check->report, node->line, node->column,
                            "key 'clouds.%s': no region is in it", clouds[i].name);
    }
}

typedef void CheckFn(const Check *check);

static CheckFn *const CHECKS[] = {
    check_unique_names,   check_region_clouds,
    check_unique_origins, check_unique_addresses,
    check_unique_ports,   check_databases,
    check_stores,         check_client_latencies,
    check_client_demand,  check_unique_prefixes,
    check_coverage,       check_routes,
    check_unique_routes,  check_cache_rules,
    check_orders,         check_return_steps,
    check_canary_steps,   check_scaling,
    check_budget_shares,  check_prices,
    check_dns_ttl,        check_lags,
    warn_quorum,          warn_capacity,
    warn_empty_clouds,
};

void conf_check(const ConfRaw *raw, const SortedPrefixes *sorted, const TreeNode *root,
                ConfReport *report)
{
    const Check check = {.raw = raw, .sorted = sorted, .root = root, .report = report};
    for (size_t i = 0; i < ARRAY_SIZE(CHECKS); i++)
        CHECKS[i](&check);
}
