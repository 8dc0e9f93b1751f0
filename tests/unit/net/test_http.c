// SPDX-License-Identifier: MIT
// The HTTP server and the HTTP client against each other and against raw sockets: late answers,
// bounds, malformed and contradicting requests, clients that leave, sockets that are stale or
// taken.
#include "loop_until.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "files.h"
#include "http_client.h"
#include "http_server.h"

typedef struct World {
    uv_loop_t loop;
    char *folder, socket[96];
    HttpServer *server;
    HttpClient *client;
    HttpExchange *kept, *all_kept[16];
    int n_kept, n_answered, drained;
    int status;
    bool hard, reused;
    char body[256], error[256], header[64];
    int done;
} World;

static void handle_echo(void *context, HttpExchange *exchange)
{
    size_t len;
    const char *body = http_exchange_body(exchange, &len);
    const char *q = http_exchange_query(exchange, "q");
    char text[2048]; // the longest body is 1000
    int n = snprintf(text, sizeof text, "%s %s q=%s body=%.*s", http_exchange_method(exchange),
                     http_exchange_path(exchange), q != NULL ? q : "-", (int)len, body);
    http_exchange_set_header(exchange, "X-Test", "yes");
    http_exchange_answer(exchange, 200, "text/plain", text, (size_t)n);
}

static void handle_keep(void *context, HttpExchange *exchange)
{
    World *world = context;
    world->kept = exchange;
    world->all_kept[world->n_kept++ % 16] = exchange;
}

static void handle_redirect(void *context, HttpExchange *exchange)
{
    http_exchange_set_header(exchange, "Location", "/echo");
    http_exchange_answer(exchange, 302, NULL, NULL, 0);
}

static void handle_long(void *context, HttpExchange *exchange)
{
    static char bytes[200000];
    http_exchange_answer(exchange, 200, "text/plain", bytes, sizeof bytes);
}

static const HttpRoute ROUTES[] = {
    {"GET", "/echo", handle_echo},         {"POST", "/echo", handle_echo},
    {"GET", "/keep", handle_keep},         {"GET", "/under/*", handle_echo},
    {"GET", "/redirect", handle_redirect}, {"GET", "/long", handle_long},
};

static void on_answered(void *context, const char *method, const char *route, int status,
                        int64_t elapsed_ns)
{
    World *world = context;
    world->n_answered++;
    assert_true(elapsed_ns >= 0);
}

static HttpServerOptions server_options(World *world)
{
    return (HttpServerOptions){.socket = world->socket,
                               .routes = ROUTES,
                               .n_routes = ARRAY_SIZE(ROUTES),
                               .context = world,
                               .max_body = 1000,
                               .answered = on_answered};
}

static int set_up(void **state)
{
    World *world = calloc(1, sizeof *world);
    (void)uv_loop_init(&world->loop);
    world->folder = temp_folder();
    (void)snprintf(world->socket, sizeof world->socket, "%s/s.sock", world->folder);
    HttpServerOptions options = server_options(world);
    assert_int_equal(http_server_new(&world->loop, &options, &world->server, NULL), 0);
    assert_int_equal(http_client_new(&world->loop, &(HttpClientOptions){0}, &world->client, NULL),
                     0);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    World *world = *state;
    world->client = http_client_free(world->client);
    world->server = http_server_free(world->server);
    loop_done(&world->loop);
    assert_false(files_exist(world->socket));
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
    const char *header = http_response_header(response, "x-test");
    (void)snprintf(world->header, sizeof world->header, "%s", header != NULL ? header : "");
    world->done++;
}

static void request(World *world, HttpRequestOptions options)
{
    if (options.unix_socket == NULL)
        options.unix_socket = world->socket;
    assert_int_equal(http_client_send(world->client, &options, on_done, world, NULL, NULL), 0);
}

static void fetch(World *world, HttpRequestOptions options)
{
    int before = world->done;
    request(world, options);
    loop_until(&world->loop, &world->done, before + 1);
}

#define FETCH(...) fetch(world, (HttpRequestOptions){__VA_ARGS__})

