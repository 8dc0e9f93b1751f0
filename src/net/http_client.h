// SPDX-License-Identifier: MIT
// http_client: the one HTTP client of all shells: libcurl's multi interface on the caller's uv
// loop. Results come by callback, exactly once per request, cancellation included. Bounded: body
// size, connections per host, total time. Connections to other regions bind the region's own
// address.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "error.h"

typedef struct HttpClient HttpClient;
typedef struct HttpRequest HttpRequest;

typedef struct HttpClientOptions {
    const char *source;    // bind to this address; NULL: any
    const char *ca_file;   // NULL: no TLS to be used
    const char *cert_file; // client certificate and key; NULL: none
    const char *key_file;
    bool tls13_only;
    bool resume_tls; // keep TLS sessions; probes must not: a resumed one skips certificate checks
    uint32_t connections_per_host; // 0: 8
} HttpClientOptions;

typedef struct HttpResponse {
    int status; // 0: no answer, see error
    bool hard; // no answer, and it is proof: refused, reset on a fresh connection, TLS, certificate
    bool reused;      // the connection was a kept one
    const char *body; // NUL-terminated
    size_t body_len;
    int64_t elapsed_ns;
    const char *error;          // "" or text
    const HttpRequest *request; // for http_response_header
} HttpResponse;

typedef void HttpDone(void *context, const HttpResponse *response);

typedef struct HttpRequestOptions {
    const char *method;      // NULL: GET
    const char *url;         // https://name:port/path
    const char *resolve;     // "name:port:address" so that TLS names hold without DNS; NULL
    const char *unix_socket; // NULL: TCP
    const char *body;
    size_t body_len;
    const char *const *headers; // NULL-terminated "Name: value"; NULL
    int64_t connect_timeout_ns; // TCP and TLS together; 0: as timeout_ns
    int64_t timeout_ns;         // to the last byte of the answer; 0: 30 s
    size_t max_body;            // of the answer; 0: BOUND_BODY_BYTES
    bool fresh;                 // do not use a kept connection
} HttpRequestOptions;

int http_client_new(uv_loop_t *loop, const HttpClientOptions *options, HttpClient **ret_client,
                    Error *reterr) MUST_CHECK;
// Everything in options is copied. ret_request (may be NULL) is valid until `done` has been called.
int http_client_send(HttpClient *client, const HttpRequestOptions *options, HttpDone *done,
                     void *context, HttpRequest **ret_request, Error *reterr) MUST_CHECK;
// Drops the request; `done` is called with status 0, error "cancelled", not hard.
void http_request_cancel(HttpRequest *request);
// A header of the answer, NULL: absent; valid until the next call and inside `done` only.
const char *http_response_header(const HttpResponse *response, const char *name);
// New certificates on disk: requests sent from now on use them, on new connections. When they
// cannot be used (unreadable, or the key does not belong to the certificate), the old ones stay.
int http_client_reload(HttpClient *client, Error *reterr) MUST_CHECK;
// Cancels everything. Memory goes when the loop has closed the handles: run it once more. Returns
// NULL.
HttpClient *http_client_free(HttpClient *client);
