// SPDX-License-Identifier: MIT
// The pool against a scripted PostgreSQL: just enough of the protocol (version 3) to answer, to
// answer late, to fail at the commit, to say nothing, and to go away in the middle. The real server
// has its tests in tests/integration.
#include "loop_until.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "files.h"
#include "pg_pool.h"

typedef struct World World;

typedef struct Session {
    uv_pipe_t pipe; // first
    World *world;
    unsigned char bytes[65536];
    size_t len;
    bool started;
} Session;

struct World {
    uv_loop_t loop;
    char *folder, conninfo[256], socket[128];
    uv_pipe_t listener;
    Session *sessions[16];
    int n_sessions, syncs, executes;
    // the script
    bool silent;          // no answers to queries
    bool refuse_prepare;  // an error for the first statement
    bool fail_commit;     // ErrorResponse instead of a successful Sync
    bool fail_statement;  // ErrorResponse for the statement itself
    int close_at_execute; // the n-th execute closes the connection (1..)
    // what the pool told
    PgPool *pool;
    int done, ok, failed;
    char value[64], error[256];
    ExecStatusType status;
};

static void put(Session *session, const void *bytes, size_t len)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)len);
    (void)uv_try_write((uv_stream_t *)&session->pipe, &buf, 1);
}

static void message(Session *session, char type, const void *body, size_t len)
{
    unsigned char head[5] = {(unsigned char)type};
    uint32_t length = htonl((uint32_t)len + 4);
    memcpy(head + 1, &length, 4);
    put(session, head, sizeof head);
    if (len > 0)
        put(session, body, len);
}

static void error_response(Session *session)
{
    static const char BODY[] = "SERROR\0VERROR\0C40001\0Mscripted error\0";
    message(session, 'E', BODY, sizeof BODY);
}

static void on_session_closed(uv_handle_t *handle)
{
    Session *session = (Session *)handle;
    for (int i = 0; i < session->world->n_sessions; i++) {
        if (session->world->sessions[i] == session)
            session->world->sessions[i] = session->world->sessions[--session->world->n_sessions];
    }
    free(session);
}

static void session_close(Session *session)
{
    if (!uv_is_closing((uv_handle_t *)&session->pipe))
        uv_close((uv_handle_t *)&session->pipe, on_session_closed);
}

static void answer_execute(Session *session)
{
    static const char ROW[] = {0, 1, 0, 0, 0, 2, '4', '2'};
    World *world = session->world;
    world->executes++;
    if (world->executes == world->close_at_execute) {
        session_close(session);
    } else if (world->fail_statement) {
        error_response(session);
    } else {
        message(session, 'D', ROW, sizeof ROW);
        message(session, 'C', "SELECT 1", 9);
    }
}

static void answer(Session *session, char type)
{
    static const char COLUMN[] = "\0\1x\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";
    World *world = session->world;
    if (type == 'X') {
        session_close(session);
        return;
    }
    if (world->silent)
        return;
    if (type == 'P' && world->refuse_prepare)
        error_response(session);
    else if (type == 'P')
        message(session, '1', NULL, 0);
    else if (type == 'B')
        message(session, '2', NULL, 0);
    else if (type == 'D')
        message(session, 'T', COLUMN, sizeof COLUMN - 1);
    else if (type == 'E')
        answer_execute(session);
    else if (type == 'S') {
        world->syncs++;
        if (world->fail_commit && world->executes > 0)
            error_response(session);
        message(session, 'Z', "I", 1);
    }
}

static void start_up(Session *session)
{
    static const char OK[4] = {0}, KEY[8] = {0};
    message(session, 'R', OK, sizeof OK);
    message(session, 'S', "client_encoding\0UTF8", 21);
    message(session, 'K', KEY, sizeof KEY);
    message(session, 'Z', "I", 1);
}

static size_t take_message(Session *session)
{
    size_t head = session->started ? 1 : 0;
    uint32_t length;
    if (session->len < head + 4)
        return 0;
    memcpy(&length, session->bytes + head, 4);
    size_t total = head + ntohl(length);
    if (session->len < total)
        return 0;
    if (session->started) {
        answer(session, (char)session->bytes[0]);
    } else {
        session->started = true;
        start_up(session);
    }
    return total;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    Session *session = (Session *)stream;
    if (n < 0) {
        session_close(session);
        return;
    }
    session->len += (size_t)n;
    size_t taken;
    while (!uv_is_closing((uv_handle_t *)stream) && (taken = take_message(session)) > 0) {
        memmove(session->bytes, session->bytes + taken, session->len - taken);
        session->len -= taken;
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    Session *session = (Session *)handle;
    *buf = uv_buf_init((char *)session->bytes + session->len,
                       (unsigned)(sizeof session->bytes - session->len));
}

static void on_connection(uv_stream_t *listener, int status)
{
    World *world = listener->data;
    Session *session = calloc(1, sizeof *session);
    assert_true(world->n_sessions < 16);
    session->world = world;
    world->sessions[world->n_sessions++] = session;
    (void)uv_pipe_init(&world->loop, &session->pipe, 0);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&session->pipe), 0);
    (void)uv_read_start((uv_stream_t *)&session->pipe, on_alloc, on_read);
}

