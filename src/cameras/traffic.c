// SPDX-License-Identifier: MIT
// traffic: see traffic.h. The loop, the ramp, giving out requests, and the end.
#include "traffic.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "alloc.h"
#include "camera_request.h"
#include "clock.h"
#include "files.h"
#include "traffic_state.h"

#define GIVE_UP_NS (5 * NS_PER_S) // an unsent request
#define BURST_MS 50               // of new connections: what may be saved up for
#define EVENTS 256

void traffic_refill_tokens(Traffic *traffic, Mono now)
{
    int64_t rate = traffic->options->open_rate;
    int64_t gained = mono_since(now, traffic->tokens_at) / NS_PER_US * rate / 1000;
    if (gained <= 0)
        return;
    traffic->tokens_at = now;
    traffic->open_tokens_milli += gained;
    int64_t burst = rate * BURST_MS > 1000 ? rate * BURST_MS : 1000;
    if (traffic->open_tokens_milli > burst)
        traffic->open_tokens_milli = burst;
}

void traffic_flush(Traffic *traffic, Buf *buf, int fd, const char *what)
{
    if (traffic->r == 0 && buf_check(buf) < 0)
        traffic->r = error_set(traffic->reterr, ERROR_MEMORY, "%s: out of memory", what);
    if (traffic->r == 0 && fd >= 0 && buf->len > 0) {
        int r = files_write_all(fd, buf->data, buf->len, traffic->reterr);
        if (r < 0)
            traffic->r = error_wrap(traffic->reterr, r, "%s", what);
    }
    buf_clear(buf);
}

static void give_out(Traffic *traffic, Mono now)
{
    uint64_t due = schedule_count(&traffic->schedule, now);
    if (due > traffic->due_end)
        due = traffic->due_end;
    while (traffic->next < due) {
        if (traffic->n_idle > 0) {
            Camera *camera = &traffic->cameras[traffic->idle[traffic->idle_at]];
            traffic->idle_at = (traffic->idle_at + 1) % traffic->options->n_clients;
            traffic->n_idle--;
            camera_begin(traffic, camera, traffic->next++, now);
        } else if (mono_since(now, schedule_due(&traffic->schedule, traffic->next)) > GIVE_UP_NS) {
            camera_unsent(traffic, traffic->next++, now);
        } else {
            break;
        }
    }
}

// No request after this one; what is under way ends by itself.
static void stop(Traffic *traffic, Mono now)
{
    if (traffic->stopping)
        return;
    traffic->stopping = true;
    traffic->due_end = schedule_count(&traffic->schedule, now);
}

static bool everything_ended(const Traffic *traffic)
{
    return traffic->next >= traffic->due_end && traffic->n_idle == traffic->options->n_clients;
}

static void wait_events(Traffic *traffic, Mono until)
{
    Mono now = clock_mono();
    int64_t wait_ns = mono_since(until, now);
    wait_ns = wait_ns < 0 ? 0 : wait_ns > TRAFFIC_SWEEP_NS ? TRAFFIC_SWEEP_NS : wait_ns;
    const struct timespec timeout = {.tv_nsec = wait_ns};
    struct epoll_event events[EVENTS];
    int n = epoll_pwait2(traffic->epoll, events, EVENTS, &timeout, NULL);
    now = clock_mono();
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr != NULL) {
            camera_line_event(traffic, events[i].data.ptr, now);
            continue;
        }
        struct signalfd_siginfo info;
        if (read(traffic->signals, &info, sizeof info) == sizeof info) {
            traffic->result.interrupted = true;
            stop(traffic, now);
        }
    }
}

static void ramp(Traffic *traffic)
{
    while (traffic->ramp_left > 0 && !traffic->stopping) {
        Mono now = clock_mono();
        camera_open_waiting(traffic, now);
        camera_expire_all(traffic, now);
        wait_events(traffic, mono_add(now, TRAFFIC_SWEEP_NS));
    }
}

static void loop(Traffic *traffic)
{
    const TrafficOptions *options = traffic->options;
    Mono sweep = clock_mono(), second = sweep;
    while (traffic->r == 0 && !everything_ended(traffic)) {
        Mono now = clock_mono();
        traffic_refill_tokens(traffic, now);
        give_out(traffic, now);
        if (mono_since(now, sweep) >= TRAFFIC_SWEEP_NS) {
            sweep = now;
            camera_open_waiting(traffic, now);
            camera_expire_all(traffic, now);
        }
        traffic_flush(traffic, &traffic->ledger, options->ledger_fd, "ledger");
        if (options->progress != NULL && mono_since(now, second) >= NS_PER_S) {
            second = mono_add(second, NS_PER_S);
            options->progress(options->context, &traffic->result.stats, now);
        }
        wait_events(traffic, traffic->next < traffic->due_end
                                 ? schedule_due(&traffic->schedule, traffic->next)
                                 : MONO_NEVER);
    }
    traffic_flush(traffic, &traffic->ledger, options->ledger_fd, "ledger");
    traffic_flush(traffic, &traffic->log, options->log_fd, "request log");
}

