// SPDX-License-Identifier: MIT
// relay: see relay.h.
#include "relay.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "alloc.h"
#include "clock.h"
#include "files.h"
#include "options.h"
#include "parse.h"
#include "relay_command.h"
#include "relay_door.h"
#include "relay_link.h"
#include "relay_rights.h"

#define DRAIN_NS (3 * NS_PER_S)
#define EVENTS_MAX 256
#define LINE_MAX_BYTES 256
#define OTHER_DESCRIPTORS 300 // doors with guards and folders, epoll, stdin ...

int relay_watch(Relay *relay, Watch *watch, uint32_t events, Error *reterr)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(relay->epoll, EPOLL_CTL_ADD, watch->fd, &event) < 0)
        return error_errno(reterr, errno, "watch a descriptor");
    return 0;
}

void relay_unwatch(Watch *watch)
{
    files_close(watch->fd); // which takes it out of epoll
    watch->fd = -1;
}

typedef struct RelayInput {
    Watch watch, signals;
    char line[LINE_MAX_BYTES];
    size_t len;
} RelayInput;

static void begin_drain(Relay *relay, Mono now)
{
    if (relay->draining)
        return;
    relay->draining = true;
    relay->give_up = mono_add(now, DRAIN_NS);
    for (size_t i = 0; i < relay->n_doors; i++)
        relay_door_shut(&relay->doors[i]);
}

static void read_commands(Relay *relay, RelayInput *input, Mono now)
{
    char bytes[1024];
    ssize_t n = read(input->watch.fd, bytes, sizeof bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        relay_unwatch(&input->watch);
        begin_drain(relay, now);
        return;
    }
    Buf answers CLEANUP(buf_done) = BUF_INIT(0);
    for (ssize_t i = 0; i < n; i++) {
        if (bytes[i] != '\n') {
            if (input->len + 1 < sizeof input->line) // longer: cut, and so not understood
                input->line[input->len++] = bytes[i];
            continue;
        }
        input->line[input->len] = '\0';
        input->len = 0;
        if (relay_command(relay, input->line, &answers))
            relay->next_due = MONO_DISTANT;
    }
    if (buf_check(&answers) < 0 ||
        files_write_all(STDOUT_FILENO, answers.data, answers.len, NULL) < 0)
        begin_drain(relay, now); // nobody listens
}

static void handle(Relay *relay, RelayInput *input, const struct epoll_event *event, Mono now)
{
    Watch *watch = event->data.ptr;
    if (watch->fd < 0)
        return; // closed by an event before this one
    switch (watch->kind) {
    case WATCH_COMMANDS:
        if (watch == &input->watch)
            read_commands(relay, input, now);
        else
            begin_drain(relay, now);
        break;
    case WATCH_DOOR:
        relay_door_event(watch->owner, now);
        break;
    case WATCH_LINK:
        relay_link_event(watch->owner, watch, event->events, now);
        break;
    case WATCH_PLACE:
        relay_door_place_event(watch->owner, now);
        break;
    case WATCH_GUARD:
        relay_door_guard_event(watch->owner, now);
        break;
    }
}

// Everything that waits for time, when its time has come.
static void timers(Relay *relay, Mono now)
{
    if (relay->next_due.ns <= now.ns) {
        relay->next_due = MONO_NEVER;
        for (RelayLink *link = relay->links, *next; link != NULL; link = next) {
            next = relay_link_next(link);
            relay_link_pump(link, now);
        }
        for (size_t i = 0; i < relay->n_doors; i++)
            relay_door_timer(&relay->doors[i], now);
    }
    bool late = relay->draining && now.ns >= relay->give_up.ns;
    for (RelayLink *link = relay->draining ? relay->links : NULL, *next; link != NULL;
         link = next) {
        next = relay_link_next(link);
        if (late || relay_link_idle(link))
            relay_link_close(link, late);
    }
}

