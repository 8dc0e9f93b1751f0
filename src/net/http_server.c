// SPDX-License-Identifier: MIT
// http_server: see http_server.h. libmicrohttpd runs without threads: its epoll descriptor is
// polled by the uv loop, its timeout is a uv timer, and MHD_run does the work. The connection of a
// handler that does not answer is suspended and later resumed; resuming wakes nothing without a
// thread of libmicrohttpd's own, so the timer is set to now. Goes wrong: MHD_stop_daemon aborts
// with suspended connections, so http_server_free resumes them.
#include "http_server.h"

#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "bounds.h"
#include "clock.h"
#include "http_exchange.h"
#include "http_socket.h"
#include "parse.h"

#define IDLE_S 75              // above nginx's keepalive_timeout of 60 s: the client closes, not we
#define CONNECTION_BYTES 16384 // request line and headers; nginx in front allows less
#define SWALLOW_BYTES (1U << 20)   // of a body without a length that is too large: then cut
#define QUIET_NS (250 * NS_PER_MS) // how long a drain lets kept connections tell that they end
#define DRAIN_TICK_MS 20
#define DRAIN_ACCEPTS 1024 // rounds of accepting what waits; each takes several

struct HttpServer {
    HttpServerOptions options; // routes and context are the caller's
    HttpSocket socket;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer, drain_timer;
    unsigned handles;
    HttpExchange *exchanges;
    bool resumed; // MHD_run has to look
    bool draining;
    Mono drain_begun, drain_end;
    void (*drained)(void *context);
};

bool http_server_draining(const HttpServer *server)
{
    return server->draining;
}

static void exchange_link(HttpServer *server, HttpExchange *exchange)
{
    exchange->next = server->exchanges;
    if (exchange->next != NULL)
        exchange->next->previous = exchange;
    server->exchanges = exchange;
}

static void exchange_unlink(HttpServer *server, HttpExchange *exchange)
{
    if (exchange->previous != NULL)
        exchange->previous->next = exchange->next;
    else
        server->exchanges = exchange->next;
    if (exchange->next != NULL)
        exchange->next->previous = exchange->previous;
}

static bool route_matches(const HttpRoute *route, const char *path)
{
    size_t len = strlen(route->path);
    if (len > 0 && route->path[len - 1] == '*')
        return strncmp(route->path, path, len - 1) == 0;
    return strcmp(route->path, path) == 0;
}

static bool method_matches(const HttpRoute *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

// Finds the route, or answers 404 or 405.
static void find_route(HttpServer *server, HttpExchange *exchange)
{
    Buf allow = BUF_INIT(256);
    for (size_t i = 0; i < server->options.n_routes; i++) {
        const HttpRoute *route = &server->options.routes[i];
        if (!route_matches(route, exchange->path))
            continue;
        if (method_matches(route, exchange->method)) {
            exchange->route = route;
            break;
        }
        if (strstr(buf_text(&allow), route->method) == NULL)
            buf_printf(&allow, "%s%s", allow.len > 0 ? ", " : "", route->method);
    }
    if (exchange->route == NULL && allow.len > 0) {
        http_exchange_set_header(exchange, "Allow", buf_text(&allow));
        http_exchange_fail(exchange, 405, "wrong_method", "this path does not take this method");
    } else if (exchange->route == NULL) {
        http_exchange_fail(exchange, 404, "unknown_path", "nothing is served at this path");
    }
    buf_done(&allow);
}

typedef struct Lengths {
    unsigned content_length, transfer_encoding;
} Lengths;

static enum MHD_Result count_lengths(void *context, enum MHD_ValueKind kind, const char *name,
                                     const char *value)
{
    Lengths *lengths = context;
    lengths->content_length += strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
    lengths->transfer_encoding += strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0;
    return MHD_YES;
}

// Two lengths are how requests are smuggled (RFC 9112 6.3): refused, and the connection ends.
static void check_lengths(HttpServer *server, HttpExchange *exchange)
{
    Lengths lengths = {0};
    (void)MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, count_lengths, &lengths);
    if (lengths.content_length + lengths.transfer_encoding > 1) {
        http_exchange_set_header(exchange, "Connection", "close");
        http_exchange_fail(exchange, 400, "two_lengths",
                           "the request states the length of its body more than once");
        return;
    }
    // What is a little too large is read to its end first: closing under a client that still sends
    // can cost it the answer.
    uint64_t length = 0;
    const char *text = http_exchange_header(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH);
    bool readable = text == NULL || parse_u64(text, strlen(text), UINT64_MAX, &length) >= 0;
    if (!readable || length > server->options.max_body + SWALLOW_BYTES)
        http_exchange_fail(exchange, 413, "body_too_large", "the body is larger than allowed");
    else
        exchange->too_large = length > server->options.max_body;
}

