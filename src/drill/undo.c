// SPDX-License-Identifier: MIT
// undo: see undo.h. The guard hears one line a packet and answers each with a byte; the end of the
// socket is the sign to begin. It has a session of its own, so that Ctrl-C does not reach it.
#include "undo.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agents_ask.h"
#include "alloc.h"
#include "bounds.h"
#include "clock.h"
#include "control_answer.h"
#include "files.h"
#include "layout.h"
#include "owned.h"

#define ASK_NS (60 * NS_PER_S)
#define PUSH_NS (90 * NS_PER_S) // until the fleet takes a configuration again

struct Undo {
    int socket;
    pid_t guard;
};

typedef struct Guard {
    const char *dir;
    const Model *model;
    DrillAsk *ask;
    int keeper; // a pidfd; -1: none
    uint32_t n;
    char lines[UNDO_LINES][UNDO_LINE];
} Guard;

static int undo_ask(const Guard *guard, const char *command, Error *reterr)
{
    char *answer CLEANUP(free_textp) = NULL;
    int r = guard->ask(guard->dir, command, ASK_NS, &answer, reterr);
    return r < 0 ? r : control_answer_read(answer, NULL, reterr);
}

// Its words go nowhere: stdout is the report's, and tries that are repeated say nothing new.
static NORETURN void become_push(const char *program, const char *dir)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL); // the drill's own are for the drill
    (void)signal(SIGPIPE, SIG_DFL);
    int nothing = open("/dev/null", O_RDWR);
    (void)dup2(nothing, STDIN_FILENO);
    (void)dup2(nothing, STDOUT_FILENO);
    (void)dup2(nothing, STDERR_FILENO);
    (void)execl(program, "wildcam", "config", "push", "--back", "--dir", dir, "--yes",
                (char *)NULL);
    _exit(127);
}

