// SPDX-License-Identifier: MIT
// fleet_view: see fleet_view.h.
#include "fleet_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "clock.h"

// The same fields as an agent states; what only it knows is null.
static json_t *unreachable(const Conf *conf, uint32_t index)
{
    static const char *const UNKNOWN[] = {
        "plan",       "plan_age_ms",    "plan_newest",     "fleet_digest",
        "edge",       "rpo_ms",         "clock_offset_ms", "config_hash",
        "generation", "boot",           "uptime_ms",       "sick",
        "alone",      "fresh_observers"};
    const ModelRegion *region = &conf->model.regions[index];
    const ConfRegionLocal *local = &conf->regions[index];
    json_t *object = json_pack(
        "{s:s,s:s,s:i,s:s,s:{s:i,s:i,s:i,s:i,s:i},s:s,s:[],s:{s:i,s:n}}", "region", region->name,
        "cloud", conf->model.clouds[region->cloud].name, "origin", (int)region->origin, "address",
        region->address, "ports", "https", (int)region->edge_port, "peer", (int)region->peer_port,
        "http", (int)local->http_port, "dns", (int)local->dns_port, "postgresql",
        (int)local->database_port, "state", "unreachable", "classes", "replicas", "want",
        (int)region->replicas, "up");
    for (size_t i = 0; i < ARRAY_SIZE(UNKNOWN); i++)
        (void)json_object_set_new(object, UNKNOWN[i], json_null());
    return object;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

// The region's own element, with "reachable" facts; takes a new reference.
static json_t *region_of(const Conf *conf, uint32_t index, const AgentAnswer *answer)
{
    json_t *region = json_object_get(answer->body, "region");
    if (answer->status == 200 && json_is_object(region) &&
        strcmp(text_of(region, "region"), conf->model.regions[index].name) == 0)
        return json_incref(region);
    return unreachable(conf, index);
}

static const json_t *find_by(const json_t *list, const char *key, const char *value)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) if (strcmp(text_of(item, key), value) == 0) return item;
    return NULL;
}

// The set of intents is last-write-wins: of two for one target the higher stamp (hex digits)
// counts.
static void merge_intents(json_t *merged, const json_t *list)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const json_t *present = find_by(merged, "target", text_of(item, "target"));
        if (present == NULL) {
            (void)json_array_append(merged, item);
            continue;
        }
        if (strcmp(text_of(item, "stamp"), text_of(present, "stamp")) <= 0)
            continue;
        for (size_t k = 0; k < json_array_size(merged); k++)
            if (json_array_get(merged, k) == present) {
                (void)json_array_set(merged, k, item);
                break;
            }
    }
}

// Leaves the wishes in force: no tombstones, no expired ones, no events.
static void drop_inert(json_t *intents)
{
    for (size_t i = json_array_size(intents); i-- > 0;) {
        const json_t *item = json_array_get(intents, i), *expires;
        const char *kind = text_of(item, "kind");
        expires = json_object_get(item, "expires_ns");
        bool over = json_is_integer(expires) && json_integer_value(expires) <= clock_wall().ns;
        if (over || strcmp(kind, "release") == 0 || strcmp(kind, "reset_flaps") == 0)
            (void)json_array_remove(intents, i);
    }
}

static void compare_gateways(json_t *alarms, const json_t *first, const json_t *list,
                             const char *region)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *name = text_of(item, "region"), *verdict = text_of(item, "verdict");
        const json_t *other = find_by(first, "region", name);
        if (other == NULL || strcmp(text_of(other, "verdict"), verdict) == 0)
            continue;
        char text[256];
        (void)snprintf(text, sizeof text, "%s: '%s' in %s, '%s' elsewhere", name, verdict, region,
                       text_of(other, "verdict"));
        json_t *alarm = json_pack("{s:s,s:s,s:s,s:n,s:s}", "name", "agents_disagree", "title",
                                  "agents disagree about a gateway", "text", text, "since_ms",
                                  "region", region);
        (void)json_array_append_new(alarms, alarm);
    }
}

static void merge_alarms(json_t *merged, const json_t *list, const char *region)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        (void)json_object_set_new(item, "region", json_string(region));
        (void)json_array_append(merged, item);
    }
}

