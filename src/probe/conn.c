// SPDX-License-Identifier: MIT
// conn: see the header. OpenSSL never sees the socket: bytes go socket -> rbio -> SSL_read and
// SSL_write -> wbio -> socket, so that the loop stays the only one that waits.
#include "conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "alloc.h"
#include "answer.h"
#include "clock.h"

typedef enum ConnState {
    CONN_CONNECTING,
    CONN_HANDSHAKE,
    CONN_BUSY,
    CONN_IDLE,
    CONN_CLOSED,
} ConnState;

struct ProbeConn {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_timer_t kick; // reports what failed inside a call of the prober's from the loop instead
    ConnState state;
    bool reused; // the exchange under way is not this connection's first
    SSL *ssl;
    BIO *rbio, *wbio; // owned by ssl
    const char *request;
    ProbeConnDone *done;
    void *context;
    Mono opened;
    unsigned handles; // not closed yet
    size_t answer_len;
    char answer[PROBE_ANSWER_MAX];
    char why[160];
};

typedef struct ConnWrite {
    uv_write_t request;
    char bytes[];
} ConnWrite;

static void on_handle_closed(uv_handle_t *handle)
{
    ProbeConn *conn = handle->data;
    if (--conn->handles)
        return;
    SSL_free(conn->ssl);
    free(conn);
}

void probe_conn_close(ProbeConn *conn)
{
    if (!conn || conn->state == CONN_CLOSED)
        return;
    conn->state = CONN_CLOSED;
    uv_close((uv_handle_t *)&conn->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&conn->kick, on_handle_closed);
}

static void end(ProbeConn *conn, ProbeConnEnd how, const char *why)
{
    if (conn->state == CONN_CLOSED)
        return;
    probe_conn_close(conn); // memory lives until the loop's next round
    conn->done(conn->context, conn, how, false, why);
}

// What a failure proves depends on the exchange: silence of a kept connection proves nothing.
static void fail(ProbeConn *conn, const char *why)
{
    if (conn->state == CONN_IDLE)
        end(conn, PROBE_CONN_IDLE_CLOSED, why);
    else if (conn->state == CONN_BUSY && conn->reused)
        end(conn, PROBE_CONN_STALE, why);
    else
        end(conn, PROBE_CONN_HARD, why);
}

static void fail_errno(ProbeConn *conn, int uv_error)
{
    if (uv_error == UV_ECONNREFUSED || uv_error == UV_ECONNRESET || uv_error == UV_EPIPE ||
        uv_error == UV_EOF || uv_error == UV_ECONNABORTED)
        fail(conn, uv_strerror(uv_error));
    else if (conn->state == CONN_IDLE)
        end(conn, PROBE_CONN_IDLE_CLOSED, uv_strerror(uv_error));
    else
        end(conn, PROBE_CONN_SOFT, uv_strerror(uv_error));
}

static void fail_tls(ProbeConn *conn)
{
    unsigned long code = ERR_get_error();
    long verify = SSL_get_verify_result(conn->ssl);
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    if (verify != X509_V_OK)
        text = X509_verify_cert_error_string(verify);
    snprintf(conn->why, sizeof(conn->why), "TLS: %s", text ? text : "failed");
    ERR_clear_error();
    fail(conn, conn->why);
}

static void on_written(uv_write_t *request, int status)
{
    ProbeConn *conn = request->handle->data;
    free(request);
    if (status < 0 && status != UV_ECANCELED && conn->state != CONN_CLOSED)
        fail_errno(conn, status);
}

