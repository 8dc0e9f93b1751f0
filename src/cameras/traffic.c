// SPDX-License-Identifier: MIT
// traffic: see traffic.h. A camera has two connections, home and backup; epoll's tag is the
// connection's Line, which knows its camera.
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
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
#include "model.h"

#define GIVE_UP_NS (5 * NS_PER_S)    // an unsent request
#define ANSWER_MAX_NS (5 * NS_PER_S) // an answer that trickles
#define SWEEP_NS (2 * NS_PER_MS)
#define BURST_MS 50 // of new connections: what may be saved up for
#define FLUSH_BYTES ((size_t)64 << 10)
#define EVENTS 256

typedef struct Camera Camera;

typedef struct Line {
    Camera *camera;
    Connection connection;
    Endpoint *endpoint;
} Line;

struct Camera {
    struct in_addr source;
    Line lines[2]; // home, backup
    uint32_t n_lines;
    unsigned at;  // line of the current try
    bool busy;    // has a request, or is being opened by the ramp
    bool waiting; // for a new connection to be allowed
    bool ramp;
    Mono deadline, sent;
    uint64_t number;
    CameraRequest request;
    char key[RECORDS_KEY + 1];
    char *text; // the request's bytes
    size_t text_len;
};

typedef struct Traffic {
    const TrafficOptions *options;
    Tls tls;
    int epoll, signals;
    Endpoint *endpoints; // [2 * n_gateways]: as home, as backup
    Camera *cameras;
    uint32_t *idle; // ring of idle cameras, longest idle first
    uint32_t idle_at, n_idle;
    uint32_t *openers; // cameras that wait for a new connection to be allowed
    uint32_t opener_at, n_openers;
    uint32_t ramp_next, ramp_left;
    int64_t open_tokens_milli;
    Mono tokens_at;
    Schedule schedule;
    uint64_t next, due_end; // next request to be given out; first number behind the end
    bool stopping;
    Buf log, ledger;
    TrafficResult result;
    Error *reterr;
    int r;
} Traffic;

static void try_again(Traffic *traffic, Camera *camera, Mono now);

static uint32_t camera_index(const Traffic *traffic, const Camera *camera)
{
    return (uint32_t)(camera - traffic->cameras);
}

static void camera_idle(Traffic *traffic, Camera *camera)
{
    uint32_t n = traffic->options->n_clients;
    camera->busy = false;
    traffic->idle[(traffic->idle_at + traffic->n_idle++) % n] = camera_index(traffic, camera);
}

static void refill_tokens(Traffic *traffic, Mono now)
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

static void flush(Traffic *traffic, Buf *buf, int fd, const char *what)
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

static void keep_request(Traffic *traffic, const CameraRequest *request)
{
    stats_add(&traffic->result.stats, request);
    if (traffic->options->log_fd < 0)
        return;
    if (records_put_request(&traffic->log, request) < 0 || traffic->log.len > FLUSH_BYTES)
        flush(traffic, &traffic->log, traffic->options->log_fd, "request log");
}

// The id in {"id": "..."}; false when there is none.
static bool find_id(const HttpAnswer *answer, char ret_id[RECORDS_ID + 1])
{
    json_t *root = json_loadb(answer->body, answer->body_len, 0, NULL);
    const json_t *id = json_object_get(root, "id");
    bool found = json_is_string(id) && json_string_length(id) == RECORDS_ID;
    if (found)
        memcpy(ret_id, json_string_value(id), RECORDS_ID + 1);
    json_decref(root);
    return found;
}

static bool acknowledge(Traffic *traffic, const Camera *camera, const HttpAnswer *answer)
{
    LedgerEntry entry = {.run = traffic->options->run, .acknowledged = clock_wall()};
    if (!find_id(answer, entry.id))
        return false;
    memcpy(entry.key, camera->key, sizeof entry.key);
    memcpy(entry.region, answer->region, sizeof entry.region);
    traffic->result.acknowledged++;
    if (traffic->options->ledger_fd >= 0 && records_put_entry(&traffic->ledger, &entry) < 0)
        flush(traffic, &traffic->ledger, -1, "ledger");
    return true;
}

static void request_ended(Traffic *traffic, Camera *camera, TryResult result, Mono now)
{
    camera->request.last = result;
    camera->request.ended = now;
    keep_request(traffic, &camera->request);
    camera_idle(traffic, camera);
}

