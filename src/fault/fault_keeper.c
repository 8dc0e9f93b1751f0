// SPDX-License-Identifier: MIT
// fault_keeper: this end of the keeper (fault.h): makes the process, asks it, waits for its
// answers. The keeper is a fork without exec, so fork from a process with one thread. It keeps
// stderr, to say what it could not heal, and nothing else that is open here: an end of somebody
// else's pipe would keep that one from being seen as closed.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "clock.h"
#include "fault_check.h"
#include "fault_keeper_run.h"
#include "fault_message.h"
#include "files.h"

#define KEPT_FROM 500

struct FaultKeeper {
    const FaultOptions *options;
    pid_t pid;
    int socket;
    uint32_t number;
};

// But for 0 to 2; a kept one of -1 is none.
static void close_others(const int *kept, size_t n)
{
    for (int from = 3;;) {
        int next = INT_MAX;
        for (size_t i = 0; i < n; i++)
            next = kept[i] >= from && kept[i] < next ? kept[i] : next;
        if (next > from)
            (void)close_range((unsigned)from, next == INT_MAX ? ~0U : (unsigned)next - 1, 0);
        if (next == INT_MAX)
            return;
        from = next + 1;
    }
}

NORETURN static void become(const FaultOptions *options, int socket, int asker)
{
    for (int s = 1; s < NSIG; s++)
        (void)signal(s, SIG_DFL);
    const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        (void)signal(ignored[i], SIG_IGN);
    (void)setsid(); // Ctrl-C and the end of the terminal are for the one who asked
    (void)prctl(PR_SET_PDEATHSIG, 0);
    (void)prctl(PR_SET_NAME, "wildcam-keeper");
    int nothing = open("/dev/null", O_RDWR);
    (void)dup2(nothing, STDIN_FILENO);
    (void)dup2(nothing, STDOUT_FILENO);
    // Ours go to free numbers far up, all others are closed.
    int kept[3] = {fcntl(socket, F_DUPFD_CLOEXEC, KEPT_FROM),
                   fcntl(asker, F_DUPFD_CLOEXEC, KEPT_FROM),
                   options->lock > 0 ? fcntl(options->lock, F_DUPFD_CLOEXEC, KEPT_FROM) : -1};
    if (kept[0] < 0 || kept[1] < 0 || (options->lock > 0 && kept[2] < 0))
        _exit(1);
    close_others(kept, ARRAY_SIZE(kept));
    fault_keeper_run(options, kept[0], kept[1]);
}