static void test_answers_and_kept_connections(void **state)
{
    World *world = *state;
    FETCH(.url = "http://x/echo?q=a%20b+c&r=1");
    assert_int_equal(world->status, 200);
    assert_string_equal(world->body, "GET /echo q=a b c body=");
    assert_string_equal(world->header, "yes");
    assert_false(world->reused);
    FETCH(.url = "http://x/echo", .method = "POST", .body = "hello", .body_len = 5);
    assert_string_equal(world->body, "POST /echo q=- body=hello");
    assert_true(world->reused);
    FETCH(.url = "http://x/echo", .fresh = true);
    assert_false(world->reused);
    FETCH(.url = "http://x/under/a%2fb%00c%zz");
    assert_string_equal(world->body, "GET /under/a/b%00c%zz q=- body=");
    assert_int_equal(world->n_answered, 4);
}

static void test_errors_are_json(void **state)
{
    World *world = *state;
    FETCH(.url = "http://x/nothing");
    assert_int_equal(world->status, 404);
    assert_non_null(strstr(world->body, "\"code\": \"unknown_path\""));
    FETCH(.url = "http://x/echo", .method = "DELETE");
    assert_int_equal(world->status, 405);
    FETCH(.url = "http://x/echo", .method = "HEAD");
    assert_int_equal(world->status, 200);
    assert_string_equal(world->body, "");
    char body[1001];
    memset(body, 'x', sizeof body);
    FETCH(.url = "http://x/echo", .method = "POST", .body = body, .body_len = sizeof body);
    assert_int_equal(world->status, 413);
    FETCH(.url = "http://x/echo", .method = "POST", .body = body, .body_len = sizeof body - 1);
    assert_int_equal(world->status, 200);
}

static void test_late_answer(void **state)
{
    World *world = *state;
    request(world, (HttpRequestOptions){.url = "http://x/keep"});
    loop_until(&world->loop, &world->n_kept, 1);
    FETCH(.url = "http://x/echo"); // others are served meanwhile
    assert_int_equal(world->done, 1);
    http_exchange_answer(world->kept, 201, NULL, "late", 4);
    loop_until(&world->loop, &world->done, 2);
    assert_int_equal(world->status, 201);
    assert_string_equal(world->body, "late");
}

static void test_client_leaves_before_the_answer(void **state)
{
    World *world = *state;
    HttpRequest *sent;
    assert_int_equal(http_client_send(world->client,
                                      &(HttpRequestOptions){.url = "http://x/keep",
                                                            .unix_socket = world->socket},
                                      on_done, world, &sent, NULL),
                     0);
    loop_until(&world->loop, &world->n_kept, 1);
    http_request_cancel(sent);
    assert_int_equal(world->done, 1);
    assert_string_equal(world->error, "cancelled");
    assert_false(world->hard);
    http_exchange_fail(world->kept, 503, "late", "too late");
    FETCH(.url = "http://x/echo");
    assert_int_equal(world->status, 200);
}

static void test_server_freed_before_the_answer(void **state)
{
    World *world = *state;
    request(world, (HttpRequestOptions){.url = "http://x/keep"});
    loop_until(&world->loop, &world->n_kept, 1);
    world->server = http_server_free(world->server);
    loop_until(&world->loop, &world->done, 1);
    assert_int_equal(world->status, 0);
    assert_true(world->hard); // cut on a fresh connection
    assert_null(http_exchange_header(world->kept, "Host"));
    http_exchange_answer(world->kept, 200, NULL, "x", 1);
    assert_int_equal(world->n_answered, 0);
}

static void on_drained(void *context)
{
    ((World *)context)->drained++;
}

static void test_drain_waits_for_the_exchange(void **state)
{
    World *world = *state;
    request(world, (HttpRequestOptions){.url = "http://x/keep"});
    loop_until(&world->loop, &world->n_kept, 1);
    http_server_drain(world->server, 5 * NS_PER_S, on_drained);
    assert_false(files_exist(world->socket));
    for (int i = 0; i < 20; i++)
        (void)uv_run(&world->loop, UV_RUN_NOWAIT);
    assert_int_equal(world->drained, 0);
    http_exchange_answer(world->kept, 200, NULL, "x", 1);
    loop_until(&world->loop, &world->done, 1);
    assert_int_equal(world->status, 200);
    loop_until(&world->loop, &world->drained, 1);
}

