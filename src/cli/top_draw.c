// SPDX-License-Identifier: MIT
// top_draw: see top_draw.h. A frame is a header, the table of regions with the columns that fit,
// and below it alarms, wishes and decision records, as many as there is room for.
#include "top_draw.h"

#include <stdio.h>
#include <string.h>

#include "bounds.h"
#include "parse.h"
#include "tell.h"
#include "top_line.h"

#define RECORDS_SHOWN 10 // where no screen limits them

typedef struct Frame {
    const TopState *state;
    const TopLook *look;
    Buf *out;
    uint32_t lines;
    uint32_t order[BOUND_REGIONS];
    uint32_t n;
} Frame;

typedef struct Row {
    const Frame *frame;
    uint32_t index;
    const json_t *region, *gateway;
    const TopRates *rates;
} Row;

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "-";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static const json_t *regions_of(const TopState *state)
{
    return json_object_get(state->view, "regions");
}

static const json_t *gateway_of(const TopState *state, uint32_t index)
{
    const char *name = text_of(json_array_get(regions_of(state), index), "region");
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(state->view, "gateways"), i,
                       item) if (strcmp(text_of(item, "region"), name) == 0) return item;
    return NULL;
}

// --- Order ---

const char *top_sort_name(TopSort sort)
{
    static const char *const NAMES[TOP_SORT_MAX] = {"fleet", "requests", "errors", "latency"};
    return sort < TOP_SORT_MAX ? NAMES[sort] : "?";
}

static double weight_of(const TopState *state, TopSort sort, uint32_t index)
{
    const TopRates *rates = &state->rates[index];
    if (sort == TOP_SORT_REQUESTS)
        return rates->known ? rates->requests : -1;
    if (sort == TOP_SORT_ERRORS)
        return rates->known ? rates->errors * 1e6 + rates->retries : -1;
    return sort == TOP_SORT_LATENCY ? (double)number_of(gateway_of(state, index), "p99_us") : 0;
}

