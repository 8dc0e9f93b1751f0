// SPDX-License-Identifier: MIT
// traffic_projection: see the header.
#include "traffic_projection.h"

#include <string.h>

#include "fleet_view.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static const json_t *find_by(const json_t *list, const char *key, const char *value)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) if (strcmp(text_of(item, key), value) == 0) return item;
    return NULL;
}

static bool covers(const Model *model, const TrafficWish *wish, const ModelRegion *region)
{
    if (strncmp(wish->target, "region:", 7) == 0)
        return strcmp(wish->target + 7, region->name) == 0;
    return strncmp(wish->target, "cloud:", 6) == 0 &&
           strcmp(wish->target + 6, model->clouds[region->cloud].name) == 0;
}

// Whether clients may be sent there by choice. A wish for the same target replaces the one that is
// in force, so what that one took away does not count against the new one.
static bool is_usable(const json_t *view, const json_t *gateway, const TrafficWish *wish,
                      bool covered)
{
    const char *verdict = text_of(gateway, "verdict");
    if (gateway == NULL || strcmp(verdict, "down") == 0)
        return false;
    const json_t *share = json_object_get(gateway, "share_ppm");
    if (strcmp(verdict, "drained") != 0 && strcmp(verdict, "never") != 0 &&
        !(json_is_integer(share) && json_integer_value(share) == 0))
        return true;
    return covered && find_by(json_object_get(view, "intents"), "target", wish->target) != NULL;
}

static uint64_t share_left(const TrafficWish *wish, bool covered)
{
    if (!covered)
        return PPM_ONE;
    return strcmp(wish->kind, "weight") == 0 ? wish->value_ppm : 0;
}

static uint32_t classes_of(const json_t *gateway)
{
    static const char *const NAMES[SERVICE_CLASS_MAX] = {"read", "write"};
    uint32_t mask = 0;
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(gateway, "classes"), i, item)
    {
        for (uint32_t c = 0; c < SERVICE_CLASS_MAX && json_is_string(item); c++)
            if (strcmp(json_string_value(item), NAMES[c]) == 0)
                mask |= 1U << c;
    }
    return mask;
}

static void find_lacking(const Model *model, uint32_t classes, TrafficProjection *projection)
{
    for (uint32_t s = 0; s < model->n_services; s++) {
        uint32_t lacking = model->services[s].classes & ~classes;
        if (lacking == 0)
            continue;
        (void)snprintf(projection->lacking, sizeof projection->lacking,
                       "service '%s' would have no region for %s%s%s", model->services[s].name,
                       lacking & CLASS_MASK_READ ? "read" : "",
                       lacking == CLASS_MASK_ALL ? " and " : "",
                       lacking & CLASS_MASK_WRITE ? "write" : "");
        return;
    }
}

TrafficProjection traffic_project(const Model *model, const json_t *view, const TrafficWish *wish)
{
    TrafficProjection projection = {0};
    uint32_t classes = 0;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        const ModelRegion *region = &model->regions[i];
        const json_t *gateway = find_by(json_object_get(view, "gateways"), "region", region->name);
        bool covered = covers(model, wish, region);
        uint64_t left = is_usable(view, gateway, wish, covered)
                            ? region->capacity_rps * share_left(wish, covered) / PPM_ONE
                            : 0;
        json_int_t load = json_integer_value(json_object_get(gateway, "load_rps"));
        projection.all_rps += region->capacity_rps;
        projection.left_rps += left;
        projection.load_rps += load > 0 ? (uint64_t)load : 0;
        classes |= left > 0 ? classes_of(gateway) : 0;
    }
    find_lacking(model, classes, &projection);
    return projection;
}

uint64_t traffic_projected_percent(const TrafficProjection *projection)
{
    if (projection->left_rps == 0)
        return projection->load_rps == 0 ? 0 : UINT64_MAX;
    return projection->load_rps * 100 / projection->left_rps;
}

// Drains and weights: shows what stays, refuses what would leave a service without capacity.
static int project(const Model *model, const json_t *view, const TrafficWish *wish, bool force,
                   FILE *out, Error *reterr)
{
    TrafficProjection projection = traffic_project(model, view, wish);
    uint64_t percent = traffic_projected_percent(&projection);
    (void)fprintf(out,
                  "%s %s: %llu of %llu requests/s of capacity stay; load now about %llu requests/s",
                  wish->kind, wish->target, (unsigned long long)projection.left_rps,
                  (unsigned long long)projection.all_rps, (unsigned long long)projection.load_rps);
    if (projection.left_rps > 0)
        (void)fprintf(out, ", projected %llu %%", (unsigned long long)percent);
    (void)fprintf(out, "\n");
    if (force || (projection.lacking[0] == '\0' && percent <= 100))
        return 0;
    int r = projection.lacking[0] != '\0'
                ? error_set(reterr, ERROR_NOT_HELD, "not done: %s", projection.lacking)
                : error_set(reterr, ERROR_NOT_HELD, "not done: the rest cannot carry the load");
    return error_hint(reterr, r, "--force does it all the same; 'wildcam traffic release' undoes.");
}

// What the wish would not do although it is accepted.
static void warn(const json_t *view, const TrafficWish *wish)
{
    const json_t *intents = json_object_get(view, "intents");
    if (strcmp(wish->kind, "release") == 0 && find_by(intents, "target", wish->target) == NULL)
        (void)fprintf(stderr, "note: no wish is in force for '%s'; 'wildcam status' lists them\n",
                      wish->target);
    if (wish->region == NULL)
        return;
    const json_t *gateway = find_by(json_object_get(view, "gateways"), "region", wish->region);
    const char *verdict = json_string_value(json_object_get(gateway, "verdict"));
    if (verdict != NULL && strcmp(verdict, "up") != 0)
        (void)fprintf(stderr, "note: %s is '%s' now; the pin is obeyed when it can serve\n",
                      wish->region, verdict);
}

int traffic_look_ahead(const Context *context, const TrafficWish *wish, bool force, FILE *out,
                       Error *reterr)
{
    json_t *view = NULL;
    int r = fleet_view_get(context, NS_PER_S, &view, reterr);
    if (r < 0)
        return r;
    if (json_array_size(json_object_get(view, "gateways")) == 0)
        r = context_no_agent(reterr);
    else
        warn(view, wish);
    bool takes = strcmp(wish->kind, "drain") == 0 || strcmp(wish->kind, "never") == 0 ||
                 strcmp(wish->kind, "weight") == 0;
    if (r == 0 && takes)
        r = project(&context->conf->model, view, wish, force, out, reterr);
    json_decref(view);
    return r;
}
