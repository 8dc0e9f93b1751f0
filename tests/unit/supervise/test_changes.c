// SPDX-License-Identifier: MIT
// test_changes: what an operator may add to a program's environment, and which folders can stand in
// for the programs' own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "changes.h"
#include "files.h"
#include "layout.h"

static int check(const char *words, const char *expected)
{
    Error err = ERROR_INIT;
    int r = changes_check_environment(words, &err);
    assert_true(r == 0 || strstr(error_text(&err), expected) != NULL);
    error_done(&err);
    return r;
}

static void good_environment(void **state)
{
    static const char *const GOOD[] = {"",       "A=",        "A=1",  "_a9=x",      "A=1 B=2",
                                       "A==",    "A=b=c d=e", "A=1 ", "A=\xc3\xa4", "A=/x:y;z,'\"$",
                                       "A=1 A=2"};
    for (size_t i = 0; i < ARRAY_SIZE(GOOD); i++)
        assert_int_equal(check(GOOD[i], ""), 0);
}

static void bad_environment(void **state)
{
    static const struct {
        const char *words, *text;
        int code;
    } BAD[] = {
        {"A", "'A' is no NAME=VALUE\nHINT: Values with spaces", ERROR_USAGE},
        {"A=1 b", "'b' is no NAME=VALUE", ERROR_USAGE},
        {" A=1", "NAME=VALUE", ERROR_USAGE},
        {"A=1  B=2", "NAME=VALUE", ERROR_USAGE},
        {"A=1   ", "NAME=VALUE", ERROR_USAGE},
        {"=1", "'' is no name", ERROR_USAGE},
        {"1=1", "'1' is no name", ERROR_USAGE},
        {"A-B=1", "'A-B' is no name", ERROR_USAGE},
        {"\xc3\xa4=1", "is no name", ERROR_USAGE},
        {"A=\t", "the value of 'A' has a control", ERROR_USAGE},
        {"A=1\x7f", "the value of 'A' has a control", ERROR_USAGE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(BAD); i++)
        assert_int_equal(check(BAD[i].words, BAD[i].text), BAD[i].code);
}

static void environment_is_bounded(void **state)
{
    char text[CHANGES_ENVIRONMENT_MAX + 2];
    memset(text, 'x', sizeof text);
    memcpy(text, "A=", 2);
    text[CHANGES_ENVIRONMENT_MAX] = '\0';
    assert_int_equal(check(text, ""), 0);
    text[CHANGES_ENVIRONMENT_MAX] = 'x';
    text[CHANGES_ENVIRONMENT_MAX + 1] = '\0';
    assert_int_equal(check(text, "1001 bytes"), ERROR_LIMIT);
    memset(text, 'N', sizeof text);
    memcpy(text + CHANGES_NAME_MAX, "=", 2);
    assert_int_equal(check(text, ""), 0);
    memcpy(text + CHANGES_NAME_MAX, "N=", 3);
    assert_int_equal(check(text, "up to 64"), ERROR_USAGE);
    size_t len = 0;
    for (int i = 0; i < CHANGES_ENTRIES_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%sA%d=1", i > 0 ? " " : "", i);
    assert_int_equal(check(text, ""), 0);
    (void)snprintf(text + len, sizeof text - len, " B=1");
    assert_int_equal(check(text, "more than 16"), ERROR_LIMIT);
}

static void changes_are_replaced_and_removed(void **state)
{
    Changes changes = {0};
    assert_int_equal(changes_set_environment(&changes, 3, "A=1"), 0);
    assert_int_equal(changes_set_environment(&changes, 3, "B=2"), 0);
    assert_string_equal(changes.environment[3], "B=2");
    assert_null(changes.environment[2]);
    assert_int_equal(changes_set_environment(&changes, 3, ""), 0);
    assert_null(changes.environment[3]);
    assert_int_equal(changes_set_programs(&changes, "/opt/x"), 0);
    assert_string_equal(changes.programs, "/opt/x");
    alloc_fail_after(0);
    assert_int_equal(changes_set_programs(&changes, "/opt/y"), ERROR_MEMORY);
    alloc_fail_after(-1);
    assert_string_equal(changes.programs, "/opt/x");
    assert_int_equal(changes_set_programs(&changes, ""), 0);
    assert_null(changes.programs);
    assert_int_equal(changes_set_environment(&changes, PROGRAMS_MAX - 1, "A=1"), 0);
    changes_done(&changes);
    assert_null(changes.environment[PROGRAMS_MAX - 1]);
}

static void make(const char *folder, const char *name, mode_t mode)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static int check_folder(const char *folder, const char *expected)
{
    Error err = ERROR_INIT;
    int r = changes_check_programs(folder, &err);
    assert_true(r == 0 || strstr(error_text(&err), expected) != NULL);
    error_done(&err);
    return r;
}

static void a_folder_must_hold_all_of_them(void **state)
{
    char root[] = "/tmp/test_changes.XXXXXX", folder[64], library[64];
    assert_non_null(mkdtemp(root));
    (void)snprintf(folder, sizeof folder, "%s/bin", root);
    (void)snprintf(library, sizeof library, "%s/lib/wildcam", root);
    assert_int_equal(files_make_dirs(folder, 0755, NULL), 0);
    assert_true(check_folder(folder, "wildcam-agent") < 0);
    make(folder, "wildcam-agent", 0755);
    make(folder, "wildcam-backend", 0755);
    make(folder, "wildcam-edge-conf", 0644);
    assert_true(check_folder(folder, "wildcam-edge-conf") < 0); // not executable
    assert_int_equal(unlink(layout_dir(folder, "wildcam-edge-conf").text), 0);
    make(folder, "wildcam-edge-conf", 0755);
    assert_true(check_folder(folder, "wildcam-rows") < 0);
    make(folder, "wildcam-rows", 0755);
    assert_int_equal(check_folder(folder, "no ngx_http_wildcam_module.so"), ERROR_NOT_FOUND);
    assert_int_equal(files_make_dirs(library, 0755, NULL), 0);
    make(library, "ngx_http_wildcam_module.so", 0644);
    assert_int_equal(check_folder(folder, ""), 0);
    char *module = changes_module(folder, "ngx_http_wildcam_module.so");
    assert_non_null(strstr(module, "/bin/../lib/wildcam/ngx_http"));
    free(module);
    make(folder, "ngx_http_wildcam_module.so", 0644);
    module = changes_module(folder, "ngx_http_wildcam_module.so");
    assert_non_null(strstr(module, "/bin/ngx_http"));
    free(module);
    assert_int_equal(check_folder("bin", "no absolute path"), ERROR_USAGE);
    assert_int_equal(check_folder("/tmp/\"x", "nginx reads"), ERROR_USAGE);
    assert_int_equal(files_remove_tree(root, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_environment),
        cmocka_unit_test(bad_environment),
        cmocka_unit_test(environment_is_bounded),
        cmocka_unit_test(changes_are_replaced_and_removed),
        cmocka_unit_test(a_folder_must_hold_all_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
