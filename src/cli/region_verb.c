// SPDX-License-Identifier: MIT
// region_verb: `wildcam region ...`: what the supervisor's socket can do, for people and drills.
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "cli.h"
#include "clock.h"
#include "context.h"
#include "control.h"
#include "control_answer.h"

#define USUAL_NS (15 * NS_PER_S)
#define UPGRADE_NS (75 * NS_PER_S) // the supervisor gives up earlier and says why

static const struct {
    const char *name, *command, *usage;
    int least, most; // operands behind the name
    int64_t patience_ns;
} ACTIONS[] = {
    {"kill", "kill", "kill REGION...: SIGKILL of everything in it; it stays down", 1, 64, USUAL_NS},
    {"start", "start", "start REGION...: start killed ones", 1, 64, USUAL_NS},
    {"hang", "stop", "hang REGION...: SIGSTOP of everything in it", 1, 64, USUAL_NS},
    {"resume", "cont", "resume REGION...: and back", 1, 64, USUAL_NS},
    {"halt", "halt", "halt REGION PROGRAM: SIGKILL of one program; it stays down", 2, 2, USUAL_NS},
    {"unhalt", "resume", "unhalt REGION PROGRAM: start a halted one", 2, 2, USUAL_NS},
    {"restart", "restart", "restart REGION PROGRAM: stop and start one program", 2, 2, USUAL_NS},
    {"upgrade", "upgrade", "upgrade REGION PROGRAM: replace it by a new start of it", 2, 2,
     UPGRADE_NS},
    {"programs", "programs", "programs REGION [FOLDER]: where its programs come from", 1, 2,
     USUAL_NS},
    {"environment", "environment", "environment REGION PROGRAM [NAME=VALUE...]: added to it", 2, 18,
     USUAL_NS},
    {"signal", "signal", "signal REGION PROGRAM SIGNAL: KILL, TERM, HUP ...", 3, 3, USUAL_NS},
};

// The operands, checked: they become words of one line.
static int write_command(size_t action, char **words, int n, Buf *line, Error *reterr)
{
    LayoutPath folder;
    buf_add_text(line, ACTIONS[action].command);
    for (int i = 0; i < n; i++) {
        const char *word = words[i];
        bool is_folder = i == 1 && strcmp(ACTIONS[action].name, "programs") == 0;
        int r = is_folder ? layout_absolute(word, &folder, reterr) : 0;
        if (r < 0)
            return r;
        if (strpbrk(word, "\r\n") != NULL)
            return error_set(reterr, ERROR_USAGE, "a name has no line feed in it");
        if (!is_folder && (word[0] == '\0' || strchr(word, ' ') != NULL))
            return error_set(reterr, ERROR_USAGE, "'%s': spaces are not supported here", word);
        buf_printf(line, " %s", is_folder ? folder.text : word);
    }
    return buf_check(line) < 0 ? error_set(reterr, ERROR_LIMIT, "too many names") : 0;
}

static int send_command(const char *dir, size_t action, char **words, int n, bool json,
                        Error *reterr)
{
    Buf line CLEANUP(buf_done) = BUF_INIT(CONTROL_LINE - 1);
    char *answer CLEANUP(alloc_freep) = NULL;
    LayoutPath path;
    int r = write_command(action, words, n, &line, reterr);
    if (r == 0)
        r = layout_absolute(dir != NULL ? dir : "run", &path, reterr);
    if (r == 0)
        r = context_running(
            control_ask(path.text, buf_text(&line), ACTIONS[action].patience_ns, &answer, reterr),
            reterr);
    if (r == 0)
        r = control_answer_read(answer, NULL, reterr);
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
        return r < 0 ? r : send_command(dir, i, argv + 2, operands - 1, json, reterr);
    }
    Buf known CLEANUP(buf_done) = BUF_INIT(1024);
    for (size_t i = 0; i < ARRAY_SIZE(ACTIONS); i++)
        buf_printf(&known, "%s%s", i > 0 ? ", " : "", ACTIONS[i].name);
    return error_set(reterr, ERROR_USAGE, "unknown action '%s'; allowed: %s", argv[1],
                     buf_text(&known));
}
