// SPDX-License-Identifier: MIT
// supervisor: see supervisor.h. One poll loop over signals, the regions' channels and the control
// socket; no threads (the regions' death signal follows the thread that made them).
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "clock.h"
#include "control.h"
#include "files.h"
#include "fleet_state.h"
#include "log.h"
#include "process_id.h"
#include "region_init.h"

#define BACKOFF_NS (200 * NS_PER_MS)
#define BACKOFF_MAX_NS (5 * NS_PER_S)
#define STEADY_NS (30 * NS_PER_S)
#define END_NS (8 * NS_PER_S) // regions that have not ended by then are killed

typedef struct Supervisor {
    const SupervisorOptions *options;
    FleetState fleet;
    Control control;
    int signals;
    int alive[2];
} Supervisor;

static void set_state(RegionView *region, RegionState state, Mono now)
{
    region->state = state;
    region->since = now;
}

// DIR/REGION/init.pid lets the next `up` wait for the region of a killed supervisor.
static void write_init_pid(const Supervisor *supervisor, const RegionView *region)
{
    LayoutPath path = layout_region(supervisor->options->dir, region->spec->name, "init.pid");
    int fd CLEANUP(fd_closep) = open(path.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    ProcessId id;
    Error err = ERROR_INIT;
    if (fd < 0 || process_id_of(region->process.pid, &id, &err) < 0 ||
        process_id_write(fd, &id, &err) < 0)
        log_warning("no init.pid written", region->spec->name,
                    LOG_TEXT("error", fd < 0 ? strerror(errno) : error_text(&err)));
    error_done(&err);
}

static int start_region(Supervisor *supervisor, RegionView *region, Mono now, Error *reterr)
{
    int r = region_start(supervisor->options->identity, region->spec, &region->changes,
                         supervisor->alive, &region->process, reterr);
    if (r < 0)
        return r;
    memset(region->programs, 0, sizeof region->programs);
    region->killed = false;
    region->starts++;
    set_state(region, REGION_STATE_RUNNING, now);
    write_init_pid(supervisor, region);
    log_info("region started", region->spec->name, LOG_NUMBER("pid", region->process.pid));
    return 0;
}

static void back_off(RegionView *region, Mono now)
{
    if (mono_since(now, region->since) > STEADY_NS)
        region->failures = 0;
    int64_t pause_ns = BACKOFF_NS;
    for (unsigned i = 0; i < region->failures && pause_ns < BACKOFF_MAX_NS; i++)
        pause_ns *= 2;
    region->failures++;
    region->again = mono_add(now, pause_ns < BACKOFF_MAX_NS ? pause_ns : BACKOFF_MAX_NS);
    set_state(region, REGION_STATE_BACKOFF, now);
}

static void read_channel(Supervisor *supervisor, RegionView *region, Mono now)
{
    char message[REGION_MESSAGE_MAX + 1];
    ssize_t n;
    while (region->process.pid != 0 &&
           (n = recv(region->process.channel, message, REGION_MESSAGE_MAX, MSG_DONTWAIT)) > 0) {
        message[n] = '\0';
        if (!control_replied(&supervisor->control, region, message, now))
            fleet_state_message(region, message);
    }
}

// waitpid returns a namespace's init only when every process of the namespace has gone.
static void region_gone(Supervisor *supervisor, RegionView *region, int status, Mono now)
{
    (void)close(region->process.channel);
    region->process = (RegionProcess){0};
    for (size_t i = 0; i < region->spec->n; i++) {
        region->programs[i].state = PROGRAM_STATE_STOPPED;
        region->programs[i].pid = 0;
    }
    log_at(supervisor->fleet.ending || region->killed ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
           "region ended", region->spec->name,
           LOG_NUMBER("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
           LOG_NUMBER("code", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
    if (supervisor->fleet.ending || region->killed)
        set_state(region, REGION_STATE_DOWN, now);
    else
        back_off(region, now);
}

static void reap(Supervisor *supervisor, Mono now)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < supervisor->fleet.n; i++)
            if (supervisor->fleet.regions[i].process.pid == pid)
                region_gone(supervisor, &supervisor->fleet.regions[i], status, now);
    control_reaped(&supervisor->control, now);
}

static void do_kill(void *context, RegionView *region)
{
    region->killed = true;
    if (region->process.pid != 0)
        (void)kill(region->process.pid, SIGKILL);
    else
        set_state(region, REGION_STATE_DOWN, clock_mono());
    log_info("region killed on purpose", region->spec->name);
}

static int do_start(void *context, RegionView *region, Error *reterr)
{
    Supervisor *supervisor = context;
    if (supervisor->fleet.ending)
        return error_set(reterr, ERROR_CONFLICT, "the fleet is ending");
    if (region->process.pid != 0 && region->killed)
        return error_set(reterr, ERROR_CONFLICT, "region '%s' is being killed", region->spec->name);
    if (region->process.pid != 0)
        return 0;
    region->failures = 0;
    return start_region(supervisor, region, clock_mono(), reterr);
}

static void do_hang(void *context, RegionView *region, bool hung)
{
    if (region->process.pid == 0)
        return;
    (void)kill(region->process.pid, hung ? SIGUSR1 : SIGUSR2);
    set_state(region, hung ? REGION_STATE_HUNG : REGION_STATE_RUNNING, clock_mono());
    log_info(hung ? "region hung on purpose" : "region continued", region->spec->name);
}

static int do_tell(void *context, RegionView *region, const char *message, Error *reterr)
{
    if (send(region->process.channel, message, strlen(message), MSG_NOSIGNAL) >= 0)
        return 0;
    return error_errno(reterr, errno, "region '%s' does not take commands", region->spec->name);
}

static void do_end(void *context, bool now)
{
    Supervisor *supervisor = context;
    Mono at = clock_mono();
    for (size_t i = 0; i < supervisor->fleet.n; i++) {
        RegionView *region = &supervisor->fleet.regions[i];
        if (region->process.pid == 0) {
            set_state(region, REGION_STATE_DOWN, at);
            continue;
        }
        if (now)
            (void)kill(region->process.pid, SIGKILL);
        else if (!supervisor->fleet.ending)
            (void)!do_tell(context, region, "stop", NULL);
        set_state(region, REGION_STATE_ENDING, at);
    }
    if (!supervisor->fleet.ending)
        supervisor->fleet.ending_since = at;
    supervisor->fleet.ending = true;
    log_info(now ? "fleet ends at once" : "fleet ends", NULL);
}

static void read_signals(Supervisor *supervisor, Mono now)
{
    struct signalfd_siginfo info;
    while (read(supervisor->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(supervisor, now);
        else // SIGTERM, SIGINT: a second one ends the patience
            do_end(supervisor, supervisor->fleet.ending);
    }
}

// What time brings; the next such instant.
static Mono advance(Supervisor *supervisor, Mono now)
{
    Mono next = control_advance(&supervisor->control, now);
    FleetState *fleet = &supervisor->fleet;
    for (size_t i = 0; i < fleet->n; i++) {
        RegionView *region = &fleet->regions[i];
        if (region->state != REGION_STATE_BACKOFF)
            continue;
        Error err = ERROR_INIT;
        if (region->again.ns <= now.ns && start_region(supervisor, region, now, &err) < 0) {
            log_error("region does not start", region->spec->name,
                      LOG_TEXT("error", error_text(&err)));
            back_off(region, now);
        }
        error_done(&err);
        if (region->state == REGION_STATE_BACKOFF)
            next = mono_min(next, region->again);
    }
    if (fleet->ending) {
        Mono last = mono_add(fleet->ending_since, END_NS);
        if (last.ns <= now.ns)
            do_end(supervisor, true);
        next = mono_min(next, last.ns <= now.ns ? mono_add(now, NS_PER_S) : last);
    }
    return next;
}

static bool ended(const Supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->fleet.n; i++)
        if (supervisor->fleet.regions[i].process.pid != 0)
            return false;
    return supervisor->fleet.ending;
}

static int timeout_ms(Mono next, Mono now)
{
    int64_t left_ns = mono_since(next, now);
    if (next.ns == MONO_NEVER.ns || left_ns > 60 * NS_PER_S)
        return 60000;
    return left_ns <= 0 ? 0 : (int)(left_ns / NS_PER_MS) + 1;
}

static size_t fill(const Supervisor *supervisor, struct pollfd *fds)
{
    size_t n = 0;
    fds[n++] = (struct pollfd){.fd = supervisor->signals, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = supervisor->options->front, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = supervisor->control.listener, .events = POLLIN};
    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        fds[n++] = (struct pollfd){.fd = supervisor->control.clients[i].fd, .events = POLLIN};
    for (size_t i = 0; i < supervisor->fleet.n; i++) {
        const RegionProcess *process = &supervisor->fleet.regions[i].process;
        // A channel whose region ends stays readable; its end is seen by SIGCHLD.
        fds[n++] =
            (struct pollfd){.fd = process->pid != 0 ? process->channel : -1, .events = POLLIN};
    }
    return n;
}

static int run_loop(Supervisor *supervisor, Error *reterr)
{
    struct pollfd *fds CLEANUP(alloc_freep) =
        alloc_zeroed(3 + CONTROL_CLIENTS + supervisor->fleet.n, sizeof *fds);
    if (fds == NULL)
        return error_set(reterr, ERROR_MEMORY, "supervisor");
    while (!ended(supervisor)) {
        Mono now = clock_mono(), next = advance(supervisor, now);
        size_t n = fill(supervisor, fds);
        if (poll(fds, (nfds_t)n, timeout_ms(next, now)) < 0 && errno != EINTR)
            return error_errno(reterr, errno, "poll");
        now = clock_mono();
        for (size_t i = 0; i < supervisor->fleet.n; i++)
            read_channel(supervisor, &supervisor->fleet.regions[i], now);
        if (fds[0].revents != 0)
            read_signals(supervisor, now);
        if (fds[1].revents !=
            0) // the front died: nobody may be left, so this is no time for manners
            do_end(supervisor, true);
        if (fds[2].revents != 0)
            control_accept(&supervisor->control);
        for (size_t i = 0; i < CONTROL_CLIENTS; i++)
            if (fds[3 + i].revents != 0 && supervisor->control.clients[i].fd >= 0)
                control_read(&supervisor->control, &supervisor->control.clients[i], now);
    }
    return 0;
}

static int open_all(Supervisor *supervisor, Error *reterr)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN); // the terminal went away: not our end
    supervisor->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (supervisor->signals < 0 || pipe2(supervisor->alive, O_CLOEXEC) < 0)
        return error_errno(reterr, errno, "supervisor");
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; // shells give 1024; an edge takes 16,384 connections
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    const ControlActions actions = {.context = supervisor,
                                    .kill = do_kill,
                                    .start = do_start,
                                    .hang = do_hang,
                                    .tell = do_tell,
                                    .end = do_end};
    return control_open(&supervisor->control, &supervisor->fleet, &actions, reterr);
}

