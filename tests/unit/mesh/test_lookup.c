// SPDX-License-Identifier: MIT
// test_lookup: host names of DSNs, with a resolver of our own (getaddrinfo is exchanged by the
// linker): one that is silent holds up nobody else, every address is tried, what has none is named.
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "clock.h"
#include "mesh.h"
#include "mesh_lookup.h"

int __real_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_list);
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_list);

static pthread_mutex_t silence = PTHREAD_MUTEX_INITIALIZER;
static int asked; // for silent.example

// silent.example ends when the test lets it; many.example has what the system calls localhost.
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_list)
{
    if (strcmp(name, "silent.example") == 0) {
        (void)__atomic_add_fetch(&asked, 1, __ATOMIC_SEQ_CST);
        (void)pthread_mutex_lock(&silence);
        (void)pthread_mutex_unlock(&silence);
        return EAI_AGAIN;
    }
    if (strcmp(name, "none.example") == 0)
        return EAI_NONAME;
    return __real_getaddrinfo("127.0.0.7", service, hints, ret_list);
}

static Mesh *open_all(const char *const *conninfos, uint32_t n, int64_t connect_ns)
{
    Mesh *mesh = NULL;
    const MeshOptions options = {.connect_ns = connect_ns};
    assert_int_equal(mesh_open_conninfos(conninfos, NULL, n, &options, &mesh, NULL), 0);
    return mesh;
}

static void says(const MeshNode *node, const char *text)
{
    assert_null(node->conn);
    if (strstr(error_text(&node->why), text) == NULL)
        fail_msg("'%s' is not in '%s'", text, error_text(&node->why));
}

static void a_silent_resolver_costs_its_own_node_only(void **state)
{
    const char *const conninfos[] = {"host=silent.example port=1", "host=quick.example port=1",
                                     "host=none.example port=1", "host=127.0.0.8 port=1"};
    (void)pthread_mutex_lock(&silence);
    Mono begin = clock_mono();
    Mesh *mesh = open_all(conninfos, 4, 400 * NS_PER_MS);
    int64_t took = mono_since(clock_mono(), begin);
    assert_true(took >= 400 * NS_PER_MS && took < 60 * NS_PER_S); // the mutex would be for ever
    says(&mesh->nodes[0], "host name 'silent.example' is not resolved within 400 ms");
    says(&mesh->nodes[1], "\"127.0.0.7\", port 1 failed: Connection refused");
    says(&mesh->nodes[2], "host name 'none.example' is not resolved: Name or service not known");
    says(&mesh->nodes[3], "\"127.0.0.8\", port 1 failed: Connection refused");
    for (int i = 0; i < 3; i++) // the same lookup goes on
        assert_int_equal(mesh_reconnect(mesh), 0);
    assert_int_equal(__atomic_load_n(&asked, __ATOMIC_SEQ_CST), 1);
    (void)pthread_mutex_unlock(&silence);
    for (int i = 0; i < 100 && strstr(error_text(&mesh->nodes[0].why), "within") != NULL; i++)
        assert_int_equal(mesh_reconnect(mesh), 0);
    says(&mesh->nodes[0], "host name 'silent.example' is not resolved: Temporary failure");
    mesh_free(mesh);
}

static void a_mesh_ends_while_a_lookup_is_under_way(void **state)
{
    const char *const conninfos[] = {"host=silent.example port=1"};
    (void)pthread_mutex_lock(&silence);
    mesh_free(open_all(conninfos, 1, NS_PER_MS));
    (void)pthread_mutex_unlock(&silence);
}

static void lookups_have_a_limit(void **state)
{
    enum { N = 80 };
    MeshLookup *lookups[N] = {NULL};
    Error err = ERROR_INIT;
    int i = 0, r = 0;
    (void)pthread_mutex_lock(&silence);
    for (; r == 0 && i < N; i++)
        r = mesh_lookup_begin("host=silent.example", &lookups[i], &err);
    assert_int_equal(r, ERROR_LIMIT);
    assert_non_null(strstr(error_text(&err), "silent.example"));
    error_done(&err);
    (void)pthread_mutex_unlock(&silence);
    while (i-- > 0)
        lookups[i] = mesh_lookup_free(lookups[i]);
}

static void taken(const char *conninfo, const char *want)
{
    MeshLookup *lookup = NULL;
    Buf text = BUF_INIT(0);
    Error err = ERROR_INIT;
    int r = ERROR_LIMIT; // threads of the test before are ending
    while (r == ERROR_LIMIT)
        r = mesh_lookup_begin(conninfo, &lookup, &err);
    assert_int_equal(r, 0);
    if (want == NULL) {
        assert_null(lookup);
        return;
    }
    assert_non_null(lookup);
    struct pollfd fd = {.fd = mesh_lookup_fd(lookup), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 60000), 1);
    assert_int_equal(mesh_lookup_take(lookup, &text, &err), 0);
    assert_string_equal(buf_text(&text) + strlen(conninfo), want);
    mesh_lookup_free(lookup);
    buf_done(&text);
    error_done(&err);
}

static void what_libpq_gets(void **state)
{
    taken("host=a.example", " host='a.example' hostaddr='127.0.0.7' port=''");
    taken("host=/run/x,a.example,none.example,127.0.0.9 port=1,2,3,4",
          " host='/run/x,a.example,127.0.0.9' hostaddr=',127.0.0.7,' port='1,2,4'");
    taken("host=a.example,b.example port=5",
          " host='a.example,b.example' hostaddr='127.0.0.7,127.0.0.7' port='5,5'");
    taken("host=a.example hostaddr=10.0.0.1", NULL); // said by the DSN
    taken("host=/run/x", NULL);
    taken("host=@abstract", NULL);
    taken("host=::1", NULL);
    taken("host=10.0.0.1,10.0.0.2", NULL);
    taken("dbname=x", NULL);
    taken("host=a.example port=1,2", NULL); // libpq says what is wrong
    taken("host=a,b,c port=1,2", NULL);
    taken("host='", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_libpq_gets),
        cmocka_unit_test(a_silent_resolver_costs_its_own_node_only),
        cmocka_unit_test(a_mesh_ends_while_a_lookup_is_under_way),
        cmocka_unit_test(lookups_have_a_limit),
    };
    return cmocka_run_group_tests_name("mesh lookup", tests, NULL, NULL);
}