static int wait_events(const Relay *relay, struct epoll_event *events, Mono now)
{
    int64_t wait = mono_since(relay->next_due, now);
    if (relay->draining && mono_since(relay->give_up, now) < wait)
        wait = mono_since(relay->give_up, now);
    for (size_t i = 0; i < relay->n_doors; i++)
        if (relay->doors[i].stalled && relay->n_links < relay->links_max)
            wait = 0;
    wait = wait < 0 ? 0 : wait;
    struct timespec timeout = {.tv_sec = wait / NS_PER_S, .tv_nsec = wait % NS_PER_S};
    return epoll_pwait2(relay->epoll, events, EVENTS_MAX, wait == INT64_MAX ? NULL : &timeout,
                        NULL);
}

static int loop(Relay *relay, RelayInput *input, Error *reterr)
{
    struct epoll_event events[EVENTS_MAX];
    while (!relay->draining || relay->links != NULL) {
        int n = wait_events(relay, events, clock_mono());
        if (n < 0 && errno != EINTR)
            return error_errno(reterr, errno, "wait for events");
        Mono now = clock_mono();
        for (int i = 0; i < n; i++)
            handle(relay, input, &events[i], now);
        for (size_t i = 0; i < relay->n_doors; i++)
            if (relay->doors[i].stalled && relay->n_links < relay->links_max)
                relay_door_event(&relay->doors[i], now);
        timers(relay, clock_mono());
        relay_links_free_dead(relay);
    }
    return 0;
}

// Takes "--tcp A --to B", "--http A --to B" and "--in-place A" out of argv.
static int parse_pairs(Relay *relay, int *argc, char **argv, Error *reterr)
{
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        bool tcp = strcmp(argv[i], "--tcp") == 0, http = strcmp(argv[i], "--http") == 0;
        bool in_place = strcmp(argv[i], "--in-place") == 0;
        int need = in_place ? 1 : 3, r;
        if (!tcp && !http && !in_place) {
            argv[kept++] = argv[i];
            continue;
        }
        if (i + need >= *argc || (!in_place && strcmp(argv[i + 2], "--to") != 0))
            return error_set(reterr, ERROR_USAGE, "'%s' needs a value%s", argv[i],
                             in_place ? "" : " and '--to' with a value right after it");
        if (in_place)
            r = relay_door_in_place(relay, argv[i + 1], reterr);
        else if (tcp)
            r = relay_door_tcp(relay, argv[i + 1], argv[i + 3], reterr);
        else
            r = relay_door_http(relay, argv[i + 1], argv[i + 3], reterr);
        if (r < 0)
            return r;
        i += need;
    }
    *argc = kept;
    return 0;
}

static int parse_options(Relay *relay, int argc, char **argv, const char **ret_user, bool *ret_help,
                         Error *reterr)
{
    const char *mark = NULL, *shown = NULL;
    const Option options[] = {
        {"tcp", "ADDRESS:PORT", "listen here (port 0: any free one)", &shown, NULL},
        {"http", "SOCKET", "listen on this UNIX socket, HTTP/1.1", &shown, NULL},
        {"to", "SERVER", "right after --tcp or --http: where it leads", &shown, NULL},
        {"in-place", "SOCKET", "stand in the place of this listening socket, HTTP/1.1", &shown,
         NULL},
        {"mark", "N", "SO_MARK of TCP connections to servers", &mark, NULL},
        {"user", "UID:GID", "whom root becomes", ret_user, NULL},
        {"help", NULL, "this text", NULL, ret_help},
    };
    int operands = 0;
    uint64_t value = 0;
    int r = parse_pairs(relay, &argc, argv, reterr);
    if (r == 0)
        r = options_parse(options, ARRAY_SIZE(options), argc, argv, &operands, reterr);
    if (r == 0 && *ret_help) {
        (void)printf("Usage: wildcam-relay PAIR... [--mark N] [--user UID:GID]\n"
                     "Relays connections of this machine; used by drills.\n\n");
        options_help(options, ARRAY_SIZE(options));
        (void)printf("\nCommands on stdin, one a line, each answered on stdout: delay NS, errors "
                     "PPM,\nlinks, release. 'ready PORT...' is printed once it listens. Ends with "
                     "stdin.\n");
        return 0;
    }
    if (r == 0 && (operands > 0 || relay->n_doors == 0))
        r = error_set(reterr, ERROR_USAGE, "one or more of --tcp, --http, --in-place are needed");
    if (r == 0 && mark != NULL && parse_u64(mark, strlen(mark), UINT32_MAX, &value) < 0)
        r = error_set(reterr, ERROR_USAGE, "'--mark %s' is no number", mark);
    relay->mark = (uint32_t)value;
    return r;
}