static void on_timer(uv_timer_t *timer);

void http_server_answered(HttpServer *server, HttpExchange *exchange)
{
    if (server->options.answered != NULL)
        server->options.answered(server->options.context, exchange->method,
                                 exchange->route != NULL ? exchange->route->path : "other",
                                 exchange->status, mono_since(clock_mono(), exchange->begun));
    if (exchange->suspended) {
        exchange->suspended = false;
        MHD_resume_connection(exchange->connection);
        server->resumed = true;
        (void)uv_timer_start(&server->timer, on_timer, 0, 0);
    }
}

static enum MHD_Result queue_answer(HttpExchange *exchange)
{
    if (exchange->response == NULL)
        return MHD_NO;
    return MHD_queue_response(exchange->connection, (unsigned)exchange->status, exchange->response);
}

static enum MHD_Result begin_exchange(HttpServer *server, struct MHD_Connection *connection,
                                      const char *url, const char *method, void **per_request)
{
    HttpExchange *exchange =
        http_exchange_new(server, connection, method, url, server->options.max_body);
    if (exchange == NULL)
        return MHD_NO;
    *per_request = exchange;
    exchange_link(server, exchange);
    find_route(server, exchange);
    if (!exchange->answered)
        check_lengths(server, exchange);
    return exchange->answered ? queue_answer(exchange) : MHD_YES;
}

// False: the connection is to be cut.
static bool take_body(HttpExchange *exchange, const char *data, size_t len, size_t max_body)
{
    if (!exchange->too_large)
        buf_add(&exchange->body, data, len);
    else
        exchange->body.len += len; // only counted
    if (!exchange->body.failed)
        return !exchange->too_large || exchange->body.len < max_body + SWALLOW_BYTES;
    buf_done(&exchange->body);
    exchange->body.len = max_body;
    exchange->too_large = true;
    return true;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_len, void **per_request)
{
    HttpServer *server = context;
    HttpExchange *exchange = *per_request;
    if (exchange == NULL)
        return begin_exchange(server, connection, url, method, per_request);
    if (*data_len > 0) {
        bool ok = take_body(exchange, data, *data_len, server->options.max_body);
        *data_len = 0;
        return ok ? MHD_YES : MHD_NO;
    }
    if (!exchange->answered && exchange->too_large) {
        exchange->body = BUF_INIT(1);
        http_exchange_fail(exchange, 413, "body_too_large", "the body is larger than allowed");
    } else if (!exchange->answered && !exchange->handed) {
        exchange->handed = true;
        exchange->route->handle(server->options.context, exchange);
    }
    if (exchange->answered)
        return queue_answer(exchange);
    exchange->suspended = true;
    MHD_suspend_connection(connection);
    return MHD_YES;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **per_request,
                         enum MHD_RequestTerminationCode reason)
{
    HttpExchange *exchange = *per_request;
    *per_request = NULL;
    if (exchange == NULL)
        return;
    exchange_unlink(context, exchange);
    exchange->connection = NULL;
    if (exchange->answered || !exchange->handed)
        http_exchange_free(exchange);
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static size_t unescape(void *context, struct MHD_Connection *connection, char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0';) {
        int high = *from == '%' ? hex_value(from[1]) : -1;
        int low = high >= 0 ? hex_value(from[2]) : -1;
        if (low < 0 || (high == 0 && low == 0)) {
            *to++ = *from++;
            continue;
        }
        *to++ = (char)(high * 16 + low);
        from += 3;
    }
    *to = '\0';
    return (size_t)(to - text);
}

static void run(HttpServer *server)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;
    enum MHD_Result timed = MHD_YES;
    for (int i = 0; i < 8 && timed == MHD_YES && ms == 0; i++) {
        server->resumed = false;
        (void)MHD_run(server->daemon);
        timed = MHD_get_timeout(server->daemon, &ms);
        if (server->resumed) { // by a handler that answered another exchange
            timed = MHD_YES;
            ms = 0;
        }
    }
    if (timed == MHD_YES)
        (void)uv_timer_start(&server->timer, on_timer, ms, 0);
    else
        (void)uv_timer_stop(&server->timer);
}

