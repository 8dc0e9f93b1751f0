// SPDX-License-Identifier: MIT
// conf_build: see conf_build.h. Everything that it returns lives in the arena.
#include "conf_build.h"

#include <string.h>

#include "conf_distance.h"

static uint32_t cloud_index(const ConfRaw *raw, const char *name)
{
    const ConfRawCloud *clouds = raw->clouds.items;
    uint32_t i = 0;
    while (strcmp(clouds[i].name, name) != 0)
        i++; // conf_check has found it
    return i;
}

// "0.09" -> 90,000,000; the type allows 12 digits and 9 decimals, which fits.
static int64_t nano_units(const char *amount)
{
    int64_t value = 0;
    int decimals = -1;
    for (; *amount != '\0'; amount++) {
        if (*amount == '.') {
            decimals = 0;
            continue;
        }
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *amount - '0', &value))
            return INT64_MAX;
        decimals += decimals >= 0;
    }
    for (decimals = decimals < 0 ? 0 : decimals; decimals < 9; decimals++) {
        if (__builtin_mul_overflow(value, 10, &value))
            return INT64_MAX;
    }
    return value;
}

static int64_t egress_cost(const ConfRaw *raw, const char *cloud)
{
    const ConfRawPrice *prices = raw->prices.items;
    for (uint32_t i = 0; i < raw->prices.n; i++) {
        if (strcmp(prices[i].cloud, cloud) == 0)
            return nano_units(prices[i].egress.amount);
    }
    return 0;
}

static int build_regions(const ConfRaw *raw, Arena *arena, Conf *conf)
{
    const ConfRawRegion *items = raw->regions.items;
    const ConfRawCloud *raw_clouds = raw->clouds.items;
    uint32_t n = raw->regions.n;
    ModelCloud *clouds = arena_new_array(arena, ModelCloud, raw->clouds.n);
    ModelRegion *regions = arena_new_array(arena, ModelRegion, n);
    ConfRegionLocal *locals = arena_new_array(arena, ConfRegionLocal, n);
    if (clouds == NULL || regions == NULL || locals == NULL)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < raw->clouds.n; i++)
        clouds[i].name = raw_clouds[i].name;
    for (uint32_t i = 0; i < n; i++) {
        const ConfRawRegion *from = &items[i];
        regions[i] = (ModelRegion){
            .name = from->name,
            .cloud = cloud_index(raw, from->cloud),
            .origin = from->origin,
            .capacity_rps = from->capacity_rps,
            .address = from->address,
            .edge_port = from->https_port,
            .peer_port = from->peer_port,
            .replicas = from->replicas,
            .egress_cost = egress_cost(raw, from->cloud),
        };
        locals[i] = (ConfRegionLocal){
            .latitude = from->location.latitude_udeg / 1e6,
            .longitude = from->location.longitude_udeg / 1e6,
            .http_port = from->http_port,
            .dns_port = from->dns_port,
            .database_port = from->database_port,
            .database = from->database,
            .database_replica =
                strcmp(from->database_replica, "none") == 0 ? NULL : from->database_replica,
            .store = from->store,
        };
    }
    conf->model.clouds = clouds;
    conf->model.n_clouds = raw->clouds.n;
    conf->model.regions = regions;
    conf->model.n_regions = n;
    conf->regions = locals;
    return 0;
}

static int64_t group_latency_us(const ConfRawGroup *group, const ConfRawRegion *region)
{
    const ConfNamedNumber *given = group->latency.items;
    for (uint32_t i = 0; i < group->latency.n; i++) {
        if (strcmp(given[i].name, region->name) == 0)
            return given[i].value / NS_PER_US;
    }
    return group->location.given ? conf_latency_us(group->location, region->location)
                                 : LATENCY_UNKNOWN;
}

static int build_groups(const ConfRaw *raw, const SortedPrefixes *sorted, Arena *arena,
                        Model *model)
{
    const ConfRawGroup *items = raw->clients.items;
    const ConfRawRegion *regions = raw->regions.items;
    ModelGroup *groups = arena_new_array(arena, ModelGroup, raw->clients.n);
    ModelPrefix *prefixes = arena_new_array(arena, ModelPrefix, sorted->n);
    if (groups == NULL || prefixes == NULL)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < raw->clients.n; i++) {
        int64_t *latency = arena_new_array(arena, int64_t, raw->regions.n);
        if (latency == NULL)
            return ERROR_MEMORY;
        for (uint32_t j = 0; j < raw->regions.n; j++)
            latency[j] = group_latency_us(&items[i], &regions[j]);
        groups[i] = (ModelGroup){
            .name = items[i].name, .latency_us = latency, .demand_ppm = items[i].demand_ppm};
    }
    for (uint32_t i = 0; i < sorted->n; i++)
        prefixes[i] =
            (ModelPrefix){.prefix = sorted->items[i].prefix, .group = sorted->items[i].group};
    model->groups = groups;
    model->n_groups = raw->clients.n;
    model->prefixes = prefixes;
    model->n_prefixes = sorted->n;
    model->prefixes_digest = conf_prefixes_digest(sorted, raw);
    return 0;
}

