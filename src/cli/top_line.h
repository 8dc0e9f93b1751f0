// SPDX-License-Identifier: MIT
// top_line: one line of a screen: text with colours, cut to a width in characters. Control
// characters and bytes that are no UTF-8 become '?', so nobody's text moves the cursor.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "tell.h"

#define TOP_LINE_MAX 2048

typedef struct TopLine {
    uint32_t columns, used; // characters
    bool colour;
    char text[TOP_LINE_MAX];
    size_t len;
} TopLine;

TopLine top_line(uint32_t columns, bool colour);
void top_line_add(TopLine *line, TellColour colour, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// Exactly `width` characters: cut, or padded on the right (or left).
void top_line_cell(TopLine *line, TellColour colour, const char *text, uint32_t width, bool right);
// Appends it to `out`, without the blanks at its end.
void top_line_flush(TopLine *line, Buf *out);
