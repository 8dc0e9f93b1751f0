// SPDX-License-Identifier: MIT
// fleet_print: the table of regions, intents and alarms for people.
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "fleet_view.h"
#include "parse.h"
#include "tell.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "-";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static const json_t *gateway_of(const json_t *view, const char *name)
{
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(view, "gateways"), i,
                       item) if (strcmp(text_of(item, "region"), name) == 0) return item;
    return NULL;
}

static void add_classes(TellTable *table, const json_t *region)
{
    char text[32] = "";
    const json_t *classes = json_object_get(region, "classes"), *item;
    size_t i;
    json_array_foreach(classes, i, item)
    {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof text - len, "%s%s", len > 0 ? " " : "",
                       json_is_string(item) ? json_string_value(item) : "?");
    }
    bool both = strstr(text, "read") != NULL && strstr(text, "write") != NULL;
    tell_cell(table, both ? TELL_PLAIN : TELL_YELLOW, "%s", text[0] != '\0' ? text : "-");
}

// The number is 16 hex digits, epoch << 32 | counter: people want the counter.
static void add_plan(TellTable *table, const json_t *region)
{
    char age[TELL_DURATION_MAX];
    const char *plan = json_string_value(json_object_get(region, "plan"));
    uint64_t number;
    if (plan == NULL || parse_hex(plan, strlen(plan), 16, &number) < 0)
        tell_cell(table, TELL_PLAIN, "-");
    else
        tell_cell(table, TELL_PLAIN, "%u (%s)", (unsigned)(number & UINT32_MAX),
                  tell_duration(number_of(region, "plan_age_ms"), age));
}

static void add_verdict(TellTable *table, const json_t *gateway)
{
    const json_t *votes = json_object_get(gateway, "votes");
    const char *verdict = text_of(gateway, "verdict");
    TellColour colour = strcmp(verdict, "up") == 0     ? TELL_GREEN
                        : strcmp(verdict, "down") == 0 ? TELL_RED
                                                       : TELL_YELLOW;
    if (votes == NULL)
        tell_cell(table, colour, "%s", verdict);
    else
        tell_cell(table, colour, "%s (%lld up, %lld down, %lld unknown)", verdict,
                  number_of(votes, "up"), number_of(votes, "down"), number_of(votes, "unknown"));
}

static void add_region(TellTable *table, const json_t *view, uint32_t index)
{
    const json_t *region = json_array_get(json_object_get(view, "regions"), index);
    const json_t *replicas = json_object_get(region, "replicas");
    const char *state = text_of(region, "state");
    char why[160];
    bool healthy = fleet_view_healthy(view, index, why, sizeof why);
    tell_cell(table, TELL_BOLD, "%s", text_of(region, "region"));
    tell_cell(table, TELL_PLAIN, "%s", text_of(region, "cloud"));
    tell_cell(table, TELL_PLAIN, "https://%s:%lld", text_of(region, "address"),
              number_of(json_object_get(region, "ports"), "https"));
    tell_cell(table,
              healthy                             ? TELL_GREEN
              : strcmp(state, "unreachable") == 0 ? TELL_RED
                                                  : TELL_YELLOW,
              "%s", state);
    add_classes(table, region);
    if (json_is_integer(json_object_get(replicas, "up")))
        tell_cell(table, TELL_PLAIN, "%lld/%lld", number_of(replicas, "up"),
                  number_of(replicas, "want"));
    else
        tell_cell(table, TELL_PLAIN, "-/%lld", number_of(replicas, "want"));
    add_plan(table, region);
    add_verdict(table, gateway_of(view, text_of(region, "region")));
}

static void print_alarms(const json_t *alarms, FILE *file)
{
    size_t i;
    const json_t *item;
    if (json_array_size(alarms) > 0)
        (void)fprintf(file, "\n");
    json_array_foreach(alarms, i, item)
    {
        char since[TELL_DURATION_MAX] = "";
        bool dated = json_is_integer(json_object_get(item, "since_ms"));
        if (dated)
            (void)tell_duration(number_of(item, "since_ms"), since);
        (void)fprintf(file, "%salarm%s  ", tell_begin(file, TELL_RED), tell_end(file, TELL_RED));
        tell_line(file, "%s: %s: %s%s%s%s", text_of(item, "region"), text_of(item, "title"),
                  text_of(item, "text"), dated ? " (for " : "", since, dated ? ")" : "");
    }
}

// Where a pin goes to, the share of a weight.
static void add_value(TellTable *table, const json_t *intent)
{
    const char *kind = text_of(intent, "kind");
    long long ppm = number_of(intent, "value_ppm");
    if (strcmp(kind, "pin") == 0)
        tell_cell(table, TELL_PLAIN, "%s", text_of(intent, "region"));
    else if (strcmp(kind, "weight") == 0)
        tell_cell(table, TELL_PLAIN, "%lld.%lld %%", ppm / 10000, ppm / 1000 % 10);
    else
        tell_cell(table, TELL_PLAIN, "-");
}

void fleet_view_print_intents(const json_t *intents, FILE *file)
{
    static const char *const HEADS[] = {"INTENT", "TARGET", "VALUE", "LEFT", "BY", "REASON"};
    TellTable table = tell_table(HEADS, ARRAY_SIZE(HEADS));
    size_t i;
    const json_t *item;
    json_array_foreach(intents, i, item)
    {
        char left[TELL_DURATION_MAX] = "-";
        const json_t *expires = json_object_get(item, "expires_ns");
        if (json_is_integer(expires))
            (void)tell_duration((json_integer_value(expires) - clock_wall().ns) / NS_PER_MS, left);
        tell_cell(&table, TELL_YELLOW, "%s", text_of(item, "kind"));
        tell_cell(&table, TELL_PLAIN, "%s", text_of(item, "target"));
        add_value(&table, item);
        tell_cell(&table, TELL_PLAIN, "%s", left);
        tell_cell(&table, TELL_PLAIN, "%s", text_of(item, "author"));
        tell_cell(&table, TELL_PLAIN, "%s", text_of(item, "reason"));
    }
    if (table.rows > 0)
        tell_table_print(&table, file);
}

void fleet_view_print(const json_t *view, FILE *file)
{
    const json_t *intents = json_object_get(view, "intents");
    fleet_view_print_regions(view, file);
    if (json_array_size(intents) > 0)
        (void)fprintf(file, "\n");
    fleet_view_print_intents(intents, file);
    print_alarms(json_object_get(view, "alarms"), file);
}

void fleet_view_print_regions(const json_t *view, FILE *file)
{
    static const char *const HEADS[] = {"REGION",  "CLOUD",    "ADDRESS", "STATE",
                                        "CLASSES", "REPLICAS", "PLAN",    "GATEWAY"};
    TellTable table = tell_table(HEADS, ARRAY_SIZE(HEADS));
    for (uint32_t i = 0; i < json_array_size(json_object_get(view, "regions")); i++)
        add_region(&table, view, i);
    tell_table_print(&table, file);
}
