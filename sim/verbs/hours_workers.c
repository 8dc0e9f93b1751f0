// SPDX-License-Identifier: MIT
// hours_workers: see hours_workers.h.
#include "hours_workers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"

#define LOOK_MS 500

typedef struct Worker {
    pid_t pid;
    int to, from; // -1: closed
    bool busy;
} Worker;

static bool transfer(int fd, void *data, size_t size, bool out)
{
    for (size_t at = 0; at < size;) {
        ssize_t n =
            out ? write(fd, (char *)data + at, size - at) : read(fd, (char *)data + at, size - at);
        if (n <= 0 && !(n < 0 && errno == EINTR))
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static int64_t cpu_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

// The worker's life. A stop is the parent's to handle.
static void serve(const HoursWork *work, int from, int to)
{
    HoursStretch *stretch = alloc_zeroed(1, sizeof *stretch);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_DFL);
    while (stretch != NULL && transfer(from, &stretch->index, sizeof stretch->index, false)) {
        SimHoursOptions options = work->options;
        Error err = ERROR_INIT;
        int64_t began_ns = cpu_now_ns();
        options.seed += stretch->index;
        stretch->code = sim_hours_run(&options, &stretch->result, &err);
        stretch->cpu_ns = cpu_now_ns() - began_ns;
        (void)snprintf(stretch->text, sizeof stretch->text, "%s",
                       stretch->code < 0 ? error_text(&err) : "");
        error_done(&err);
        if (!transfer(to, stretch, sizeof *stretch, true))
            break;
    }
    free(stretch);
    _exit(0);
}

static void leave(Worker *worker)
{
    if (worker->to >= 0)
        (void)close(worker->to);
    if (worker->from >= 0)
        (void)close(worker->from);
    worker->to = worker->from = -1;
    if (worker->pid > 0)
        (void)waitpid(worker->pid, NULL, 0);
}

static int start(const HoursWork *work, Worker *workers, uint32_t index, Error *reterr)
{
    int there[2], back[2];
    workers[index] = (Worker){.to = -1, .from = -1};
    if (pipe(there) < 0)
        return error_errno(reterr, errno, "start a worker");
    if (pipe(back) < 0) {
        int saved = errno;
        (void)close(there[0]);
        (void)close(there[1]);
        return error_errno(reterr, saved, "start a worker");
    }
    pid_t pid = fork();
    if (pid == 0) {
        for (uint32_t i = 0; i < index; i++) { // or they would never see their end
            (void)close(workers[i].to);
            (void)close(workers[i].from);
        }
        (void)close(there[1]);
        (void)close(back[0]);
        serve(work, there[0], back[1]);
    }
    int saved = errno;
    (void)close(there[0]);
    (void)close(back[1]);
    workers[index] = (Worker){.pid = pid, .to = there[1], .from = back[0]};
    return pid < 0 ? error_errno(reterr, saved, "start a worker") : 0;
}

// What a worker has to say; false when it is gone.
static bool hear(const HoursWork *work, Worker *worker, HoursStretch *stretch, bool *go_on)
{
    worker->busy = false;
    if (!transfer(worker->from, stretch, sizeof *stretch, false))
        return false;
    *go_on = work->done(work->user, stretch) && *go_on;
    return true;
}

static int hand_out(const HoursWork *work, Worker *workers, HoursStretch *stretch, Error *reterr)
{
    uint64_t next = 0;
    bool go_on = true;
    for (;;) {
        struct pollfd polled[HOURS_JOBS_MAX];
        uint32_t busy = 0;
        for (uint32_t i = 0; i < work->jobs; i++) {
            if (!workers[i].busy && go_on && next < work->n) {
                if (!transfer(workers[i].to, &next, sizeof next, true))
                    return error_set(reterr, ERROR_UNAVAILABLE, "a worker died");
                workers[i].busy = true;
                next++;
            }
            polled[i] =
                (struct pollfd){.fd = workers[i].busy ? workers[i].from : -1, .events = POLLIN};
            busy += workers[i].busy;
        }
        if (busy == 0)
            return 0;
        int n = poll(polled, work->jobs, LOOK_MS);
        if (n < 0 && errno != EINTR)
            return error_errno(reterr, errno, "wait for workers");
        go_on = work->done(work->user, NULL) && go_on;
        for (uint32_t i = 0; n > 0 && i < work->jobs; i++)
            if (polled[i].revents != 0 && !hear(work, &workers[i], stretch, &go_on))
                return error_set(reterr, ERROR_UNAVAILABLE, "a worker died");
    }
}

int hours_work(const HoursWork *work, Error *reterr)
{
    Worker workers[HOURS_JOBS_MAX];
    HoursStretch *stretch = alloc_zeroed(1, sizeof *stretch);
    uint32_t n = 0;
    int r = stretch != NULL ? 0 : error_set(reterr, ERROR_MEMORY, "start workers");
    for (; r == 0 && n < work->jobs; n++)
        r = start(work, workers, n, reterr);
    if (r == 0)
        r = hand_out(work, workers, stretch, reterr);
    for (uint32_t i = 0; i < n; i++)
        leave(&workers[i]);
    free(stretch);
    return r;
}
