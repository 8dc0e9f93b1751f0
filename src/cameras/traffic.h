// SPDX-License-Identifier: MIT
// traffic: the cameras. One thread, one epoll: requests become due by the schedule, the camera that
// was idle longest takes the next one, sends it to its home gateway, and obeys `policy` when the
// try fails. Every request that ended goes to the request log, every acknowledged write to the
// ledger.
//
//   ramp: open every home connection, at most `open_rate` a second -> started() -> schedule ->
//   stop (time is over, or SIGTERM/SIGINT) -> what is under way ends -> done
//
// Goes wrong: all cameras busy. Then requests wait, their latency counting; after 5 s they are
// given up as unsent, so that a dead fleet cannot grow the queue without bound.
#pragma once
#include "connection.h"
#include "records.h"
#include "schedule.h"
#include "stats.h"

typedef struct TrafficClient {
    Ip source;
    uint32_t home;  // gateway numbers
    int32_t backup; // -1: none
} TrafficClient;

typedef struct TrafficOptions {
    const char *domain;
    const char *ca_file;
    uint32_t n_gateways;
    const struct sockaddr_in *gateways;
    uint32_t n_clients;
    const TrafficClient *clients;
    uint32_t rate, read_ppm, keyless_ppm;
    uint32_t open_rate;  // new connections a second
    int64_t duration_ns; // 0: until a signal
    uint64_t run, seed;
    int log_fd, ledger_fd; // -1: none
    const RunStart *start; // region names for the log; run, wall and mono are filled in here
    void (*started)(void *context);                                // the ramp is done
    void (*progress)(void *context, const Stats *stats, Mono now); // about once a second
    void *context;
} TrafficOptions;

typedef struct TrafficResult {
    Stats stats;
    uint64_t acknowledged, unsent;
    uint64_t connections, resumed;
    int64_t elapsed_ns;
    bool interrupted;
} TrafficResult;

int traffic_run(const TrafficOptions *options, TrafficResult *ret_result, Error *reterr) MUST_CHECK;
