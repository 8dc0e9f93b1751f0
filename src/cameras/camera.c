// SPDX-License-Identifier: MIT
// camera: one camera's request, try by try: the kept connection, a fresh one when that is allowed,
// the backup when `policy` says so; what ended goes to the log and the ledger.
#include <jansson.h>
#include <string.h>

#include "camera_request.h"
#include "clock.h"
#include "model.h"
#include "traffic_state.h"

#define ANSWER_MAX_NS (5 * NS_PER_S) // an answer that trickles
#define FLUSH_BYTES ((size_t)64 << 10)

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

static void keep_request(Traffic *traffic, const CameraRequest *request)
{
    stats_add(&traffic->result.stats, request);
    if (traffic->options->log_fd < 0)
        return;
    if (records_put_request(&traffic->log, request) < 0 || traffic->log.len > FLUSH_BYTES)
        traffic_flush(traffic, &traffic->log, traffic->options->log_fd, "request log");
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
        traffic_flush(traffic, &traffic->ledger, -1, "ledger");
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
    if (answer->status == 503 && answer->shed && answer->retry_after)
        result = TRY_SHED;
    else if (!policy_status_ok(answer->status))
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

void camera_line_event(Traffic *traffic, Line *line, Mono now)
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

void camera_expire_all(Traffic *traffic, Mono now)
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

void camera_open_waiting(Traffic *traffic, Mono now)
{
    uint32_t n = traffic->options->n_clients;
    traffic_refill_tokens(traffic, now);
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

void camera_begin(Traffic *traffic, Camera *camera, uint64_t number, Mono now)
{
    const TrafficClient *client = &traffic->options->clients[camera_index(traffic, camera)];
    bool write = schedule_is_write(&traffic->schedule, number);
    bool key = write && schedule_has_key(&traffic->schedule, number);
    camera->busy = true;
    camera->at = 0;
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

void camera_unsent(Traffic *traffic, uint64_t number, Mono now)
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
