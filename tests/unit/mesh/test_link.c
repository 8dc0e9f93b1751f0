// SPDX-License-Identifier: MIT
// test_link: what a subscription's connection is made of: certificates between our own servers, the
// passfile's password where a server is managed, and never a password in what is shown.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"
#include "buf.h"
#include "files.h"
#include "mesh_link.h"

static const char *fleet;

static void expect(const char *text, const char *user, const char *password)
{
    char *found = mesh_passfile_find(text, "db", "5432", "wildcam", user);
    if (password == NULL)
        assert_null(found);
    else
        assert_string_equal(found, password);
    free(found);
}

static void passfiles_are_read_as_libpq_reads_them(void **state)
{
    expect("*:*:*:u:one\n*:*:*:u:two\n", "u", "one");
    expect("db:5432:wildcam:u:one", "u", "one");
    expect("# *:*:*:u:no\nother:*:*:u:no\ndb:1:*:u:no\ndb:*:x:u:no\ndb:*:*:v:no\n*:*:*:*:yes\n",
           "u", "yes");
    expect("*:*:*:u:a\\:b\\\\c\n", "u", "a:b\\c");
    expect("*:*:*:u\\:v:x\n", "u:v", "x");
    expect("*:*:*:\\*:x\n", "u", NULL); // a star of its own
    expect("*:*:*:u:\n*:*:*:u:second\n", "u", "second");
    expect("", "u", NULL);
    expect("*\n:\n::::\n*:*:*\n*:*:*:u", "u", NULL);
    expect("*:*:*:u:\\", "u", "\\");
}

typedef struct Place {
    char dir[64];
    Conf *conf;
    Mesh *mesh;
} Place;

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(files_replace(path, text, strlen(text), &(FilesWrite){.mode = 0600}, NULL), 0);
}

// The shipped fleet with its first region managed.
static Place place(const char *passfile)
{
    Place made = {.dir = "/tmp/test_link.XXXXXX"};
    char *text = NULL, path[256];
    size_t len = 0;
    assert_non_null(mkdtemp(made.dir));
    (void)snprintf(path, sizeof path, "%s/us-west-2", made.dir);
    assert_int_equal(files_make_dirs(path, 0700, NULL), 0);
    write_file(path, "pg.pass", passfile);
    assert_int_equal(files_read(fleet, 1U << 20, &text, &len, NULL), 0);
    Buf whole = BUF_INIT(0);
    char *at = strstr(text, "database: local");
    assert_non_null(at);
    buf_add(&whole, text, (size_t)(at - text));
    buf_add_text(&whole, "database: \"host=127.0.0.1 port=1 user=boss dbname=wildcam\"");
    buf_add_text(&whole, at + strlen("database: local"));
    assert_int_equal(conf_parse("f", whole.data, whole.len, &made.conf, NULL, NULL), 0);
    buf_done(&whole);
    free(text);
    const MeshOptions options = {
        .dir = made.dir, .as = MESH_AS_OWNER, .connect_ns = NS_PER_MS, .only = 3};
    assert_int_equal(mesh_open(made.conf, &options, &made.mesh, NULL), 0);
    return made;
}

static void done(Place *made)
{
    mesh_free(made->mesh);
    conf_free(made->conf);
    assert_int_equal(files_remove_tree(made->dir, NULL), 0);
}

static void see(const Place *made, int subscriber, int publisher, MeshLinkFor use, const char *want,
                const char *not_want)
{
    Buf text = BUF_INIT(0);
    assert_int_equal(mesh_link_conninfo(made->mesh, &made->mesh->nodes[subscriber],
                                        &made->mesh->nodes[publisher], use, &text, NULL),
                     0);
    assert_non_null(strstr(buf_text(&text), want));
    if (not_want != NULL)
        assert_null(strstr(buf_text(&text), not_want));
    buf_done(&text);
}

static void a_managed_publisher_gets_its_password_and_nobody_sees_it(void **state)
{
    Place made = place("127.0.0.1:1:wildcam:boss:geheim\n");
    see(&made, 1, 0, MESH_LINK_FOR_SERVER, "password='geheim'", NULL);
    see(&made, 1, 0, MESH_LINK_FOR_SERVER, "user='boss'", "wildcam_replication");
    see(&made, 1, 0, MESH_LINK_TO_SHOW, "password='***'", "geheim");
    see(&made, 1, 0, MESH_LINK_FOR_US, "passfile=", "geheim");
    done(&made);
    made = place("127.0.0.1:1:wildcam:boss:geheim\n*:*:*:wildcam_replication:anders\n");
    see(&made, 1, 0, MESH_LINK_FOR_SERVER, "password='anders'", "geheim");
    see(&made, 1, 0, MESH_LINK_FOR_SERVER, "user='wildcam_replication'", "boss");
    done(&made);
}

static void without_a_password_the_file_is_named(void **state)
{
    Place made = place("127.0.0.1:1:other:boss:geheim\n");
    Buf text = BUF_INIT(0);
    Error err = ERROR_INIT;
    assert_int_equal(mesh_link_conninfo(made.mesh, &made.mesh->nodes[1], &made.mesh->nodes[0],
                                        MESH_LINK_FOR_SERVER, &text, &err),
                     ERROR_NOT_FOUND);
    assert_non_null(strstr(error_text(&err), "us-west-2/pg.pass"));
    assert_null(strstr(error_text(&err), "geheim"));
    error_done(&err);
    buf_done(&text);
    done(&made);
}

static void our_own_servers_use_certificates(void **state)
{
    Place made = place("*:*:*:boss:geheim\n");
    char pair[160];
    // region 1 (local) to itself stands for any two local ones
    (void)snprintf(pair, sizeof pair, "sslcert='%s/pki/us-east-1/peer.pem'", made.dir);
    see(&made, 1, 1, MESH_LINK_FOR_SERVER, pair, "password");
    see(&made, 1, 1, MESH_LINK_FOR_SERVER, "user='wildcam_replication'", NULL);
    see(&made, 1, 1, MESH_LINK_FOR_SERVER, "sslmode='verify-full'", NULL);
    done(&made);
}

int main(int argc, char **argv)
{
    fleet = argv[argc - 1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passfiles_are_read_as_libpq_reads_them),
        cmocka_unit_test(a_managed_publisher_gets_its_password_and_nobody_sees_it),
        cmocka_unit_test(without_a_password_the_file_is_named),
        cmocka_unit_test(our_own_servers_use_certificates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
