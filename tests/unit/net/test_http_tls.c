// SPDX-License-Identifier: MIT
// The client over TLS against a small OpenSSL server in a thread (its own certificates, made by the
// openssl command): names without DNS, wrong authorities, expired certificates, client certificates
// and their replacement, and an answer that lies in the socket when its deadline fires.
#include "loop_until.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "files.h"
#include "http_client.h"

typedef struct World {
    uv_loop_t loop;
    char *folder, url[64], resolve[64];
    HttpClient *client;
    // the server
    pthread_t thread;
    SSL_CTX *context;
    int listener, stop[2];
    char peer[128];  // subject of the newest client certificate
    char source[32]; // address of the newest client
    int handshakes, resumed;
    bool plain_reset; // accept and reset instead of TLS
    // what the client told
    int status, done;
    bool hard, reused;
    char body[128], error[256];
} World;

static char *path(World *world, const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *text = paths[next++ % 4];
    (void)snprintf(text, sizeof paths[0], "%s/%s", world->folder, name);
    return text;
}

static void PRINTF_LIKE(2, 3) shell(World *world, const char *format, ...)
{
    char command[2048];
    int n = snprintf(command, sizeof command, "cd %s && exec >/dev/null 2>&1; ", world->folder);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(command + n, sizeof command - (size_t)n, format, args);
    va_end(args);
    if (system(command) != 0) // NOLINT: fixed commands of this test
        fail_msg("%s", command);
}

#define KEY "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

static void make_certificates(World *world)
{
    shell(world, "openssl req -x509 " KEY " -days 2 -subj /CN=ca -keyout ca.key -out ca.pem");
    shell(world,
          "openssl req -x509 " KEY " -days 2 -subj /CN=other -keyout other.key -out other.pem");
    static const char *const NAMES[] = {"server", "expired", "one", "two"};
    for (int i = 0; i < 4; i++)
        shell(world,
              "openssl req -new " KEY " -subj /CN=%s -keyout %s.key -out %s.csr && "
              "printf 'subjectAltName=DNS:api.example.org' > ext && "
              "openssl x509 -req -in %s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile ext "
              "-days %d -out %s.pem",
              NAMES[i], NAMES[i], NAMES[i], NAMES[i], i == 1 ? -1 : 2, NAMES[i]);
}

static void serve_one(World *world, int fd)
{
    static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    char request[4096];
    SSL *ssl = SSL_new(world->context);
    (void)SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        X509 *peer = SSL_get1_peer_certificate(ssl);
        world->peer[0] = '\0';
        if (peer != NULL)
            (void)X509_NAME_oneline(X509_get_subject_name(peer), world->peer, sizeof world->peer);
        X509_free(peer);
        world->handshakes++;
        world->resumed += SSL_session_reused(ssl);
        struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
                                {.fd = world->stop[0], .events = POLLIN}};
        while (poll(fds, 2, -1) > 0 && fds[1].revents == 0 &&
               SSL_read(ssl, request, sizeof request) > 0)
            (void)SSL_write(ssl, ANSWER, sizeof ANSWER - 1);
        (void)SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    ERR_clear_error();
}

// One connection after another: the client closes, or `stop` is written.
static void *serve(void *argument)
{
    World *world = argument;
    struct pollfd fds[2] = {{.fd = world->listener, .events = POLLIN},
                            {.fd = world->stop[0], .events = POLLIN}};
    while (poll(fds, 2, -1) > 0 && fds[1].revents == 0) {
        struct sockaddr_in from;
        socklen_t len = sizeof from;
        int fd = accept(world->listener, (struct sockaddr *)&from, &len);
        (void)inet_ntop(AF_INET, &from.sin_addr, world->source, sizeof world->source);
        if (world->plain_reset) {
            struct linger linger = {1, 0};
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        } else {
            serve_one(world, fd);
        }
        (void)close(fd);
    }
    return NULL;
}

static void use_certificate(World *world, const char *name)
{
    char file[64];
    (void)snprintf(file, sizeof file, "%s.pem", name);
    assert_int_equal(
        SSL_CTX_use_certificate_file(world->context, path(world, file), SSL_FILETYPE_PEM), 1);
    (void)snprintf(file, sizeof file, "%s.key", name);
    assert_int_equal(
        SSL_CTX_use_PrivateKey_file(world->context, path(world, file), SSL_FILETYPE_PEM), 1);
}