// Regions that run another file than the accepted one: a push is on its way, or was left half-way.
static void compare_files(const Conf *conf, json_t *alarms, const json_t *regions)
{
    Buf names CLEANUP(buf_done) = BUF_INIT(4096);
    const char *first = NULL;
    char accepted[17];
    size_t i;
    const json_t *region;
    (void)snprintf(accepted, sizeof accepted, "%016" PRIx64, conf->model.config_hash);
    json_array_foreach(regions, i, region)
    {
        const char *hash = text_of(region, "config_hash");
        if (hash[0] == '\0' || strcmp(hash, accepted) == 0)
            continue;
        buf_printf(&names, "%s%s runs generation %lld (%s)", first != NULL ? "; " : "",
                   text_of(region, "region"),
                   (long long)json_integer_value(json_object_get(region, "generation")), hash);
        first = first != NULL ? first : text_of(region, "region");
    }
    if (first == NULL)
        return;
    buf_printf(&names, "; accepted is generation %u (%s)", conf->model.generation, accepted);
    (void)json_array_append_new(alarms, json_pack("{s:s,s:s,s:s,s:n,s:s}", "name", "config_differs",
                                                  "title", "regions run different files", "text",
                                                  buf_text(&names), "since_ms", "region", first));
}

json_t *fleet_view_merge(const Conf *conf, const AgentAnswer *answers)
{
    json_t *regions = json_array(), *intents = json_array(), *alarms = json_array();
    json_t *gateways = NULL, *generation = NULL;
    for (uint32_t i = 0; i < conf->model.n_regions; i++) {
        const AgentAnswer *answer = &answers[i];
        (void)json_array_append_new(regions, region_of(conf, i, answer));
        if (answer->status != 200)
            continue;
        json_t *list = json_object_get(answer->body, "gateways");
        if (gateways == NULL && json_is_array(list)) {
            gateways = json_incref(list);
            generation = json_incref(json_object_get(answer->body, "generation"));
        } else if (gateways != NULL) {
            compare_gateways(alarms, gateways, list, conf->model.regions[i].name);
        }
        merge_intents(intents, json_object_get(answer->body, "intents"));
        merge_alarms(alarms, json_object_get(answer->body, "alarms"), conf->model.regions[i].name);
    }
    drop_inert(intents);
    compare_files(conf, alarms, regions);
    if (gateways == NULL)
        gateways = json_array();
    if (generation == NULL)
        generation = json_integer((json_int_t)conf->model.generation);
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "generation", generation, "regions", regions,
                     "gateways", gateways, "intents", intents, "alarms", alarms);
}

int fleet_view_get(const Context *context, int64_t timeout_ns, json_t **ret_view, Error *reterr)
{
    uint32_t n = context->conf->model.n_regions;
    AgentAnswer *answers CLEANUP(alloc_freep) = alloc_zeroed(n, sizeof *answers);
    if (answers == NULL)
        return error_set(reterr, ERROR_MEMORY, "status");
    int r = agents_ask(context, -1, &(AgentRequest){.path = "/v1/status", .timeout_ns = timeout_ns},
                       answers, reterr);
    if (r == 0) {
        *ret_view = fleet_view_merge(context->conf, answers);
        if (*ret_view == NULL)
            r = error_set(reterr, ERROR_MEMORY, "status");
    }
    agents_done(answers, n);
    return r;
}

static bool has_class(const json_t *region, const char *name)
{
    const json_t *classes = json_object_get(region, "classes"), *item;
    size_t i;
    if (json_is_object(classes))
        return json_is_true(json_object_get(classes, name));
    json_array_foreach(classes, i, item) if (json_is_string(item) && strcmp(json_string_value(item),
                                                                            name) == 0) return true;
    return false;
}

bool fleet_view_healthy(const json_t *view, uint32_t index, char *why, size_t size)
{
    const json_t *region = json_array_get(json_object_get(view, "regions"), index);
    const json_t *replicas = json_object_get(region, "replicas");
    json_int_t want = json_integer_value(json_object_get(replicas, "want")),
               up = json_integer_value(json_object_get(replicas, "up"));
    const json_t *gateway =
        find_by(json_object_get(view, "gateways"), "region", text_of(region, "region"));
    const char *verdict = text_of(gateway, "verdict");
    why[0] = '\0';
    if (strcmp(text_of(region, "state"), "unreachable") == 0)
        (void)snprintf(why, size, "its agent does not answer");
    else if (up < want)
        (void)snprintf(why, size, "%lld of %lld replicas up", (long long)up, (long long)want);
    else if (!has_class(region, "read") || !has_class(region, "write"))
        (void)snprintf(why, size, "cannot serve %s",
                       has_class(region, "read") ? "writes" : "reads");
    else if (strcmp(verdict, "up") != 0)
        (void)snprintf(why, size, "its gateway is judged '%s'", verdict);
    return why[0] == '\0';
}

bool fleet_view_all_healthy(const json_t *view)
{
    char why[160];
    for (uint32_t i = 0; i < json_array_size(json_object_get(view, "regions")); i++)
        if (!fleet_view_healthy(view, i, why, sizeof why))
            return false;
    return true;
}