// A try has ended with anything but "say it again on a fresh connection".
static void try_ended(Traffic *traffic, Camera *camera, TryResult result, bool reused,
                      bool any_byte, Mono now)
{
    CameraRequest *request = &camera->request;
    if (camera->ramp) { // nothing was asked yet; the first request will try again
        camera->ramp = false;
        traffic->ramp_left--;
        camera_idle(traffic, camera);
        return;
    }
    const PolicyTry attempt = {
        .idempotent = request->idempotent,
        .second = request->tries > 1,
        .has_other = camera->n_lines > 1,
        .reused = reused,
        .any_byte = any_byte,
        .status = request->status,
    };
    switch (policy_next(&attempt, result)) {
    case POLICY_RECONNECT:
        if (request->reconnects < UINT8_MAX)
            request->reconnects++;
        try_again(traffic, camera, now);
        return;
    case POLICY_RETRY:
        request->first = result;
        request->first_ended = now;
        request->tries = 2;
        camera->at = 1;
        request->last_gateway =
            (uint8_t)traffic->options->clients[camera_index(traffic, camera)].backup;
        try_again(traffic, camera, now);
        return;
    case POLICY_DONE:
        break;
    }
    if (request->tries == 1) {
        request->first = result;
        request->first_ended = now;
    }
    request_ended(traffic, camera, result, now);
}

static void answered(Traffic *traffic, Camera *camera, Line *line, Mono now)
{
    const HttpAnswer *answer = &line->connection.answer;
    TryResult result = TRY_OK;
    camera->request.status = (uint16_t)answer->status;
    if (!policy_status_ok(answer->status))
        result = TRY_STATUS;
    else if (camera->request.write && !acknowledge(traffic, camera, answer))
        result = TRY_GARBAGE;
    try_ended(traffic, camera, result, false, true, now);
}

static void send_request(Traffic *traffic, Camera *camera, Line *line, Mono now)
{
    TryResult result;
    bool reused = line->connection.answered > 0;
    camera->sent = now;
    camera->deadline = mono_add(now, POLICY_SILENCE_NS);
    if (connection_send(&line->connection, traffic->epoll, line, camera->text, camera->text_len,
                        &result) == CONNECTION_FAILED)
        try_ended(traffic, camera, result, reused, false, now);
}

// Takes a token, which a refused connect gives back: it costs nobody a handshake.
static void open_line(Traffic *traffic, Camera *camera, Mono now)
{
    Line *line = &camera->lines[camera->at];
    camera->deadline = mono_add(now, POLICY_CONNECT_NS);
    traffic->open_tokens_milli -= 1000;
    if (connection_open(&line->connection, &traffic->tls, line->endpoint, camera->source,
                        traffic->epoll, line) == CONNECTION_FAILED) {
        traffic->open_tokens_milli += 1000;
        try_ended(traffic, camera, TRY_CONNECT, false, false, now);
    }
}

// Begins the current try: on the kept connection, else on a new one, as soon as that is allowed.
static void try_again(Traffic *traffic, Camera *camera, Mono now)
{
    Line *line = &camera->lines[camera->at];
    if (line->connection.state == CONNECTION_IDLE) {
        send_request(traffic, camera, line, now);
        return;
    }
    if (traffic->open_tokens_milli >= 1000) {
        open_line(traffic, camera, now);
        return;
    }
    uint32_t n = traffic->options->n_clients;
    camera->waiting = true;
    camera->deadline = MONO_NEVER;
    traffic->openers[(traffic->opener_at + traffic->n_openers++) % n] =
        camera_index(traffic, camera);
}

static void connected(Traffic *traffic, Camera *camera, Line *line, Mono now)
{
    traffic->result.connections++;
    traffic->result.resumed += SSL_session_reused(line->connection.ssl) == 1;
    if (!camera->ramp) {
        send_request(traffic, camera, line, now);
        return;
    }
    camera->ramp = false;
    traffic->ramp_left--;
    camera_idle(traffic, camera);
}

static void line_event(Traffic *traffic, Line *line, Mono now)
{
    Camera *camera = line->camera;
    Connection *connection = &line->connection;
    bool current = camera->busy && line == &camera->lines[camera->at];
    bool reused = connection->answered > 0;
    TryResult result;
    bool connecting = connection->state == CONNECTION_CONNECTING;
    ConnectionEvent event = connection_step(connection, traffic->epoll, line, &result);
    if (connecting && event == CONNECTION_FAILED)
        traffic->open_tokens_milli += 1000;
    if (!current) // an idle connection that the peer closed
        return;
    switch (event) {
    case CONNECTION_CONNECTED:
        connected(traffic, camera, line, now);
        break;
    case CONNECTION_PROGRESS:
        camera->deadline =
            mono_min(mono_add(now, POLICY_SILENCE_NS), mono_add(camera->sent, ANSWER_MAX_NS));
        break;
    case CONNECTION_ANSWERED:
        answered(traffic, camera, line, now);
        break;
    case CONNECTION_FAILED:
        try_ended(traffic, camera, result, reused, connection->any_byte, now);
        break;
    case CONNECTION_LOST:
    case CONNECTION_NOTHING:
        break;
    }
}