static void test_drain_answers_who_has_connected_before(void **state)
{
    World *world = *state;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", world->socket);
    static const char REQUEST[] = "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n";
    int fds[50];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(connect(fds[i], (const struct sockaddr *)&un, sizeof un), 0);
        assert_int_equal(send(fds[i], REQUEST, sizeof REQUEST - 1, MSG_NOSIGNAL),
                         sizeof REQUEST - 1);
    }
    http_server_drain(world->server, 5 * NS_PER_S, on_drained);
    loop_until(&world->loop, &world->drained, 1);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        char answer[16] = "";
        assert_true(recv(fds[i], answer, sizeof answer - 1, 0) > 0);
        assert_memory_equal(answer, "HTTP/1.1 200", 12);
        assert_int_equal(close(fds[i]), 0);
    }
}

static void test_drain_ends_at_its_grace(void **state)
{
    World *world = *state;
    request(world, (HttpRequestOptions){.url = "http://x/keep"});
    loop_until(&world->loop, &world->n_kept, 1);
    http_server_drain(world->server, 100 * NS_PER_MS, on_drained);
    loop_until(&world->loop, &world->drained, 1);
    assert_int_equal(world->done, 0);
    world->server = http_server_free(world->server);
    http_exchange_answer(world->kept, 200, NULL, "x", 1);
}

static void test_failures_are_hard_or_soft(void **state)
{
    World *world = *state;
    FETCH(.url = "http://x/", .unix_socket = "/tmp/wildcam-no-such-socket");
    assert_int_equal(world->status, 0);
    assert_true(world->hard);
    FETCH(.url = "http://x/keep", .timeout_ns = 50 * NS_PER_MS);
    assert_int_equal(world->status, 0);
    assert_false(world->hard);
    assert_string_equal(world->error, "no answer within 50 ms");
    http_exchange_answer(world->kept, 200, NULL, "", 0);
    FETCH(.url = "http://x/long");
    assert_int_equal(world->status, 0);
    assert_false(world->hard);
    assert_string_equal(world->error, "the answer is longer than 65536 bytes");
    FETCH(.url = "http://x/long", .max_body = 200000);
    assert_int_equal(world->status, 200);
    FETCH(.url = "http://x/redirect");
    assert_int_equal(world->status, 302);
    FETCH(.url = "ftp://x/");
    assert_int_equal(world->status, 0);
}

static void test_refused_over_tcp_is_hard(void **state)
{
    World *world = *state;
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:9/", 1), 0); // must not be used
    HttpRequestOptions options = {.url = "http://name.invalid:1/",
                                  .resolve = "name.invalid:1:127.0.0.1"};
    assert_int_equal(http_client_send(world->client, &options, on_done, world, NULL, NULL), 0);
    loop_until(&world->loop, &world->done, 1);
    assert_int_equal(unsetenv("http_proxy"), 0);
    assert_true(world->hard);
    assert_non_null(strstr(world->error, "port 1 "));
}

static void test_bad_requests_of_ours_are_refused(void **state)
{
    World *world = *state;
    const char *const headers[] = {"A: b\r\nC: d", NULL};
    Error err = ERROR_INIT;
    assert_int_equal(http_client_send(world->client,
                                      &(HttpRequestOptions){.url = "http://x/", .headers = headers},
                                      on_done, world, NULL, &err),
                     ERROR_FORMAT);
    assert_int_equal(http_client_send(world->client,
                                      &(HttpRequestOptions){.url = "http://x/", .resolve = "x:1"},
                                      on_done, world, NULL, &err),
                     ERROR_FORMAT);
    assert_string_equal(error_text(&err), "'x:1' is not name:port:address");
    error_done(&err);
    assert_int_equal(world->done, 0);
}

static void test_closed_while_idle_is_sent_again(void **state)
{
    World *world = *state;
    FETCH(.url = "http://x/echo");
    world->server = http_server_free(world->server);
    HttpServerOptions options = server_options(world);
    assert_int_equal(http_server_new(&world->loop, &options, &world->server, NULL), 0);
    FETCH(.url = "http://x/echo");
    assert_int_equal(world->status, 200);
    assert_false(world->reused);
}

