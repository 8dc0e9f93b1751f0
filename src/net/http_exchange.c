// SPDX-License-Identifier: MIT
// http_exchange: see http_exchange.h.
#include "http_exchange.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"

HttpExchange *http_exchange_new(HttpServer *server, struct MHD_Connection *connection,
                                const char *method, const char *path, size_t max_body)
{
    HttpExchange *exchange = alloc_zeroed(1, sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    exchange->server = server;
    exchange->connection = connection;
    exchange->method = alloc_strdup(method);
    exchange->path = alloc_strdup(path);
    exchange->body = BUF_INIT(max_body);
    exchange->begun = clock_mono();
    if (exchange->method == NULL || exchange->path == NULL) {
        http_exchange_free(exchange);
        return NULL;
    }
    return exchange;
}

void http_exchange_free(HttpExchange *exchange)
{
    for (unsigned i = 0; i < exchange->n_headers; i++) {
        free(exchange->headers[i][0]);
        free(exchange->headers[i][1]);
    }
    if (exchange->response != NULL)
        MHD_destroy_response(exchange->response);
    free(exchange->method);
    free(exchange->path);
    buf_done(&exchange->body);
    free(exchange);
}

const char *http_exchange_method(const HttpExchange *exchange)
{
    return exchange->method;
}

const char *http_exchange_path(const HttpExchange *exchange)
{
    return exchange->path;
}

const char *http_exchange_body(const HttpExchange *exchange, size_t *ret_len)
{
    *ret_len = exchange->body.len;
    return buf_text(&exchange->body);
}

static const char *lookup(const HttpExchange *exchange, enum MHD_ValueKind kind, const char *name)
{
    return exchange->connection == NULL
               ? NULL
               : MHD_lookup_connection_value(exchange->connection, kind, name);
}

const char *http_exchange_header(const HttpExchange *exchange, const char *name)
{
    return lookup(exchange, MHD_HEADER_KIND, name);
}

const char *http_exchange_query(const HttpExchange *exchange, const char *name)
{
    return lookup(exchange, MHD_GET_ARGUMENT_KIND, name);
}

void http_exchange_set_header(HttpExchange *exchange, const char *name, const char *value)
{
    ASSERT(exchange->n_headers < EXCHANGE_HEADERS && !exchange->answered);
    char *n = alloc_strdup(name), *v = alloc_strdup(value);
    if (n == NULL || v == NULL) { // without memory the answer goes without the header
        free(n);
        free(v);
        return;
    }
    exchange->headers[exchange->n_headers][0] = n;
    exchange->headers[exchange->n_headers++][1] = v;
}

static void make_response(HttpExchange *exchange, const char *content_type, const void *body,
                          size_t len)
{
    // The library's type is not const, but MUST_COPY only reads.
    exchange->response =
        MHD_create_response_from_buffer(len, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    if (exchange->response == NULL)
        return; // libmicrohttpd then closes the connection
    (void)MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                  content_type != NULL ? content_type : "application/json");
    for (unsigned i = 0; i < exchange->n_headers; i++)
        (void)MHD_add_response_header(exchange->response, exchange->headers[i][0],
                                      exchange->headers[i][1]);
    if (http_server_draining(exchange->server))
        (void)MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_CONNECTION, "close");
}

void http_exchange_answer(HttpExchange *exchange, int status, const char *content_type,
                          const void *body, size_t len)
{
    ASSERT(!exchange->answered);
    exchange->answered = true;
    exchange->status = status;
    if (exchange->connection == NULL) {
        http_exchange_free(exchange);
        return;
    }
    make_response(exchange, content_type, body != NULL ? body : "", len);
    http_server_answered(exchange->server, exchange);
}

void http_exchange_fail(HttpExchange *exchange, int status, const char *code, const char *message)
{
    Buf body = BUF_INIT(0);
    buf_add_text(&body, "{\"error\": {\"code\": ");
    buf_add_json_string(&body, code);
    buf_add_text(&body, ", \"message\": ");
    buf_add_json_string(&body, message);
    buf_add_text(&body, "}}\n");
    http_exchange_answer(exchange, status, NULL, buf_text(&body), body.len);
    buf_done(&body);
}
