// SPDX-License-Identifier: MIT
// prober: against a real TLS server in a thread of this process whose behaviour a test switches:
// which probe is answered, by which connection, and what counts as proof.
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "prober.h"
#include "unit.h"

#define HOST "us-west-2.gateway.wildcam.org"
#define LIMIT_MS 10000

typedef enum Mode { MODE_OK, MODE_SILENT, MODE_BUSY, MODE_CLOSE_AFTER, MODE_DROP_KEPT } Mode;

typedef struct Server {
    pthread_t thread;
    int listener;
    uint16_t port;
    SSL_CTX *tls;
    atomic_int mode;
    atomic_bool stop;
    atomic_bool drop_idle; // close every connection that waits for a request
    atomic_uint accepted;
} Server;

typedef struct Peer {
    Server *server;
    int fd;
} Peer;

static EVP_PKEY *key;
static char ca_path[] = "/tmp/wildcam-prober-ca-XXXXXX";

static X509 *make_certificate(const char *name, long not_after_s)
{
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1 + not_after_s % 1000);
    X509_gmtime_adj(X509_getm_notBefore(cert), -7200);
    X509_gmtime_adj(X509_getm_notAfter(cert), not_after_s);
    X509_set_pubkey(cert, key);
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1,
                               0);
    X509_set_issuer_name(cert, subject);
    char text[128];
    snprintf(text, sizeof(text), "DNS:%s", name);
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text);
    X509_add_ext(cert, san, -1);
    X509_EXTENSION_free(san);
    X509_sign(cert, key, EVP_sha256());
    return cert;
}

static void answer_requests(Server *server, SSL *ssl, int fd)
{
    char request[2048];
    for (unsigned n = 0; !server->stop; n++) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        while (!server->stop && !SSL_pending(ssl) && poll(&wait, 1, 10) == 0)
            if (server->drop_idle && n > 0)
                return;
        if (server->stop || SSL_read(ssl, request, sizeof(request)) <= 0)
            return;
        int mode = server->mode;
        if (mode == MODE_DROP_KEPT && n > 0)
            return;
        if (mode == MODE_SILENT) {
            while (!server->stop && server->mode == MODE_SILENT)
                poll(NULL, 0, 5);
            mode = server->mode;
        }
        const char *text =
            mode == MODE_BUSY ? "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
            : mode == MODE_CLOSE_AFTER
                ? "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nok\n"
                : "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
        if (SSL_write(ssl, text, (int)strlen(text)) <= 0 || mode == MODE_CLOSE_AFTER)
            return;
    }
}

static void *serve_one(void *context)
{
    Peer *peer = context;
    SSL *ssl = SSL_new(peer->server->tls);
    SSL_set_fd(ssl, peer->fd);
    if (SSL_accept(ssl) == 1)
        answer_requests(peer->server, ssl, peer->fd);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(peer->fd);
    free(peer);
    return NULL;
}

static void *serve(void *context)
{
    Server *server = context;
    pthread_t threads[64];
    unsigned n = 0;
    while (!server->stop) {
        struct pollfd wait = {.fd = server->listener, .events = POLLIN};
        if (poll(&wait, 1, 10) <= 0 || n == 64)
            continue;
        Peer *peer = malloc(sizeof(*peer));
        *peer = (Peer){server, accept(server->listener, NULL, NULL)};
        server->accepted++;
        pthread_create(&threads[n++], NULL, serve_one, peer);
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    return NULL;
}

static void server_start(Server *server, const char *name, long not_after_s)
{
    *server = (Server){.listener = socket(AF_INET, SOCK_STREAM, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010101)};
    socklen_t len = sizeof(address);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->listener, 64), 0);
    getsockname(server->listener, (struct sockaddr *)&address, &len);
    server->port = ntohs(address.sin_port);
    server->tls = SSL_CTX_new(TLS_server_method());
    X509 *cert = make_certificate(name, not_after_s);
    SSL_CTX_use_certificate(server->tls, cert);
    SSL_CTX_use_PrivateKey(server->tls, key);
    FILE *file = fopen(ca_path, "w");
    PEM_write_X509(file, cert);
    fclose(file);
    X509_free(cert);
    pthread_create(&server->thread, NULL, serve, server);
}

static void server_stop(Server *server)
{
    server->stop = true;
    pthread_join(server->thread, NULL);
    close(server->listener);
    SSL_CTX_free(server->tls);
}

