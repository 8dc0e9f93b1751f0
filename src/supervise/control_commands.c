// SPDX-License-Identifier: MIT
// control_commands: the commands of the supervisor's socket that are about whole regions or the
// fleet.
#include <string.h>

#include "control_parts.h"

RegionView *control_find_region(Control *control, ControlClient *client, const char *name)
{
    RegionView *region = fleet_state_find(control->fleet, name);
    if (region != NULL)
        return region;
    Buf text CLEANUP(buf_done) = BUF_INIT(8192), known CLEANUP(buf_done) = BUF_INIT(65536);
    buf_printf(&text, "unknown region '%s'", name);
    for (size_t i = 0; i < control->fleet->n; i++)
        buf_printf(&known, "%s%s", i > 0 ? ", " : "Known: ", control->fleet->regions[i].spec->name);
    control_answer_error(client, buf_text(&text), buf_text(&known));
    return NULL;
}

// The names behind the verb; an unknown one is answered here.
static bool take_regions(Control *control, ControlClient *client, char *rest)
{
    client->n_regions = 0;
    for (const char *name; (name = strsep(&rest, " ")) != NULL;) {
        if (*name == '\0')
            continue;
        RegionView *region = control_find_region(control, client, name);
        if (region == NULL)
            return false;
        if (client->n_regions == CONTROL_REGIONS) {
            control_answer_error(client, "too many regions named", "");
            return false;
        }
        client->regions[client->n_regions++] = region;
    }
    if (client->n_regions == 0)
        control_answer_error(client, "no region named", "Give one or more names of regions.");
    return client->n_regions > 0;
}

static void do_kill(Control *control, ControlClient *client, char *rest, Mono now)
{
    if (!take_regions(control, client, rest))
        return;
    for (size_t i = 0; i < client->n_regions; i++)
        control->actions.kill(control->actions.context, client->regions[i]);
    client->wait = CONTROL_WAIT_DEATH;
    client->asked = now;
    control_reaped(control, now);
}

static void do_start(Control *control, ControlClient *client, char *rest, Mono now)
{
    if (!take_regions(control, client, rest))
        return;
    for (size_t i = 0; i < client->n_regions; i++) {
        Error err = ERROR_INIT;
        int r = control->actions.start(control->actions.context, client->regions[i], &err);
        if (r < 0) {
            control_answer_code(client, r, &err);
            return;
        }
    }
    control_answer_done(client, 0);
}

static void hang(Control *control, ControlClient *client, char *rest, bool hung, Mono now)
{
    if (!take_regions(control, client, rest))
        return;
    for (size_t i = 0; i < client->n_regions; i++) {
        control->actions.hang(control->actions.context, client->regions[i], hung);
        control_give_up(control, client->regions[i], "the region was hung meanwhile", now);
    }
    control_answer_done(client, 0);
}

static void do_stop(Control *control, ControlClient *client, char *rest, Mono now)
{
    hang(control, client, rest, true, now);
}

static void do_cont(Control *control, ControlClient *client, char *rest, Mono now)
{
    hang(control, client, rest, false, now);
}

static void do_status(Control *control, ControlClient *client, char *rest, Mono now)
{
    Buf buf CLEANUP(buf_done) = BUF_INIT(4U << 20);
    fleet_state_json(control->fleet, now, &buf);
    control_answer(client, &buf);
}

static void do_down(Control *control, ControlClient *client, char *rest, Mono now)
{
    control->actions.end(control->actions.context, rest != NULL && strcmp(rest, "now") == 0);
    control_answer_done(client, 0);
}

void control_execute(Control *control, ControlClient *client, char *line, Mono now)
{
    static const struct {
        const char *verb;
        void (*run)(Control *, ControlClient *, char *, Mono);
    } VERBS[] = {{"status", do_status}, {"kill", do_kill}, {"start", do_start},
                 {"stop", do_stop},     {"cont", do_cont}, {"down", do_down}};
    char *rest = line;
    const char *verb = strsep(&rest, " ");
    for (size_t i = 0; i < ARRAY_SIZE(VERBS); i++) {
        if (strcmp(VERBS[i].verb, verb) == 0) {
            VERBS[i].run(control, client, rest, now);
            return;
        }
    }
    if (!control_programs_execute(control, client, verb, rest, now))
        control_answer_error(client, "unknown command",
                             "Allowed: status, kill, start, stop, cont, " CONTROL_PROGRAMS_VERBS
                             ", down.");
}
