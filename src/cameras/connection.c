// SPDX-License-Identifier: MIT
// connection: see connection.h.
#include "connection.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

// TLS 1.3 tickets come after the handshake: keep the newest for the endpoint.
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    Connection *connection = SSL_get_app_data(ssl);
    SSL_SESSION_free(connection->endpoint->session);
    connection->endpoint->session = session;
    return 1; // ours now
}

int tls_open(Tls *tls, const char *ca_file, Error *reterr)
{
    ERR_clear_error();
    tls->context = SSL_CTX_new(TLS_client_method());
    if (tls->context == NULL || SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_load_verify_locations(tls->context, ca_file, NULL) != 1) {
        const char *reason = ERR_reason_error_string(ERR_get_error());
        tls_close(tls);
        return error_set(reterr, ERROR_UNAVAILABLE, "CA file '%s': %s", ca_file,
                         reason != NULL ? reason : "cannot be used");
    }
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(tls->context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls->context, keep_session);
    SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return 0;
}

void tls_close(Tls *tls)
{
    SSL_CTX_free(tls->context);
    tls->context = NULL;
}

void connection_init(Connection *connection)
{
    *connection = (Connection){.fd = -1};
}

void connection_close(Connection *connection)
{
    SSL_free(connection->ssl);
    if (connection->fd >= 0)
        (void)close(connection->fd);
    connection->ssl = NULL;
    connection->fd = -1;
    connection->state = CONNECTION_FREE;
    connection->answered = 0;
    ERR_clear_error();
}

static ConnectionEvent fail(Connection *connection, TryResult result, TryResult *ret_result)
{
    connection_close(connection);
    *ret_result = result;
    return CONNECTION_FAILED;
}

static int watch(const Connection *connection, int epoll, void *tag, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.ptr = tag};
    return epoll_ctl(epoll, operation, connection->fd, &event);
}

static int open_socket(Connection *connection, struct in_addr source)
{
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0)
        return -1;
    int on = 1;
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // The port is chosen at connect, by the whole four-tuple: a fleet of cameras runs out of none.
    (void)setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    const struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = source};
    if (bind(connection->fd, (const struct sockaddr *)&from, sizeof from) < 0)
        return -1;
    if (connect(connection->fd, (const struct sockaddr *)&connection->endpoint->address,
                sizeof connection->endpoint->address) < 0 &&
        errno != EINPROGRESS)
        return -1;
    return 0;
}

ConnectionEvent connection_open(Connection *connection, const Tls *tls, Endpoint *endpoint,
                                struct in_addr source, int epoll, void *tag)
{
    TryResult ignored;
    ASSERT(connection->state == CONNECTION_FREE);
    connection->endpoint = endpoint;
    connection->answered = 0;
    connection->ssl = SSL_new(tls->context);
    if (connection->ssl == NULL || open_socket(connection, source) < 0 ||
        SSL_set_fd(connection->ssl, connection->fd) != 1 ||
        SSL_set_tlsext_host_name(connection->ssl, endpoint->name) != 1 ||
        SSL_set1_host(connection->ssl, endpoint->name) != 1 ||
        watch(connection, epoll, tag, EPOLLOUT, EPOLL_CTL_ADD) < 0)
        return fail(connection, TRY_CONNECT, &ignored);
    SSL_set_app_data(connection->ssl, connection);
    if (endpoint->session != NULL)
        (void)SSL_set_session(connection->ssl, endpoint->session);
    SSL_set_connect_state(connection->ssl);
    connection->state = CONNECTION_CONNECTING;
    return CONNECTION_NOTHING;
}

static ConnectionEvent shake_hands(Connection *connection, int epoll, void *tag,
                                   TryResult *ret_result)
{
    ERR_clear_error();
    int r = SSL_do_handshake(connection->ssl);
    if (r == 1) {
        connection->state = CONNECTION_IDLE;
        (void)watch(connection, epoll, tag, EPOLLIN, EPOLL_CTL_MOD);
        return CONNECTION_CONNECTED;
    }
    int why = SSL_get_error(connection->ssl, r);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        return fail(connection, TRY_CONNECT, ret_result);
    (void)watch(connection, epoll, tag, why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT,
                EPOLL_CTL_MOD);
    return CONNECTION_NOTHING;
}