// Stable: equals stay in the order of the fleet.
static uint32_t make_order(const TopState *state, TopSort sort, uint32_t *order)
{
    double weights[BOUND_REGIONS];
    uint32_t n = (uint32_t)json_array_size(regions_of(state));
    n = n < BOUND_REGIONS ? n : BOUND_REGIONS;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = i;
        weights[i] = weight_of(state, sort, i);
        for (; at > 0 && weights[order[at - 1]] < weights[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return n;
}

uint32_t top_step(const TopState *state, const TopLook *look, int step)
{
    uint32_t order[BOUND_REGIONS];
    uint32_t n = make_order(state, look->sort, order), at = 0;
    while (at + 1 < n && order[at] != look->selected)
        at++;
    if (step < 0 && at > 0)
        at--;
    if (step > 0 && at + 1 < n)
        at++;
    return n > 0 ? order[at] : 0;
}

// --- Columns ---

static TellColour put_name(const Row *row, char *cell, size_t size)
{
    bool selected = row->frame->look->keys && row->index == row->frame->look->selected;
    (void)snprintf(cell, size, "%s%s", selected ? ">" : " ", text_of(row->region, "region"));
    return TELL_BOLD;
}

static TellColour put_cloud(const Row *row, char *cell, size_t size)
{
    (void)snprintf(cell, size, "%s", text_of(row->region, "cloud"));
    return TELL_PLAIN;
}

static TellColour put_verdict(const Row *row, char *cell, size_t size)
{
    const char *verdict = text_of(row->gateway, "verdict");
    bool silent = strcmp(text_of(row->region, "state"), "unreachable") == 0;
    (void)snprintf(cell, size, "%s%s", verdict, silent ? " (silent)" : "");
    return strcmp(verdict, "up") == 0               ? silent ? TELL_YELLOW : TELL_GREEN
           : strcmp(verdict, "down") == 0 || silent ? TELL_RED
                                                    : TELL_YELLOW;
}

static TellColour put_rate(const Row *row, double rate, bool bad, char *cell, size_t size)
{
    if (!row->rates->known)
        (void)snprintf(cell, size, "-");
    else
        (void)snprintf(cell, size, rate > 0 && rate < 9.95 ? "%.1f" : "%.0f", rate);
    return bad && row->rates->known && rate > 0 ? TELL_YELLOW : TELL_PLAIN;
}

static TellColour put_requests(const Row *row, char *cell, size_t size)
{
    return put_rate(row, row->rates->requests, false, cell, size);
}

static TellColour put_retries(const Row *row, char *cell, size_t size)
{
    return put_rate(row, row->rates->retries, true, cell, size);
}

static TellColour put_shed(const Row *row, char *cell, size_t size)
{
    return put_rate(row, row->rates->shed, true, cell, size);
}

static TellColour put_errors(const Row *row, char *cell, size_t size)
{
    TellColour colour = put_rate(row, row->rates->errors, true, cell, size);
    return colour == TELL_YELLOW ? TELL_RED : colour;
}

static TellColour put_load(const Row *row, char *cell, size_t size)
{
    long long ppm = number_of(row->gateway, "projected_load_ppm");
    (void)snprintf(cell, size, "%lld%%", ppm / 10000);
    return ppm > 1000000 ? TELL_RED : TELL_PLAIN;
}

static TellColour put_us(const Row *row, const char *key, char *cell, size_t size)
{
    long long us = number_of(row->gateway, key);
    if (row->gateway == NULL || us == 0)
        (void)snprintf(cell, size, "-");
    else
        (void)snprintf(cell, size, us < 10000 ? "%.1fms" : "%.0fms", (double)us / 1000.0);
    return json_is_true(json_object_get(row->gateway, "slow")) ? TELL_YELLOW : TELL_PLAIN;
}

static TellColour put_p50(const Row *row, char *cell, size_t size)
{
    return put_us(row, "p50_us", cell, size);
}

static TellColour put_p99(const Row *row, char *cell, size_t size)
{
    return put_us(row, "p99_us", cell, size);
}

static TellColour put_replicas(const Row *row, char *cell, size_t size)
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

static TellColour put_classes(const Row *row, char *cell, size_t size)
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

static TellColour put_plan_age(const Row *row, char *cell, size_t size)
{
    const json_t *age = json_object_get(row->region, "plan_age_ms");
    char text[TELL_DURATION_MAX] = "-";
    if (json_is_integer(age))
        (void)tell_duration(json_integer_value(age), text);
    (void)snprintf(cell, size, "%s", text);
    return json_integer_value(age) > 2000 ? TELL_RED : TELL_PLAIN;
}

static TellColour put_clock(const Row *row, char *cell, size_t size)
{
    const json_t *offset = json_object_get(row->region, "clock_offset_ms");
    long long ms = (long long)json_integer_value(offset);
    if (json_is_integer(offset))
        (void)snprintf(cell, size, "%+lldms", ms);
    else
        (void)snprintf(cell, size, "-");
    return ms > 100 || ms < -100 ? TELL_YELLOW : TELL_PLAIN;
}

static TellColour put_generation(const Row *row, char *cell, size_t size)
{
    const json_t *generation = json_object_get(row->region, "generation");
    if (json_is_integer(generation))
        (void)snprintf(cell, size, "%lld", (long long)json_integer_value(generation));
    else
        (void)snprintf(cell, size, "-");
    bool same = json_integer_value(generation) == number_of(row->frame->state->view, "generation");
    return same ? TELL_PLAIN : TELL_YELLOW;
}

static const struct Column {
    const char *head;
    uint32_t width;
    bool right;
    int importance; // the least important ones go first when there is no room; 0: never
    TellColour (*put)(const Row *row, char *cell, size_t size);
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

static uint32_t name_width(const TopState *state)
{
    uint32_t width = 6;
    size_t i;
    const json_t *item;
    json_array_foreach(regions_of(state), i, item)
    {
        uint32_t len = (uint32_t)strlen(text_of(item, "region"));
        width = len > width ? len : width;
    }
    return width + 1; // the mark of the selected one
}

// Leaves the least important columns out until the rest fits.
static uint32_t choose_columns(const Frame *frame, bool *shown, uint32_t *widths)
{
    uint32_t total = 0;
    for (size_t c = 0; c < ARRAY_SIZE(COLUMNS); c++) {
        shown[c] = true;
        widths[c] = COLUMNS[c].width > 0 ? COLUMNS[c].width : name_width(frame->state);
        total += widths[c] + (c > 0 ? 1 : 0);
    }
    while (total > frame->look->columns) {
        size_t worst = 0;
        for (size_t c = 1; c < ARRAY_SIZE(COLUMNS); c++)
            if (shown[c] && (worst == 0 || COLUMNS[c].importance > COLUMNS[worst].importance))
                worst = c;
        if (worst == 0)
            break; // the line is cut
        shown[worst] = false;
        total -= widths[worst] + 1;
    }
    return total;
}

// --- Lines ---

static TopLine line_of(const Frame *frame)
{
    return top_line(frame->look->columns, frame->look->colour);
}

static void end_line(Frame *frame, TopLine *line)
{
    if (frame->lines > 0)
        buf_add_char(frame->out, '\n');
    frame->lines++;
    top_line_flush(line, frame->out);
}

static bool has_room(const Frame *frame, uint32_t lines)
{
    return frame->look->rows == 0 || frame->lines + lines <= frame->look->rows;
}

static void draw_header(Frame *frame)
{
    TopRates sum = {0};
    uint32_t up = 0;
    for (uint32_t i = 0; i < frame->n; i++) {
        const TopRates *rates = &frame->state->rates[i];
        up += strcmp(text_of(gateway_of(frame->state, i), "verdict"), "up") == 0;
        if (!rates->known)
            continue;
        sum.requests += rates->requests;
        sum.retries += rates->retries;
        sum.shed += rates->shed;
        sum.errors += rates->errors;
    }
    TopLine line = line_of(frame);
    top_line_add(&line, TELL_BOLD, "wildcam %s", frame->state->clock);
    top_line_add(&line, up < frame->n ? TELL_YELLOW : TELL_GREEN, "  %u of %u up", up, frame->n);
    top_line_add(&line, TELL_PLAIN, "  %.0f req/s", sum.requests);
    top_line_add(&line, sum.errors > 0 ? TELL_RED : TELL_PLAIN, "  %.1f 5xx/s", sum.errors);
    top_line_add(&line, sum.retries > 0 ? TELL_YELLOW : TELL_PLAIN, "  %.1f retry/s", sum.retries);
    top_line_add(&line, sum.shed > 0 ? TELL_YELLOW : TELL_PLAIN, "  %.1f shed/s", sum.shed);
    top_line_add(&line, TELL_PLAIN, "  gen %lld", number_of(frame->state->view, "generation"));
    end_line(frame, &line);
}

static void draw_row(Frame *frame, const bool *shown, const uint32_t *widths, const Row *row)
{
    TopLine line = line_of(frame);
    for (size_t c = 0; c < ARRAY_SIZE(COLUMNS); c++) {
        char cell[96];
        if (!shown[c])
            continue;
        TellColour colour = TELL_BOLD;
        if (row != NULL)
            colour = COLUMNS[c].put(row, cell, sizeof cell);
        else
            (void)snprintf(cell, sizeof cell, "%s%s", c == 0 ? " " : "", COLUMNS[c].head);
        top_line_cell(&line, colour, cell, widths[c], COLUMNS[c].right);
        if (c + 1 < ARRAY_SIZE(COLUMNS))
            top_line_add(&line, TELL_PLAIN, " ");
    }
    end_line(frame, &line);
}

// A window of the rows with the selected one in it, when not all have room.
static void draw_regions(Frame *frame, uint32_t room)
{
    bool shown[ARRAY_SIZE(COLUMNS)];
    uint32_t widths[ARRAY_SIZE(COLUMNS)], first = 0, n = frame->n < room ? frame->n : room;
    (void)choose_columns(frame, shown, widths);
    if (has_room(frame, 2))
        draw_row(frame, shown, widths, NULL);
    for (uint32_t i = 0; i < frame->n; i++)
        if (frame->order[i] == frame->look->selected && i >= n)
            first = i + 1 - n;
    for (uint32_t i = first; i < first + n && has_room(frame, 1); i++) {
        uint32_t index = frame->order[i];
        const Row row = {.frame = frame,
                         .index = index,
                         .region = json_array_get(regions_of(frame->state), index),
                         .gateway = gateway_of(frame->state, index),
                         .rates = &frame->state->rates[index]};
        draw_row(frame, shown, widths, &row);
    }
}

static void draw_alarms(Frame *frame)
{
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(frame->state->view, "alarms"), i, item)
    {
        if (!has_room(frame, 1))
            return;
        TopLine line = line_of(frame);
        top_line_add(&line, TELL_RED, "alarm ");
        top_line_add(&line, TELL_PLAIN, "%s: %s: %s", text_of(item, "region"),
                     text_of(item, "title"), text_of(item, "text"));
        end_line(frame, &line);
    }
}

static void draw_intents(Frame *frame)
{
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(frame->state->view, "intents"), i, item)
    {
        const json_t *expires = json_object_get(item, "expires_ns");
        char left[TELL_DURATION_MAX] = "";
        if (!has_room(frame, 1))
            return;
        if (json_is_integer(expires))
            (void)tell_duration((json_integer_value(expires) - frame->state->wall_ns) / 1000000,
                                left);
        TopLine line = line_of(frame);
        top_line_add(&line, TELL_YELLOW, "%s ", text_of(item, "kind"));
        top_line_add(&line, TELL_PLAIN, "%s", text_of(item, "target"));
        if (strcmp(text_of(item, "kind"), "pin") == 0)
            top_line_add(&line, TELL_PLAIN, " to %s", text_of(item, "region"));
        if (strcmp(text_of(item, "kind"), "weight") == 0)
            top_line_add(&line, TELL_PLAIN, " %lld%%", number_of(item, "value_ppm") / 10000);
        top_line_add(&line, TELL_PLAIN, " by %s%s%s: %s", text_of(item, "author"),
                     left[0] != '\0' ? ", left " : "", left, text_of(item, "reason"));
        end_line(frame, &line);
    }
}

static void draw_records(Frame *frame)
{
    size_t i;
    const json_t *item;
    uint32_t left = frame->look->rows == 0 ? RECORDS_SHOWN : UINT32_MAX;
    json_array_foreach(frame->state->records, i, item)
    {
        char age[TELL_DURATION_MAX];
        if (strcmp(text_of(item, "record"), "plan_made") == 0)
            continue; // what made it necessary stands beside it
        if (!has_room(frame, 1) || left-- == 0)
            return;
        TopLine line = line_of(frame);
        top_line_add(&line, TELL_DIM, "%8s ago ", tell_duration(number_of(item, "at_ms_ago"), age));
        top_line_add(&line, TELL_PLAIN, "%s %s: %s", text_of(item, "subject"),
                     text_of(item, "text"), text_of(item, "facts"));
        end_line(frame, &line);
    }
}

static void draw_title(Frame *frame)
{
    if (!has_room(frame, 2))
        return;
    TopLine line = line_of(frame);
    top_line_add(
        &line, TELL_BOLD, "decisions of %s, newest first",
        text_of(json_array_get(regions_of(frame->state), frame->look->selected), "region"));
    end_line(frame, &line);
}

void top_draw(const TopState *state, const TopLook *look, Buf *out)
{
    Frame frame = {.state = state, .look = look, .out = out};
    TopLook smaller = *look;
    frame.n = make_order(state, look->sort, frame.order);
    bool footer = look->keys && look->rows >= 8;
    if (footer) {
        smaller.rows--;
        frame.look = &smaller;
    }
    draw_header(&frame);
    // Alarms and the newest records get a third of a small screen.
    uint32_t room = look->rows == 0 ? frame.n : look->rows * 2 / 3;
    draw_regions(&frame, room > 0 ? room : 1);
    draw_alarms(&frame);
    draw_intents(&frame);
    if (json_array_size(state->records) > 0)
        draw_title(&frame);
    if (has_room(&frame, 1))
        draw_records(&frame);
    if (!footer)
        return;
    frame.look = look;
    TopLine line = line_of(&frame);
    top_line_add(&line, TELL_DIM, "q quit  s sort: %s  up/down: whose decisions",
                 top_sort_name(look->sort));
    end_line(&frame, &line);
}
