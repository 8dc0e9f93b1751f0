// SPDX-License-Identifier: MIT
// control_programs: the commands of the supervisor's socket about one program of a region. What
// takes time is done by the region's init, which replies when it is over; nothing here waits.
// Changes (environment, programs) are kept here, too, so that they hold for a region that starts
// anew.
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "control_parts.h"
#include "region_init.h"

#define HALT_NS (10 * NS_PER_S)
#define RESUME_NS (5 * NS_PER_S)
#define UPGRADE_NS (60 * NS_PER_S) // the init gives up earlier and says why

// "REGION PROGRAM [...]"; NULL after an answer that says what is wrong.
static RegionView *take_program(Control *control, ControlClient *client, char **rest,
                                int *ret_program)
{
    const char *name = *rest != NULL ? strsep(rest, " ") : "";
    RegionView *region = control_find_region(control, client, name);
    if (region == NULL)
        return NULL;
    const char *program = *rest != NULL ? strsep(rest, " ") : "";
    *ret_program = fleet_state_program(region, program);
    if (*ret_program >= 0)
        return region;
    Buf text CLEANUP(buf_done) = BUF_INIT(8192), known CLEANUP(buf_done) = BUF_INIT(65536);
    buf_printf(&text, "no such program in that region: '%s'", program);
    for (size_t i = 0; i < region->spec->n; i++)
        buf_printf(&known, "%s%s", i > 0 ? ", " : "Known: ", region->spec->programs[i].name);
    control_answer_error(client, buf_text(&text), buf_text(&known));
    return NULL;
}

// Does it run, so that its init can do something?
static bool runs(ControlClient *client, const RegionView *region, bool hung_too)
{
    if (region->process.pid == 0 || region->killed) {
        control_answer_failed(client, "that region does not run",
                              "'start' starts a killed region.");
        return false;
    }
    if (region->state == REGION_STATE_HUNG && !hung_too) {
        control_answer_failed(client, "that region hangs", "'cont' lets it go on.");
        return false;
    }
    return true;
}

static bool tell(Control *control, ControlClient *client, RegionView *region, const char *message)
{
    Error err = ERROR_INIT;
    int r = control->actions.tell(control->actions.context, region, message, &err);
    if (r < 0)
        control_answer_code(client, r, &err);
    return r >= 0;
}

static void do_restart(Control *control, ControlClient *client, char *rest, Mono now)
{
    int program;
    RegionView *region = take_program(control, client, &rest, &program);
    if (region == NULL || !runs(client, region, true))
        return;
    if (region->programs[program].state == PROGRAM_STATE_HALTED) {
        control_answer_failed(client, "that program is halted", "'resume' starts it.");
        return;
    }
    char message[128];
    (void)snprintf(message, sizeof message, "restart %s", region->spec->programs[program].name);
    if (tell(control, client, region, message))
        control_answer_done(client, 0);
}

static void do_signal(Control *control, ControlClient *client, char *rest, Mono now)
{
    static const struct {
        const char *name;
        int number;
    } SIGNALS[] = {{"KILL", SIGKILL}, {"TERM", SIGTERM}, {"HUP", SIGHUP},
                   {"STOP", SIGSTOP}, {"CONT", SIGCONT}, {"USR1", SIGUSR1},
                   {"USR2", SIGUSR2}, {"QUIT", SIGQUIT}, {"INT", SIGINT}};
    int program;
    RegionView *region = take_program(control, client, &rest, &program);
    if (region == NULL || !runs(client, region, true))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(SIGNALS); i++) {
        if (rest == NULL || strcmp(rest, SIGNALS[i].name) != 0)
            continue;
        char message[128];
        (void)snprintf(message, sizeof message, "signal %s %d",
                       region->spec->programs[program].name, SIGNALS[i].number);
        if (tell(control, client, region, message))
            control_answer_done(client, 0);
        return;
    }
    control_answer_error(client, "unknown signal",
                         "Allowed: KILL, TERM, HUP, STOP, CONT, USR1, USR2, QUIT, INT.");
}

// Replies name no asker: a refusal of the second one must not answer the first one.
static bool is_upgraded_by_another(const Control *control, const RegionView *region,
                                   const char *program)
{
    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        const ControlClient *other = &control->clients[i];
        if (other->fd >= 0 && other->wait == CONTROL_WAIT_REPLY && other->regions[0] == region &&
            strcmp(other->verb, "upgrade") == 0 && strcmp(other->program, program) == 0)
            return true;
    }
    return false;
}