// --- The prober under test and what it reported ---

typedef struct Seen {
    unsigned answered, hard, idle_closed;
    uint64_t last_id;
    char why[200];
} Seen;

static uv_loop_t loop;
static Prober *prober;
static Seen seen;

static void on_done(void *context, const ProbeReport *report)
{
    (void)context;
    seen.answered += report->result == PROBE_RESULT_ANSWERED;
    seen.hard += report->result == PROBE_RESULT_HARD;
    seen.idle_closed += report->result == PROBE_RESULT_IDLE_CLOSED;
    seen.last_id = report->id;
    snprintf(seen.why, sizeof(seen.why), "%s", report->why);
}

static void prober_start(uint16_t port)
{
    seen = (Seen){0};
    uv_loop_init(&loop);
    Error err = ERROR_INIT;
    ProberOptions options = {
        .ca_file = ca_path, .source = "127.9.9.9", .path = "/health", .done = on_done};
    if (prober_new(&loop, &options, &prober, &err) < 0)
        fail_msg("%s", error_text(&err));
    ProberTarget target = {HOST, "127.1.1.1", port};
    assert_int_equal(prober_set_targets(prober, &target, 1, &err), 0);
}

static void prober_stop(void)
{
    prober = prober_free(prober);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0); // nothing was left behind
}

static void probe(uint64_t id, int64_t hedge_ms, int64_t give_up_ms)
{
    Error err = ERROR_INIT;
    if (prober_probe(prober, 0, id, hedge_ms * NS_PER_MS, give_up_ms * NS_PER_MS, &err) < 0)
        fail_msg("%s", error_text(&err));
}