static ConnectionEvent write_request(Connection *connection, int epoll, void *tag,
                                     TryResult *ret_result)
{
    while (connection->out_left > 0) {
        ERR_clear_error();
        int n = SSL_write(connection->ssl, connection->out, (int)connection->out_left);
        if (n > 0) {
            connection->out += n;
            connection->out_left -= (size_t)n;
            continue;
        }
        int why = SSL_get_error(connection->ssl, n);
        if (why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ) {
            (void)watch(connection, epoll, tag, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            return CONNECTION_NOTHING;
        }
        return fail(connection, TRY_CLOSED, ret_result);
    }
    return CONNECTION_NOTHING;
}

ConnectionEvent connection_send(Connection *connection, int epoll, void *tag, const char *request,
                                size_t len, TryResult *ret_result)
{
    ASSERT(connection->state == CONNECTION_IDLE);
    connection->state = CONNECTION_BUSY;
    connection->any_byte = false;
    connection->out = request;
    connection->out_left = len;
    http_answer_begin(&connection->answer);
    return write_request(connection, epoll, tag, ret_result);
}

static ConnectionEvent answer_complete(Connection *connection)
{
    connection->answered++;
    connection->state = CONNECTION_IDLE;
    if (connection->answer.close)
        connection_close(connection);
    return CONNECTION_ANSWERED;
}

static ConnectionEvent read_end(Connection *connection, TryResult *ret_result)
{
    if (connection->state == CONNECTION_IDLE) {
        connection_close(connection);
        return CONNECTION_LOST;
    }
    if (connection->any_byte && http_answer_end(&connection->answer)) {
        connection->answer.close = true;
        return answer_complete(connection);
    }
    return fail(connection, TRY_CLOSED, ret_result);
}

static ConnectionEvent read_answer(Connection *connection, TryResult *ret_result)
{
    char bytes[16384];
    bool progress = false;
    for (;;) {
        ERR_clear_error();
        int n = SSL_read(connection->ssl, bytes, sizeof bytes);
        if (n <= 0) {
            int why = SSL_get_error(connection->ssl, n);
            if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
                return progress ? CONNECTION_PROGRESS : CONNECTION_NOTHING;
            return read_end(connection, ret_result);
        }
        if (connection->state == CONNECTION_IDLE) { // nobody asked
            connection_close(connection);
            return CONNECTION_LOST;
        }
        progress = connection->any_byte = true;
        size_t used = http_answer_feed(&connection->answer, bytes, (size_t)n);
        if (connection->answer.state == HTTP_ANSWER_BAD)
            return fail(connection, TRY_GARBAGE, ret_result);
        if (connection->answer.state == HTTP_ANSWER_DONE) {
            if (used < (size_t)n || SSL_pending(connection->ssl) > 0)
                connection->answer.close = true; // bytes of no request: do not trust what follows
            return answer_complete(connection);
        }
    }
}

ConnectionEvent connection_step(Connection *connection, int epoll, void *tag, TryResult *ret_result)
{
    if (connection->state == CONNECTION_CONNECTING) {
        int error = 0;
        socklen_t len = sizeof error;
        if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0)
            return fail(connection, TRY_CONNECT, ret_result);
        connection->state = CONNECTION_HANDSHAKE;
    }
    if (connection->state == CONNECTION_HANDSHAKE)
        return shake_hands(connection, epoll, tag, ret_result);
    if (connection->state == CONNECTION_FREE)
        return CONNECTION_NOTHING;
    if (connection->state == CONNECTION_BUSY && connection->out_left > 0) {
        if (write_request(connection, epoll, tag, ret_result) == CONNECTION_FAILED)
            return CONNECTION_FAILED;
        if (connection->out_left == 0)
            (void)watch(connection, epoll, tag, EPOLLIN, EPOLL_CTL_MOD);
    }
    return read_answer(connection, ret_result);
}
