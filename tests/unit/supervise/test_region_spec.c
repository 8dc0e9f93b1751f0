// SPDX-License-Identifier: MIT
// test_region_spec: the shipped fleet.yaml becomes the programs of processes.md, in an order that
// can be followed, with arguments that outlive the caller's.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "region_spec.h"

static const char *root;
static char dir[] = "/tmp/test_region_spec.XXXXXX";
static Conf *conf;
static Arena *arena;
static RegionSpec *spec;

static int setup(void **state)
{
    char file[1024], texts[4][64] = {"", "/opt/programs", "/opt/srcbind.so", "runuser"};
    (void)snprintf(file, sizeof file, "%s/fleet.yaml", root);
    (void)snprintf(texts[0], sizeof texts[0], "%s", dir);
    arena = arena_new(1U << 20);
    const RegionSpecOptions options = {
        .dir = texts[0],
        .programs = texts[1],
        .preload = texts[2],
        .run_user = texts[3],
        .extra = "us-west-2/agent:A=1;eastus/agent:B=2;us-west-2/nginx:C=3;us-west-2/agent:D=4;;x"};
    if (conf_load(file, &conf, NULL, NULL) < 0 ||
        region_spec_new(arena, conf, 0, &options, &spec, NULL) < 0)
        return -1;
    memset(texts, 'x', sizeof texts);
    return 0;
}

static int teardown(void **state)
{
    arena = arena_free(arena);
    conf = conf_free(conf);
    return 0;
}

static const Program *find(const char *name)
{
    for (size_t i = 0; i < spec->n; i++)
        if (strcmp(spec->programs[i].name, name) == 0)
            return &spec->programs[i];
    return NULL;
}

static bool is_after(const char *later, const char *earlier)
{
    const Program *program = find(later), *other = find(earlier);
    assert_non_null(program);
    assert_non_null(other);
    return program_is_after(program, (size_t)(other - spec->programs));
}

static bool has(const char *const *list, const char *text)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, text) == 0)
            return true;
    return false;
}

static void the_order_has_no_circle_and_looks_back_only(void **state)
{
    for (size_t i = 0; i < spec->n; i++)
        for (size_t k = i; k < spec->n; k++)
            assert_false(program_is_after(&spec->programs[i], k));
    assert_true(is_after("postgres", "pg-setup"));
    assert_true(is_after("migrate", "postgres"));
    assert_true(is_after("backend-1", "migrate"));
    assert_true(is_after("backend-2", "migrate"));
    assert_true(is_after("rows", "migrate"));
    assert_true(is_after("nginx", "edge-conf"));
    assert_false(is_after("nginx", "backend-1")); // an edge without replicas serves from elsewhere
}

static void arguments_are_those_of_the_page(void **state)
{
    char fleet[128];
    (void)snprintf(fleet, sizeof fleet, "%s/us-west-2/fleet.yaml", dir);
    const Program *agent = find("agent"), *backend = find("backend-2");
    assert_string_equal(agent->argv[0], "/opt/programs/wildcam-agent");
    assert_true(has(agent->argv, fleet));
    assert_true(has(agent->argv, dir));
    assert_true(has(backend->argv, "--replica") && has(backend->argv, "2"));
    assert_string_equal(backend->ready_path, "/api/health");
    assert_string_equal(backend->ready_socket, "/tmp/short/backend-2.sock");
    assert_string_equal(find("rows")->argv[1], "serve");
    assert_true(has(find("rows")->argv, fleet) && has(find("rows")->argv, "--region"));
    assert_string_equal(find("rows")->ready_socket, "/tmp/short/rows.sock");
    assert_true(has(find("rows")->environment, "WILDCAM_SOURCE=127.1.1.1"));
    assert_true(has(find("postgres")->environment, "LD_PRELOAD=/opt/srcbind.so"));
    assert_true(has(find("postgres")->environment, "WILDCAM_SOURCE=127.1.1.1"));
    assert_int_equal(find("postgres")->stop_signal, SIGINT);
    assert_true(find("postgres")->stop_last);
    assert_string_equal(spec->stale[1], "/tmp/short/.s.PGSQL.5432.lock");
    assert_null(spec->stale[2]);
}

static void added_environment_reaches_its_program_only(void **state)
{
    const char *const *agent = find("agent")->environment, *const *nginx =
                                                               find("nginx")->environment;
    assert_true(has(agent, "A=1") && has(agent, "D=4") && !has(agent, "B=2") && !has(agent, "C=3"));
    assert_true(has(nginx, "C=3") && !has(nginx, "A=1"));
    assert_null(find("backend-1")->environment[0]);
}

static void without_memory_there_is_no_half_spec(void **state)
{
    const RegionSpecOptions options = {
        .dir = dir, .programs = "/p", .preload = "/s", .run_user = "u"};
    for (size_t limit = 1; limit < 40000; limit += 997) {
        Arena *small = arena_new(limit);
        RegionSpec *made = NULL;
        Error err = ERROR_INIT;
        int r = region_spec_new(small, conf, 0, &options, &made, &err);
        assert_true(r == 0 || r == ERROR_MEMORY);
        assert_true(r == 0 || made == NULL);
        error_done(&err);
        small = arena_free(small);
    }
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_order_has_no_circle_and_looks_back_only),
        TEST(arguments_are_those_of_the_page),
        TEST(added_environment_reaches_its_program_only),
        TEST(without_memory_there_is_no_half_spec),
    };
    char region[128], link[140];
    root = argc > 1 ? argv[1] : ".";
    if (mkdtemp(dir) == NULL)
        return 1;
    (void)snprintf(region, sizeof region, "%s/us-west-2", dir);
    (void)snprintf(link, sizeof link, "%s/sock", region);
    if (mkdir(region, 0700) < 0 || symlink("/tmp/short", link) < 0)
        return 1;
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    return files_remove_tree(dir, NULL) < 0 ? 1 : r;
}