// A push that hangs would hold the drill's lock for ever.
static int push_back_once(const Guard *guard, Mono end)
{
    LayoutPath program;
    if (layout_program("wildcam", &program, NULL) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        become_push(program.text, guard->dir);
    int status = 0;
    pid_t ended = 0;
    while (pid > 0 && (ended = waitpid(pid, &status, WNOHANG)) == 0 && clock_mono().ns < end.ns)
        (void)usleep(20000);
    if (pid > 0 && ended == 0) {
        (void)kill(pid, SIGKILL);
        ended = waitpid(pid, &status, 0);
    }
    if (pid < 0 || ended != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

// The push itself may still be at it, in its last moments.
static int undo_back(const Guard *guard, Error *reterr)
{
    Mono end = mono_add(clock_mono(), PUSH_NS);
    int code;
    while ((code = push_back_once(guard, end)) != 0 && clock_mono().ns < end.ns)
        (void)usleep(500000);
    return code == 0 ? 0 : error_set(reterr, ERROR_UNAVAILABLE, "exit code %d", code);
}

// A region that is down reads the file when it starts, so what its agent does not hear is no
// failure.
int undo_give_config(const char *dir, const Model *model, DrillAsk *ask, const char *file,
                     Error *reterr)
{
    char *bytes CLEANUP(free_textp) = NULL;
    size_t len;
    int r = owned_read(dir, file, BOUND_CONF_BYTES, &bytes, &len, reterr);
    if (r < 0)
        return r;
    r = owned_replace(dir, "fleet.yaml", bytes, len, reterr);
    for (uint32_t i = 0; r == 0 && i < model->n_regions; i++) {
        char name[BOUND_NAME + 16];
        (void)snprintf(name, sizeof name, "%s/fleet.yaml", model->regions[i].name);
        r = owned_replace(dir, name, bytes, len, reterr);
    }
    for (uint32_t i = 0; r == 0 && i < model->n_regions; i++) {
        char command[256], *answer CLEANUP(free_textp) = NULL;
        (void)snprintf(command, sizeof command, "signal %s agent HUP", model->regions[i].name);
        (void)(ask(dir, command, ASK_NS, &answer, NULL) < 0);
    }
    return r;
}

static int do_line(const Guard *guard, const char *line, Error *reterr)
{
    if (strncmp(line, "ask ", 4) == 0)
        return undo_ask(guard, line + 4, reterr);
    if (strncmp(line, "config ", 7) == 0)
        return undo_give_config(guard->dir, guard->model, guard->ask, line + 7, reterr);
    if (strncmp(line, "wish ", 5) == 0)
        return agents_wish(guard->dir, guard->model, UINT64_MAX, line + 5, reterr);
    if (strcmp(line, "back") == 0)
        return undo_back(guard, reterr);
    if (strncmp(line, "remove ", 7) == 0)
        return owned_remove_tree(guard->dir, line + 7, reterr);
    return error_set(reterr, ERROR_FORMAT, "unknown");
}

// A keeper heals with deadlines of its own. One that somebody has stopped is waited for: what it
// holds is broken, and only it can tell when that is over.
static void wait_for_keeper(int keeper)
{
    struct pollfd ended = {.fd = keeper, .events = POLLIN};
    while (keeper >= 0 && poll(&ended, 1, -1) < 0 && errno == EINTR)
        continue;
}

static int go_back(Guard *guard)
{
    int failed = 0;
    wait_for_keeper(guard->keeper);
    while (guard->n > 0) {
        const char *line = guard->lines[--guard->n];
        Error err CLEANUP(error_done) = ERROR_INIT;
        if (do_line(guard, line, &err) < 0) {
            (void)fprintf(stderr, "drill: NOT undone: %s: %s\n", line, error_text(&err));
            failed = 1;
        }
    }
    return failed;
}

static NORETURN void guard_main(Guard *guard, int socket)
{
    char packet[UNDO_LINE];
    ssize_t len;
    (void)setsid();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_NAME, "wildcam-undo");
    for (;;) {
        do
            len = recv(socket, packet, sizeof packet - 1, 0);
        while (len < 0 && errno == EINTR);
        if (len <= 0)
            _exit(go_back(guard));
        packet[len] = '\0';
        if (strncmp(packet, "after ", 6) == 0) {
            guard->keeper = pidfd_open((pid_t)strtol(packet + 6, NULL, 10), 0);
            packet[0] = guard->keeper < 0 ? '!' : '+';
        } else if (strncmp(packet, "forget ", 7) == 0) {
            unsigned long n = strtoul(packet + 7, NULL, 10);
            guard->n -= n < guard->n ? (uint32_t)n : guard->n;
        } else if (guard->n < UNDO_LINES) {
            memcpy(guard->lines[guard->n++], packet, (size_t)len + 1);
        } else {
            packet[0] = '!';
        }
        (void)send(socket, packet[0] == '!' ? "!" : "+", 1, MSG_NOSIGNAL);
    }
}

int undo_new(const char *dir, const Model *model, DrillAsk *ask, Undo **ret_undo, Error *reterr)
{
    Undo *undo = alloc_zeroed(1, sizeof *undo);
    Guard *guard = alloc_zeroed(1, sizeof *guard);
    int pair[2] = {-1, -1};
    int r = 0;
    if (undo == NULL || guard == NULL)
        r = error_set(reterr, ERROR_MEMORY, "out of memory");
    else if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        r = error_errno(reterr, errno, "socketpair");
    if (r == 0) {
        *guard = (Guard){.dir = dir, .model = model, .ask = ask, .keeper = -1};
        undo->socket = pair[0];
        undo->guard = fork();
        if (undo->guard == 0) {
            files_close(pair[0]);
            guard_main(guard, pair[1]);
        }
        if (undo->guard < 0)
            r = error_errno(reterr, errno, "fork");
    }
    free(guard);
    files_close(pair[1]);
    if (r < 0) {
        files_close(pair[0]);
        free(undo);
        return r;
    }
    *ret_undo = undo;
    return 0;
}

static int tell(Undo *undo, const char *line, size_t len, Error *reterr)
{
    char answer;
    if (send(undo->socket, line, len, MSG_NOSIGNAL) != (ssize_t)len)
        return error_errno(reterr, errno, "guard of the drill");
    ssize_t n;
    do
        n = recv(undo->socket, &answer, 1, 0);
    while (n < 0 && errno == EINTR);
    if (n != 1 || answer != '+')
        return error_set(reterr, ERROR_LIMIT, "guard of the drill: '%s' was not taken", line);
    return 0;
}

int undo_add(Undo *undo, Error *reterr, const char *fmt, ...)
{
    char line[UNDO_LINE];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (len <= 0 || len >= (int)sizeof line)
        return error_set(reterr, ERROR_LIMIT, "guard of the drill: a line of %d bytes", len);
    return tell(undo, line, (size_t)len, reterr);
}

int undo_forget(Undo *undo, uint32_t n, Error *reterr)
{
    char line[32];
    int len = snprintf(line, sizeof line, "forget %u", n);
    return tell(undo, line, (size_t)len, reterr);
}

int undo_after(Undo *undo, pid_t pid, Error *reterr)
{
    char line[32];
    int len = snprintf(line, sizeof line, "after %ld", (long)pid);
    return tell(undo, line, (size_t)len, reterr);
}

int undo_free(Undo *undo)
{
    int status = 0;
    if (undo == NULL)
        return 0;
    files_close(undo->socket);
    while (waitpid(undo->guard, &status, 0) < 0 && errno == EINTR)
        continue;
    free(undo);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : ERROR_UNAVAILABLE;
}
