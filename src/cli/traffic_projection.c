// SPDX-License-Identifier: MIT
// traffic_projection: see the header. A plan that overloads says so by itself: when nobody has room
// left, capacity_spread gives every gateway more than it can carry.
#include "traffic_projection.h"

#include <string.h>

#include "alloc.h"
#include "fleet_view.h"
#include "tell.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static uint64_t number_of(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

static const json_t *find_by(const json_t *list, const char *key, const char *value)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) if (strcmp(text_of(item, key), value) == 0) return item;
    return NULL;
}

// Whether clients may be sent there by choice afterwards; its share if so.
static uint64_t share_after(const json_t *gateway)
{
    const char *state = text_of(gateway, "state_after");
    bool usable =
        strcmp(state, "up") == 0 || strcmp(state, "suspect") == 0 || strcmp(state, "unknown") == 0;
    return usable ? number_of(gateway, "share_after_ppm") : 0;
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

TrafficProjection traffic_project(const Model *model, const json_t *preview)
{
    TrafficProjection projection = {0};
    uint32_t classes = 0;
    size_t i;
    const json_t *gateway;
    json_array_foreach(json_object_get(preview, "gateways"), i, gateway)
    {
        uint64_t capacity = number_of(gateway, "capacity_rps"), share = share_after(gateway),
                 load = number_of(gateway, "load_after_ppm");
        projection.all_rps += capacity;
        projection.left_rps += capacity * share / PPM_ONE;
        projection.load_rps += number_of(gateway, "load_rps");
        classes |= share > 0 ? classes_of(gateway) : 0;
        if (load < projection.fullest_ppm || (load == 0 && projection.fullest[0] != '\0'))
            continue;
        projection.fullest_ppm = load;
        (void)snprintf(projection.fullest, sizeof projection.fullest, "%s",
                       text_of(gateway, "region"));
    }
    find_lacking(model, classes, &projection);
    return projection;
}

static void add_percent(TellTable *table, uint64_t ppm, bool changed)
{
    TellColour colour = ppm > PPM_ONE ? TELL_RED : changed ? TELL_YELLOW : TELL_PLAIN;
    tell_cell(table, colour, "%llu %%", (unsigned long long)(ppm / 10000));
}

void traffic_projection_print(const json_t *preview, FILE *out)
{
    static const char *const HEADS[] = {"REGION",   "CLOUD",      "CAPACITY",  "LOAD NOW",
                                        "PLAN NOW", "PLAN AFTER", "STATE NOW", "STATE AFTER"};
    TellTable table = tell_table(HEADS, ARRAY_SIZE(HEADS));
    size_t i;
    const json_t *gateway;
    json_array_foreach(json_object_get(preview, "gateways"), i, gateway)
    {
        uint64_t now = number_of(gateway, "load_ppm"), after = number_of(gateway, "load_after_ppm");
        const char *state = text_of(gateway, "state"), *to = text_of(gateway, "state_after");
        tell_cell(&table, TELL_BOLD, "%s", text_of(gateway, "region"));
        tell_cell(&table, TELL_PLAIN, "%s", text_of(gateway, "cloud"));
        tell_cell(&table, TELL_PLAIN, "%llu/s",
                  (unsigned long long)number_of(gateway, "capacity_rps"));
        tell_cell(&table, TELL_PLAIN, "%llu/s", (unsigned long long)number_of(gateway, "load_rps"));
        add_percent(&table, now, false);
        add_percent(&table, after, now != after);
        tell_cell(&table, TELL_PLAIN, "%s", state);
        uint64_t share = number_of(gateway, "share_after_ppm");
        if (share < PPM_ONE && share_after(gateway) > 0)
            tell_cell(&table, TELL_YELLOW, "%s, %llu %% of its share", to,
                      (unsigned long long)(share / 10000));
        else
            tell_cell(&table, strcmp(state, to) != 0 ? TELL_YELLOW : TELL_PLAIN, "%s", to);
    }
    tell_table_print(&table, out);
}

int traffic_judge(const Model *model, const json_t *preview, const TrafficWish *wish, bool force,
                  FILE *out, Error *reterr)
{
    TrafficProjection projection = traffic_project(model, preview);
    traffic_projection_print(preview, out);
    (void)fprintf(out,
                  "%s %s: %llu of %llu requests/s of capacity stay; load now about %llu "
                  "requests/s; fullest then: %s, %llu %%\n",
                  wish->kind, wish->target, (unsigned long long)projection.left_rps,
                  (unsigned long long)projection.all_rps, (unsigned long long)projection.load_rps,
                  projection.fullest, (unsigned long long)(projection.fullest_ppm / 10000));
    if (force || strcmp(wish->kind, "release") == 0 ||
        (projection.lacking[0] == '\0' && projection.fullest_ppm <= PPM_ONE))
        return 0;
    int r =
        projection.lacking[0] != '\0'
            ? error_set(reterr, ERROR_NOT_HELD, "not done: %s", projection.lacking)
            : error_set(reterr, ERROR_NOT_HELD,
                        "not done: the rest cannot carry the load: %s would get %llu %% of "
                        "its capacity",
                        projection.fullest, (unsigned long long)(projection.fullest_ppm / 10000));
    return error_hint(reterr, r, "--force does it all the same; 'wildcam traffic release' undoes.");
}

// What the wish would not do although it is accepted.
static void warn(const json_t *view, const TrafficWish *wish)
{
    const json_t *intents = json_object_get(view, "intents");
    if (strcmp(wish->kind, "release") == 0 && find_by(intents, "target", wish->target) == NULL)
        (void)fprintf(stderr,
                      "note: no wish is in force for '%s'; 'wildcam traffic list' has all\n",
                      wish->target);
    if (wish->region == NULL)
        return;
    const json_t *gateway = find_by(json_object_get(view, "gateways"), "region", wish->region);
    const char *verdict = json_string_value(json_object_get(gateway, "verdict"));
    if (verdict != NULL && strcmp(verdict, "up") != 0)
        (void)fprintf(stderr, "note: %s is '%s' now; the pin is obeyed when it can serve\n",
                      wish->region, verdict);
}

// The first agent that answers; all have the same facts.
static int ask_preview(const Context *context, const char *body, json_t **ret_preview,
                       Error *reterr)
{
    uint32_t n = context->conf->model.n_regions;
    AgentAnswer *answers CLEANUP(alloc_freep) = alloc_zeroed(n, sizeof *answers);
    if (answers == NULL)
        return error_set(reterr, ERROR_MEMORY, "traffic");
    int r = agents_ask(
        context, -1,
        &(AgentRequest){
            .method = "POST", .path = "/v1/plan/preview", .body = body, .timeout_ns = NS_PER_S},
        answers, reterr);
    const AgentAnswer *chosen = NULL;
    for (uint32_t i = 0; r == 0 && i < n; i++)
        if (answers[i].status != 0 && (chosen == NULL || chosen->status != 200))
            chosen = &answers[i];
    if (r == 0 && chosen == NULL)
        r = context_no_agent(reterr);
    else if (r == 0 && chosen->status != 200)
        r = error_set(reterr, chosen->status == 400 ? ERROR_USAGE : ERROR_UNAVAILABLE, "%s",
                      agents_message(chosen));
    else if (r == 0)
        *ret_preview = json_incref(chosen->body);
    agents_done(answers, n);
    return r;
}

int traffic_look_ahead(const Context *context, const TrafficWish *wish, const char *body,
                       bool force, FILE *out, Error *reterr)
{
    json_t *view = NULL, *preview = NULL;
    int r = fleet_view_get(context, NS_PER_S, &view, reterr);
    if (r < 0)
        return r;
    if (json_array_size(json_object_get(view, "gateways")) == 0)
        r = context_no_agent(reterr);
    else
        warn(view, wish);
    // What a single prefix asks for is not known, and forgotten flaps move nothing by themselves.
    bool moves = strcmp(wish->kind, "pin") != 0 && strcmp(wish->kind, "reset_flaps") != 0 &&
                 strncmp(wish->target, "prefix:", 7) != 0;
    if (r == 0 && moves)
        r = ask_preview(context, body, &preview, reterr);
    if (r == 0 && moves)
        r = traffic_judge(&context->conf->model, preview, wish, force, out, reterr);
    json_decref(preview);
    json_decref(view);
    return r;
}
