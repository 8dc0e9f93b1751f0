// SPDX-License-Identifier: MIT
// tell: see tell.h.
#include "tell.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "utf8.h"

static const char *const CODES[TELL_COLOUR_MAX] = {
    [TELL_PLAIN] = "",       [TELL_GREEN] = "\033[32m", [TELL_YELLOW] = "\033[33m",
    [TELL_RED] = "\033[31m", [TELL_DIM] = "\033[2m",    [TELL_BOLD] = "\033[1m",
};

const char *tell_code(TellColour colour)
{
    return CODES[colour];
}

static bool coloured(FILE *file, TellColour colour)
{
    const char *no = getenv("NO_COLOR"); // no-color.org
    return colour != TELL_PLAIN && (no == NULL || no[0] == '\0') && isatty(fileno(file)) == 1;
}

const char *tell_begin(FILE *file, TellColour colour)
{
    return coloured(file, colour) ? CODES[colour] : "";
}

const char *tell_end(FILE *file, TellColour colour)
{
    return coloured(file, colour) ? "\033[0m" : "";
}

size_t tell_character(const char *text)
{
    unsigned char c = (unsigned char)text[0];
    if (c < 0x80)
        return c >= 0x20 && c != 0x7f ? 1 : 0;
    size_t len = utf8_sequence_len(text, strnlen(text, 4));
    return c == 0xc2 && (unsigned char)text[1] < 0xa0 ? 0 : len; // C1 controls
}

char *tell_plain(char *text)
{
    for (char *at = text; *at != '\0';) {
        size_t len = tell_character(at);
        if (len == 0)
            *at = *at == '\t' ? ' ' : '?';
        at += len > 0 ? len : 1;
    }
    return text;
}

void tell_line(FILE *file, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)fprintf(file, "%s\n", tell_plain(text));
}

// Our own texts may have several lines.
static void put_plain(FILE *file, const char *text, size_t left)
{
    while (left > 0 && *text != '\0') {
        size_t len = text[0] == '\n' ? 1 : tell_character(text);
        if (len > 0 && len <= left)
            (void)fwrite(text, 1, len, file);
        else
            (void)fputc(*text == '\t' ? ' ' : '?', file);
        len = len > 0 && len <= left ? len : 1;
        text += len;
        left -= len;
    }
}

void tell_error(const char *verb, const Error *err)
{
    const char *text = error_text(err), *hint = strstr(text, "\nHINT: ");
    size_t len = hint != NULL ? (size_t)(hint - text) : strlen(text);
    (void)fflush(stdout);
    (void)fprintf(stderr, "%swildcam ", tell_begin(stderr, TELL_RED));
    put_plain(stderr, verb, strlen(verb));
    (void)fputs(": ", stderr);
    put_plain(stderr, text, len);
    (void)fprintf(stderr, "%s\n", tell_end(stderr, TELL_RED));
    if (hint == NULL)
        return;
    put_plain(stderr, hint + 1, strlen(hint + 1));
    (void)fputc('\n', stderr);
}

bool tell_agreed(bool yes)
{
    if (yes || isatty(STDIN_FILENO) != 1)
        return yes;
    char line[16];
    (void)fflush(stdout);
    (void)fprintf(stderr, "Do it? [y/N] ");
    return fgets(line, sizeof line, stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

const char *tell_duration(int64_t ms, char text[TELL_DURATION_MAX])
{
    if (ms < 1000)
        (void)snprintf(text, TELL_DURATION_MAX, "%" PRId64 " ms", ms);
    else if (ms < 60000)
        (void)snprintf(text, TELL_DURATION_MAX, "%" PRId64 ".%" PRId64 " s", ms / 1000,
                       ms % 1000 / 100);
    else if (ms < INT64_C(3600000))
        (void)snprintf(text, TELL_DURATION_MAX, "%" PRId64 " min", ms / 60000);
    else if (ms < INT64_C(172800000))
        (void)snprintf(text, TELL_DURATION_MAX, "%" PRId64 " h", ms / 3600000);
    else
        (void)snprintf(text, TELL_DURATION_MAX, "%" PRId64 " d", ms / 86400000);
    return text;
}

TellTable tell_table(const char *const *heads, size_t columns)
{
    ASSERT(columns > 0 && columns <= TELL_COLUMNS);
    return (TellTable){.columns = columns, .heads = heads};
}

void tell_cell(TellTable *table, TellColour colour, const char *fmt, ...)
{
    size_t need = table->rows + 1;
    if (alloc_grow((void **)&table->cells, &table->capacity, need, sizeof *table->cells) < 0)
        return; // a table without memory prints what it has
    struct TellCell *cell = &table->cells[table->rows++];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(cell->text, sizeof cell->text, fmt, args);
    va_end(args);
    (void)tell_plain(cell->text);
    cell->colour = colour;
}

void tell_table_print(TellTable *table, FILE *file)
{
    int widths[TELL_COLUMNS] = {0};
    ASSERT(table->columns > 0);
    for (size_t c = 0; c < table->columns; c++)
        widths[c] = (int)strlen(table->heads[c]);
    for (size_t i = 0; i < table->rows; i++) {
        int len = (int)strlen(table->cells[i].text);
        if (len > widths[i % table->columns])
            widths[i % table->columns] = len;
    }
    for (size_t c = 0; c < table->columns; c++)
        (void)fprintf(file, "%s%-*s%s%s", tell_begin(file, TELL_BOLD),
                      c + 1 < table->columns ? widths[c] : 0, table->heads[c],
                      tell_end(file, TELL_BOLD), c + 1 < table->columns ? "  " : "\n");
    for (size_t i = 0; i < table->rows; i++) {
        const struct TellCell *cell = &table->cells[i];
        bool last = (i + 1) % table->columns == 0;
        (void)fprintf(file, "%s%-*s%s%s", tell_begin(file, cell->colour),
                      last ? 0 : widths[i % table->columns], cell->text,
                      tell_end(file, cell->colour), last ? "\n" : "  ");
    }
    free(table->cells);
    *table = (TellTable){.columns = table->columns, .heads = table->heads};
}
