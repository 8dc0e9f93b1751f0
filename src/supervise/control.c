// SPDX-License-Identifier: MIT
// control: see control.h. Clients are the operator's own tools: a client that does not read its
// answer is dropped, never waited for. The path of a state folder may be longer than a socket's may
// be: both ends go through /proc/self/fd.
#include "control_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control_path.h"
#include "files.h"
#include "region_init.h"

static void drop(ControlClient *client)
{
    files_close(client->fd);
    *client = (ControlClient){.fd = -1};
}

void control_answer(ControlClient *client, Buf *buf)
{
    buf_add_char(buf, '\n');
    if (buf_check(buf) < 0 ||
        send(client->fd, buf->data, buf->len, MSG_NOSIGNAL) < (ssize_t)buf->len)
        drop(client);
}

static void answer_error(ControlClient *client, bool failed, const char *error, const char *hint)
{
    Buf buf CLEANUP(buf_done) = BUF_INIT(65536);
    buf_printf(&buf, "{\"ok\":false,\"failed\":%s,\"error\":", failed ? "true" : "false");
    buf_add_json_string(&buf, error);
    buf_add_text(&buf, ",\"hint\":");
    buf_add_json_string(&buf, hint);
    buf_add_char(&buf, '}');
    control_answer(client, &buf);
}

void control_answer_error(ControlClient *client, const char *error, const char *hint)
{
    answer_error(client, false, error, hint);
}

void control_answer_failed(ControlClient *client, const char *error, const char *hint)
{
    answer_error(client, true, error, hint);
}

void control_answer_done(ControlClient *client, int64_t elapsed_ns)
{
    Buf buf CLEANUP(buf_done) = BUF_INIT(256);
    buf_printf(&buf, "{\"ok\":true,\"elapsed_ms\":%lld}", (long long)(elapsed_ns / NS_PER_MS));
    control_answer(client, &buf);
}

void control_answer_code(ControlClient *client, int code, Error *err)
{
    const char *text = error_text(err), *line = strstr(text, "\nHINT: ");
    char error[2048];
    (void)snprintf(error, sizeof error, "%.*s", line != NULL ? (int)(line - text) : 2000, text);
    answer_error(client, code != ERROR_USAGE, error, line != NULL ? line + 7 : "");
    error_done(err);
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

// What has come, up to a command whose answer has to wait.
static void execute_lines(Control *control, ControlClient *client, Mono now)
{
    for (char *end; client->fd >= 0 && client->wait == CONTROL_WAIT_NONE &&
                    (end = memchr(client->line, '\n', client->len)) != NULL;) {
        char line[CONTROL_LINE];
        size_t len = (size_t)(end - client->line);
        memcpy(line, client->line, len);
        line[len] = '\0';
        client->len -= len + 1;
        memmove(client->line, end + 1, client->len);
        control_execute(control, client, line, now);
    }
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
    execute_lines(control, client, now);
    if (client->fd >= 0 && client->len == sizeof client->line)
        drop(client);
}

static void waited(Control *control, ControlClient *client, const char *error, const char *hint,
                   Mono now)
{
    client->wait = CONTROL_WAIT_NONE;
    if (error == NULL)
        control_answer_done(client, mono_since(now, client->asked));
    else
        control_answer_failed(client, error, hint);
    execute_lines(control, client, now);
}

void control_reaped(Control *control, Mono now)
{
    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        ControlClient *client = &control->clients[i];
        bool gone = true;
        for (size_t k = 0; k < client->n_regions; k++)
            gone = gone && client->regions[k]->process.pid == 0;
        if (client->fd < 0 || client->wait == CONTROL_WAIT_NONE || !gone)
            continue;
        bool is_reply = client->wait == CONTROL_WAIT_REPLY;
        waited(control, client, is_reply ? "the region ended meanwhile" : NULL,
               "'start' starts a killed region.", now);
    }
}

void control_give_up(Control *control, const RegionView *region, const char *why, Mono now)
{
    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        ControlClient *client = &control->clients[i];
        if (client->fd >= 0 && client->wait == CONTROL_WAIT_REPLY && client->regions[0] == region)
            waited(control, client, why, "", now);
    }
}

bool control_replied(Control *control, const RegionView *region, const char *message, Mono now)
{
    char verb[16], program[PROGRAM_NAME_MAX], result[8], text[REGION_MESSAGE_MAX];
    int used = 0;
    if (sscanf(message, "reply %15s %31s %7s %n", verb, program, result, &used) < 3 || used == 0)
        return false;
    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        ControlClient *client = &control->clients[i];
        if (client->fd < 0 || client->wait != CONTROL_WAIT_REPLY || client->regions[0] != region ||
            strcmp(client->verb, verb) != 0 || strcmp(client->program, program) != 0)
            continue;
        (void)snprintf(text, sizeof text, "%s %s: %s", verb, program, message + used);
        waited(control, client, strcmp(result, "ok") == 0 ? NULL : text, "", now);
    }
    return true;
}

Mono control_advance(Control *control, Mono now)
{
    Mono next = MONO_NEVER;
    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        ControlClient *client = &control->clients[i];
        if (client->fd >= 0 && client->wait == CONTROL_WAIT_REPLY && client->deadline.ns <= now.ns)
            waited(control, client, "the region did not finish it in time",
                   "Its programs' logs say more.", now);
        if (client->fd >= 0 && client->wait == CONTROL_WAIT_REPLY)
            next = mono_min(next, client->deadline);
    }
    return next;
}

void control_close(Control *control)
{
    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        drop(&control->clients[i]);
    files_close(control->listener);
    control_path_remove(control->fleet->dir);
}