static int open_doors(Relay *relay, Error *reterr)
{
    Buf ready CLEANUP(buf_done) = BUF_INIT(0);
    buf_add_text(&ready, "ready");
    for (size_t i = 0; i < relay->n_doors; i++) {
        int r = relay_door_open(&relay->doors[i], reterr);
        if (r < 0)
            return r;
        if (relay_door_port(&relay->doors[i]) != 0)
            buf_printf(&ready, " %u", relay_door_port(&relay->doors[i]));
    }
    buf_add_char(&ready, '\n');
    int r = buf_check(&ready);
    return r < 0 ? r : files_write_all(STDOUT_FILENO, ready.data, ready.len, reterr);
}

static int check_mark(const Relay *relay, Error *reterr)
{
    CLEANUP(fd_closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (relay->mark == 0 ||
        setsockopt(fd, SOL_SOCKET, SO_MARK, &relay->mark, sizeof relay->mark) == 0)
        return 0;
    int r = error_errno(reterr, errno, "mark connections");
    return error_hint(reterr, r, "'--mark' needs CAP_NET_ADMIN: start it as root with '--user'.");
}

static int watch_input(Relay *relay, RelayInput *input, Error *reterr)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    input->watch = (Watch){.kind = WATCH_COMMANDS, .fd = STDIN_FILENO};
    input->signals = (Watch){.kind = WATCH_COMMANDS, .fd = signalfd(-1, &set, SFD_CLOEXEC)};
    int r = relay_watch(relay, &input->signals, EPOLLIN | EPOLLET, reterr);
    if (r == 0)
        r = relay_watch(relay, &input->watch, EPOLLIN, reterr);
    return r < 0 ? error_wrap(reterr, r, "stdin (it must be a pipe, a socket or a terminal)") : 0;
}

static void raise_limit(Relay *relay)
{
    struct rlimit limit;
    relay->links_max = 16;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > OTHER_DESCRIPTORS + 32)
        relay->links_max = (size_t)(limit.rlim_cur - OTHER_DESCRIPTORS) / 2;
    if (relay->links_max > RELAY_LINKS_MAX)
        relay->links_max = RELAY_LINKS_MAX;
}

static int run(Relay *relay, Error *reterr)
{
    RelayInput *input = alloc_zeroed(1, sizeof *input);
    if (input == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory");
    raise_limit(relay);
    // It ends with its stdin instead, and gives the places back that it has taken.
    (void)prctl(PR_SET_PDEATHSIG, 0L);
    (void)prctl(PR_SET_TIMERSLACK, 1000L); // ns: a delay is as exact as the scheduler lets it be
    int r = watch_input(relay, input, reterr);
    if (r == 0)
        r = check_mark(relay, reterr);
    if (r == 0)
        r = open_doors(relay, reterr);
    if (r == 0)
        r = loop(relay, input, reterr);
    for (size_t i = 0; i < relay->n_doors; i++)
        relay_door_shut(&relay->doors[i]);
    while (relay->links != NULL)
        relay_link_close(relay->links, true);
    relay_links_free_dead(relay);
    files_close(input->signals.fd);
    free(input);
    return r;
}

int relay_main(int argc, char **argv, Error *reterr)
{
    Relay *relay = alloc_zeroed(1, sizeof *relay);
    if (relay == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory");
    const char *user = NULL;
    bool help = false;
    relay->next_due = MONO_NEVER;
    relay->epoll = -1;
    int r = parse_options(relay, argc, argv, &user, &help, reterr);
    if (r == 0 && !help) {
        r = relay_rights_drop(user, relay->mark != 0, reterr);
        if (r == 0 && (relay->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
            r = error_errno(reterr, errno, "make an epoll descriptor");
        if (r == 0)
            r = run(relay, reterr);
    }
    files_close(relay->epoll);
    free(relay);
    return r;
}