static void listen_again(World *world)
{
    (void)uv_pipe_init(&world->loop, &world->listener, 0);
    world->listener.data = world;
    assert_int_equal(uv_pipe_bind(&world->listener, world->socket), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&world->listener, 16, on_connection), 0);
}

static int set_up(void **state)
{
    World *world = calloc(1, sizeof *world);
    (void)uv_loop_init(&world->loop);
    world->folder = temp_folder();
    (void)snprintf(world->socket, sizeof world->socket, "%s/.s.PGSQL.5432", world->folder);
    (void)snprintf(world->conninfo, sizeof world->conninfo,
                   "host=%s port=5432 user=u dbname=d gssencmode=disable sslmode=disable",
                   world->folder);
    listen_again(world);
    *state = world;
    return 0;
}

static void close_server(World *world)
{
    if (!uv_is_closing((uv_handle_t *)&world->listener))
        uv_close((uv_handle_t *)&world->listener, NULL);
    for (int i = 0; i < world->n_sessions; i++)
        session_close(world->sessions[i]);
    for (int i = 0; i < 3; i++)
        (void)uv_run(&world->loop, UV_RUN_NOWAIT);
}

static int tear_down(void **state)
{
    World *world = *state;
    world->pool = pg_pool_free(world->pool);
    close_server(world);
    loop_done(&world->loop);
    assert_int_equal(files_remove_tree(world->folder, NULL), 0);
    free(world);
    return 0;
}

static const PgStatement STATEMENTS[] = {{"one", "SELECT $1", 1}};

static void connect_pool(World *world, PgPoolOptions options)
{
    options.conninfo = world->conninfo;
    options.statements = STATEMENTS;
    options.n_statements = 1;
    assert_int_equal(pg_pool_new(&world->loop, &options, &world->pool, NULL), 0);
}

static void until_connected(World *world, bool wanted)
{
    int reached = 0;
    Mono end = mono_add(clock_mono(), DEADLINE_NS);
    while (!reached && mono_since(end, clock_mono()) > 0) {
        (void)uv_run(&world->loop, UV_RUN_NOWAIT);
        reached = pg_pool_connected(world->pool) == wanted;
    }
    assert_true(reached);
}

static void on_done(void *context, const PGresult *result, const char *error)
{
    World *world = context;
    world->done++;
    if (error != NULL) {
        assert_null(result);
        world->failed++;
        (void)snprintf(world->error, sizeof world->error, "%s", error);
        return;
    }
    world->ok++;
    world->status = PQresultStatus(result);
    if (world->status == PGRES_TUPLES_OK)
        (void)snprintf(world->value, sizeof world->value, "%s", PQgetvalue(result, 0, 0));
}

static void query(World *world)
{
    const char *params[] = {"x"};
    pg_pool_query(world->pool, 0, params, on_done, world);
}

static void test_queries_are_answered(void **state)
{
    World *world = *state;
    connect_pool(world, (PgPoolOptions){.connections = 2});
    until_connected(world, true);
    for (int i = 0; i < 40; i++) // two connections with eight each, the rest waits
        query(world);
    loop_until(&world->loop, &world->done, 40);
    assert_int_equal(world->ok, 40);
    assert_string_equal(world->value, "42");
    assert_int_equal(world->executes, 40 + 2); // and the statement timeout of each connection
}

static void test_too_many_are_refused_at_once(void **state)
{
    World *world = *state;
    connect_pool(world, (PgPoolOptions){.connections = 1, .max_waiting = 3});
    until_connected(world, true);
    for (int i = 0; i < 12; i++)
        query(world);
    assert_int_equal(world->failed, 1);
    assert_string_equal(world->error, "too many queries wait for a connection");
    loop_until(&world->loop, &world->done, 12);
    assert_int_equal(world->ok, 11);
}

static void test_error_of_the_statement_is_a_result(void **state)
{
    World *world = *state;
    connect_pool(world, (PgPoolOptions){.connections = 1});
    until_connected(world, true);
    world->fail_statement = true;
    query(world);
    loop_until(&world->loop, &world->done, 1);
    assert_int_equal(world->status, PGRES_FATAL_ERROR);
    world->fail_statement = false;
    query(world);
    loop_until(&world->loop, &world->done, 2);
    assert_int_equal(world->status, PGRES_TUPLES_OK);
}

static void test_failed_commit_is_no_success(void **state)
{
    World *world = *state;
    connect_pool(world, (PgPoolOptions){.connections = 1});
    until_connected(world, true);
    world->fail_commit = true; // the row was there before the commit failed
    query(world);
    loop_until(&world->loop, &world->done, 1);
    assert_int_equal(world->ok, 1);
    assert_int_equal(world->status, PGRES_FATAL_ERROR);
}