static void on_timer(uv_timer_t *timer)
{
    run(timer->data);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    run(poll->data);
}

static void on_handle_closed(uv_handle_t *handle)
{
    HttpServer *server = handle->data;
    if (--server->handles == 0)
        free(server);
}

static int start_daemon(HttpServer *server, Error *reterr)
{
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, server,
        MHD_OPTION_LISTEN_SOCKET, server->socket.fd, MHD_OPTION_CONNECTION_LIMIT,
        server->options.max_connections, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_STRICT_FOR_CLIENT,
        1, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        server, MHD_OPTION_END);
    if (server->daemon == NULL)
        return error_set(reterr, ERROR_MEMORY, "start libmicrohttpd on '%s'", server->socket.path);
    return 0;
}

int http_server_new(uv_loop_t *loop, const HttpServerOptions *options, HttpServer **ret_server,
                    Error *reterr)
{
    HttpServer *server = alloc_zeroed(1, sizeof *server);
    if (server == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for an HTTP server");
    server->options = *options;
    if (server->options.max_body == 0)
        server->options.max_body = BOUND_BODY_BYTES;
    if (server->options.max_connections == 0)
        server->options.max_connections = 1024;
    int r = http_socket_listen(options->socket, options->mode != 0 ? options->mode : 0660,
                               &server->socket, reterr);
    if (r < 0) {
        free(server);
        return r;
    }
    server->options.socket = server->socket.path;
    r = start_daemon(server, reterr);
    if (r < 0) {
        http_socket_done(&server->socket);
        free(server);
        return r;
    }
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    (void)uv_timer_init(loop, &server->timer);
    (void)uv_timer_init(loop, &server->drain_timer);
    (void)uv_poll_init(loop, &server->poll, info->epoll_fd);
    server->timer.data = server->drain_timer.data = server->poll.data = server;
    server->handles = 3;
    (void)uv_poll_start(&server->poll, UV_READABLE, on_ready);
    *ret_server = server;
    return 0;
}

// The path goes first: nobody may find a socket that does not accept.
static void stop_listening(HttpServer *server)
{
    if (server->socket.fd < 0)
        return;
    (void)MHD_quiesce_daemon(server->daemon); // the descriptor is ours again
    http_socket_done(&server->socket);
}

static void on_drain_tick(uv_timer_t *timer)
{
    HttpServer *server = timer->data;
    Mono now = clock_mono();
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    bool quiet = server->exchanges == NULL && mono_since(now, server->drain_begun) >= QUIET_NS;
    if (info->num_connections > 0 && !quiet && mono_since(server->drain_end, now) > 0)
        return;
    (void)uv_timer_stop(timer);
    server->drained(server->options.context);
}

// Whoever has connected may have sent a request already, which must not be repeated; closing the
// listening socket would reset them. Nobody new finds the path.
static void accept_waiting(HttpServer *server)
{
    http_socket_hide(&server->socket);
    struct pollfd waiting = {.fd = server->socket.fd, .events = POLLIN};
    for (int i = 0; i < DRAIN_ACCEPTS && poll(&waiting, 1, 0) > 0; i++)
        run(server);
}

void http_server_drain(HttpServer *server, int64_t grace_ns, void (*drained)(void *context))
{
    if (server->draining)
        return;
    server->draining = true;
    server->drained = drained;
    server->drain_begun = clock_mono();
    server->drain_end = mono_add(server->drain_begun, grace_ns);
    accept_waiting(server);
    stop_listening(server);
    (void)uv_timer_start(&server->drain_timer, on_drain_tick, 0, DRAIN_TICK_MS);
}

HttpServer *http_server_free(HttpServer *server)
{
    if (server == NULL)
        return NULL;
    stop_listening(server);
    for (HttpExchange *exchange = server->exchanges; exchange != NULL; exchange = exchange->next) {
        if (exchange->suspended)
            MHD_resume_connection(exchange->connection);
        exchange->suspended = false;
    }
    (void)uv_poll_stop(&server->poll); // before its descriptor is closed
    MHD_stop_daemon(server->daemon);   // completes every exchange
    uv_handle_t *handles[] = {(uv_handle_t *)&server->poll, (uv_handle_t *)&server->timer,
                              (uv_handle_t *)&server->drain_timer};
    for (unsigned i = 0; i < ARRAY_SIZE(handles); i++)
        uv_close(handles[i], on_handle_closed);
    return NULL;
}
