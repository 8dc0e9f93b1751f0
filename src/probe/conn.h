// SPDX-License-Identifier: MIT
// conn: one TLS connection of a prober: a uv_tcp bound to the region's own address, OpenSSL on
// memory BIOs, one small exchange at a time. libcurl is not used here because a probe must know
// exactly what happened to which connection: whether it was kept, closed while idle, refused while
// fresh, and when.
//
//   CONNECTING -> HANDSHAKE -> BUSY <-> IDLE          any -> closed
//
// Owner: the connection owns itself from probe_conn_open to its end: an end other than ANSWERED
// with `kept`, or probe_conn_close, closes it, and the pointer is dead for the caller at that
// moment.
#pragma once
#include <openssl/ssl.h>
#include <stdbool.h>
#include <uv.h>

#include "error.h"
#include "instant.h"

typedef struct ProbeConn ProbeConn;

typedef enum ProbeConnEnd {
    PROBE_CONN_ANSWERED, // 200 with body "ok"
    PROBE_CONN_HARD,  // proof: refused, reset or closed while fresh, TLS, certificate, wrong answer
    PROBE_CONN_SOFT,  // no proof against the gateway: unreachable, timed out, our own shortage
    PROBE_CONN_STALE, // a kept connection was closed instead of an answer: no proof, ask a fresh
                      // one
    PROBE_CONN_IDLE_CLOSED, // closed while no exchange was under way
} ProbeConnEnd;

// kept: the connection is idle now and may be used again. `why` is a text for people, never NULL.
typedef void ProbeConnDone(void *context, ProbeConn *conn, ProbeConnEnd end, bool kept,
                           const char *why);

typedef struct ProbeConnOptions {
    uv_loop_t *loop;
    SSL_CTX *tls;
    const char *host; // name in the certificate and in SNI
    const struct sockaddr *source, *target;
    ProbeConnDone *done;
} ProbeConnOptions;

// Connects, handshakes and sends `request` as soon as it can. The texts in options are used at once
// or copied; `request` must outlive the connection.
int probe_conn_open(const ProbeConnOptions *options, const char *request, void *context,
                    ProbeConn **ret_conn, Error *reterr) MUST_CHECK;
// Sends the request again; the connection must be idle. An end may be reported before this returns
// only by the loop, never from inside.
void probe_conn_again(ProbeConn *conn, void *context);
// Who hears of the end from now on (idle connections belong to the prober, busy ones to a probe).
void probe_conn_set_context(ProbeConn *conn, void *context);
Mono probe_conn_opened(const ProbeConn *conn);
void probe_conn_close(ProbeConn *conn); // takes NULL; nothing is reported after it
