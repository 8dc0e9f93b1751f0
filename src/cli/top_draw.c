// SPDX-License-Identifier: MIT
// top_draw: see top_draw.h. A frame is a header, the table of regions with the columns that fit,
// and below it alarms, wishes and decision records, as many as there is room for.
#include "top_draw.h"

#include <stdio.h>
#include <string.h>

#include "bounds.h"
#include "top_columns.h"

#define RECORDS_SHOWN 10 // where no screen limits them

typedef struct Frame {
    const TopState *state;
    const TopLook *look;
    Buf *out;
    uint32_t lines;
    uint32_t order[BOUND_REGIONS];
    uint32_t n;
} Frame;

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

static void draw_heads(Frame *frame, const TopColumns *columns)
{
    TopLine line = line_of(frame);
    top_columns_put(columns, NULL, &line);
    end_line(frame, &line);
}

static void draw_region(Frame *frame, const TopColumns *columns, uint32_t index)
{
    TopLine line = line_of(frame);
    const TopRow row = {.view = frame->state->view,
                        .region = json_array_get(regions_of(frame->state), index),
                        .gateway = gateway_of(frame->state, index),
                        .rates = &frame->state->rates[index],
                        .selected = frame->look->keys && index == frame->look->selected};
    top_columns_put(columns, &row, &line);
    end_line(frame, &line);
}

// A window of the rows with the selected one in it, when not all have room.
static void draw_regions(Frame *frame, uint32_t room)
{
    uint32_t first = 0, n = frame->n < room ? frame->n : room;
    TopColumns columns = top_columns_choose(frame->state->view, frame->look->columns);
    if (has_room(frame, 2))
        draw_heads(frame, &columns);
    for (uint32_t i = 0; i < frame->n; i++)
        if (frame->order[i] == frame->look->selected && i >= n)
            first = i + 1 - n;
    for (uint32_t i = first; i < first + n && has_room(frame, 1); i++)
        draw_region(frame, &columns, frame->order[i]);
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
