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
    int channel, signals, notify;
    bool hung;
} RegionInit;

// The supervisor reads at once; a message that does not fit now would only be an older state.
static void tell(void *context, const Slot *slot)
{
    const RegionInit *init = context;
    char message[REGION_MESSAGE_MAX];
    int n =
        snprintf(message, sizeof message, "%s %s %ld %u %s", slot->program->name,
                 program_state_name(slot->state), (long)slot->pid, slot->restarts, slot->detail);
    if (n > 0)
        (void)send(init->channel, message,
                   (size_t)n < sizeof message ? (size_t)n : sizeof message - 1, MSG_NOSIGNAL);
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

static void obey(RegionInit *init, char *line, Mono now)
{
    char *rest = line;
    const char *verb = strsep(&rest, " "), *program = strsep(&rest, " ");
    uint64_t number;
    int r = 0;
    if (strcmp(verb, "stop") == 0) {
        if (init->hung)
            set_hung(init, false);
        slots_stop(&init->slots, now);
    } else if (strcmp(verb, "restart") == 0 && program != NULL) {
        r = slots_restart(&init->slots, program, now);
    } else if (strcmp(verb, "signal") == 0 && program != NULL && rest != NULL &&
               parse_u64(rest, strlen(rest), 64, &number) == 0) {
        r = slots_signal(&init->slots, program, (int)number);
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

void region_init_run(const RegionSpec *spec, int channel)
{
    static RegionInit init; // 20 KiB
    open_all(&init, spec, channel);
    for (size_t i = 0; spec->stale[i] != NULL; i++)
        (void)unlink(spec->stale[i]);
    slots_init(&init.slots, spec, tell, &init);
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