// Moves what OpenSSL wants to say to the socket. 0 or a uv error.
static int flush(ProbeConn *conn)
{
    for (;;) {
        char bytes[2048];
        int n = BIO_read(conn->wbio, bytes, sizeof(bytes));
        if (n <= 0)
            return 0;
        uv_buf_t part = uv_buf_init(bytes, (unsigned)n);
        int sent = uv_try_write((uv_stream_t *)&conn->tcp, &part, 1);
        if (sent < 0 && sent != UV_EAGAIN)
            return sent;
        if (sent == n)
            continue;
        size_t from = sent > 0 ? (size_t)sent : 0;
        ConnWrite *write = alloc_zeroed(1, sizeof(*write) + (size_t)n);
        if (!write)
            return UV_ENOMEM;
        memcpy(write->bytes, bytes + from, (size_t)n - from);
        uv_buf_t rest = uv_buf_init(write->bytes, (unsigned)((size_t)n - from));
        int r = uv_write(&write->request, (uv_stream_t *)&conn->tcp, &rest, 1, on_written);
        if (r < 0) {
            free(write);
            return r;
        }
    }
}

static void on_kicked(uv_timer_t *timer)
{
    ProbeConn *conn = timer->data;
    fail_errno(conn, UV_EPIPE);
}

static int send_request(ProbeConn *conn)
{
    conn->state = CONN_BUSY;
    conn->answer_len = 0;
    ERR_clear_error();
    if (SSL_write(conn->ssl, conn->request, (int)strlen(conn->request)) <= 0)
        return UV_EPIPE;
    return flush(conn);
}

static void take_answer(ProbeConn *conn, bool ended)
{
    ProbeAnswer answer;
    int r = probe_answer_parse(conn->answer, conn->answer_len, ended, &answer);
    if (r == 0)
        return;
    if (r < 0 && ended) {
        fail(conn, "closed in the middle of an answer");
    } else if (r < 0) {
        end(conn, PROBE_CONN_HARD, "malformed answer");
    } else if (!answer.ok) {
        snprintf(conn->why, sizeof(conn->why), "status %d%s", answer.status,
                 answer.status == 200 ? " without 'ok'" : "");
        end(conn, PROBE_CONN_HARD, conn->why);
    } else if (answer.close || ended || answer.len != conn->answer_len) {
        end(conn, PROBE_CONN_ANSWERED, "");
    } else {
        conn->state = CONN_IDLE;
        conn->done(conn->context, conn, PROBE_CONN_ANSWERED, true, "");
    }
}

// Decrypts what is there. A byte on an idle connection is a protocol violation: close it.
static void read_plain(ProbeConn *conn)
{
    while (conn->state == CONN_BUSY || conn->state == CONN_IDLE) {
        char *to = conn->answer + conn->answer_len;
        char one;
        size_t room = sizeof(conn->answer) - conn->answer_len;
        bool idle = conn->state == CONN_IDLE;
        ERR_clear_error();
        int n = SSL_read(conn->ssl, idle || !room ? &one : to, idle || !room ? 1 : (int)room);
        if (n > 0 && (idle || !room)) {
            fail(conn, "unexpected bytes");
        } else if (n > 0) {
            conn->answer_len += (size_t)n;
            take_answer(conn, false);
        } else {
            int why = SSL_get_error(conn->ssl, n);
            if (why == SSL_ERROR_WANT_READ)
                break;
            if (why == SSL_ERROR_ZERO_RETURN && conn->state == CONN_BUSY && conn->answer_len)
                take_answer(conn, true);
            else if (why == SSL_ERROR_ZERO_RETURN)
                fail(conn, "closed by the gateway");
            else
                fail_tls(conn);
        }
    }
}

static void progress(ProbeConn *conn)
{
    if (conn->state == CONN_HANDSHAKE) {
        ERR_clear_error();
        int n = SSL_do_handshake(conn->ssl);
        int why = n == 1 ? SSL_ERROR_NONE : SSL_get_error(conn->ssl, n);
        if (why == SSL_ERROR_NONE) {
            int r = send_request(conn);
            if (r < 0)
                fail_errno(conn, r);
        } else if (why == SSL_ERROR_WANT_READ) {
            int r = flush(conn);
            if (r < 0)
                fail_errno(conn, r);
        } else {
            (void)flush(conn); // the alert, so that the other side's log names the reason
            fail_tls(conn);
        }
    }
    if (conn->state == CONN_BUSY || conn->state == CONN_IDLE)
        read_plain(conn);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    static char shared[16 << 10]; // the loop reads one stream at a time
    (void)handle;
    (void)suggested;
    *ret = uv_buf_init(shared, sizeof(shared));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    ProbeConn *conn = stream->data;
    if (conn->state == CONN_CLOSED || n == 0)
        return;
    if (n < 0) {
        if (n == UV_EOF && conn->state == CONN_BUSY && conn->answer_len) {
            take_answer(conn, true);
            if (conn->state == CONN_CLOSED)
                return;
        }
        fail_errno(conn, (int)n);
        return;
    }
    if (BIO_write(conn->rbio, buf->base, (int)n) != (int)n) {
        end(conn, PROBE_CONN_SOFT, "out of memory");
        return;
    }
    progress(conn);
}