static void start_server(World *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    world->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(world->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(world->listener, 16), 0);
    assert_int_equal(getsockname(world->listener, (struct sockaddr *)&address, &len), 0);
    unsigned port = ntohs(address.sin_port);
    (void)snprintf(world->url, sizeof world->url, "https://api.example.org:%u/", port);
    (void)snprintf(world->resolve, sizeof world->resolve, "api.example.org:%u:127.0.0.1", port);
    assert_int_equal(pipe(world->stop), 0);
    assert_int_equal(pthread_create(&world->thread, NULL, serve, world), 0);
}

static int set_up(void **state)
{
    World *world = calloc(1, sizeof *world);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)uv_loop_init(&world->loop);
    world->folder = temp_folder();
    make_certificates(world);
    world->context = SSL_CTX_new(TLS_server_method());
    use_certificate(world, "server");
    assert_int_equal(SSL_CTX_load_verify_locations(world->context, path(world, "ca.pem"), NULL), 1);
    SSL_CTX_set_verify(world->context, SSL_VERIFY_PEER, NULL); // asked for, not required
    (void)SSL_CTX_set_session_id_context(world->context, (const unsigned char *)"t", 1);
    start_server(world);
    *state = world;
    return 0;
}

static void stop_server(World *world)
{
    if (world->listener < 0)
        return;
    assert_int_equal(write(world->stop[1], "x", 1), 1);
    (void)pthread_join(world->thread, NULL);
    (void)close(world->listener);
    (void)close(world->stop[0]);
    (void)close(world->stop[1]);
    world->listener = -1;
}

static int tear_down(void **state)
{
    World *world = *state;
    world->client = http_client_free(world->client);
    stop_server(world);
    SSL_CTX_free(world->context);
    loop_done(&world->loop);
    assert_int_equal(files_remove_tree(world->folder, NULL), 0);
    free(world);
    return 0;
}

static void on_done(void *context, const HttpResponse *response)
{
    World *world = context;
    world->status = response->status;
    world->hard = response->hard;
    world->reused = response->reused;
    (void)snprintf(world->body, sizeof world->body, "%s", response->body);
    (void)snprintf(world->error, sizeof world->error, "%s", response->error);
    world->done++;
}

static void make_client(World *world, HttpClientOptions options)
{
    world->client = http_client_free(world->client);
    (void)uv_run(&world->loop, UV_RUN_NOWAIT);
    assert_int_equal(http_client_new(&world->loop, &options, &world->client, NULL), 0);
}

static void fetch(World *world, HttpRequestOptions options)
{
    int before = world->done;
    options.url = options.url != NULL ? options.url : world->url;
    options.resolve = options.resolve != NULL ? options.resolve : world->resolve;
    assert_int_equal(http_client_send(world->client, &options, on_done, world, NULL, NULL), 0);
    loop_until(&world->loop, &world->done, before + 1);
}

static void test_name_without_dns_from_the_own_address(void **state)
{
    World *world = *state;
    make_client(world,
                (HttpClientOptions){.ca_file = path(world, "ca.pem"), .source = "127.9.8.7"});
    fetch(world, (HttpRequestOptions){0});
    assert_int_equal(world->status, 200);
    assert_string_equal(world->body, "ok");
    assert_string_equal(world->source, "127.9.8.7");
    fetch(world, (HttpRequestOptions){0});
    assert_true(world->reused);
    assert_int_equal(world->handshakes, 1);
}

static void test_wrong_authority_is_hard(void **state)
{
    World *world = *state;
    make_client(world, (HttpClientOptions){.ca_file = path(world, "other.pem")});
    fetch(world, (HttpRequestOptions){0});
    assert_int_equal(world->status, 0);
    assert_true(world->hard);
    assert_non_null(strstr(world->error, "certificate"));
}

static void test_expired_certificate_is_hard(void **state)
{
    World *world = *state;
    use_certificate(world, "expired");
    make_client(world, (HttpClientOptions){.ca_file = path(world, "ca.pem")});
    fetch(world, (HttpRequestOptions){0});
    assert_int_equal(world->status, 0);
    assert_true(world->hard);
    assert_non_null(strstr(world->error, "expired"));
}

static void test_wrong_name_is_hard(void **state)
{
    World *world = *state;
    char url[64], resolve[64];
    (void)snprintf(url, sizeof url, "https://x.example.org:%s", strrchr(world->url, ':') + 1);
    (void)snprintf(resolve, sizeof resolve, "x%s", world->resolve + 3);
    make_client(world, (HttpClientOptions){.ca_file = path(world, "ca.pem")});
    fetch(world, (HttpRequestOptions){.url = url, .resolve = resolve});
    assert_int_equal(world->status, 0);
    assert_true(world->hard);
}

static void test_reset_in_the_handshake_is_hard(void **state)
{
    World *world = *state;
    world->plain_reset = true;
    make_client(world, (HttpClientOptions){.ca_file = path(world, "ca.pem")});
    fetch(world, (HttpRequestOptions){0});
    assert_int_equal(world->status, 0);
    assert_true(world->hard);
}

