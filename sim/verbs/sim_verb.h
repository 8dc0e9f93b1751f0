// SPDX-License-Identifier: MIT
// sim_verb: the program around the simulator: its verbs, their options, what they print. Only this
// folder touches the world (terminal, clock, files); the simulator below it is pure.
// To add a verb: a row in sim_main.c and a function in a file of its own.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "options.h"

typedef struct SimVerb {
    const char *name;
    const char *usage;   // behind the name
    const char *summary; // one line
    // 0 or more: the exit code; negative: a code with its text. What was checked and does not hold
    // is printed by the verb and told by exit code 3.
    int (*run)(const struct SimVerb *verb, int argc, char **argv, Error *reterr);
} SimVerb;

#define SIM_EXIT_NOT_HELD 3

// argv[0] is the program. Negative: a code with its text.
int sim_main(int argc, char **argv, Error *reterr);

// Parses a verb's options; "--help" is added. 1: help was printed, the verb is done.
int sim_verb_options(const SimVerb *verb, const Option *options, size_t n, int argc, char **argv,
                     int *ret_operands, Error *reterr) MUST_CHECK;
// A number given to an option; NULL leaves *value as it is.
int sim_verb_number(const char *option, const char *text, uint64_t least, uint64_t most,
                    uint64_t *value, Error *reterr) MUST_CHECK;
int sim_verb_no_operands(const SimVerb *verb, int operands, Error *reterr) MUST_CHECK;

int sim_verb_run(const SimVerb *verb, int argc, char **argv, Error *reterr);
int sim_verb_search(const SimVerb *verb, int argc, char **argv, Error *reterr);
int sim_verb_random(const SimVerb *verb, int argc, char **argv, Error *reterr);
int sim_verb_hours(const SimVerb *verb, int argc, char **argv, Error *reterr);
int sim_verb_detect(const SimVerb *verb, int argc, char **argv, Error *reterr);