static int build_service(const ConfRawService *from, Arena *arena, ModelService *model,
                         ConfService *service)
{
    const ConfRawRoute *items = from->routes.items;
    ConfRoute *routes = arena_new_array(arena, ConfRoute, from->routes.n);
    if (routes == NULL)
        return ERROR_MEMORY;
    *model = (ModelService){
        .name = from->name,
        .open = {[SERVICE_CLASS_READ] = from->all_down_read == 1,
                 [SERVICE_CLASS_WRITE] = from->all_down_write == 1},
        .latency_budget_us = from->latency_budget_ns / NS_PER_US,
    };
    for (uint32_t i = 0; i < from->routes.n; i++) {
        routes[i] = (ConfRoute){
            .path = items[i].path,
            .class_for_get = (ServiceClass)items[i].class_for_get,
            .class_for_other = (ServiceClass)items[i].class_for_other,
            .cache = items[i].cache,
        };
        model->classes |= 1U << items[i].class_for_get | 1U << items[i].class_for_other;
    }
    *service = (ConfService){
        .name = from->name,
        .n_routes = from->routes.n,
        .routes = routes,
        .durability_two_clouds = from->durability == 1,
        .degrade = from->no_other_cloud == 1,
    };
    return 0;
}

static int build_services(const ConfRaw *raw, Arena *arena, Conf *conf)
{
    const ConfRawService *items = raw->services.items;
    ModelService *models = arena_new_array(arena, ModelService, raw->services.n);
    ConfService *services = arena_new_array(arena, ConfService, raw->services.n);
    if (models == NULL || services == NULL)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < raw->services.n; i++) {
        int r = build_service(&items[i], arena, &models[i], &services[i]);
        if (r < 0)
            return r;
    }
    conf->model.services = models;
    conf->model.n_services = raw->services.n;
    conf->services = services;
    return 0;
}

static int build_edge(const ConfRaw *raw, Arena *arena, ConfEdge *ret_edge)
{
    const ConfRawCacheRule *items = raw->cache_rules.items;
    ConfCacheRule *rules = arena_new_array(arena, ConfCacheRule, raw->cache_rules.n);
    if (rules == NULL)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < raw->cache_rules.n; i++)
        rules[i] = (ConfCacheRule){.name = items[i].name,
                                   .ttl_ns = items[i].ttl_ns,
                                   .immutable = items[i].immutable,
                                   .if_cacheable = items[i].if_cacheable};
    *ret_edge = raw->edge;
    ret_edge->cache_rules = rules;
    ret_edge->n_cache_rules = raw->cache_rules.n;
    return 0;
}

static int build_rows(const ConfRaw *raw, Arena *arena, ConfRows *ret_rows)
{
    const ConfRawRowsTable *items = raw->rows_tables.items;
    ConfRowsTable *tables = arena_new_array(arena, ConfRowsTable, raw->rows_tables.n);
    if (tables == NULL && raw->rows_tables.n > 0)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < raw->rows_tables.n; i++)
        tables[i] = (ConfRowsTable){.name = items[i].name, .insert_only = items[i].kind == 1};
    *ret_rows = raw->rows;
    ret_rows->tables = tables;
    ret_rows->n_tables = raw->rows_tables.n;
    return 0;
}

static int build_budget(const ConfRaw *raw, Arena *arena, ConfBudget *budget)
{
    const ConfNamedNumber *shares = raw->budget_shares.items;
    const uint32_t *alerts = raw->budget_alerts.items;
    uint32_t *cloud_ppm = arena_new_array(arena, uint32_t, raw->clouds.n);
    if (cloud_ppm == NULL)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < raw->budget_shares.n; i++)
        cloud_ppm[cloud_index(raw, shares[i].name)] = (uint32_t)shares[i].value;
    *budget = (ConfBudget){.currency = raw->budget.currency,
                           .monthly = raw->budget.amount,
                           .cloud_ppm = cloud_ppm,
                           .n_alerts = raw->budget_alerts.n};
    for (uint32_t i = 0; i < raw->budget_alerts.n; i++)
        budget->alerts_ppm[i] = alerts[i];
    return 0;
}

int conf_build(const ConfRaw *raw, const SortedPrefixes *sorted, Arena *arena, Conf *ret_conf)
{
    static const char *const ISSUERS[] = {"local", "files"};
    const uint32_t *steps = raw->return_steps.items;
    Conf *conf = ret_conf;
    conf->model.fleet = raw->fleet_name;
    conf->model.domain = raw->domain;
    conf->model.generation = raw->generation;
    conf->model.health = raw->health;
    for (uint32_t i = 0; i < raw->return_steps.n; i++)
        conf->model.health.return_steps_ppm[i] = steps[i];
    conf->model.pick = raw->pick;
    conf->model.clock_max_skew_ns = raw->clock_max_skew_ns;
    conf->objectives = raw->objectives;
    conf->certificates = (ConfCertificates){.issuer = ISSUERS[raw->issuer],
                                            .lifetime_ns = raw->certificate_lifetime_ns,
                                            .renew_before_ns = raw->renew_before_ns};
    conf->drills = raw->drills;
    int r = build_regions(raw, arena, conf);
    if (r == 0)
        r = build_groups(raw, sorted, arena, &conf->model);
    if (r == 0)
        r = build_services(raw, arena, conf);
    if (r == 0)
        r = build_edge(raw, arena, &conf->edge);
    if (r == 0)
        r = build_rows(raw, arena, &conf->rows);
    if (r == 0)
        r = build_budget(raw, arena, &conf->budget);
    return r;
}