static void on_limit(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

// Runs the loop until *counter reaches `value`; fails at the limit.
static void run_until(const unsigned *counter, unsigned value)
{
    bool late = false;
    uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    timer.data = &late;
    uv_timer_start(&timer, on_limit, LIMIT_MS, 0);
    while (*counter < value && !late)
        uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    if (*counter < value)
        fail_msg("waited for %u, have %u (answered %u, hard %u '%s', closed %u)", value, *counter,
                 seen.answered, seen.hard, seen.why, seen.idle_closed);
}

static void run_for(uint64_t ms)
{
    bool late = false;
    uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    timer.data = &late;
    uv_timer_start(&timer, on_limit, ms, 0);
    while (!late)
        uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
}

static void test_keeps_connection(void **state)
{
    (void)state;
    Server server;
    server_start(&server, HOST, 3600);
    prober_start(server.port);
    for (unsigned i = 1; i <= 20; i++) {
        probe(i, 5000, 8000);
        run_until(&seen.answered, i);
        assert_int_equal(seen.last_id, i);
    }
    assert_int_equal(server.accepted, 1);
    assert_int_equal(seen.hard, 0);
    prober_stop();
    server_stop(&server);
}

static void test_probes_overlap(void **state)
{
    (void)state;
    Server server;
    server_start(&server, HOST, 3600);
    server.mode = MODE_SILENT;
    prober_start(server.port);
    for (unsigned i = 1; i <= 3; i++)
        probe(i, 5000, 8000);
    run_for(50);
    assert_int_equal(seen.answered, 0);
    server.mode = MODE_OK; // late answers are answers
    run_until(&seen.answered, 3);
    assert_int_equal(prober_connections(prober), 2); // the third one is not kept
    prober_stop();
    server_stop(&server);
}

static void test_hedge_answers(void **state)
{
    (void)state;
    Server server;
    server_start(&server, HOST, 3600);
    prober_start(server.port);
    probe(1, 5000, 8000);
    run_until(&seen.answered, 1);
    server.mode = MODE_SILENT;
    probe(2, 50, 8000);
    for (unsigned ms = 0; server.accepted < 2 && ms < LIMIT_MS; ms += 5) // the hedge
        run_for(5);
    server.mode = MODE_OK;
    run_until(&seen.answered, 2);
    run_for(30);
    assert_int_equal(seen.answered, 2); // once per probe, though both connections answer
    prober_stop();
    server_stop(&server);
}

static void test_refused_is_hard(void **state)
{
    (void)state;
    Server server;
    server_start(&server, HOST, 3600);
    uint16_t port = server.port;
    server_stop(&server);
    prober_start(port);
    probe(7, 250, 5000);
    run_until(&seen.hard, 1);
    assert_int_equal(seen.last_id, 7);
    assert_non_null(strstr(seen.why, "refused"));
    prober_stop();
}

static void test_killed_gateway(void **state)
{
    (void)state;
    Server server;
    server_start(&server, HOST, 3600);
    prober_start(server.port);
    probe(1, 250, 5000);
    run_until(&seen.answered, 1);
    server_stop(&server); // closes the kept connection
    run_until(&seen.idle_closed, 1);
    probe(2, 250, 5000);
    run_until(&seen.hard, 1);
    prober_stop();
}

// A kept connection that closes instead of answering is no failure: a fresh one is asked at once.
static void test_stale_connection(void **state)
{
    (void)state;
    Server server;
    server_start(&server, HOST, 3600);
    prober_start(server.port);
    probe(1, 5000, 8000);
    run_until(&seen.answered, 1);
    server.mode = MODE_DROP_KEPT;
    probe(2, 5000, 8000);
    run_until(&seen.answered, 2);
    assert_int_equal(seen.hard, 0);
    assert_int_equal(server.accepted, 2);
    prober_stop();
    server_stop(&server);
}

static void test_announced_close(void **state)
{
    (void)state;
    Server server;
    server_start(&server, HOST, 3600);
    server.mode = MODE_CLOSE_AFTER;
    prober_start(server.port);
    probe(1, 5000, 8000);
    run_until(&seen.answered, 1);
    run_for(50);
    assert_int_equal(seen.idle_closed, 0);
    assert_int_equal(prober_connections(prober), 0);
    prober_stop();
    server_stop(&server);
}

static void test_wrong_status_is_hard(void **state)
{
    (void)state;
    Server server;
    server_start(&server, HOST, 3600);
    server.mode = MODE_BUSY;
    prober_start(server.port);
    probe(1, 250, 5000);
    run_until(&seen.hard, 1);
    assert_string_equal(seen.why, "status 503");
    prober_stop();
    server_stop(&server);
}

static void test_silence_is_no_result(void **state)
{
    (void)state;
    Server server;
    server_start(&server, HOST, 3600);
    server.mode = MODE_SILENT;
    prober_start(server.port);
    probe(1, 50, 200);
    run_for(300);
    assert_int_equal(seen.answered + seen.hard, 0);
    assert_int_equal(prober_connections(prober), 0); // given up
    prober_stop();
    server_stop(&server);
}

static void test_certificates(void **state)
{
    (void)state;
    Server server;
    server_start(&server, HOST, -60);
    prober_start(server.port);
    probe(1, 250, 5000);
    run_until(&seen.hard, 1);
    assert_non_null(strstr(seen.why, "expired"));
    prober_stop();
    server_stop(&server);
    server_start(&server, "other.gateway.wildcam.org", 3600);
    prober_start(server.port);
    probe(1, 250, 5000);
    run_until(&seen.hard, 1);
    assert_non_null(strstr(seen.why, "mismatch"));
    prober_stop();
    server_stop(&server);
}

// Dropping everything in the middle of exchanges leaves no handle and reports nothing.
static void test_free_while_busy(void **state)
{
    (void)state;
    Server server;
    server_start(&server, HOST, 3600);
    server.mode = MODE_SILENT;
    prober_start(server.port);
    for (unsigned i = 1; i <= 5; i++)
        probe(i, 20, 5000);
    run_for(60);
    prober_stop();
    assert_int_equal(seen.answered + seen.hard + seen.idle_closed, 0);
    server_stop(&server);
}

static int make_key(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    int fd = mkstemp(ca_path);
    key = EVP_EC_gen("P-256");
    return fd < 0 || !key || close(fd) < 0 ? -1 : 0;
}

static int drop_key(void **state)
{
    (void)state;
    EVP_PKEY_free(key);
    return unlink(ca_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_connection),     cmocka_unit_test(test_probes_overlap),
        cmocka_unit_test(test_hedge_answers),        cmocka_unit_test(test_refused_is_hard),
        cmocka_unit_test(test_killed_gateway),       cmocka_unit_test(test_stale_connection),
        cmocka_unit_test(test_announced_close),      cmocka_unit_test(test_wrong_status_is_hard),
        cmocka_unit_test(test_silence_is_no_result), cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_free_while_busy),
    };
    return cmocka_run_group_tests(tests, make_key, drop_key);
}