static void test_silence_ends_at_the_limit(void **state)
{
    World *world = *state;
    connect_pool(world, (PgPoolOptions){.connections = 1, .timeout_ns = 50 * NS_PER_MS});
    until_connected(world, true);
    world->silent = true;
    Mono begun = clock_mono();
    for (int i = 0; i < 10; i++) // eight sent, two waiting
        query(world);
    loop_until(&world->loop, &world->done, 10);
    assert_int_equal(world->failed, 10);
    assert_true(mono_since(clock_mono(), begun) < NS_PER_S);
    assert_false(pg_pool_connected(world->pool)); // given up
    assert_string_equal(pg_pool_error(world->pool), "no answer within 50 ms");
    world->silent = false;
    until_connected(world, true);
    query(world);
    loop_until(&world->loop, &world->done, 11);
    assert_int_equal(world->ok, 1);
}

static void test_connection_lost_in_the_middle(void **state)
{
    World *world = *state;
    connect_pool(world, (PgPoolOptions){.connections = 1});
    until_connected(world, true);
    world->close_at_execute = world->executes + 2;
    for (int i = 0; i < 3; i++)
        query(world);
    loop_until(&world->loop, &world->done, 3);
    assert_int_equal(world->ok, 1);
    assert_int_equal(world->failed, 2);
    until_connected(world, true);
    query(world);
    loop_until(&world->loop, &world->done, 4);
    assert_int_equal(world->ok, 2);
}

static void test_no_server_is_told_at_once(void **state)
{
    World *world = *state;
    connect_pool(world, (PgPoolOptions){.connections = 2});
    until_connected(world, true);
    close_server(world);
    until_connected(world, false);
    query(world);
    assert_int_equal(world->failed, 1);
    assert_non_null(strstr(world->error, "not connected: "));
    listen_again(world);
    until_connected(world, true);
    query(world);
    loop_until(&world->loop, &world->done, 2);
    assert_int_equal(world->ok, 1);
}

static void test_refused_statement_is_the_reason(void **state)
{
    World *world = *state;
    world->refuse_prepare = true;
    connect_pool(world, (PgPoolOptions){.connections = 1});
    Mono end = mono_add(clock_mono(), DEADLINE_NS);
    while (pg_pool_error(world->pool)[0] == '\0' && mono_since(end, clock_mono()) > 0)
        (void)uv_run(&world->loop, UV_RUN_NOWAIT);
    assert_string_equal(pg_pool_error(world->pool), "prepare: ERROR:  scripted error");
    assert_false(pg_pool_connected(world->pool));
    world->refuse_prepare = false;
    until_connected(world, true);
}

static void test_free_fails_what_is_under_way(void **state)
{
    World *world = *state;
    connect_pool(world, (PgPoolOptions){.connections = 1});
    until_connected(world, true);
    world->silent = true;
    for (int i = 0; i < 10; i++)
        query(world);
    world->pool = pg_pool_free(world->pool);
    assert_int_equal(world->failed, 10);
    assert_string_equal(world->error, "the pool is closed");
}

static void test_hosts_by_name(void **state)
{
    World *world = *state;
    PgPoolOptions options = {.conninfo = "host=no..name port=1 user=u", .connections = 1};
    assert_int_equal(pg_pool_new(&world->loop, &options, &world->pool, NULL), 0);
    Mono end = mono_add(clock_mono(), DEADLINE_NS);
    while (pg_pool_error(world->pool)[0] == '\0' && mono_since(end, clock_mono()) > 0)
        (void)uv_run(&world->loop, UV_RUN_ONCE);
    assert_non_null(strstr(pg_pool_error(world->pool), "resolve the host's name: "));
    world->pool = pg_pool_free(world->pool);
    options.conninfo = "host=localhost port=1 user=u gssencmode=disable";
    assert_int_equal(pg_pool_new(&world->loop, &options, &world->pool, NULL), 0);
    end = mono_add(clock_mono(), DEADLINE_NS);
    while (pg_pool_error(world->pool)[0] == '\0' && mono_since(end, clock_mono()) > 0)
        (void)uv_run(&world->loop, UV_RUN_ONCE);
    assert_non_null(strstr(pg_pool_error(world->pool), "port 1 failed: Connection refused"));
}

static void test_bad_conninfo(void **state)
{
    World *world = *state;
    Error err = ERROR_INIT;
    PgPoolOptions options = {.conninfo = "nonsense=1"};
    assert_int_equal(pg_pool_new(&world->loop, &options, &world->pool, &err), ERROR_FORMAT);
    assert_string_equal(error_text(&err),
                        "database connection: invalid connection option \"nonsense\"");
    error_done(&err);
    options = (PgPoolOptions){.conninfo = "", .connections = 65};
    assert_int_equal(pg_pool_new(&world->loop, &options, &world->pool, NULL), ERROR_RANGE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_queries_are_answered),
        T(test_too_many_are_refused_at_once),
        T(test_error_of_the_statement_is_a_result),
        T(test_failed_commit_is_no_success),
        T(test_silence_ends_at_the_limit),
        T(test_connection_lost_in_the_middle),
        T(test_no_server_is_told_at_once),
        T(test_refused_statement_is_the_reason),
        T(test_free_fails_what_is_under_way),
        T(test_hosts_by_name),
        T(test_bad_conninfo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
