// SPDX-License-Identifier: MIT
// region_init: see region_init.h. One poll loop over signals, the supervisor's channel and
// PostgreSQL's notifications. Everything here runs unprivileged.
#include "region_init.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "parse.h"
#include "region_slots.h"

typedef struct RegionInit {
    Slots slots;
    Changes *changes;
    int channel, signals, notify;
    bool hung;
} RegionInit;

// The supervisor reads at once; a message that does not fit now would only be an older state.
static void send_text(const RegionInit *init, const char *text, int n)
{
    if (n > 0)
        (void)send(init->channel, text,
                   n < REGION_MESSAGE_MAX ? (size_t)n : (size_t)REGION_MESSAGE_MAX - 1,
                   MSG_NOSIGNAL);
}

static void tell(void *context, const Slot *slot)
{
    const RegionInit *init = context;
    char message[REGION_MESSAGE_MAX];
    int n =
        snprintf(message, sizeof message, "%s %s %ld %u %s", slot->program->name,
                 program_state_name(slot->state), (long)slot->pid, slot->restarts, slot->detail);
    send_text(init, message, n);
}

static void reply(void *context, const char *verb, const Slot *slot, const char *error)
{
    char message[REGION_MESSAGE_MAX];
    int n = snprintf(message, sizeof message, "reply %s %s %s %s", verb, slot->program->name,
                     error != NULL ? "error" : "ok", error != NULL ? error : "");
    send_text(context, message, n);
}

static void reap(RegionInit *init, Mono now)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        slots_exited(&init->slots, pid, status, now);
}

static void set_hung(RegionInit *init, bool hung)
{
    // From pid 1 that is every process of this namespace but itself, in one step.
    (void)kill(-1, hung ? SIGSTOP : SIGCONT);
    init->hung = hung;
}

static void read_signals(RegionInit *init, Mono now)
{
    struct signalfd_siginfo info;
    while (read(init->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(init, now);
        else if (info.ssi_signo == SIGUSR1)
            set_hung(init, true);
        else if (info.ssi_signo == SIGUSR2)
            set_hung(init, false);
        else if (info.ssi_signo == SIGTERM)
            slots_stop(&init->slots, now);
    }
}

static size_t find(const RegionInit *init, const char *program)
{
    const RegionSpec *spec = init->slots.spec;
    size_t i = 0;
    while (i < spec->n && strcmp(spec->programs[i].name, program) != 0)
        i++;
    return i;
}

// "VERB PROGRAM [REST]"
static int obey_program(RegionInit *init, const char *verb, const char *program, const char *rest,
                        Mono now)
{
    static const struct {
        const char *verb;
        int (*run)(Slots *slots, const char *name, Mono now);
    } VERBS[] = {{"restart", slots_restart},
                 {"halt", slots_halt},
                 {"resume", slots_resume},
                 {"upgrade", slots_upgrade}};
    uint64_t number;
    for (size_t i = 0; i < ARRAY_SIZE(VERBS); i++)
        if (strcmp(verb, VERBS[i].verb) == 0)
            return VERBS[i].run(&init->slots, program, now);
    if (strcmp(verb, "signal") == 0 && parse_u64(rest, strlen(rest), 64, &number) == 0)
        return slots_signal(&init->slots, program, (int)number);
    if (strcmp(verb, "environment") == 0 && find(init, program) < init->slots.spec->n)
        return changes_set_environment(init->changes, find(init, program), rest);
    return ERROR_NOT_FOUND;
}

static void obey(RegionInit *init, char *line, Mono now)
{
    char *rest = line;
    const char *verb = strsep(&rest, " ");
    int r = 0;
    if (strcmp(verb, "stop") == 0) {
        if (init->hung)
            set_hung(init, false);
        slots_stop(&init->slots, now);
    } else if (strcmp(verb, "programs") == 0) {
        r = changes_set_programs(init->changes, rest != NULL ? rest : "");
    } else if (rest != NULL) {
        const char *program = strsep(&rest, " ");
        r = obey_program(init, verb, program, rest != NULL ? rest : "", now);
    }
    (void)r; // the supervisor knows the programs and has checked the names
}

static void read_channel(RegionInit *init, Mono now)
{
    char line[REGION_MESSAGE_MAX];
    ssize_t n;
    while ((n = recv(init->channel, line, sizeof line - 1, MSG_DONTWAIT)) > 0) {
        line[n] = '\0';
        obey(init, line, now);
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        _exit(1); // the supervisor is gone: so is the region
}

static void open_all(RegionInit *init, const RegionSpec *spec, int channel)
{
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < 4; i++)
        (void)sigaddset(&set, (const int[]){SIGCHLD, SIGUSR1, SIGUSR2, SIGTERM}[i]);
    (void)sigprocmask(SIG_SETMASK, &set, NULL);
    char path[LAYOUT_PATH_MAX + 8];
    (void)snprintf(path, sizeof path, "%s/notify", spec->sockets);
    init->channel = channel;
    init->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    init->notify = ready_notify_open(path, NULL);
    if (init->signals < 0)
        _exit(1);
}

static int timeout_ms(const RegionInit *init, Mono now)
{
    Mono next = slots_next(&init->slots, now);
    int64_t left_ns = mono_since(next, now);
    if (next.ns == MONO_NEVER.ns || init->hung)
        return -1;
    return left_ns <= 0
               ? 0
               : (int)((left_ns < 60 * NS_PER_S ? left_ns : 60 * NS_PER_S) / NS_PER_MS) + 1;
}

void region_init_run(const RegionSpec *spec, Changes *changes, int channel)
{
    static RegionInit init; // 30 KiB
    open_all(&init, spec, channel);
    for (size_t i = 0; spec->stale[i] != NULL; i++)
        (void)unlink(spec->stale[i]);
    slots_init(&init.slots, spec, tell, &init);
    init.changes = changes;
    init.slots.changes = changes;
    init.slots.replied = reply;
    while (!slots_ended(&init.slots)) {
        Mono now = clock_mono();
        if (!init.hung)
            slots_advance(&init.slots, now);
        struct pollfd fds[] = {{.fd = init.signals, .events = POLLIN},
                               {.fd = init.channel, .events = POLLIN},
                               {.fd = init.notify, .events = POLLIN}};
        if (poll(fds, ARRAY_SIZE(fds), timeout_ms(&init, now)) < 0 && errno != EINTR)
            _exit(1);
        now = clock_mono();
        read_signals(&init, now);
        read_channel(&init, now);
        if (fds[2].revents != 0 && ready_notify_read(init.notify))
            slots_notified(&init.slots, now);
    }
    _exit(0);
}
