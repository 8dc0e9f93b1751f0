// SPDX-License-Identifier: MIT
// control: see control.h. Clients are the operator's own tools: a client that does not read its
// answer is dropped, never waited for. The path of a state folder may be longer than a socket's may
// be: both ends go through /proc/self/fd.
#include "control.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control_path.h"
#include "files.h"

static void drop(ControlClient *client)
{
    files_close(client->fd);
    *client = (ControlClient){.fd = -1};
}

static void answer(ControlClient *client, Buf *buf)
{
    buf_add_char(buf, '\n');
    if (buf_check(buf) < 0 ||
        send(client->fd, buf->data, buf->len, MSG_NOSIGNAL) < (ssize_t)buf->len)
        drop(client);
}

static void answer_error(ControlClient *client, const char *error, const char *hint)
{
    Buf buf CLEANUP(buf_done) = BUF_INIT(8192);
    buf_add_text(&buf, "{\"ok\":false,\"error\":");
    buf_add_json_string(&buf, error);
    buf_add_text(&buf, ",\"hint\":");
    buf_add_json_string(&buf, hint);
    buf_add_char(&buf, '}');
    answer(client, &buf);
}

static void answer_done(ControlClient *client, int64_t elapsed_ns)
{
    Buf buf CLEANUP(buf_done) = BUF_INIT(256);
    buf_printf(&buf, "{\"ok\":true,\"elapsed_ms\":%lld}", (long long)(elapsed_ns / NS_PER_MS));
    answer(client, &buf);
}

// The names behind the verb; an unknown one is answered here.
static bool take_regions(Control *control, ControlClient *client, char *rest)
{
    client->n_regions = 0;
    for (const char *name; (name = strsep(&rest, " ")) != NULL;) {
        if (*name == '\0')
            continue;
        RegionView *region = fleet_state_find(control->fleet, name);
        if (region == NULL || client->n_regions == CONTROL_REGIONS) {
            Buf text CLEANUP(buf_done) = BUF_INIT(4096), known CLEANUP(buf_done) = BUF_INIT(65536);
            buf_printf(&text, "unknown region '%s'", name);
            for (size_t i = 0; i < control->fleet->n; i++)
                buf_printf(&known, "%s%s",
                           i > 0 ? ", " : "Known: ", control->fleet->regions[i].spec->name);
            answer_error(client, buf_text(&text), buf_text(&known));
            return false;
        }
        client->regions[client->n_regions++] = region;
    }
    if (client->n_regions == 0)
        answer_error(client, "no region named", "Give one or more names of regions.");
    return client->n_regions > 0;
}

static void do_kill(Control *control, ControlClient *client, char *rest, Mono now)
{
    if (!take_regions(control, client, rest))
        return;
    for (size_t i = 0; i < client->n_regions; i++)
        control->actions.kill(control->actions.context, client->regions[i]);
    client->waiting = true;
    client->asked = now;
    control_reaped(control, now);
}

static void do_start(Control *control, ControlClient *client, char *rest, Mono now)
{
    if (!take_regions(control, client, rest))
        return;
    for (size_t i = 0; i < client->n_regions; i++) {
        Error err = ERROR_INIT;
        if (control->actions.start(control->actions.context, client->regions[i], &err) < 0) {
            answer_error(client, error_text(&err), "");
            error_done(&err);
            return;
        }
    }
    answer_done(client, 0);
}

static void hang(Control *control, ControlClient *client, char *rest, bool hung)
{
    if (!take_regions(control, client, rest))
        return;
    for (size_t i = 0; i < client->n_regions; i++)
        control->actions.hang(control->actions.context, client->regions[i], hung);
    answer_done(client, 0);
}

static void do_stop(Control *control, ControlClient *client, char *rest, Mono now)
{
    hang(control, client, rest, true);
}

static void do_cont(Control *control, ControlClient *client, char *rest, Mono now)
{
    hang(control, client, rest, false);
}

// "REGION PROGRAM [...]"; NULL after an answer that says what is wrong.
static RegionView *take_program(Control *control, ControlClient *client, char **rest,
                                const char **ret_program)
{
    const char *name = strsep(rest, " ");
    *ret_program = *rest != NULL ? strsep(rest, " ") : NULL;
    RegionView *region = name != NULL ? fleet_state_find(control->fleet, name) : NULL;
    if (region == NULL || region->process.pid == 0) {
        answer_error(client, "no such running region", "'status' lists the regions.");
        return NULL;
    }
    if (*ret_program == NULL || fleet_state_program(region, *ret_program) < 0) {
        answer_error(client, "no such program in that region", "'status' lists the programs.");
        return NULL;
    }
    return region;
}

