// SPDX-License-Identifier: MIT
// tell: text for people: colour only on a terminal (and without NO_COLOR), tables, durations,
// errors.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "error.h"

typedef enum TellColour {
    TELL_PLAIN,
    TELL_GREEN,
    TELL_YELLOW,
    TELL_RED,
    TELL_DIM,
    TELL_BOLD,
    TELL_COLOUR_MAX,
} TellColour;

const char *tell_code(TellColour colour); // its escape sequence; 0m ends it
// "" unless `file` is a terminal.
const char *tell_begin(FILE *file, TellColour colour);
const char *tell_end(FILE *file, TellColour colour);
// Texts from outside (a wish's reason, a line of a log) must not steer the terminal.
size_t tell_character(const char *text); // its bytes; 0: it must not be shown as it is
char *tell_plain(char *text);            // in place: such bytes become '?'; the text
void tell_line(FILE *file, const char *fmt, ...) __attribute__((format(printf, 2, 3))); // plain
// "wildcam VERB: text", a hint on its own line, to stderr.
void tell_error(const char *verb, const Error *err);
// True: `yes`, or somebody at the terminal says so.
bool tell_agreed(bool yes);
// "230 ms", "4.2 s", "3 min", "5 h", "2 d".
#define TELL_DURATION_MAX 32
const char *tell_duration(int64_t ms, char text[TELL_DURATION_MAX]);

#define TELL_COLUMNS 10
#define TELL_CELL 96

typedef struct TellTable {
    size_t columns, rows, capacity;
    const char *const *heads;
    struct TellCell {
        char text[TELL_CELL];
        TellColour colour;
    } * cells;
} TellTable;

TellTable tell_table(const char *const *heads, size_t columns);
// Adds a cell; rows fill by themselves.
void tell_cell(TellTable *table, TellColour colour, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void tell_table_print(TellTable *table, FILE *file); // and frees it
