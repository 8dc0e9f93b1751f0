// SPDX-License-Identifier: MIT
// prober: runs the core's gateway probes (contracts section 5). It decides nothing: what a result
// means, how long to wait and when to ask again is the core's; here is only which connection asks.
//
//   probe -> kept idle connection, else a fresh one
//            |- kept one turned out closed: the same GET on a fresh one at once
//            |- hedge_ns without an answer: the same GET on a fresh one too
//            |- first valid answer: ANSWERED (also after a HARD of the hedge)
//            |- a fresh one refused, reset, failed in TLS, answered wrongly: HARD, once
//            '- give_up_ns: dropped without a word; the core's deadline has passed long ago
//
// A connection is not kept longer than a minute, so that every gateway's certificate and accept
// queue are tried again and again.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "error.h"
#include "instant.h"

typedef struct Prober Prober;

typedef enum ProbeResult {
    PROBE_RESULT_ANSWERED,
    PROBE_RESULT_HARD,
    PROBE_RESULT_IDLE_CLOSED, // id is 0: the gateway closed its last idle probe connection
} ProbeResult;

typedef struct ProbeReport {
    ProbeResult result;
    uint64_t id;
    uint32_t gateway;
    int64_t elapsed_ns; // since the probe was started
    const char *why;    // HARD: text for people; else ""
} ProbeReport;

typedef void ProberDone(void *context, const ProbeReport *report);

typedef struct ProberTarget {
    const char *host;    // name that the certificate must have
    const char *address; // text
    uint16_t port;
} ProberTarget;

typedef struct ProberOptions {
    const char *ca_file;
    const char *source; // own address to bind to; NULL: any
    const char *path;   // "/.well-known/wildcam/health"
    ProberDone *done;   // always called from the loop, never from inside prober_probe
    void *context;
} ProberOptions;

int prober_new(uv_loop_t *loop, const ProberOptions *options, Prober **ret_prober,
               Error *reterr) MUST_CHECK;
// Forgets every probe and connection of before; target i is gateway i from now on.
int prober_set_targets(Prober *prober, const ProberTarget *targets, uint32_t n,
                       Error *reterr) MUST_CHECK;
// Reads the CA again, for connections made from now on. The old one stays on failure.
int prober_reload(Prober *prober, Error *reterr) MUST_CHECK;
// An error means that the probe was not sent by a fault of ours: no evidence about the gateway.
int prober_probe(Prober *prober, uint32_t gateway, uint64_t id, int64_t hedge_ns,
                 int64_t give_up_ns, Error *reterr) MUST_CHECK;
// Connections open now, idle ones included.
uint32_t prober_connections(const Prober *prober);
// Closes everything; needs one more round of the loop. Takes NULL, returns NULL.
Prober *prober_free(Prober *prober);
