// SPDX-License-Identifier: MIT
// http_server: the one HTTP server of all shells: libmicrohttpd on a UNIX socket, without TLS
// (nginx ends it), driven by the caller's uv loop. Routes are a table. A handler answers at once,
// or keeps the exchange and answers later from the same loop; bodies are bounded and complete
// before the handler runs. Wrong method 405, unknown path 404, too large 413, contradicting lengths
// 400: always JSON; only what libmicrohttpd cannot read as HTTP at all gets its own plain 400.
// Escapes in paths and queries are decoded; "%00" and broken ones stay as they are.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "buf.h"
#include "error.h"

typedef struct HttpServer HttpServer;
typedef struct HttpExchange HttpExchange;

typedef struct HttpRoute {
    const char *method; // "GET"
    const char *path;   // "/v1/status"; a trailing '*' matches the rest
    void (*handle)(void *context, HttpExchange *exchange);
} HttpRoute;

typedef struct HttpServerOptions {
    const char *socket; // path; a stale one is replaced, a living one is an error
    unsigned mode;      // file mode of the socket; 0: 0660
    const HttpRoute *routes;
    size_t n_routes;
    void *context;
    size_t max_body;          // 0: BOUND_BODY_BYTES
    unsigned max_connections; // 0: 1024
    // Told of every answer, for metrics; route is HttpRoute.path, or "other". NULL: nobody asks.
    void (*answered)(void *context, const char *method, const char *route, int status,
                     int64_t elapsed_ns);
} HttpServerOptions;

int http_server_new(uv_loop_t *loop, const HttpServerOptions *options, HttpServer **ret_server,
                    Error *reterr) MUST_CHECK;
// What these return is valid until the exchange is answered.
const char *http_exchange_method(const HttpExchange *exchange);
const char *http_exchange_path(const HttpExchange *exchange);
const char *http_exchange_body(const HttpExchange *exchange, size_t *ret_len);
const char *http_exchange_header(const HttpExchange *exchange, const char *name); // NULL: absent
const char *http_exchange_query(const HttpExchange *exchange, const char *name);  // NULL: absent
// A header of the answer; at most 16, name and value are copied.
void http_exchange_set_header(HttpExchange *exchange, const char *name, const char *value);
// Ends the exchange; the body is copied. content_type NULL: application/json. Every exchange must
// be answered, also when its client has gone meanwhile or the server was freed: then it is
// harmless.
void http_exchange_answer(HttpExchange *exchange, int status, const char *content_type,
                          const void *body, size_t len);
// {"error": {"code": ..., "message": ...}}; `code` is a constant word.
void http_exchange_fail(HttpExchange *exchange, int status, const char *code, const char *message);
// Stops accepting, says "Connection: close" in every answer and lets running exchanges and kept
// connections end; `drained` is called once, from the loop, at most grace_ns later.
void http_server_drain(HttpServer *server, int64_t grace_ns, void (*drained)(void *context));
// Cuts what is open. Not from inside a handler. Memory goes when the loop has run once more.
HttpServer *http_server_free(HttpServer *server);
