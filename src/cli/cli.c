// SPDX-License-Identifier: MIT
// cli: see cli.h. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the checked thing does not hold.
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "layout.h"
#include "tell.h"

#ifndef WILDCAM_VERSION
#error "the build gives WILDCAM_VERSION"
#endif

static int verb_help(const Verb *verb, int argc, char **argv, Error *reterr);
static int verb_version(const Verb *verb, int argc, char **argv, Error *reterr);

static const Verb VERBS[] = {
    {"up", "[--fleet FILE] [--dir DIR] [--detach]", "start all six regions on this machine",
     verb_up},
    {"down", "[--dir DIR] [--now]", "stop them", verb_down},
    {"status", "[--dir DIR] [--watch] [--json]", "the fleet at a glance", verb_status},
    {"top", "[--dir DIR] [--once]", "the fleet as a live view", verb_top},
    {"why", "--client ADDRESS [--at TIME]", "why a client gets the gateway it gets", verb_why},
    {"replay", "[DIR] [--region REGION]", "decide again what was decided, and compare",
     verb_replay},
    {"traffic", "drain|pin|weight|never|release|reset|list TARGET ...",
     "the operator's hand on the steering", verb_traffic},
    {"region", "kill|hang|halt|restart|upgrade|... REGION ...",
     "break and heal whole regions and their programs", verb_region},
    {"config", "check|diff|push [FILE]", "check fleet.yaml; what a change would do; take it over",
     verb_config},
    {"doctor", "[--dir DIR] [--fleet FILE] [--json]",
     "what is missing or wrong here, each with its fix", verb_doctor},
    {"psql", "REGION [--analytics] [--dir DIR] [-- ARGS]", "open a region's database as its owner",
     verb_psql},
    {"cameras", "...", "camera traffic with a ledger of what was acknowledged", NULL},
    {"drill", "NAME ...", "break something for real and measure", NULL},
    {"fault", "...", "one fault of one region, until it is healed or ends", NULL},
    {"rows", "init|status|federate|check|... ...", "six writable databases that converge", NULL},
    {"sim", "run|search|random|detect|hours ...", "the real decisions in a simulated world", NULL},
    {"help", "[VERB]", "this text, or a verb's", verb_help},
    {"version", "", "print the version", verb_version},
};

static const Verb *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(VERBS); i++)
        if (strcmp(VERBS[i].name, name) == 0)
            return &VERBS[i];
    return NULL;
}

// wildcam-NAME beside us, with the rest of the arguments. Returns only on failure.
static int run_program(const char *name, char **argv, Error *reterr)
{
    char program[80];
    LayoutPath path;
    int n = snprintf(program, sizeof program, "wildcam-%s", name);
    bool plain = name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
    if (!plain || n < 0 || (size_t)n >= sizeof program ||
        layout_program(program, &path, NULL) < 0) {
        int r = error_set(reterr, ERROR_USAGE, "unknown verb '%s'", name);
        return error_hint(reterr, r, "'wildcam help' lists the verbs.");
    }
    argv[0] = path.text;
    (void)execv(path.text, argv);
    return error_errno(reterr, errno, "%s", path.text);
}

static void print_verbs(FILE *file)
{
    (void)fprintf(
        file, "usage: wildcam VERB [OPTIONS]\n\n"
              "One service on three clouds, six regions: run it here, look at it, break it.\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(VERBS); i++)
        (void)fprintf(file, "  %-10s %s\n", VERBS[i].name, VERBS[i].summary);
    (void)fprintf(file, "\n'wildcam help VERB' or 'wildcam VERB --help' says more about one.\n"
                        "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a check does not hold.\n");
}

static int verb_help(const Verb *verb, int argc, char **argv, Error *reterr)
{
    int operands, r = cli_parse(verb, NULL, 0, 0, 1, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    if (operands == 0) {
        print_verbs(stdout);
        return 0;
    }
    char *name = argv[1], help[] = "--help", *args[] = {name, help, NULL};
    const Verb *other = find(name);
    return other != NULL && other->run != NULL ? other->run(other, 2, args, reterr)
                                               : run_program(name, args, reterr);
}

static int verb_version(const Verb *verb, int argc, char **argv, Error *reterr)
{
    int operands, r = cli_parse(verb, NULL, 0, 0, 0, argc, argv, &operands, reterr);
    if (r == 0)
        (void)printf("wildcam %s\n", WILDCAM_VERSION);
    return r < 0 ? r : 0;
}

int cli_options(const Verb *verb, const Option *options, size_t n, int argc, char **argv,
                int *ret_operands, Error *reterr)
{
    char command[80];
    (void)snprintf(command, sizeof command, "wildcam %s", verb->name);
    return options_of_verb(command, verb->usage, verb->summary, options, n, argc, argv,
                           ret_operands, reterr);
}

int cli_operands(const Verb *verb, int operands, int least, int most, Error *reterr)
{
    if (operands >= least && operands <= most)
        return 0;
    int r = error_set(reterr, ERROR_USAGE,
                      operands < least ? "something is missing" : "too many arguments");
    return error_hint(reterr, r, "usage: wildcam %s %s", verb->name, verb->usage);
}

int cli_parse(const Verb *verb, const Option *options, size_t n, int least, int most, int argc,
              char **argv, int *ret_operands, Error *reterr)
{
    int r = cli_options(verb, options, n, argc, argv, ret_operands, reterr);
    return r != 0 ? r : cli_operands(verb, *ret_operands, least, most, reterr);
}

int cli_main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    Error err = ERROR_INIT;
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        print_verbs(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("wildcam %s\n", WILDCAM_VERSION);
        return 0;
    }
    const Verb *verb = find(argv[1]);
    int r = verb != NULL && verb->run != NULL ? verb->run(verb, argc - 1, argv + 1, &err)
                                              : run_program(argv[1], argv + 1, &err);
    if (fflush(stdout) != 0 && r >= 0)
        r = error_errno(&err, errno, "write to stdout");
    if (r < 0)
        tell_error(argv[1], &err);
    error_done(&err); // a verb may have found a failure that it could do without
    return r < 0 ? error_exit_code(r) : r;
}