static void do_restart(Control *control, ControlClient *client, char *rest, Mono now)
{
    const char *program;
    RegionView *region = take_program(control, client, &rest, &program);
    if (region == NULL)
        return;
    char message[128];
    (void)snprintf(message, sizeof message, "restart %s", program);
    control->actions.tell(control->actions.context, region, message);
    answer_done(client, 0);
}

static void do_signal(Control *control, ControlClient *client, char *rest, Mono now)
{
    static const struct {
        const char *name;
        int number;
    } SIGNALS[] = {{"KILL", SIGKILL}, {"TERM", SIGTERM}, {"HUP", SIGHUP},
                   {"STOP", SIGSTOP}, {"CONT", SIGCONT}, {"USR1", SIGUSR1},
                   {"USR2", SIGUSR2}, {"QUIT", SIGQUIT}, {"INT", SIGINT}};
    const char *program;
    RegionView *region = take_program(control, client, &rest, &program);
    if (region == NULL)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(SIGNALS); i++) {
        if (rest == NULL || strcmp(rest, SIGNALS[i].name) != 0)
            continue;
        char message[128];
        (void)snprintf(message, sizeof message, "signal %s %d", program, SIGNALS[i].number);
        control->actions.tell(control->actions.context, region, message);
        answer_done(client, 0);
        return;
    }
    answer_error(client, "unknown signal",
                 "Allowed: KILL, TERM, HUP, STOP, CONT, USR1, USR2, QUIT, INT.");
}

static void do_status(Control *control, ControlClient *client, char *rest, Mono now)
{
    Buf buf CLEANUP(buf_done) = BUF_INIT(4U << 20);
    fleet_state_json(control->fleet, now, &buf);
    answer(client, &buf);
}

static void do_down(Control *control, ControlClient *client, char *rest, Mono now)
{
    control->actions.end(control->actions.context, rest != NULL && strcmp(rest, "now") == 0);
    answer_done(client, 0);
}

static void execute(Control *control, ControlClient *client, char *line, Mono now)
{
    static const struct {
        const char *verb;
        void (*run)(Control *, ControlClient *, char *, Mono);
    } VERBS[] = {{"status", do_status}, {"kill", do_kill}, {"start", do_start},
                 {"stop", do_stop},     {"cont", do_cont}, {"restart", do_restart},
                 {"signal", do_signal}, {"down", do_down}};
    char *rest = line;
    const char *verb = strsep(&rest, " ");
    for (size_t i = 0; i < ARRAY_SIZE(VERBS); i++) {
        if (strcmp(VERBS[i].verb, verb) == 0) {
            VERBS[i].run(control, client, rest, now);
            return;
        }
    }
    answer_error(client, "unknown command",
                 "Allowed: status, kill, start, stop, cont, restart, signal, down.");
}

int control_open(Control *control, FleetState *fleet, const ControlActions *actions, Error *reterr)
{
    *control = (Control){.fleet = fleet, .actions = *actions};
    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        control->clients[i].fd = -1;
    control->listener = control_path_listen(fleet->dir, reterr);
    return control->listener < 0 ? control->listener : 0;
}

void control_accept(Control *control)
{
    int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    for (size_t i = 0; fd >= 0 && i < CONTROL_CLIENTS; i++) {
        if (control->clients[i].fd >= 0)
            continue;
        int bytes = 4 << 20; // a whole status fits without waiting for the reader
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
        control->clients[i] = (ControlClient){.fd = fd};
        return;
    }
    files_close(fd);
}

void control_read(Control *control, ControlClient *client, Mono now)
{
    ssize_t n = recv(client->fd, client->line + client->len, sizeof client->line - client->len, 0);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            drop(client);
        return;
    }
    client->len += (size_t)n;
    for (char *end; client->fd >= 0 && !client->waiting &&
                    (end = memchr(client->line, '\n', client->len)) != NULL;) {
        char line[CONTROL_LINE];
        size_t len = (size_t)(end - client->line);
        memcpy(line, client->line, len);
        line[len] = '\0';
        client->len -= len + 1;
        memmove(client->line, end + 1, client->len);
        execute(control, client, line, now);
    }
    if (client->fd >= 0 && client->len == sizeof client->line)
        drop(client);
}

void control_reaped(Control *control, Mono now)
{
    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        ControlClient *client = &control->clients[i];
        bool gone = true;
        for (size_t k = 0; k < client->n_regions; k++)
            gone = gone && client->regions[k]->process.pid == 0;
        if (client->fd < 0 || !client->waiting || !gone)
            continue;
        client->waiting = false;
        answer_done(client, mono_since(now, client->asked));
    }
}

void control_close(Control *control)
{
    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        drop(&control->clients[i]);
    files_close(control->listener);
    control_path_remove(control->fleet->dir);
}
