// SPDX-License-Identifier: MIT
// region_verb: `wildcam region ...`: what the supervisor's socket can do, for people and drills.
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "alloc.h"
#include "buf.h"
#include "cli.h"
#include "clock.h"
#include "context.h"
#include "control.h"

static const struct {
    const char *name, *command, *usage;
    int least, most; // operands behind the name
} ACTIONS[] = {
    {"kill", "kill", "kill REGION...: SIGKILL of everything in it; it stays down", 1, 64},
    {"start", "start", "start REGION...: start killed ones", 1, 64},
    {"hang", "stop", "hang REGION...: SIGSTOP of everything in it", 1, 64},
    {"resume", "cont", "resume REGION...: and back", 1, 64},
    {"restart", "restart", "restart REGION PROGRAM: stop and start one program", 2, 2},
    {"signal", "signal", "signal REGION PROGRAM SIGNAL: KILL, TERM, HUP ...", 3, 3},
};

// The error of an answer {"ok": false, "error": ..., "hint": ...}.
static int check_answer(const char *answer, Error *reterr)
{
    json_t *root = json_loads(answer, 0, NULL);
    int r = 0;
    if (!json_is_true(json_object_get(root, "ok"))) {
        const char *text = json_string_value(json_object_get(root, "error"));
        const char *hint = json_string_value(json_object_get(root, "hint"));
        r = error_set(reterr, ERROR_USAGE, "%s", text != NULL ? text : "malformed answer");
        if (hint != NULL && hint[0] != '\0')
            r = error_hint(reterr, r, "%s", hint);
    }
    json_decref(root);
    return r;
}

static int send_command(const char *dir, const char *command, char **words, int n, bool json,
                        Error *reterr)
{
    Buf line CLEANUP(buf_done) = BUF_INIT(CONTROL_LINE - 1);
    char *answer CLEANUP(alloc_freep) = NULL;
    LayoutPath path;
    buf_add_text(&line, command);
    for (int i = 0; i < n; i++)
        buf_printf(&line, " %s", words[i]);
    int r = buf_check(&line);
    if (r < 0)
        return error_set(reterr, ERROR_LIMIT, "too many names");
    if (strpbrk(buf_text(&line), "\r\n") != NULL)
        return error_set(reterr, ERROR_USAGE, "a name has no line feed in it");
    r = layout_absolute(dir != NULL ? dir : "run", &path, reterr);
    if (r == 0)
        r = context_running(control_ask(path.text, buf_text(&line), 10 * NS_PER_S, &answer, reterr),
                            reterr);
    if (r == 0)
        r = check_answer(answer, reterr);
    if (r == 0)
        (void)printf("%s", json ? answer : "done\n");
    return r;
}

int verb_region(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL;
    bool json = false;
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"json", NULL, "print the supervisor's answer", NULL, &json},
    };
    int operands,
        r = cli_options(verb, options, ARRAY_SIZE(options), argc, argv, &operands, reterr);
    for (size_t i = 0; r == 1 && i < ARRAY_SIZE(ACTIONS); i++)
        (void)printf("%s  %s\n", i == 0 ? "\n" : "", ACTIONS[i].usage);
    if (r == 0)
        r = cli_operands(verb, operands, 1, 65, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    for (size_t i = 0; i < ARRAY_SIZE(ACTIONS); i++) {
        if (strcmp(ACTIONS[i].name, argv[1]) != 0)
            continue;
        r = cli_operands(verb, operands - 1, ACTIONS[i].least, ACTIONS[i].most, reterr);
        return r < 0 ? r
                     : send_command(dir, ACTIONS[i].command, argv + 2, operands - 1, json, reterr);
    }
    return error_set(reterr, ERROR_USAGE,
                     "unknown action '%s'; allowed: kill, start, hang, resume, restart, signal",
                     argv[1]);
}
