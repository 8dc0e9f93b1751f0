// SPDX-License-Identifier: MIT
// top_columns: see top_columns.h.
#include "top_columns.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "-";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static TellColour put_name(const TopRow *row, char *cell, size_t size)
{
    (void)snprintf(cell, size, "%s%s", row->selected ? ">" : " ", text_of(row->region, "region"));
    return TELL_BOLD;
}

static TellColour put_cloud(const TopRow *row, char *cell, size_t size)
{
    (void)snprintf(cell, size, "%s", text_of(row->region, "cloud"));
    return TELL_PLAIN;
}

static TellColour put_verdict(const TopRow *row, char *cell, size_t size)
{
    const char *verdict = text_of(row->gateway, "verdict");
    bool silent = strcmp(text_of(row->region, "state"), "unreachable") == 0;
    (void)snprintf(cell, size, "%s%s", verdict, silent ? " (silent)" : "");
    return strcmp(verdict, "up") == 0               ? silent ? TELL_YELLOW : TELL_GREEN
           : strcmp(verdict, "down") == 0 || silent ? TELL_RED
                                                    : TELL_YELLOW;
}

static TellColour put_rate(const TopRow *row, double rate, bool bad, char *cell, size_t size)
{
    if (!row->rates->known)
        (void)snprintf(cell, size, "-");
    else
        (void)snprintf(cell, size, rate > 0 && rate < 9.95 ? "%.1f" : "%.0f", rate);
    return bad && row->rates->known && rate > 0 ? TELL_YELLOW : TELL_PLAIN;
}

static TellColour put_requests(const TopRow *row, char *cell, size_t size)
{
    return put_rate(row, row->rates->requests, false, cell, size);
}

static TellColour put_retries(const TopRow *row, char *cell, size_t size)
{
    return put_rate(row, row->rates->retries, true, cell, size);
}

static TellColour put_shed(const TopRow *row, char *cell, size_t size)
{
    return put_rate(row, row->rates->shed, true, cell, size);
}

static TellColour put_errors(const TopRow *row, char *cell, size_t size)
{
    TellColour colour = put_rate(row, row->rates->errors, true, cell, size);
    return colour == TELL_YELLOW ? TELL_RED : colour;
}

static TellColour put_load(const TopRow *row, char *cell, size_t size)
{
    long long ppm = number_of(row->gateway, "projected_load_ppm");
    (void)snprintf(cell, size, "%lld%%", ppm / 10000);
    return ppm > 1000000 ? TELL_RED : TELL_PLAIN;
}

static TellColour put_us(const TopRow *row, const char *key, char *cell, size_t size)
{
    long long us = number_of(row->gateway, key);
    if (row->gateway == NULL || us == 0)
        (void)snprintf(cell, size, "-");
    else
        (void)snprintf(cell, size, us < 10000 ? "%.1fms" : "%.0fms", (double)us / 1000.0);
    return json_is_true(json_object_get(row->gateway, "slow")) ? TELL_YELLOW : TELL_PLAIN;
}

static TellColour put_p50(const TopRow *row, char *cell, size_t size)
{
    return put_us(row, "p50_us", cell, size);
}

static TellColour put_p99(const TopRow *row, char *cell, size_t size)
{
    return put_us(row, "p99_us", cell, size);
}

static TellColour put_replicas(const TopRow *row, char *cell, size_t size)
{
    const json_t *replicas = json_object_get(row->region, "replicas"),
                 *up = json_object_get(replicas, "up");
    if (!json_is_integer(up)) {
        (void)snprintf(cell, size, "-/%lld", number_of(replicas, "want"));
        return TELL_YELLOW;
    }
    (void)snprintf(cell, size, "%lld/%lld", number_of(replicas, "up"), number_of(replicas, "want"));
    return number_of(replicas, "up") < number_of(replicas, "want") ? TELL_YELLOW : TELL_PLAIN;
}

static TellColour put_classes(const TopRow *row, char *cell, size_t size)
{
    size_t i;
    const json_t *item;
    cell[0] = '\0';
    json_array_foreach(json_object_get(row->region, "classes"), i, item)
    {
        size_t len = strlen(cell);
        (void)snprintf(cell + len, size - len, "%s%.5s", len > 0 ? "+" : "",
                       json_is_string(item) ? json_string_value(item) : "?");
    }
    bool all = strcmp(cell, "read+write") == 0;
    if (cell[0] == '\0')
        (void)snprintf(cell, size, "-");
    return all ? TELL_PLAIN : TELL_YELLOW;
}