static int open_signals(Traffic *traffic)
{
    sigset_t mask;
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigaddset(&mask, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &mask, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    traffic->signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    traffic->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (traffic->signals < 0 || traffic->epoll < 0 ||
        epoll_ctl(traffic->epoll, EPOLL_CTL_ADD, traffic->signals, &event) < 0)
        return error_errno(traffic->reterr, errno, "epoll");
    return 0;
}

static void make_endpoints(Traffic *traffic)
{
    const TrafficOptions *options = traffic->options;
    for (uint32_t i = 0; i < 2 * options->n_gateways; i++) {
        Endpoint *endpoint = &traffic->endpoints[i];
        endpoint->address = options->gateways[i / 2];
        (void)snprintf(endpoint->name, sizeof endpoint->name, "%sapi.%s",
                       i % 2 == 0 ? "" : "backup.", options->domain);
    }
}

static int make_cameras(Traffic *traffic)
{
    const TrafficOptions *options = traffic->options;
    for (uint32_t i = 0; i < options->n_clients; i++) {
        const TrafficClient *client = &options->clients[i];
        Camera *camera = &traffic->cameras[i];
        memcpy(&camera->source, client->source.bytes + 12, sizeof camera->source);
        camera->n_lines = client->backup >= 0 ? 2 : 1;
        for (uint32_t k = 0; k < 2; k++) {
            camera->lines[k].camera = camera;
            connection_init(&camera->lines[k].connection);
        }
        camera->lines[0].endpoint = &traffic->endpoints[2 * client->home];
        if (client->backup >= 0)
            camera->lines[1].endpoint = &traffic->endpoints[2 * client->backup + 1];
        camera->text = alloc_zeroed(1, CAMERA_REQUEST_MAX);
        if (camera->text == NULL)
            return error_set(traffic->reterr, ERROR_MEMORY, "out of memory");
        camera->busy = camera->ramp = true; // until the ramp has opened it
        camera->deadline = MONO_NEVER;
    }
    return 0;
}

static int make(Traffic *traffic)
{
    const TrafficOptions *options = traffic->options;
    int r = tls_open(&traffic->tls, options->ca_file, traffic->reterr);
    if (r < 0 || (r = open_signals(traffic)) < 0)
        return r;
    traffic->endpoints = alloc_zeroed(2 * (size_t)options->n_gateways, sizeof(Endpoint));
    traffic->cameras = alloc_zeroed(options->n_clients, sizeof(Camera));
    traffic->idle = alloc_zeroed(options->n_clients, sizeof(uint32_t));
    traffic->openers = alloc_zeroed(options->n_clients, sizeof(uint32_t));
    if (traffic->endpoints == NULL || traffic->cameras == NULL || traffic->idle == NULL ||
        traffic->openers == NULL)
        return error_set(traffic->reterr, ERROR_MEMORY, "out of memory");
    make_endpoints(traffic);
    if ((r = make_cameras(traffic)) < 0)
        return r;
    traffic->ramp_left = options->n_clients;
    traffic->tokens_at = clock_mono();
    stats_init(&traffic->result.stats);
    return 0;
}

static void start_schedule(Traffic *traffic)
{
    const TrafficOptions *options = traffic->options;
    Mono now = clock_mono();
    traffic->schedule = (Schedule){
        .start = now,
        .rate = options->rate,
        .read_ppm = options->read_ppm,
        .keyless_ppm = options->keyless_ppm,
        .seed = options->seed,
    };
    traffic->due_end = UINT64_MAX;
    if (options->duration_ns > 0)
        traffic->due_end =
            schedule_count(&traffic->schedule, mono_add(now, options->duration_ns - 1));
    if (traffic->stopping)
        traffic->due_end = 0;
    RunStart start = *options->start;
    start.run = options->run;
    start.wall = clock_wall();
    start.mono = now;
    start.rate = options->rate;
    if (records_put_start(&traffic->log, &start) < 0)
        traffic->r = error_set(traffic->reterr, ERROR_MEMORY, "request log: out of memory");
    traffic_flush(traffic, &traffic->log, options->log_fd, "request log");
    if (options->started != NULL)
        options->started(options->context);
}

static void done(Traffic *traffic)
{
    for (uint32_t i = 0; traffic->cameras != NULL && i < traffic->options->n_clients; i++) {
        for (uint32_t k = 0; k < 2 && traffic->cameras[i].lines[k].camera != NULL; k++)
            connection_close(&traffic->cameras[i].lines[k].connection);
        free(traffic->cameras[i].text);
    }
    for (uint32_t i = 0; traffic->endpoints != NULL && i < 2 * traffic->options->n_gateways; i++)
        SSL_SESSION_free(traffic->endpoints[i].session);
    free(traffic->cameras);
    free(traffic->endpoints);
    free(traffic->idle);
    free(traffic->openers);
    files_close(traffic->signals);
    files_close(traffic->epoll);
    tls_close(&traffic->tls);
    buf_done(&traffic->log);
    buf_done(&traffic->ledger);
}

int traffic_run(const TrafficOptions *options, TrafficResult *ret_result, Error *reterr)
{
    Traffic traffic = {.options = options, .epoll = -1, .signals = -1, .reterr = reterr};
    int r = make(&traffic);
    if (r == 0) {
        ramp(&traffic);
        start_schedule(&traffic);
        loop(&traffic);
        traffic.result.elapsed_ns = mono_since(clock_mono(), traffic.schedule.start);
        *ret_result = traffic.result;
        r = traffic.r;
    }
    done(&traffic);
    return r;
}
