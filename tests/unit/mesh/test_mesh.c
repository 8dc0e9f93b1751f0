// SPDX-License-Identifier: MIT
// test_mesh: connections to databases that are not there: all at once, under one deadline, each
// with its own reason; and how connections and subscriptions are called.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit.h"
#include "clock.h"
#include "mesh.h"

static const char *fleet;

static void names_are_slots(void **state)
{
    char name[MESH_NAME_MAX];
    const MeshNode a = {.region = "us-east-1", .origin = 2},
                   b = {.region = "us-west-2", .origin = 1};
    mesh_subscription_name(&a, &b, name);
    assert_string_equal(name, "us_east_1_from_us_west_2");
    const MeshNode c = {.region = "a-region-with-a-name-of-forty-characters-", .origin = 200};
    mesh_subscription_name(&c, &c, name);
    assert_string_equal(name, "origin_200_from_origin_200");
}

// A server that accepts and then says nothing.
static int silent(char conninfo[128])
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(listen(fd, 8), 0);
    (void)snprintf(conninfo, 128, "host=127.0.0.1 port=%u user=u dbname=d sslmode=disable",
                   ntohs(address.sin_port));
    return fd;
}

static void silent_servers_cost_one_deadline_together(void **state)
{
    enum { N = 4 };
    char texts[N][128];
    const char *conninfos[N];
    int fds[N];
    for (int i = 0; i < N; i++) {
        fds[i] = silent(texts[i]);
        conninfos[i] = texts[i];
    }
    close(fds[N - 1]); // refuses
    Mesh *mesh = NULL;
    const MeshOptions options = {.connect_ns = NS_PER_S, .application = "test"};
    Mono before = clock_mono();
    assert_int_equal(mesh_open_conninfos(conninfos, NULL, N, &options, &mesh, NULL), 0);
    int64_t took_ns = mono_since(clock_mono(), before);
    assert_true(took_ns >= NS_PER_S && took_ns < 3 * NS_PER_S); // not one each
    for (int i = 0; i < N; i++) {
        assert_null(mesh->nodes[i].conn);
        assert_int_equal(mesh->nodes[i].origin, i + 1);
        assert_non_null(strstr(error_text(&mesh->nodes[i].why),
                               i == N - 1 ? "refused" : "no answer within 1000 ms"));
    }
    Error err = ERROR_INIT;
    assert_int_equal(mesh_need_all(mesh, &err), ERROR_UNAVAILABLE);
    assert_non_null(strstr(error_text(&err), "n1: "));
    assert_non_null(strstr(error_text(&err), "n4: "));
    MeshAnswer answers[N];
    assert_int_equal(mesh_each(mesh, "SELECT 1", 0, NULL, answers), N);
    assert_int_equal(answers[0].code, ERROR_UNAVAILABLE);
    assert_non_null(strstr(error_text(&answers[0].err), "n1: no answer"));
    mesh_answers_done(answers, N);
    assert_int_equal(mesh_query(mesh, &mesh->nodes[3], "SELECT 1", 0, NULL, NULL, &err),
                     ERROR_UNAVAILABLE);
    assert_int_equal(mesh_lock(mesh, &mesh->nodes[3], 0, &err), ERROR_UNAVAILABLE);
    mesh_unlock(mesh, &mesh->nodes[3]);
    error_done(&err);
    assert_null(mesh_free(mesh));
    for (int i = 0; i < N - 1; i++)
        close(fds[i]);
}

static void passwords_are_refused(void **state)
{
    const char *const bad[] = {"host=/x password=geheim"};
    Mesh *mesh = NULL;
    Error err = ERROR_INIT;
    assert_int_equal(mesh_open_conninfos(bad, NULL, 1, NULL, &mesh, &err), ERROR_FORMAT);
    assert_null(strstr(error_text(&err), "geheim"));
    assert_null(mesh);
    error_done(&err);
}

static void regions_get_the_way_that_fits(void **state)
{
    Conf *conf = NULL;
    Mesh *mesh = NULL;
    assert_int_equal(conf_load(fleet, &conf, NULL, NULL), 0);
    MeshOptions options = {.dir = "/nowhere",
                           .as = MESH_AS_ROWS,
                           .from = "eastus",
                           .application = "test",
                           .connect_ns = NS_PER_MS};
    assert_int_equal(mesh_open(conf, &options, &mesh, NULL), 0);
    assert_int_equal(mesh->n, conf->model.n_regions);
    MeshNode *own = mesh_find(mesh, "eastus"), *other = mesh_find(mesh, "us-west-2");
    assert_null(mesh_find(mesh, "mars"));
    assert_non_null(
        strstr(error_text(&own->why), "/nowhere/eastus/sock")); // by its socket, as owner
    assert_non_null(strstr(other->conninfo, "user='wildcam_rows'"));
    assert_non_null(strstr(other->conninfo, "sslmode='verify-full'"));
    assert_non_null(strstr(other->conninfo, "sslcert='/nowhere/pki/eastus/peer.pem'"));
    assert_null(strstr(other->conninfo, "password"));
    assert_string_equal(other->identifier, "us_west_2");
    mesh = mesh_free(mesh);
    options.only = 1U << 2 | 1U << 4;
    assert_int_equal(mesh_open(conf, &options, &mesh, NULL), 0);
    assert_int_equal(mesh->n, 2);
    assert_int_equal(mesh->nodes[1].index, 4);
    mesh = mesh_free(mesh);
    options.from = "mars";
    assert_int_equal(mesh_open(conf, &options, &mesh, NULL), ERROR_USAGE);
    options.from = NULL;
    assert_int_equal(mesh_open(conf, &options, &mesh, NULL), ERROR_USAGE);
    assert_null(mesh);
    conf_free(conf);
}

int main(int argc, char **argv)
{
    fleet = argv[argc - 1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_slots),
        cmocka_unit_test(silent_servers_cost_one_deadline_together),
        cmocka_unit_test(passwords_are_refused),
        cmocka_unit_test(regions_get_the_way_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
