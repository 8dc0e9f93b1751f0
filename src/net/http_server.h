// SPDX-License-Identifier: MIT
// http_server: the one HTTP server of all shells: libmicrohttpd on a UNIX socket, without TLS
// (nginx ends it), driven by the caller's uv loop. Routes are a table. A handler answers at once,
// or keeps the exchange and answers later from the same loop; bodies are bounded and complete
// before the handler runs. Wrong method 405, unknown path 404, too large 413, malformed 400: always
// JSON.
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
} HttpServerOptions;

int http_server_new(uv_loop_t *loop, const HttpServerOptions *options, HttpServer **ret_server,
                    Error *reterr) MUST_CHECK;
const char *http_exchange_method(const HttpExchange *exchange);
const char *http_exchange_path(const HttpExchange *exchange);
const char *http_exchange_body(const HttpExchange *exchange, size_t *ret_len);
const char *http_exchange_header(const HttpExchange *exchange, const char *name); // NULL: absent
const char *http_exchange_query(const HttpExchange *exchange, const char *name);  // NULL: absent
// The caller's own pointer on a kept exchange. When the client goes away meanwhile, answering is
// still required and harmless.
void http_exchange_set_header(HttpExchange *exchange, const char *name, const char *value);
// Ends the exchange; the body is copied. content_type NULL: application/json.
void http_exchange_answer(HttpExchange *exchange, int status, const char *content_type,
                          const void *body, size_t len);
// {"error": {"code": ..., "message": ...}}; `code` is a constant word.
void http_exchange_fail(HttpExchange *exchange, int status, const char *code, const char *message);
// Stops accepting and lets kept exchanges end; `drained` is called once, at most grace_ns later.
void http_server_drain(HttpServer *server, int64_t grace_ns, void (*drained)(void *context));
HttpServer *http_server_free(HttpServer *server);