static void start_all(Supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->fleet.n; i++) {
        RegionView *region = &supervisor->fleet.regions[i];
        region->spec = supervisor->options->specs[i];
        Error err = ERROR_INIT;
        Mono now = clock_mono();
        if (start_region(supervisor, region, now, &err) < 0) {
            log_error("region does not start", region->spec->name,
                      LOG_TEXT("error", error_text(&err)));
            back_off(region, now);
        }
        error_done(&err);
    }
}

int supervisor_run(const SupervisorOptions *options, Error *reterr)
{
    RegionView *regions CLEANUP(alloc_freep) = alloc_zeroed(options->n, sizeof *regions);
    if (regions == NULL)
        return error_set(reterr, ERROR_MEMORY, "supervisor");
    Supervisor supervisor = {
        .options = options,
        .fleet = {.n = options->n,
                  .regions = regions,
                  .dir = options->dir,
                  .started = clock_mono()},
    };
    for (size_t i = 0; i < options->n; i++)
        regions[i].spec = options->specs[i];
    ProcessId id;
    int r = process_id_of(getpid(), &id, reterr);
    if (r == 0)
        r = process_id_write(options->lock, &id, reterr);
    if (r == 0)
        r = open_all(&supervisor, reterr);
    if (r < 0)
        return r;
    start_all(&supervisor);
    r = run_loop(&supervisor, reterr);
    control_close(&supervisor.control);
    for (size_t i = 0; i < options->n; i++)
        changes_done(&regions[i].changes);
    (void)!ftruncate(options->lock, 0); // the file stays: removing it would let two lock two files
    return r;
}

int supervisor_lock(const char *dir, int *ret_fd, Error *reterr)
{
    LayoutPath path = layout_dir(dir, "supervisor.pid");
    int fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return error_errno(reterr, errno, "%s", path.text);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *ret_fd = fd;
        return 0;
    }
    int r = errno == EWOULDBLOCK
                ? error_set(reterr, ERROR_RUNNING, "a fleet runs already in '%s'", dir)
                : error_errno(reterr, errno, "%s", path.text);
    (void)close(fd);
    return r;
}
