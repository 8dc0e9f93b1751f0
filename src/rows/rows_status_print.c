// SPDX-License-Identifier: MIT
// rows_status_print: see rows_status.h. What is not known is a dash.
#include <stdlib.h>
#include <string.h>

#include "attr.h"
#include "rows_status.h"
#include "tell.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "-";
}

static void cell_text(TellTable *table, TellColour colour, const json_t *object, const char *key)
{
    tell_cell(table, colour, "%s", text_of(object, key));
}

static void cell_ms(TellTable *table, TellColour colour, const json_t *object, const char *key)
{
    char text[TELL_DURATION_MAX];
    const json_t *value = json_object_get(object, key);
    if (json_is_integer(value))
        tell_cell(table, colour, "%s", tell_duration(json_integer_value(value), text));
    else
        tell_cell(table, TELL_DIM, "-");
}

static void cell_count(TellTable *table, const json_t *object, const char *key, TellColour many)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_integer(value))
        tell_cell(table, json_integer_value(value) > 0 ? many : TELL_PLAIN, "%lld",
                  (long long)json_integer_value(value));
    else
        tell_cell(table, TELL_DIM, "-");
}

static void cell_bytes(TellTable *table, const json_t *value, const char *behind)
{
    static const char *const UNITS[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    if (!json_is_integer(value)) {
        tell_cell(table, TELL_DIM, "-");
        return;
    }
    double bytes = (double)json_integer_value(value);
    unsigned unit = 0;
    while (bytes >= 1024 && unit + 1 < ARRAY_SIZE(UNITS)) {
        bytes /= 1024;
        unit++;
    }
    tell_cell(table, TELL_PLAIN, unit == 0 || bytes >= 100 ? "%.0f %s%s" : "%.1f %s%s", bytes,
              UNITS[unit], behind);
}

static long long conflicts_of(const json_t *region)
{
    // What a person calls a conflict: a write that another one overrode without having seen it.
    long long n = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json_object_get(region, "conflicts"), key, value)
    {
        if (strcmp(key, "over") == 0 || strcmp(key, "park") == 0 || strcmp(key, "evict") == 0 ||
            strcmp(key, "dup") == 0)
            n += json_integer_value(value);
    }
    return n;
}

static void put_region(TellTable *table, const json_t *region)
{
    const char *state = text_of(region, "state");
    TellColour colour = strcmp(state, "ok") == 0         ? TELL_GREEN
                        : strcmp(state, "degraded") == 0 ? TELL_YELLOW
                                                         : TELL_RED;
    const json_t *hour = json_object_get(json_object_get(region, "rpo"), "hour");
    const json_t *skew = json_object_get(region, "clock_skew_ms");
    bool known = json_is_integer(json_object_get(region, "parked"));
    cell_text(table, TELL_PLAIN, region, "region");
    tell_cell(table, colour, "%s", state);
    cell_ms(table, TELL_PLAIN, region, "rpo_ms");
    cell_ms(table, TELL_PLAIN, hour, "p99_ms");
    if (known)
        tell_cell(table, TELL_PLAIN, "%lld", conflicts_of(region));
    else
        tell_cell(table, TELL_DIM, "-");
    cell_count(table, region, "parked", TELL_YELLOW);
    cell_count(table, region, "dead_letters", TELL_RED);
    if (json_is_integer(skew))
        tell_cell(table, TELL_PLAIN, "%+lld ms", (long long)json_integer_value(skew));
    else
        tell_cell(table, TELL_DIM, "-");
    cell_ms(table, TELL_PLAIN, region, "heard_ms");
}

// The slot of a link stands at its publisher.
static const json_t *slot_of(const json_t *view, const char *from, const char *to)
{
    size_t i, k;
    json_t *region, *slot;
    json_array_foreach(json_object_get(view, "regions"), i, region)
    {
        if (strcmp(text_of(region, "region"), from) != 0)
            continue;
        json_array_foreach(json_object_get(region, "slots"), k, slot)
        {
            if (strcmp(text_of(slot, "to"), to) == 0)
                return slot;
        }
    }
    return NULL;
}

static void put_link(TellTable *table, const json_t *view, const json_t *link)
{
    const json_t *slot = slot_of(view, text_of(link, "from"), text_of(link, "to"));
    const char *state = text_of(link, "state");
    bool mild = strcmp(state, "filling") == 0 || strcmp(state, "catching-up") == 0;
    cell_text(table, TELL_PLAIN, link, "from");
    cell_text(table, TELL_PLAIN, link, "to");
    tell_cell(table, mild ? TELL_YELLOW : TELL_RED, "%s", state);
    cell_ms(table, TELL_PLAIN, link, "lag_ms");
    cell_bytes(table, json_object_get(link, "backlog_bytes"), "");
    cell_bytes(table, json_object_get(link, "apply_bytes_per_s"), "/s");
    cell_ms(table, TELL_PLAIN, link, "eta_ms");
    cell_bytes(table, json_object_get(slot, "retained_bytes"), "");
    cell_bytes(table, json_object_get(slot, "limit_bytes"), "");
    cell_text(table, TELL_PLAIN, link, "why");
}

static void print_links(const json_t *view, FILE *file)
{
    static const char *const HEADS[] = {"FROM", "TO",  "LINK", "LAG",   "BACKLOG",
                                        "RATE", "ETA", "SLOT", "LIMIT", "WHY"};
    TellTable table = tell_table(HEADS, ARRAY_SIZE(HEADS));
    unsigned streaming = 0, other = 0;
    json_int_t slowest = -1;
    size_t i, k;
    json_t *region, *link;
    json_array_foreach(json_object_get(view, "regions"), i, region)
    {
        json_array_foreach(json_object_get(region, "links"), k, link)
        {
            bool good = strcmp(text_of(link, "state"), "streaming") == 0;
            json_int_t lag = json_integer_value(json_object_get(link, "lag_ms"));
            if (good) {
                streaming++;
                slowest = lag > slowest ? lag : slowest;
            } else if (strcmp(text_of(region, "state"), "database-away") != 0) {
                other++;
                put_link(&table, view, link);
            }
        }
    }
    char text[TELL_DURATION_MAX];
    if (streaming > 0)
        tell_line(file, "%u links stream; the slowest one lags %s", streaming,
                  tell_duration(slowest, text));
    if (other > 0)
        (void)fputc('\n', file);
    if (other > 0)
        tell_table_print(&table, file);
    else
        free(table.cells);
}

void rows_status_print(const json_t *view, FILE *file)
{
    static const char *const HEADS[] = {"REGION", "ROWS",         "RPO",   "RPO P99/H", "CONFLICTS",
                                        "PARKED", "DEAD LETTERS", "CLOCK", "HEARD"};
    TellTable table = tell_table(HEADS, ARRAY_SIZE(HEADS));
    size_t i;
    json_t *region, *alarm;
    json_array_foreach(json_object_get(view, "regions"), i, region) put_region(&table, region);
    tell_table_print(&table, file);
    (void)fputc('\n', file);
    print_links(view, file);
    const json_t *alarms = json_object_get(view, "alarms");
    if (json_array_size(alarms) > 0)
        (void)fprintf(file, "\n%sALARMS%s\n", tell_begin(file, TELL_RED), tell_end(file, TELL_RED));
    json_array_foreach(alarms, i, alarm) tell_line(file, "  %s: %s: %s", text_of(alarm, "region"),
                                                   text_of(alarm, "name"), text_of(alarm, "text"));
}
