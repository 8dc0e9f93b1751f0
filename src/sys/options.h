// SPDX-License-Identifier: MIT
// options: command lines from a table (name, argument, help): parsing, "--help" and the message for
// a wrong option come from the same rows. Long options only; "--" ends them; the rest are operands.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "error.h"

typedef struct Option {
    const char *name;     // "dir", given as --dir VALUE or --dir=VALUE
    const char *argument; // "DIR" for the help, NULL: a switch
    const char *help;     // one line
    const char **value;   // where the argument goes
    bool *flag;           // where a switch goes
} Option;

// Operands are moved to the front of argv[1..]; *ret_operands is their count. ERROR_USAGE names the
// option and what is allowed.
int options_parse(const Option *options, size_t n, int argc, char **argv, int *ret_operands,
                  Error *reterr) MUST_CHECK;
// "  --dir DIR        state folder (default ./run)", fitting 80 columns, to stdout.
void options_help(const Option *options, size_t n);

// A verb's options and a switch "--help" of its own. `command`: "wildcam why"; `usage` stands
// behind it, `summary` is one line. 1: the help was asked and printed; 0: go on.
int options_of_verb(const char *command, const char *usage, const char *summary,
                    const Option *options, size_t n, int argc, char **argv, int *ret_operands,
                    Error *reterr) MUST_CHECK;
