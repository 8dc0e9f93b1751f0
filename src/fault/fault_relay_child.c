// SPDX-License-Identifier: MIT
// fault_relay_child: see fault_relay_child.h.
#include "fault_relay_child.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "fault_nft.h"
#include "fault_owner.h"
#include "files.h"
#include "layout.h"
#include "parse.h"

#define LINE_MAX_BYTES 1024
#define STOP_MS 6000 // a relay lets connections finish for 3 s

// One line without its end. What the relay says before it dies is the error's text.
static int read_line(const FaultHeld *held, FaultChild *child, Buf *line, Error *reterr)
{
    for (;;) {
        char c;
        ssize_t n = read(child->out, &c, 1);
        if (n == 1 && c == '\n')
            return 0;
        if (n == 1) {
            buf_add_char(line, c);
            if (buf_check(line) < 0)
                return error_set(reterr, ERROR_LIMIT, "the relay says too much");
            continue;
        }
        if (n == 0)
            return error_set(reterr, ERROR_UNAVAILABLE, "the relay has ended");
        if (errno != EAGAIN && errno != EINTR)
            return error_errno(reterr, errno, "relay");
        int64_t left_ns = mono_since(held->deadline, clock_mono());
        struct pollfd readable = {.fd = child->out, .events = POLLIN};
        if (left_ns <= 0)
            return error_set(reterr, ERROR_TIMEOUT, "the relay does not answer");
        (void)poll(&readable, 1, (int)(left_ns / NS_PER_MS) + 1);
    }
}

// The fleet's user is the owner of a region's folder.
static int find_user(const FaultHeld *held, char text[64], Error *reterr)
{
    FaultOwner owner;
    int r = fault_owner_of_region(held->options->dir, fault_region_name(held, 0), &owner, reterr);
    if (r < 0)
        return r;
    (void)snprintf(text, 64, "%u:%u", (unsigned)owner.uid, (unsigned)owner.gid);
    return 0;
}

// "ready PORT..."
static int read_ready(const FaultHeld *held, FaultChild *child, unsigned *ret_ports, size_t n_ports,
                      Error *reterr)
{
    Buf line CLEANUP(buf_done) = BUF_INIT(LINE_MAX_BYTES);
    int r = read_line(held, child, &line, reterr);
    if (r < 0)
        return r;
    const char *at = buf_text(&line);
    if (strncmp(at, "ready", 5) != 0)
        return error_set(reterr, ERROR_UNAVAILABLE, "%s", at);
    at += 5;
    for (size_t i = 0; i < n_ports; i++) {
        uint64_t port;
        size_t len = strcspn(at + (*at == ' '), " ");
        if (*at != ' ' || parse_u64(at + 1, len, UINT16_MAX, &port) < 0)
            return error_set(reterr, ERROR_FORMAT, "the relay says '%s'", buf_text(&line));
        ret_ports[i] = (unsigned)port;
        at += 1 + len;
    }
    return 0;
}

int fault_relay_start(const FaultHeld *held, const char *const *arguments, size_t n,
                      FaultChild *ret_child, unsigned *ret_ports, size_t n_ports, Error *reterr)
{
    LayoutPath program;
    char user[64];
    int net = -1, r = layout_program("wildcam-relay", &program, reterr);
    if (r == 0)
        r = find_user(held, user, reterr);
    if (r == 0)
        r = fault_nft_network(held, &net, reterr);
    if (r < 0)
        return r;
    const char **argv = alloc_zeroed(n + 4, sizeof *argv);
    if (argv == NULL) {
        files_close(net);
        return error_set(reterr, ERROR_MEMORY, "relay");
    }
    size_t at = 0;
    argv[at++] = program.text;
    for (size_t i = 0; i < n; i++)
        argv[at++] = arguments[i];
    if (geteuid() == 0) {
        argv[at++] = "--user";
        argv[at++] = user;
    }
    r = fault_child_start(&(FaultChildOptions){.argv = argv, .net = net}, ret_child, reterr);
    free(argv);
    files_close(net);
    if (r == 0 && (r = read_ready(held, ret_child, ret_ports, n_ports, reterr)) < 0)
        fault_child_kill(ret_child);
    return r < 0 ? error_wrap(reterr, r, "start a relay") : 0;
}

int fault_relay_tell(const FaultHeld *held, FaultChild *child, const char *command,
                     uint64_t *ret_value, Error *reterr)
{
    Buf line CLEANUP(buf_done) = BUF_INIT(LINE_MAX_BYTES);
    char text[128];
    int len = snprintf(text, sizeof text, "%s\n", command);
    ASSERT(len > 0 && (size_t)len < sizeof text);
    int r = files_write_all(child->in, text, (size_t)len, reterr);
    if (r == 0)
        r = read_line(held, child, &line, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "relay, '%s'", command);
    const char *answer = buf_text(&line);
    uint64_t value = 0;
    if (strncmp(answer, "ok", 2) != 0 ||
        (answer[2] != '\0' && parse_u64(answer + 3, strlen(answer + 3), UINT64_MAX, &value) < 0))
        return error_set(reterr, ERROR_UNAVAILABLE, "relay, '%s': %s", command, answer);
    if (ret_value != NULL)
        *ret_value = value;
    return 0;
}

void fault_relay_stop(const FaultHeld *held, FaultChild *child)
{
    files_close(child->in);
    child->in = -1;
    int64_t end = clock_mono().ns + STOP_MS * NS_PER_MS;
    // Its stdout closes when it ends.
    while (child->out >= 0 && fault_child_lives(child) && clock_mono().ns < end &&
           clock_mono().ns < held->deadline.ns) {
        struct pollfd closed = {.fd = child->out, .events = POLLIN};
        char rest[256];
        (void)poll(&closed, 1, 20);
        (void)!read(child->out, rest, sizeof rest);
    }
    fault_child_kill(child);
}