static void expire(Traffic *traffic, Mono now)
{
    for (uint32_t i = 0; i < traffic->options->n_clients; i++) {
        Camera *camera = &traffic->cameras[i];
        if (!camera->busy || camera->waiting || now.ns < camera->deadline.ns)
            continue;
        Connection *connection = &camera->lines[camera->at].connection;
        TryResult result = connection->state == CONNECTION_BUSY ? TRY_SILENT : TRY_CONNECT;
        connection_close(connection);
        try_ended(traffic, camera, result, false, true, now);
    }
}

static void open_waiting(Traffic *traffic, Mono now)
{
    uint32_t n = traffic->options->n_clients;
    refill_tokens(traffic, now);
    // At most one round: one that fails at once may stand in line again.
    for (uint32_t left = traffic->n_openers; left > 0 && traffic->open_tokens_milli >= 1000;
         left--) {
        Camera *camera = &traffic->cameras[traffic->openers[traffic->opener_at]];
        traffic->opener_at = (traffic->opener_at + 1) % n;
        traffic->n_openers--;
        camera->waiting = false;
        open_line(traffic, camera, now);
    }
    while (traffic->ramp_next < n && traffic->open_tokens_milli >= 1000) {
        Camera *camera = &traffic->cameras[traffic->ramp_next++];
        open_line(traffic, camera, now);
    }
}

static void begin_request(Traffic *traffic, Camera *camera, uint64_t number, Mono now)
{
    const TrafficClient *client = &traffic->options->clients[camera_index(traffic, camera)];
    bool write = schedule_is_write(&traffic->schedule, number);
    bool key = write && schedule_has_key(&traffic->schedule, number);
    camera->busy = true;
    camera->at = 0;
    camera->number = number;
    camera->request = (CameraRequest){
        .scheduled = schedule_due(&traffic->schedule, number),
        .client = camera_index(traffic, camera),
        .first_gateway = (uint8_t)client->home,
        .last_gateway = (uint8_t)client->home,
        .tries = 1,
        .write = write,
        .idempotent = !write || key,
    };
    const CameraRequestText text = {
        .host = camera->lines[0].endpoint->name,
        .client = camera->request.client,
        .run = traffic->options->run,
        .number = number,
        .write = write,
        .key = key,
        .now = clock_wall(),
    };
    camera->text_len = camera_request_write(&text, camera->text, camera->key);
    try_again(traffic, camera, now);
}

static void unsent(Traffic *traffic, uint64_t number, Mono now)
{
    bool write = schedule_is_write(&traffic->schedule, number);
    const CameraRequest request = {
        .scheduled = schedule_due(&traffic->schedule, number),
        .first_ended = now,
        .ended = now,
        .first = TRY_UNSENT,
        .last = TRY_UNSENT,
        .write = write,
        .idempotent = !write || schedule_has_key(&traffic->schedule, number),
    };
    traffic->result.unsent++;
    keep_request(traffic, &request);
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
            begin_request(traffic, camera, traffic->next++, now);
        } else if (mono_since(now, schedule_due(&traffic->schedule, traffic->next)) > GIVE_UP_NS) {
            unsent(traffic, traffic->next++, now);
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
    wait_ns = wait_ns < 0 ? 0 : wait_ns > SWEEP_NS ? SWEEP_NS : wait_ns;
    const struct timespec timeout = {.tv_nsec = wait_ns};
    struct epoll_event events[EVENTS];
    int n = epoll_pwait2(traffic->epoll, events, EVENTS, &timeout, NULL);
    now = clock_mono();
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr != NULL) {
            line_event(traffic, events[i].data.ptr, now);
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
        open_waiting(traffic, now);
        expire(traffic, now);
        wait_events(traffic, mono_add(now, SWEEP_NS));
    }
}

static void loop(Traffic *traffic)
{
    const TrafficOptions *options = traffic->options;
    Mono sweep = clock_mono(), second = sweep;
    while (traffic->r == 0 && !everything_ended(traffic)) {
        Mono now = clock_mono();
        refill_tokens(traffic, now);
        give_out(traffic, now);
        if (mono_since(now, sweep) >= SWEEP_NS) {
            sweep = now;
            open_waiting(traffic, now);
            expire(traffic, now);
        }
        flush(traffic, &traffic->ledger, options->ledger_fd, "ledger");
        if (options->progress != NULL && mono_since(now, second) >= NS_PER_S) {
            second = mono_add(second, NS_PER_S);
            options->progress(options->context, &traffic->result.stats, now);
        }
        wait_events(traffic, traffic->next < traffic->due_end
                                 ? schedule_due(&traffic->schedule, traffic->next)
                                 : MONO_NEVER);
    }
    flush(traffic, &traffic->ledger, options->ledger_fd, "ledger");
    flush(traffic, &traffic->log, options->log_fd, "request log");
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
    flush(traffic, &traffic->log, options->log_fd, "request log");
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
