// SPDX-License-Identifier: MIT
// top_line: see top_line.h.
#include "top_line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

TopLine top_line(uint32_t columns, bool colour)
{
    TopLine line = {.columns = columns < 1000 ? columns : 1000, .colour = colour};
    return line;
}

static void put(TopLine *line, const char *bytes, size_t len)
{
    if (line->len + len >= sizeof line->text)
        return;
    memcpy(line->text + line->len, bytes, len);
    line->len += len;
    line->text[line->len] = '\0';
}

// Up to `most` characters; how many there were.
static uint32_t put_text(TopLine *line, const char *text, uint32_t most)
{
    uint32_t n = 0;
    for (; *text != '\0' && n < most && line->used < line->columns; n++) {
        size_t len = tell_character(text);
        put(line, len > 0 ? text : "?", len > 0 ? len : 1);
        line->used++;
        text += len > 0 ? len : 1;
    }
    return n;
}

static bool begin(TopLine *line, TellColour colour)
{
    const char *code = tell_code(colour);
    bool coloured = line->colour && colour != TELL_PLAIN && line->used < line->columns &&
                    line->len + 64 < sizeof line->text;
    if (coloured)
        put(line, code, strlen(code));
    return coloured;
}

static void end(TopLine *line, bool coloured)
{
    if (coloured)
        put(line, "\033[0m", 4);
}

void top_line_add(TopLine *line, TellColour colour, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    bool coloured = begin(line, colour);
    (void)put_text(line, text, UINT32_MAX);
    end(line, coloured);
}

static void put_blanks(TopLine *line, uint32_t n)
{
    for (; n > 0 && line->used < line->columns; n--, line->used++)
        put(line, " ", 1);
}

static uint32_t count(const char *text)
{
    uint32_t n = 0;
    for (; *text != '\0'; n++) {
        size_t len = tell_character(text);
        text += len > 0 ? len : 1;
    }
    return n;
}

void top_line_cell(TopLine *line, TellColour colour, const char *text, uint32_t width, bool right)
{
    uint32_t n = count(text), blanks = n < width ? width - n : 0;
    if (right)
        put_blanks(line, blanks);
    bool coloured = begin(line, colour);
    (void)put_text(line, text, width);
    end(line, coloured);
    if (!right)
        put_blanks(line, blanks);
}

void top_line_flush(TopLine *line, Buf *out)
{
    while (line->len > 0 && line->text[line->len - 1] == ' ')
        line->len--;
    buf_add(out, line->text, line->len);
}