static void test_silence_in_the_handshake_is_soft(void **state)
{
    World *world = *state;
    make_client(world, (HttpClientOptions){.ca_file = path(world, "ca.pem")});
    fetch(world, (HttpRequestOptions){0}); // this connection keeps the server's only thread busy
    fetch(world, (HttpRequestOptions){.fresh = true, .connect_timeout_ns = 100 * NS_PER_MS});
    assert_int_equal(world->status, 0);
    assert_false(world->hard);
}

static void test_without_authority_no_tls(void **state)
{
    World *world = *state;
    make_client(world, (HttpClientOptions){0});
    fetch(world, (HttpRequestOptions){0});
    assert_int_equal(world->status, 0);
    assert_int_equal(world->handshakes, 0);
}

static void test_sessions_are_resumed_only_when_asked(void **state)
{
    World *world = *state;
    for (int resume = 0; resume < 2; resume++) {
        make_client(world, (HttpClientOptions){.ca_file = path(world, "ca.pem"),
                                               .resume_tls = resume != 0,
                                               .connections_per_host = 1});
        world->resumed = 0;
        for (int i = 0; i < 3; i++)
            fetch(world, (HttpRequestOptions){.fresh = true});
        assert_int_equal(world->status, 200);
        assert_true(resume ? world->resumed > 0 : world->resumed == 0);
    }
}

static void test_new_client_certificate(void **state)
{
    World *world = *state;
    shell(world, "cp one.pem cert.pem && cp one.key cert.key");
    make_client(world, (HttpClientOptions){.ca_file = path(world, "ca.pem"),
                                           .cert_file = path(world, "cert.pem"),
                                           .key_file = path(world, "cert.key"),
                                           .connections_per_host = 1});
    fetch(world, (HttpRequestOptions){0});
    assert_string_equal(world->peer, "/CN=one");
    assert_int_equal(http_client_reload(world->client, NULL), 0);
    fetch(world, (HttpRequestOptions){0});
    assert_true(world->reused); // the same files: nothing is new
    shell(world, "cp two.pem cert.pem");
    Error err = ERROR_INIT;
    assert_int_equal(http_client_reload(world->client, &err), ERROR_FORMAT);
    assert_non_null(strstr(error_text(&err), "does not belong to"));
    error_done(&err);
    fetch(world, (HttpRequestOptions){.fresh = true});
    assert_string_equal(world->peer, "/CN=one"); // half a change changes nothing
    shell(world, "cp two.key cert.key");
    assert_int_equal(http_client_reload(world->client, NULL), 0);
    fetch(world, (HttpRequestOptions){0});
    assert_false(world->reused);
    assert_string_equal(world->peer, "/CN=two");
}

static void test_answer_in_the_socket_beats_its_deadline(void **state)
{
    World *world = *state;
    make_client(world, (HttpClientOptions){.ca_file = path(world, "ca.pem")});
    fetch(world, (HttpRequestOptions){0});
    HttpRequestOptions options = {
        .url = world->url, .resolve = world->resolve, .timeout_ns = 100 * NS_PER_MS};
    assert_int_equal(http_client_send(world->client, &options, on_done, world, NULL, NULL), 0);
    for (int i = 0; i < 10; i++)
        (void)uv_run(&world->loop, UV_RUN_NOWAIT);
    if (world->done == 1) { // else the answer was too quick for this test
        Mono end = mono_add(clock_mono(), 300 * NS_PER_MS);
        while (mono_since(end, clock_mono()) > 0)
            (void)usleep(1000); // the process is paused
    }
    loop_until(&world->loop, &world->done, 2);
    assert_int_equal(world->status, 200);
}

static void test_bad_files(void **state)
{
    World *world = *state;
    HttpClient *client;
    shell(world, "echo nonsense > bad.pem");
    const HttpClientOptions rows[] = {
        {.ca_file = path(world, "none.pem")},
        {.ca_file = path(world, "bad.pem")},
        {.cert_file = "x.pem"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_true(http_client_new(&world->loop, &rows[i], &client, NULL) < 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_name_without_dns_from_the_own_address),
        T(test_wrong_authority_is_hard),
        T(test_expired_certificate_is_hard),
        T(test_wrong_name_is_hard),
        T(test_reset_in_the_handshake_is_hard),
        T(test_silence_in_the_handshake_is_soft),
        T(test_without_authority_no_tls),
        T(test_sessions_are_resumed_only_when_asked),
        T(test_new_client_certificate),
        T(test_answer_in_the_socket_beats_its_deadline),
        T(test_bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