// The answer to request `number`; older ones came too late and are passed over.
static int wait_answer(const FaultKeeper *keeper, uint32_t number, int64_t most_ns,
                       FaultAnswer *ret_answer, Error *reterr)
{
    Mono until = mono_add(clock_mono(), most_ns);
    for (;;) {
        int64_t left_ns = mono_since(until, clock_mono());
        struct pollfd readable = {.fd = keeper->socket, .events = POLLIN};
        unsigned char bytes[FAULT_MESSAGE_MAX];
        if (left_ns <= 0)
            return error_set(reterr, ERROR_TIMEOUT, "the keeper of faults does not answer");
        if (poll(&readable, 1, (int)(left_ns / NS_PER_MS) + 1) <= 0)
            continue;
        ssize_t n = recv(keeper->socket, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            return error_set(reterr, ERROR_UNAVAILABLE, "the keeper of faults has ended");
        if (fault_answer_decode(bytes, (size_t)n, ret_answer) < 0)
            return error_set(reterr, ERROR_FORMAT, "answer of the keeper of faults");
        if (ret_answer->number == number && ret_answer->code == FAULT_ANSWER_AT_IT)
            until = mono_add(clock_mono(), most_ns);
        else if (ret_answer->number == number)
            return ret_answer->code < 0
                       ? error_set(reterr, ret_answer->code, "%s", ret_answer->text)
                       : 0;
    }
}

static int call(FaultKeeper *keeper, FaultRequest *request, FaultAnswer *ret_answer, Error *reterr)
{
    unsigned char bytes[FAULT_MESSAGE_MAX];
    request->number = ++keeper->number;
    size_t len = fault_request_encode(request, bytes);
    if (len == 0)
        return error_set(reterr, ERROR_LIMIT, "name of a program");
    if (send(keeper->socket, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
        return error_set(reterr, ERROR_UNAVAILABLE, "the keeper of faults has ended");
    bool slow = request->verb == FAULT_VERB_PREPARE || request->verb == FAULT_VERB_UNDO;
    return wait_answer(keeper, request->number,
                       (slow ? FAULT_SLOW_NS : FAULT_QUICK_NS) + FAULT_ANSWER_NS, ret_answer,
                       reterr);
}

int fault_keeper_new(const FaultOptions *options, FaultKeeper **ret_keeper, Error *reterr)
{
    int sockets[2], asker = pidfd_open(getpid(), 0);
    if (asker < 0)
        return error_errno(reterr, errno, "pidfd_open");
    FaultKeeper *keeper = alloc_zeroed(1, sizeof *keeper);
    if (keeper == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
        int r = keeper == NULL ? error_set(reterr, ERROR_MEMORY, "keeper of faults")
                               : error_errno(reterr, errno, "socketpair");
        free(keeper);
        files_close(asker);
        return r;
    }
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        become(options, sockets[1], asker);
    int error = errno;
    files_close(sockets[1]);
    files_close(asker);
    *keeper = (FaultKeeper){.options = options, .pid = pid, .socket = sockets[0]};
    FaultAnswer hello;
    int r = pid < 0 ? error_errno(reterr, error, "fork")
                    : wait_answer(keeper, 0, FAULT_SLOW_NS + FAULT_ANSWER_NS, &hello, reterr);
    if (r < 0) {
        (void)fault_keeper_free(keeper);
        return r;
    }
    *ret_keeper = keeper;
    return 0;
}

int fault_prepare(FaultKeeper *keeper, const Fault *fault, uint32_t *ret_id, Error *reterr)
{
    FaultAnswer answer;
    int r = fault_check(fault, &keeper->options->conf->model, reterr);
    if (r < 0)
        return r;
    FaultRequest request = {.verb = FAULT_VERB_PREPARE, .fault = *fault};
    if ((r = call(keeper, &request, &answer, reterr)) < 0)
        return error_wrap(reterr, r, "prepare '%s'", FAULTS[fault->kind].name);
    *ret_id = answer.id;
    return 0;
}

static int ask(FaultKeeper *keeper, FaultVerb verb, const char *word, uint32_t id, int64_t value,
               Error *reterr)
{
    FaultAnswer answer;
    FaultRequest request = {.verb = verb, .id = id, .fault.value = value};
    int r = call(keeper, &request, &answer, reterr);
    return r < 0 ? error_wrap(reterr, r, "%s the fault", word) : 0;
}

int fault_begin(FaultKeeper *keeper, uint32_t id, Error *reterr)
{
    return ask(keeper, FAULT_VERB_BEGIN, "begin", id, 0, reterr);
}

int fault_change(FaultKeeper *keeper, uint32_t id, int64_t value, Error *reterr)
{
    return ask(keeper, FAULT_VERB_CHANGE, "change", id, value, reterr);
}

int fault_end(FaultKeeper *keeper, uint32_t id, Error *reterr)
{
    return ask(keeper, FAULT_VERB_END, "end", id, 0, reterr);
}

int fault_undo(FaultKeeper *keeper, uint32_t id, Error *reterr)
{
    return ask(keeper, FAULT_VERB_UNDO, "undo", id, 0, reterr);
}

pid_t fault_keeper_pid(const FaultKeeper *keeper)
{
    return keeper->pid;
}

int fault_keeper_fd(const FaultKeeper *keeper)
{
    return keeper->socket;
}

int fault_keeper_free(FaultKeeper *keeper)
{
    if (keeper == NULL)
        return 0;
    // The closed socket tells it to heal; each of its steps has a deadline, so it ends.
    files_close(keeper->socket);
    int status = 0;
    pid_t pid = keeper->pid;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (pid > 0 && WIFSIGNALED(status))
        (void)fprintf(stderr, "fault: the keeper was killed by signal %d: not all is healed\n",
                      WTERMSIG(status));
    free(keeper);
    return pid > 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0) ? ERROR_UNAVAILABLE : 0;
}
