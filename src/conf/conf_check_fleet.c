// SPDX-License-Identifier: MIT
// conf_check_fleet: checks of regions and clients. See conf_check_parts.h.
#include "conf_check_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void conf_check_region_clouds(const ConfCheck *check)
{
    const ConfRawRegion *regions = check->raw->regions.items;
    for (uint32_t i = 0; i < check->raw->regions.n; i++) {
        char key[100];
        (void)snprintf(key, sizeof key, "regions.%s.cloud", regions[i].name);
        conf_check_reference(check, conf_item_place(check, "regions", i, "cloud"), key,
                             regions[i].cloud, &check->raw->clouds, sizeof(ConfRawCloud), "cloud");
    }
}

void conf_check_unique_origins(const ConfCheck *check)
{
    const ConfRawRegion *regions = check->raw->regions.items;
    for (uint32_t i = 1; i < check->raw->regions.n; i++) {
        uint32_t j = 0;
        while (regions[j].origin != regions[i].origin)
            j++;
        if (j == i)
            continue;
        const TreeNode *node = conf_item_place(check, "regions", i, "origin");
        conf_report_error(check->report, node->line, node->column,
                          "key 'regions.%s.origin': value '%u': already the origin of '%s'; "
                          "allowed: a number of its own, 1 to 255",
                          regions[i].name, regions[i].origin, regions[j].name);
    }
}

static const TreeNode *gateway_place(const ConfCheck *check, uint32_t region, const char *key)
{
    const TreeNode *gateway = conf_item_place(check, "regions", region, "gateway");
    const TreeNode *node = conf_tree_get(gateway, key);
    return node != NULL ? node : gateway;
}

void conf_check_unique_addresses(const ConfCheck *check)
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
void conf_check_unique_ports(const ConfCheck *check)
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
                                         : conf_item_place(check, "regions", i, "database_port");
            conf_report_error(
                check->report, node->line, node->column,
                "key 'regions.%s.%s%s': value '%u': already the port of 'gateway.%s'; "
                "allowed: a port of its own",
                region->name, j < 4 ? "gateway." : "", j < 4 ? KEYS[j] : "database_port", ports[j],
                KEYS[k]);
        }
    }
}

// `word` stands for no connection string: "local", "none".
static void check_database(const ConfCheck *check, uint32_t index, const char *key,
                           const char *text, const char *word)
{
    const ConfRawRegion *regions = check->raw->regions.items;
    const char *scheme = strstr(text, "://");
    const char *at = scheme != NULL ? strchr(scheme + 3, '@') : NULL;
    bool secret = strstr(text, "password") != NULL ||
                  (at != NULL && memchr(scheme + 3, ':', (size_t)(at - scheme - 3)) != NULL);
    bool known = strcmp(text, word) == 0 || strchr(text, '=') != NULL ||
                 strncmp(text, "postgresql://", 13) == 0 || strncmp(text, "postgres://", 11) == 0;
    if (known && !secret)
        return;
    const TreeNode *node = conf_item_place(check, "regions", index, key);
    // A password is not repeated in the message.
    conf_report_error(check->report, node->line, node->column,
                      "key 'regions.%s.%s': value '%s': %s; allowed: %s, or a "
                      "connection string without password",
                      regions[index].name, key, secret ? "***" : text,
                      secret ? "holds a password" : "not a connection string", word);
}

void conf_check_databases(const ConfCheck *check)
{
    const ConfRawRegion *regions = check->raw->regions.items;
    for (uint32_t i = 0; i < check->raw->regions.n; i++) {
        check_database(check, i, "database", regions[i].database, "local");
        check_database(check, i, "database_replica", regions[i].database_replica, "none");
    }
}

void conf_check_stores(const ConfCheck *check)
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
        const TreeNode *node = conf_item_place(check, "regions", i, "store");
        conf_report_error(check->report, node->line, node->column,
                          "key 'regions.%s.store': value '%s': not a store; allowed: dir, "
                          "s3://BUCKET, azure://ACCOUNT/CONTAINER, gs://BUCKET",
                          regions[i].name, regions[i].store);
    }
}

void conf_check_client_latencies(const ConfCheck *check)
{
    const ConfRawGroup *groups = check->raw->clients.items;
    for (uint32_t i = 0; i < check->raw->clients.n; i++) {
        const ConfNamedNumber *items = groups[i].latency.items;
        const TreeNode *map = conf_item_place(check, "clients", i, "latency");
        for (uint32_t j = 0; j < groups[i].latency.n; j++) {
            char key[200];
            (void)snprintf(key, sizeof key, "clients.%s.latency", groups[i].name);
            const TreeNode *node = conf_tree_get(map, items[j].name);
            const TreeNode at = {.line = node != NULL ? node->key_line : map->line,
                                 .column = node != NULL ? node->key_column : map->column};
            conf_check_reference(check, &at, key, items[j].name, &check->raw->regions,
                                 sizeof(ConfRawRegion), "region");
        }
        if (!groups[i].location.given && groups[i].latency.n < check->raw->regions.n) {
            const TreeNode *node = conf_item_place(check, "clients", i, "name");
            conf_report_error(
                check->report, node->line, node->column,
                "key 'clients.%s.location': missing; allowed: a location, or a latency "
                "for each of the %u regions",
                groups[i].name, check->raw->regions.n);
        }
    }
}

void conf_check_client_demand(const ConfCheck *check)
{
    const ConfRawGroup *groups = check->raw->clients.items;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < check->raw->clients.n; i++)
        sum += groups[i].demand_ppm;
    if (sum == PPM_ONE)
        return;
    const TreeNode *node = conf_item_place(check, "clients", check->raw->clients.n - 1, "demand");
    Buf text = BUF_INIT(0);
    conf_report_error(check->report, node->line, node->column,
                      "key 'clients.%s.demand': all groups together have '%s'; allowed: 100 %%",
                      groups[check->raw->clients.n - 1].name,
                      conf_shown_share(sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX, &text));
    conf_report_buf_done(check->report, &text);
}

void conf_check_unique_prefixes(const ConfCheck *check)
{
    const ConfRawGroup *groups = check->raw->clients.items;
    for (uint32_t i = 1; i < check->sorted->n; i++) {
        const SortedPrefix *before = &check->sorted->items[i - 1], *item = &check->sorted->items[i];
        if (memcmp(&before->prefix.ip, &item->prefix.ip, sizeof item->prefix.ip) != 0 ||
            before->prefix.bits != item->prefix.bits)
            continue;
        if (conf_report_is_full(check->report))
            continue; // looking for the place takes long in a long list
        const TreeNode *list = conf_item_place(check, "clients", item->group, "prefixes");
        const TreeNode *node = conf_tree_at(list, item->index);
        char text[IP_TEXT_MAX];
        conf_report_error(check->report, node->line, node->column,
                          "key 'clients.%s.prefixes': value '%s': already a prefix of '%s'; "
                          "allowed: each prefix once",
                          groups[item->group].name, ip_prefix_format(&item->prefix, text),
                          groups[before->group].name);
    }
}

void conf_check_coverage(const ConfCheck *check)
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