static void test_requests_beyond_the_connections_wait(void **state)
{
    World *world = *state;
    for (int i = 0; i < 9; i++) // eight connections a host
        request(world, (HttpRequestOptions){.url = "http://x/keep", .timeout_ns = 200 * NS_PER_MS});
    loop_until(&world->loop, &world->n_kept, 8);
    loop_until(&world->loop, &world->done, 9); // the ninth one's deadline counts while it waits
    assert_int_equal(world->n_kept, 8);
    for (int i = 0; i < 8; i++)
        http_exchange_answer(world->all_kept[i], 200, NULL, "", 0);
}

static int raw_connect(World *world)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", world->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

// Sends and reads until the server closes or `expect` was seen; "" when it closed without a word.
static const char *raw_talk(World *world, const char *text, size_t len, size_t piece,
                            const char *expect)
{
    static char answer[8192];
    size_t sent = 0, got = 0;
    int fd = raw_connect(world);
    Mono end = mono_add(clock_mono(), DEADLINE_NS);
    answer[0] = '\0';
    while (mono_since(end, clock_mono()) > 0 &&
           (expect == NULL || strstr(answer, expect) == NULL)) {
        size_t n = len - sent < piece ? len - sent : piece;
        ssize_t w = n > 0 ? send(fd, text + sent, n, MSG_NOSIGNAL) : 0;
        sent += w > 0 ? (size_t)w : 0;
        (void)uv_run(&world->loop, UV_RUN_NOWAIT);
        ssize_t r = recv(fd, answer + got, sizeof answer - 1 - got, 0);
        if (r == 0 || (r < 0 && errno != EAGAIN))
            break;
        got += r > 0 ? (size_t)r : 0;
        answer[got] = '\0';
    }
    (void)close(fd);
    assert_true(mono_since(end, clock_mono()) > 0);
    return answer;
}

#define TALK(text, expect) raw_talk(world, (text), strlen(text), SIZE_MAX, (expect))

static void test_malformed_requests(void **state)
{
    World *world = *state;
    static const char *const BAD[] = {
        "GARBAGE\r\n\r\n",
        "\x16\x03\x01\x02\x01garbage of a TLS client\r\n\r\n",
        "GET /echo HTTP/1.1\r\n\r\n", // no Host
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        ("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
         "0\r\n\r\n"),
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(BAD); i++) {
        const char *answer = TALK(BAD[i], NULL);
        if (strstr(answer, "HTTP/1.1 4") != answer && answer[0] != '\0')
            fail_msg("request %zu: '%s'", i, answer);
    }
    FETCH(.url = "http://x/echo"); // still serving
    assert_int_equal(world->status, 200);
}

static void test_two_lengths_are_json_400(void **state)
{
    World *world = *state;
    const char *answer = TALK("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                              "Content-Length: 5\r\n\r\nhello",
                              NULL);
    assert_non_null(strstr(answer, "HTTP/1.1 400 "));
    assert_non_null(strstr(answer, "two_lengths"));
}

static void test_one_byte_at_a_time(void **state)
{
    World *world = *state;
    const char *text = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    const char *answer = raw_talk(world, text, strlen(text), 1, "body=abcde");
    assert_non_null(strstr(answer, "HTTP/1.1 200 OK"));
}

static void test_long_chunked_bodies(void **state)
{
    World *world = *state;
    static char text[2000000];
    int n = snprintf(text, sizeof text,
                     "POST /echo HTTP/1.1\r\nHost: x\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n800\r\n");
    memset(text + n, 'x', 0x800);
    (void)snprintf(text + n + 0x800, 16, "\r\n0\r\n\r\n");
    assert_non_null(strstr(TALK(text, "too_large"), "HTTP/1.1 413 "));
    n = snprintf(text, sizeof text,
                 "POST /echo HTTP/1.1\r\nHost: x\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n1c0000\r\n");
    memset(text + n, 'x', 0x1c0000);
    text[n + 0x1c0000] = '\0';
    assert_string_equal(TALK(text, NULL), ""); // cut, not swallowed for ever
}

