// SPDX-License-Identifier: MIT
// sim_main: see sim_verb.h. The table of verbs and what they share.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"
#include "sim_verb.h"

static const SimVerb VERBS[] = {
    {"run", "[NAME...|--all|--list|--scenario FILE] [--seed N] ...",
     "run scenarios: faults as data, and what must come of them", sim_verb_run},
    {"search", "[--minutes M] [--seed N] [--out FILE] [--json]",
     "random schedules until something breaks, the shortest such one", sim_verb_search},
    {"random", "[--events N] [--core|--fleet] [--seed N]",
     "random faults and nonsense, the invariants after every step", sim_verb_random},
    {"detect", "[--trials N] [--world] [--loss PPM] [--seed N]",
     "how long until all agents hold what broke", sim_verb_detect},
    {"hours", "[--model F|10F] [--hours N] [--seed S] [--jobs J] [--world] ...",
     "hours under the fault model: false and missed verdicts", sim_verb_hours},
};

static void print_verbs(FILE *file)
{
    (void)fputs("usage: wildcam sim VERB [OPTIONS]\n\n"
                "The simulated planet: the real decisions in virtual time, faults as data.\n\n",
                file);
    for (size_t i = 0; i < ARRAY_SIZE(VERBS); i++)
        (void)fprintf(file, "  %-8s %s\n", VERBS[i].name, VERBS[i].summary);
    (void)fputs("\n'wildcam sim VERB --help' says more about one.\n"
                "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 something did not hold.\n",
                file);
}

int sim_main(int argc, char **argv, Error *reterr)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        print_verbs(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(VERBS); i++) {
        if (strcmp(VERBS[i].name, argv[1]) != 0)
            continue;
        int r = VERBS[i].run(&VERBS[i], argc - 1, argv + 1, reterr);
        return r < 0 ? error_wrap(reterr, r, "%s", VERBS[i].name) : r;
    }
    int r = argv[1][0] == '-'
                ? error_set(reterr, ERROR_USAGE, "unknown option '%s'; allowed: --help", argv[1])
                : error_set(reterr, ERROR_USAGE, "unknown verb '%s'", argv[1]);
    return error_hint(reterr, r, "'wildcam sim --help' lists the verbs.");
}

int sim_verb_options(const SimVerb *verb, const Option *options, size_t n, int argc, char **argv,
                     int *ret_operands, Error *reterr)
{
    char command[80];
    (void)snprintf(command, sizeof command, "wildcam sim %s", verb->name);
    return options_of_verb(command, verb->usage, verb->summary, options, n, argc, argv,
                           ret_operands, reterr);
}

int sim_verb_number(const char *option, const char *text, uint64_t least, uint64_t most,
                    uint64_t *value, Error *reterr)
{
    uint64_t given;
    if (text == NULL)
        return 0;
    if (parse_u64(text, strlen(text), most, &given) < 0 || given < least)
        return error_set(reterr, ERROR_USAGE,
                         "option '--%s': '%s' is not a number from %" PRIu64 " to %" PRIu64, option,
                         text, least, most);
    *value = given;
    return 0;
}

int sim_verb_no_operands(const SimVerb *verb, int operands, Error *reterr)
{
    if (operands == 0)
        return 0;
    int r = error_set(reterr, ERROR_USAGE, "too many arguments");
    return error_hint(reterr, r, "usage: wildcam sim %s %s", verb->name, verb->usage);
}