// Hands the command on; the answer is what the init replies.
static void ask(Control *control, ControlClient *client, const char *verb, char *rest,
                int64_t patience_ns, Mono now)
{
    int program;
    RegionView *region = take_program(control, client, &rest, &program);
    if (region == NULL || !runs(client, region, false))
        return;
    if (rest != NULL && *rest != '\0') {
        control_answer_error(client, "too many words", "It takes a region and a program.");
        return;
    }
    const char *name = region->spec->programs[program].name;
    if (strcmp(verb, "upgrade") == 0 && is_upgraded_by_another(control, region, name)) {
        control_answer_failed(client, "an upgrade of it is under way", "");
        return;
    }
    char message[128];
    (void)snprintf(message, sizeof message, "%s %s", verb, name);
    if (!tell(control, client, region, message))
        return;
    (void)snprintf(client->verb, sizeof client->verb, "%s", verb);
    (void)snprintf(client->program, sizeof client->program, "%s", name);
    client->regions[0] = region;
    client->n_regions = 1;
    client->wait = CONTROL_WAIT_REPLY;
    client->asked = now;
    client->deadline = mono_add(now, patience_ns);
}

static void do_halt(Control *control, ControlClient *client, char *rest, Mono now)
{
    ask(control, client, "halt", rest, HALT_NS, now);
}

static void do_resume(Control *control, ControlClient *client, char *rest, Mono now)
{
    ask(control, client, "resume", rest, RESUME_NS, now);
}

static void do_upgrade(Control *control, ControlClient *client, char *rest, Mono now)
{
    ask(control, client, "upgrade", rest, UPGRADE_NS, now);
}

// A region that does not run gets the change when it starts.
static void pass_on(Control *control, ControlClient *client, RegionView *region,
                    const char *message)
{
    if (region->process.pid == 0 || tell(control, client, region, message))
        control_answer_done(client, 0);
}

static void do_environment(Control *control, ControlClient *client, char *rest, Mono now)
{
    int program;
    RegionView *region = take_program(control, client, &rest, &program);
    if (region == NULL)
        return;
    const char *words = rest != NULL ? rest : "";
    Error err = ERROR_INIT;
    int r = changes_check_environment(words, &err);
    if (r == 0 && region->spec->programs[program].argv == NULL)
        r = error_set(&err, ERROR_USAGE, "'%s' is a part of the supervisor, not a program",
                      region->spec->programs[program].name);
    if (r == 0)
        r = changes_set_environment(&region->changes, (size_t)program, words);
    if (r < 0) {
        if (r == ERROR_MEMORY)
            (void)error_set(&err, r, "environment");
        control_answer_code(client, r, &err);
        return;
    }
    char message[REGION_MESSAGE_MAX];
    (void)snprintf(message, sizeof message, "environment %s %s",
                   region->spec->programs[program].name, words);
    pass_on(control, client, region, message);
}

// What `environment` has added, so that whoever changes it for a while can put it back.
static void do_added(Control *control, ControlClient *client, char *rest, Mono now)
{
    int program;
    const RegionView *region = take_program(control, client, &rest, &program);
    if (region == NULL)
        return;
    const char *words = region->changes.environment[program];
    Buf buf CLEANUP(buf_done) = BUF_INIT(65536);
    buf_add_text(&buf, "{\"ok\":true,\"environment\":");
    buf_add_json_string(&buf, words != NULL ? words : "");
    buf_add_char(&buf, '}');
    control_answer(client, &buf);
}

static void do_programs(Control *control, ControlClient *client, char *rest, Mono now)
{
    RegionView *region =
        control_find_region(control, client, rest != NULL ? strsep(&rest, " ") : "");
    if (region == NULL)
        return;
    const char *folder = rest != NULL ? rest : "";
    Error err = ERROR_INIT;
    int r = *folder != '\0' ? changes_check_programs(folder, &err) : 0;
    if (r == 0 && (r = changes_set_programs(&region->changes, folder)) < 0)
        (void)error_set(&err, r, "programs");
    if (r < 0) {
        control_answer_code(client, r, &err);
        return;
    }
    char message[REGION_MESSAGE_MAX];
    (void)snprintf(message, sizeof message, "programs %s", folder);
    pass_on(control, client, region, message);
}

bool control_programs_execute(Control *control, ControlClient *client, const char *verb, char *rest,
                              Mono now)
{
    static const struct {
        const char *verb;
        void (*run)(Control *, ControlClient *, char *, Mono);
    } VERBS[] = {{"restart", do_restart}, {"signal", do_signal},    {"halt", do_halt},
                 {"resume", do_resume},   {"upgrade", do_upgrade},  {"environment", do_environment},
                 {"added", do_added},     {"programs", do_programs}};
    for (size_t i = 0; i < ARRAY_SIZE(VERBS); i++) {
        if (strcmp(VERBS[i].verb, verb) == 0) {
            VERBS[i].run(control, client, rest, now);
            return true;
        }
    }
    return false;
}
