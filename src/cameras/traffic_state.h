// SPDX-License-Identifier: MIT
// traffic_state: what traffic.c (the loop) and camera.c (one camera's tries) share. A camera has
// two connections, home and backup; epoll's tag is the connection's Line, which knows its camera.
#pragma once
#include "buf.h"
#include "traffic.h"

#define TRAFFIC_SWEEP_NS (2 * NS_PER_MS) // how often deadlines and waiting cameras are looked at

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

// Gives an idle camera the request with this number.
void camera_begin(Traffic *traffic, Camera *camera, uint64_t number, Mono now);
// Something happened on a line.
void camera_line_event(Traffic *traffic, Line *line, Mono now);
// Ends every try whose deadline has passed.
void camera_expire_all(Traffic *traffic, Mono now);
// Opens connections for cameras that wait for one, as many as may be opened by now; the ramp too.
void camera_open_waiting(Traffic *traffic, Mono now);
// A request that no camera had time for.
void camera_unsent(Traffic *traffic, uint64_t number, Mono now);

void traffic_refill_tokens(Traffic *traffic, Mono now);
// Writes out and clears the buffer; fd -1: only clears.
void traffic_flush(Traffic *traffic, Buf *buf, int fd, const char *what);