static void on_connected(uv_connect_t *request, int status)
{
    ProbeConn *conn = request->handle->data;
    if (conn->state == CONN_CLOSED)
        return;
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read);
    if (status < 0) {
        fail_errno(conn, status);
        return;
    }
    conn->state = CONN_HANDSHAKE;
    progress(conn);
}

static int start_tls(ProbeConn *conn, SSL_CTX *tls, const char *host)
{
    conn->ssl = SSL_new(tls);
    conn->rbio = BIO_new(BIO_s_mem());
    conn->wbio = BIO_new(BIO_s_mem());
    if (!conn->ssl || !conn->rbio || !conn->wbio) {
        BIO_free(conn->rbio);
        BIO_free(conn->wbio);
        return -1;
    }
    SSL_set_bio(conn->ssl, conn->rbio, conn->wbio);
    SSL_set_connect_state(conn->ssl);
    SSL_set_hostflags(conn->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(conn->ssl, host) == 1 && SSL_set_tlsext_host_name(conn->ssl, host) == 1
               ? 0
               : -1;
}

static int start_connect(ProbeConn *conn, const ProbeConnOptions *options)
{
    int fd, on = 1;
    int r = uv_fileno((uv_handle_t *)&conn->tcp, &fd);
    if (r < 0)
        return r;
    if (options->source) {
        // The port is chosen at connect, per destination: bind alone would use up the port range.
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
        r = uv_tcp_bind(&conn->tcp, options->source, 0);
        if (r < 0)
            return r;
    }
    (void)uv_tcp_nodelay(&conn->tcp, 1);
    return uv_tcp_connect(&conn->connect, &conn->tcp, options->target, on_connected);
}

int probe_conn_open(const ProbeConnOptions *options, const char *request, void *context,
                    ProbeConn **ret_conn, Error *reterr)
{
    ProbeConn *conn = alloc_zeroed(1, sizeof(*conn));
    if (!conn)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    *conn = (ProbeConn){
        .request = request, .done = options->done, .context = context, .opened = clock_mono()};
    int r = uv_tcp_init_ex(options->loop, &conn->tcp, options->target->sa_family);
    if (r < 0) {
        free(conn);
        return error_set(reterr, r, "open a socket: %s", uv_strerror(r));
    }
    (void)uv_timer_init(options->loop, &conn->kick); // cannot fail
    conn->tcp.data = conn;
    conn->kick.data = conn;
    conn->handles = 2;
    if (start_tls(conn, options->tls, options->host) < 0) {
        ERR_clear_error();
        probe_conn_close(conn);
        return error_set(reterr, ERROR_MEMORY, "start TLS: out of memory");
    }
    r = start_connect(conn, options);
    if (r < 0) {
        probe_conn_close(conn);
        return error_set(reterr, r, "connect: %s", uv_strerror(r));
    }
    *ret_conn = conn;
    return 0;
}

void probe_conn_again(ProbeConn *conn, void *context)
{
    ASSERT(conn->state == CONN_IDLE);
    conn->context = context;
    conn->reused = true;
    if (send_request(conn) < 0)
        (void)uv_timer_start(&conn->kick, on_kicked, 0, 0);
}

void probe_conn_set_context(ProbeConn *conn, void *context)
{
    conn->context = context;
}

Mono probe_conn_opened(const ProbeConn *conn)
{
    return conn->opened;
}