static void test_large_headers(void **state)
{
    World *world = *state;
    static char text[40000];
    int n = snprintf(text, sizeof text, "GET /echo HTTP/1.1\r\nHost: x\r\nA: ");
    memset(text + n, 'x', sizeof text - 1 - (size_t)n);
    const char *answer = TALK(text, NULL);
    assert_true(answer[0] == '\0' || strstr(answer, "HTTP/1.1 4") == answer);
}

static void test_client_leaves_in_the_middle(void **state)
{
    World *world = *state;
    for (int i = 0; i < 50; i++) {
        int fd = raw_connect(world);
        const char *text = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nabc";
        (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
        (void)uv_run(&world->loop, UV_RUN_NOWAIT);
        (void)close(fd);
        (void)uv_run(&world->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(world->n_answered, 0);
    FETCH(.url = "http://x/echo");
    assert_int_equal(world->status, 200);
}

static void test_living_socket_is_refused(void **state)
{
    World *world = *state;
    HttpServerOptions options = server_options(world);
    HttpServer *second;
    Error err = ERROR_INIT;
    assert_int_equal(http_server_new(&world->loop, &options, &second, &err), ERROR_RUNNING);
    assert_non_null(strstr(error_text(&err), "another program accepts connections on"));
    error_done(&err);
    FETCH(.url = "http://x/echo");
    assert_int_equal(world->status, 200);
}

static void test_stale_socket_is_replaced(void **state)
{
    World *world = *state;
    world->server = http_server_free(world->server);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", world->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    (void)close(fd); // as after SIGKILL: the path stays, nobody listens
    HttpServerOptions options = server_options(world);
    options.mode = 0600;
    assert_int_equal(http_server_new(&world->loop, &options, &world->server, NULL), 0);
    struct stat st;
    assert_int_equal(stat(world->socket, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    FETCH(.url = "http://x/echo");
    assert_int_equal(world->status, 200);
}

static void test_other_files_are_left_alone(void **state)
{
    World *world = *state;
    world->server = http_server_free(world->server);
    assert_int_equal(files_replace(world->socket, "x", 1, NULL, NULL), 0);
    HttpServerOptions options = server_options(world);
    assert_int_equal(http_server_new(&world->loop, &options, &world->server, NULL), ERROR_CONFLICT);
    assert_true(files_exist(world->socket));
    assert_int_equal(unlink(world->socket), 0);
    char longer[200];
    memset(longer, 'a', sizeof longer);
    longer[0] = '/';
    longer[sizeof longer - 1] = '\0';
    options.socket = longer;
    assert_int_equal(http_server_new(&world->loop, &options, &world->server, NULL), ERROR_LIMIT);
}

static void test_socket_of_a_successor_stays(void **state)
{
    World *world = *state;
    assert_int_equal(unlink(world->socket), 0);
    HttpServerOptions options = server_options(world);
    HttpServer *second;
    assert_int_equal(http_server_new(&world->loop, &options, &second, NULL), 0);
    world->server = http_server_free(world->server);
    assert_true(files_exist(world->socket));
    world->server = second;
    FETCH(.url = "http://x/echo");
    assert_int_equal(world->status, 200);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_answers_and_kept_connections),
        T(test_errors_are_json),
        T(test_late_answer),
        T(test_client_leaves_before_the_answer),
        T(test_server_freed_before_the_answer),
        T(test_drain_waits_for_the_exchange),
        T(test_drain_answers_who_has_connected_before),
        T(test_drain_ends_at_its_grace),
        T(test_failures_are_hard_or_soft),
        T(test_refused_over_tcp_is_hard),
        T(test_bad_requests_of_ours_are_refused),
        T(test_closed_while_idle_is_sent_again),
        T(test_requests_beyond_the_connections_wait),
        T(test_malformed_requests),
        T(test_two_lengths_are_json_400),
        T(test_one_byte_at_a_time),
        T(test_long_chunked_bodies),
        T(test_large_headers),
        T(test_client_leaves_in_the_middle),
        T(test_living_socket_is_refused),
        T(test_stale_socket_is_replaced),
        T(test_other_files_are_left_alone),
        T(test_socket_of_a_successor_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
