// SPDX-License-Identifier: MIT
// http_exchange: one request and its answer, private to http_server. It has two holders:
// libmicrohttpd (until its completed callback) and, once the handler has run, the caller (until it
// answers); the last one frees it.
//
//   reading ---> handed to the handler ---> answered ---> queued to libmicrohttpd
//      |              |        ^
//      |              v        |  resume
//      |           suspended --+
//      +---> failed by us (404, 405, 413, 400): answered without a handler
#pragma once
#include <microhttpd.h>
#include <stdbool.h>

#include "buf.h"
#include "http_server.h"
#include "instant.h"

#define EXCHANGE_HEADERS 16

struct HttpExchange {
    HttpServer *server;                // NULL: freed
    struct MHD_Connection *connection; // NULL: libmicrohttpd is through with it
    HttpExchange *previous, *next;     // in the server's list while `connection` is there
    const HttpRoute *route;
    char *method, *path;
    Buf body;
    Mono begun;
    bool handed, suspended, answered, too_large;
    int status;
    struct MHD_Response *response;
    char *headers[EXCHANGE_HEADERS][2];
    unsigned n_headers;
};

HttpExchange *http_exchange_new(HttpServer *server, struct MHD_Connection *connection,
                                const char *method, const char *path, size_t max_body);
void http_exchange_free(HttpExchange *exchange);
// What http_server offers to the exchange: an answer is there.
void http_server_answered(HttpServer *server, HttpExchange *exchange);
bool http_server_draining(const HttpServer *server);
