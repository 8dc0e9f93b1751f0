// SPDX-License-Identifier: MIT
// files, layout, options, log limit: replacement is whole, trees go without following links,
// command lines say what is allowed.
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "files.h"
#include "layout.h"
#include "log.h"
#include "options.h"

static char root[64];

static int make_root(void **state)
{
    (void)snprintf(root, sizeof root, "/tmp/wildcam-unit-XXXXXX");
    return mkdtemp(root) == NULL;
}

static int remove_root(void **state)
{
    return files_remove_tree(root, NULL);
}

static void test_replace_and_read(void **state)
{
    LayoutPath path = layout_dir(root, "file");
    char *bytes = NULL;
    size_t len = 0;
    Error err = ERROR_INIT;
    assert_int_equal(files_replace(path.text, "one", 3, NULL, &err), 0);
    assert_int_equal(
        files_replace(path.text, "two!", 4, &(FilesWrite){.mode = 0600, .no_sync = true}, &err), 0);
    assert_int_equal(files_read(path.text, 4, &bytes, &len, &err), 0);
    assert_int_equal(len, 4);
    assert_string_equal(bytes, "two!");
    free(bytes);
    struct stat st;
    assert_int_equal(stat(path.text, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(files_read(path.text, 3, &bytes, &len, &err), ERROR_LIMIT);
    error_done(&err);
    assert_int_equal(files_read("/proc/self/status", 100, &bytes, &len, &err), ERROR_LIMIT);
    error_done(&err);
    assert_int_equal(files_read(root, 100, &bytes, &len, &err), -EISDIR);
    error_done(&err);
    LayoutPath nowhere = layout_dir(root, "no/such");
    assert_int_equal(files_replace(nowhere.text, "x", 1, NULL, &err), -ENOENT);
    error_done(&err);
}

static void test_remove_tree_keeps_link_targets(void **state)
{
    LayoutPath deep = layout_dir(root, "a/b/c"), keep = layout_dir(root, "keep"),
               link = layout_dir(root, "a/link"), a = layout_dir(root, "a"),
               file = layout_dir(root, "keep/file");
    assert_int_equal(files_make_dirs(deep.text, 0755, NULL), 0);
    assert_int_equal(files_make_dirs(deep.text, 0755, NULL), 0);
    assert_int_equal(files_make_dirs(keep.text, 0755, NULL), 0);
    assert_int_equal(files_replace(file.text, "x", 1, NULL, NULL), 0);
    assert_int_equal(symlink(keep.text, link.text), 0);
    assert_int_equal(files_remove_tree(a.text, NULL), 0);
    assert_false(files_exist(a.text));
    assert_true(files_exist(file.text));
    assert_int_equal(files_remove_tree(a.text, NULL), 0);
    assert_int_equal(files_make_dirs(file.text, 0755, NULL), -ENOTDIR);
}

static void test_sockets_are_short_and_private(void **state)
{
    LayoutPath region = layout_dir(root, "us-west-2"), made, found, socket;
    Error err = ERROR_INIT;
    assert_int_equal(files_make_dirs(region.text, 0755, NULL), 0);
    assert_int_equal(layout_make_sockets(root, "us-west-2", getuid(), getgid(), &made, &err), 0);
    assert_int_equal(layout_sockets(root, "us-west-2", &found, &err), 0);
    assert_string_equal(made.text, found.text);
    assert_int_equal(layout_socket(root, "us-west-2", ".s.PGSQL.5432", &socket, &err), 0);
    assert_true(strlen(socket.text) < 60);
    struct stat st;
    assert_int_equal(stat(made.text, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(layout_socket(root, "eastus", "x", &socket, &err), ERROR_NOT_FOUND);
    error_done(&err);
    char long_name[200];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(layout_socket(root, "us-west-2", long_name, &socket, &err), ERROR_LIMIT);
    error_done(&err);
    assert_int_equal(files_remove_tree(made.text, NULL), 0);
}

static void test_absolute(void **state)
{
    LayoutPath path;
    char here[LAYOUT_PATH_MAX], expected[LAYOUT_PATH_MAX + 8];
    assert_non_null(getcwd(here, sizeof here));
    (void)snprintf(expected, sizeof expected, "%s/run", here);
    assert_int_equal(layout_absolute("./run/", &path, NULL), 0);
    assert_string_equal(path.text, expected);
    assert_int_equal(layout_absolute("/x//", &path, NULL), 0);
    assert_string_equal(path.text, "/x");
    char long_path[LAYOUT_PATH_MAX];
    memset(long_path, 'y', sizeof long_path - 1);
    long_path[0] = '/';
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(layout_absolute(long_path, &path, NULL), -ENAMETOOLONG);
}

static int parse(int argc, const char **argv, const char **dir, bool *json, int *operands,
                 Error *err)
{
    const Option options[] = {
        {.name = "dir", .argument = "DIR", .help = "folder", .value = dir},
        {.name = "json", .help = "for programs", .flag = json},
    };
    return options_parse(options, ARRAY_SIZE(options), argc, (char **)argv, operands, err);
}

static void test_options(void **state)
{
    const char *dir = "run";
    bool json = false;
    int operands = 0;
    Error err = ERROR_INIT;
    const char *good[] = {"x", "one", "--dir", "d", "--json", "two", "--", "--dir", NULL};
    assert_int_equal(parse(8, good, &dir, &json, &operands, &err), 0);
    assert_string_equal(dir, "d");
    assert_true(json);
    assert_int_equal(operands, 3);
    assert_string_equal(good[1], "one");
    assert_string_equal(good[3], "--dir");
    const char *equals[] = {"x", "--dir=e", NULL};
    assert_int_equal(parse(2, equals, &dir, &json, &operands, &err), 0);
    assert_string_equal(dir, "e");
    const char *unknown[] = {"x", "--dri", "d", NULL};
    assert_int_equal(parse(3, unknown, &dir, &json, &operands, &err), ERROR_USAGE);
    assert_string_equal(error_text(&err), "unknown option '--dri'; allowed: --dir, --json");
    const char *missing[] = {"x", "--dir", NULL};
    assert_int_equal(parse(2, missing, &dir, &json, &operands, &err), ERROR_USAGE);
    assert_string_equal(error_text(&err), "option '--dir' needs a value: --dir DIR");
    const char *value[] = {"x", "--json=1", NULL};
    assert_int_equal(parse(2, value, &dir, &json, &operands, &err), ERROR_USAGE);
    const char *short_one[] = {"x", "-j", NULL};
    assert_int_equal(parse(2, short_one, &dir, &json, &operands, &err), ERROR_USAGE);
    error_done(&err);
}

static void test_log_lines_are_json_and_limited(void **state)
{
    LayoutPath path = layout_dir(root, "log");
    int fd = open(path.text, O_RDWR | O_CREAT | O_TRUNC, 0600), saved = dup(STDERR_FILENO);
    assert_true(fd >= 0 && saved >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    log_open("unit", "us-west-2", LOG_LEVEL_INFO);
    log_debug("not written", NULL);
    log_info("plan published", "plan", LOG_NUMBER("number", 7), LOG_TEXT("why", "a \"b\""));
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    files_close(saved);
    files_close(fd);
    char *bytes = NULL;
    size_t len = 0;
    assert_int_equal(files_read(path.text, 4096, &bytes, &len, NULL), 0);
    assert_non_null(strstr(bytes,
                           "\"level\":\"info\",\"component\":\"unit\",\"region\":\"us-west-2\","
                           "\"msg\":\"plan published\",\"subject\":\"plan\",\"number\":7,"
                           "\"why\":\"a \\\"b\\\"\"}\n"));
    assert_null(strstr(bytes, "not written"));
    free(bytes);

    LogLimit limit = {0};
    uint32_t suppressed;
    Mono now = {NS_PER_S};
    unsigned allowed = 0;
    for (int i = 0; i < 10; i++)
        allowed += log_allowed(&limit, 3, now, &suppressed);
    assert_int_equal(allowed, 3);
    assert_true(log_allowed(&limit, 3, mono_add(now, NS_PER_S), &suppressed));
    assert_int_equal(suppressed, 7);
}

static void test_clock_text(void **state)
{
    char text[CLOCK_TEXT_MAX];
    assert_string_equal(clock_format((Wall){INT64_C(1709210096) * NS_PER_S + 7 * NS_PER_MS}, text),
                        "2024-02-29T12:34:56.007Z");
    assert_true(random_u64() != random_u64());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace_and_read),
        cmocka_unit_test(test_remove_tree_keeps_link_targets),
        cmocka_unit_test(test_sockets_are_short_and_private),
        cmocka_unit_test(test_absolute),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_log_lines_are_json_and_limited),
        cmocka_unit_test(test_clock_text),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