static TellColour put_plan_age(const TopRow *row, char *cell, size_t size)
{
    const json_t *age = json_object_get(row->region, "plan_age_ms");
    char text[TELL_DURATION_MAX] = "-";
    if (json_is_integer(age))
        (void)tell_duration(json_integer_value(age), text);
    (void)snprintf(cell, size, "%s", text);
    return json_integer_value(age) > 2000 ? TELL_RED : TELL_PLAIN;
}

static TellColour put_clock(const TopRow *row, char *cell, size_t size)
{
    const json_t *offset = json_object_get(row->region, "clock_offset_ms");
    long long ms = (long long)json_integer_value(offset);
    if (json_is_integer(offset))
        (void)snprintf(cell, size, "%+lldms", ms);
    else
        (void)snprintf(cell, size, "-");
    return ms > 100 || ms < -100 ? TELL_YELLOW : TELL_PLAIN;
}

static TellColour put_generation(const TopRow *row, char *cell, size_t size)
{
    const json_t *generation = json_object_get(row->region, "generation");
    if (json_is_integer(generation))
        (void)snprintf(cell, size, "%lld", (long long)json_integer_value(generation));
    else
        (void)snprintf(cell, size, "-");
    bool same = json_integer_value(generation) == number_of(row->view, "generation");
    return same ? TELL_PLAIN : TELL_YELLOW;
}

static const struct Column {
    const char *head;
    uint32_t width;
    bool right;
    int importance; // the least important ones go first when there is no room; 0: never
    TellColour (*put)(const TopRow *row, char *cell, size_t size);
} COLUMNS[] = {
    {"REGION", 0, false, 0, put_name}, // as wide as the longest name
    {"CLOUD", 6, false, 11, put_cloud},
    {"VERDICT", 13, false, 1, put_verdict},
    {"LOAD", 5, true, 5, put_load},
    {"REQ/S", 7, true, 2, put_requests},
    {"RETRY/S", 7, true, 4, put_retries},
    {"SHED/S", 7, true, 6, put_shed},
    {"5XX/S", 7, true, 3, put_errors},
    {"P50", 7, true, 8, put_p50},
    {"P99", 7, true, 7, put_p99},
    {"REPL", 5, true, 9, put_replicas},
    {"CLASSES", 10, false, 10, put_classes},
    {"PLAN AGE", 8, true, 12, put_plan_age},
    {"CLOCK", 8, true, 13, put_clock},
    {"GEN", 4, true, 14, put_generation},
};

static uint32_t name_width(const json_t *view)
{
    uint32_t width = 6;
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(view, "regions"), i, item)
    {
        uint32_t len = (uint32_t)strlen(text_of(item, "region"));
        width = len > width ? len : width;
    }
    return width + 1; // the mark of the selected one
}

TopColumns top_columns_choose(const json_t *view, uint32_t columns)
{
    static_assert(ARRAY_SIZE(COLUMNS) == TOP_COLUMNS, "one place for each");
    TopColumns chosen;
    uint32_t total = 0;
    for (size_t c = 0; c < TOP_COLUMNS; c++) {
        chosen.shown[c] = true;
        chosen.widths[c] = COLUMNS[c].width > 0 ? COLUMNS[c].width : name_width(view);
        total += chosen.widths[c] + (c > 0 ? 1 : 0);
    }
    while (total > columns) {
        size_t worst = 0;
        for (size_t c = 1; c < TOP_COLUMNS; c++)
            if (chosen.shown[c] &&
                (worst == 0 || COLUMNS[c].importance > COLUMNS[worst].importance))
                worst = c;
        if (worst == 0)
            break; // the line is cut
        chosen.shown[worst] = false;
        total -= chosen.widths[worst] + 1;
    }
    return chosen;
}

void top_columns_put(const TopColumns *columns, const TopRow *row, TopLine *line)
{
    for (size_t c = 0; c < TOP_COLUMNS; c++) {
        char cell[96];
        if (!columns->shown[c])
            continue;
        TellColour colour = TELL_BOLD;
        if (row != NULL)
            colour = COLUMNS[c].put(row, cell, sizeof cell);
        else
            (void)snprintf(cell, sizeof cell, "%s%s", c == 0 ? " " : "", COLUMNS[c].head);
        top_line_cell(line, colour, cell, columns->widths[c], COLUMNS[c].right);
        if (c + 1 < TOP_COLUMNS)
            top_line_add(line, TELL_PLAIN, " ");
    }
}
