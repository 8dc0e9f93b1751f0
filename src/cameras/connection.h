// SPDX-License-Identifier: MIT
// connection: one TLS connection of a camera, non-blocking, HTTP/1.1 keep-alive. Why not the HTTP
// client of net: the point here is to see exactly which connection failed how and when (refused,
// handshake, closed before a byte), which a library that reconnects by itself hides.
//
//   FREE -> CONNECTING -> HANDSHAKE -> IDLE <-> BUSY;  every failure -> FREE
//
// The certificate is verified against the fleet's CA, with the name that the camera used. Sessions
// are resumed per endpoint. Owner: Traffic. Deadlines are the owner's.
#pragma once
#include <netinet/in.h>
#include <openssl/ssl.h>

#include "buf.h"
#include "error.h"
#include "http_answer.h"
#include "policy.h"

typedef struct Endpoint { // a gateway under one of its two names
    struct sockaddr_in address;
    char name[256];       // api.DOMAIN or backup.api.DOMAIN
    SSL_SESSION *session; // newest; may be NULL
} Endpoint;

typedef struct Tls {
    SSL_CTX *context;
} Tls;

int tls_open(Tls *tls, const char *ca_file, Error *reterr) MUST_CHECK;
void tls_close(Tls *tls);

typedef enum ConnectionState {
    CONNECTION_FREE,
    CONNECTION_CONNECTING,
    CONNECTION_HANDSHAKE,
    CONNECTION_IDLE,
    CONNECTION_BUSY,
} ConnectionState;

typedef struct Connection {
    ConnectionState state;
    int fd;
    SSL *ssl;
    Endpoint *endpoint;
    uint32_t answered; // requests that this connection has carried
    bool any_byte;     // of the current answer
    const char *out;   // request being written, the caller's
    size_t out_left;
    HttpAnswer answer;
} Connection;

// What became of a step. Failures have closed the connection.
typedef enum ConnectionEvent {
    CONNECTION_NOTHING,
    CONNECTION_CONNECTED, // TLS is up
    CONNECTION_PROGRESS,  // bytes of the answer
    CONNECTION_ANSWERED,  // `answer` is complete
    CONNECTION_LOST,      // while idle
    CONNECTION_FAILED,    // *ret_result says how
} ConnectionEvent;

void connection_init(Connection *connection);
// Starts to connect from `source`; registers with epoll under `tag`.
ConnectionEvent connection_open(Connection *connection, const Tls *tls, Endpoint *endpoint,
                                struct in_addr source, int epoll, void *tag);
// IDLE -> BUSY. `request` stays the caller's until the answer.
ConnectionEvent connection_send(Connection *connection, int epoll, void *tag, const char *request,
                                size_t len, TryResult *ret_result);
// After epoll said that something happened.
ConnectionEvent connection_step(Connection *connection, int epoll, void *tag,
                                TryResult *ret_result);
void connection_close(Connection *connection);
