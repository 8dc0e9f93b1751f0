// SPDX-License-Identifier: MIT
// cli: the front door. One table of verbs gives dispatch and help.
#pragma once
#include <stddef.h>

#include "error.h"
#include "options.h"

typedef struct Verb {
    const char *name;
    const char *usage;   // behind the name: "[--dir DIR] REGION [-- ARGS]"
    const char *summary; // one line
    // 0 or more: the exit code; negative: a code with its text.
    int (*run)(const struct Verb *verb, int argc, char **argv, Error *reterr);
} Verb;

int cli_main(int argc, char **argv);

// Parses a verb's options; a switch "--help" is added. 1: the help was asked and printed, the verb
// is done; 0: go on.
int cli_options(const Verb *verb, const Option *options, size_t n, int argc, char **argv,
                int *ret_operands, Error *reterr) MUST_CHECK;
// Refuses operands beyond `most` and fewer than `least`, with the usage.
int cli_operands(const Verb *verb, int operands, int least, int most, Error *reterr) MUST_CHECK;

// Both at once. 1: the help was printed, 0: go on.
int cli_parse(const Verb *verb, const Option *options, size_t n, int least, int most, int argc,
              char **argv, int *ret_operands, Error *reterr) MUST_CHECK;

int verb_up(const Verb *verb, int argc, char **argv, Error *reterr);
int verb_down(const Verb *verb, int argc, char **argv, Error *reterr);
int verb_status(const Verb *verb, int argc, char **argv, Error *reterr);
int verb_region(const Verb *verb, int argc, char **argv, Error *reterr);
int verb_config(const Verb *verb, int argc, char **argv, Error *reterr);
int verb_replay(const Verb *verb, int argc, char **argv, Error *reterr);
int verb_why(const Verb *verb, int argc, char **argv, Error *reterr);
int verb_traffic(const Verb *verb, int argc, char **argv, Error *reterr);
int verb_doctor(const Verb *verb, int argc, char **argv, Error *reterr);
int verb_top(const Verb *verb, int argc, char **argv, Error *reterr);
int verb_psql(const Verb *verb, int argc, char **argv, Error *reterr);
