// SPDX-License-Identifier: MIT
// Any lines on the supervisor's socket, and any messages of a region's init (lines that begin with
// '!'). What must hold: every command is answered by one JSON object or waits for the region; what
// waits is answered by the region's end; what is told to the init is one message that it takes.
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "control_parts.h"
#include "region_init.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const ARGV[] = {"/bin/true", NULL};
static const RegionSpec SPEC = {
    .name = "r",
    .sockets = "/tmp",
    .n = 3,
    .programs = {{.name = "step", .ready = PROGRAM_READY_EXIT},
                 {.name = "nginx", .argv = ARGV},
                 {.name = "agent", .argv = ARGV}},
};

static void on_kill(void *context, RegionView *region)
{
    region->killed = true;
}

static int on_start(void *context, RegionView *region, Error *reterr)
{
    if (!region->killed)
        return error_set(reterr, ERROR_CONFLICT, "it runs");
    region->killed = false;
    return 0;
}

static void on_hang(void *context, RegionView *region, bool hung)
{
    region->state = hung ? REGION_STATE_HUNG : REGION_STATE_RUNNING;
}

static int on_tell(void *context, RegionView *region, const char *message, Error *reterr)
{
    ASSERT(strlen(message) < REGION_MESSAGE_MAX - 1);
    ASSERT(strchr(message, '\n') == NULL);
    return 0;
}

static void on_end(void *context, bool now)
{
}

// One answer, or none when the client waits or has been dropped.
static void check_answer(const ControlClient *client, int other, bool waits)
{
    static char bytes[1U << 20];
    ssize_t n = recv(other, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n <= 0) {
        ASSERT(waits || client->fd < 0);
        return;
    }
    ASSERT(!waits && bytes[n - 1] == '\n');
    json_t *root = json_loadb(bytes, (size_t)n, 0, NULL);
    ASSERT(json_is_boolean(json_object_get(root, "ok")));
    ASSERT(json_is_true(json_object_get(root, "ok")) ||
           json_is_string(json_object_get(root, "error")));
    json_decref(root);
}

static void feed(Control *control, ControlClient *client, RegionView *region, char *line, int other)
{
    const Mono now = {NS_PER_S};
    if (line[0] == '!') {
        bool waited = client->wait == CONTROL_WAIT_REPLY;
        if (!control_replied(control, region, line + 1, now))
            fleet_state_message(region, line + 1);
        if (waited && client->wait == CONTROL_WAIT_NONE)
            check_answer(client, other, false);
        return;
    }
    if (client->wait != CONTROL_WAIT_NONE)
        return; // the socket's reader does not go on then, either
    control_execute(control, client, line, now);
    check_answer(client, other, client->wait != CONTROL_WAIT_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    RegionView region = {.spec = &SPEC, .state = REGION_STATE_RUNNING, .process = {.pid = 1}};
    FleetState fleet = {.n = 1, .regions = &region, .dir = "/tmp"};
    Control control = {.listener = -1,
                       .fleet = &fleet,
                       .actions = {NULL, on_kill, on_start, on_hang, on_tell, on_end}};
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
        return 0;
    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        control.clients[i].fd = -1;
    ControlClient *client = &control.clients[3];
    client->fd = pair[0];
    char *text = malloc(size + 1), *rest = text;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    for (char *line; client->fd >= 0 && (line = strsep(&rest, "\n")) != NULL;)
        if (strlen(line) < CONTROL_LINE)
            feed(&control, client, &region, line, pair[1]);
    if (client->fd >= 0 && client->wait != CONTROL_WAIT_NONE) {
        region.process.pid = 0;
        control_reaped(&control, (Mono){2 * NS_PER_S});
        ASSERT(client->wait == CONTROL_WAIT_NONE);
        check_answer(client, pair[1], false);
    }
    if (client->fd >= 0)
        (void)close(client->fd);
    (void)close(pair[1]);
    changes_done(&region.changes);
    free(text);
    return 0;
}
