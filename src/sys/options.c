// SPDX-License-Identifier: MIT
// options: see options.h.
#include "options.h"

#include <ctype.h>

#include <stdio.h>
#include <string.h>

#include "buf.h"

static const Option *find(const Option *options, size_t n, const char *name, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
            return &options[i];
    return NULL;
}

static int unknown(const Option *options, size_t n, const char *given, Error *reterr)
{
    Buf allowed CLEANUP(buf_done) = BUF_INIT(0);
    for (size_t i = 0; i < n; i++)
        buf_printf(&allowed, "%s--%s", i > 0 ? ", " : "", options[i].name);
    return error_set(reterr, ERROR_USAGE, "unknown option '%s'; allowed: %s", given,
                     n > 0 ? buf_text(&allowed) : "none");
}

// Handles argv[at]; *ret_next is the index of the next argument.
static int parse_one(const Option *options, size_t n, int argc, char **argv, int at, int *ret_next,
                     Error *reterr)
{
    const char *given = argv[at] + 2, *equals = strchr(given, '=');
    size_t len = equals != NULL ? (size_t)(equals - given) : strlen(given);
    const Option *option = argv[at][1] == '-' ? find(options, n, given, len) : NULL;
    if (option == NULL)
        return unknown(options, n, argv[at], reterr);
    *ret_next = at + 1;
    if (option->argument == NULL) {
        if (equals != NULL)
            return error_set(reterr, ERROR_USAGE, "option '--%s' takes no value", option->name);
        *option->flag = true;
        return 0;
    }
    if (equals == NULL && at + 1 >= argc)
        return error_set(reterr, ERROR_USAGE, "option '--%s' needs a value: --%s %s", option->name,
                         option->name, option->argument);
    *option->value = equals != NULL ? equals + 1 : argv[at + 1];
    if (equals == NULL)
        *ret_next = at + 2;
    return 0;
}

int options_parse(const Option *options, size_t n, int argc, char **argv, int *ret_operands,
                  Error *reterr)
{
    int operands = 0;
    for (int at = 1; at < argc;) {
        if (strcmp(argv[at], "--") == 0) {
            for (at++; at < argc; at++)
                argv[1 + operands++] = argv[at];
            break;
        }
        if (argv[at][0] != '-' || argv[at][1] == '\0') {
            argv[1 + operands++] = argv[at++];
            continue;
        }
        int r = parse_one(options, n, argc, argv, at, &at, reterr);
        if (r < 0)
            return r;
    }
    *ret_operands = operands;
    return 0;
}

void options_help(const Option *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char left[40];
        (void)snprintf(left, sizeof left, "--%s%s%s", options[i].name,
                       options[i].argument != NULL ? " " : "",
                       options[i].argument != NULL ? options[i].argument : "");
        (void)printf("  %-24s %s\n", left, options[i].help);
    }
}

int options_of_verb(const char *command, const char *usage, const char *summary,
                    const Option *options, size_t n, int argc, char **argv, int *ret_operands,
                    Error *reterr)
{
    bool help = false;
    Option all[24];
    ASSERT(n < ARRAY_SIZE(all));
    for (size_t i = 0; i < n; i++)
        all[i] = options[i];
    all[n] = (Option){.name = "help", .help = "this text", .flag = &help};
    int r = options_parse(all, n + 1, argc, argv, ret_operands, reterr);
    if (r < 0)
        return error_hint(reterr, r, "'%s --help' lists the options.", command);
    if (!help)
        return 0;
    (void)printf("usage: %s %s\n\n%c%s.\n\n", command, usage, toupper((unsigned char)summary[0]),
                 summary + 1);
    options_help(all, n + 1);
    return 1;
}
