// SPDX-License-Identifier: MIT
// camera_files: in a folder of another user nothing is done that he could not do himself.
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "camera_files.h"
#include "files.h"

#define NOBODY 65534

static char dir[] = "/tmp/test_camera_files.XXXXXX";

static const char *in(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int setup(void **state)
{
    if (mkdtemp(dir) == NULL)
        return -1;
    return geteuid() == 0 ? chown(dir, NOBODY, NOBODY) : 0;
}

static int teardown(void **state)
{
    return files_remove_tree(dir, NULL);
}

static void files_are_the_folders_owners(void **state)
{
    struct stat st, folder;
    int fd = -1;
    assert_int_equal(camera_file_open(dir, "log", O_TRUNC, &fd, NULL), 0);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(stat(dir, &folder), 0);
    assert_int_equal(st.st_uid, folder.st_uid);
    files_close(fd);
    assert_int_equal(camera_file_rename(dir, "log", "log.1", NULL), 0);
    assert_true(files_exist(in("log.1")));
    assert_true(geteuid() == getuid());
}

static void links_are_not_followed(void **state)
{
    struct stat st;
    int fd = -1;
    assert_int_equal(files_replace(in("target"), "keep", 4, NULL, NULL), 0);
    assert_int_equal(symlink("target", in("link")), 0);
    assert_int_equal(camera_file_open(dir, "link", O_TRUNC, &fd, NULL), -ELOOP);
    assert_int_equal(stat(in("target"), &st), 0);
    assert_int_equal(st.st_size, 4);
    assert_int_equal(mkfifo(in("pipe"), 0666), 0);
    assert_true(camera_file_open(dir, "pipe", 0, &fd, NULL) < 0); // and does not wait
}

// Runs of before, by root with root's rights.
static void what_only_root_may_write_is_replaced(void **state)
{
    struct stat st;
    int fd = -1;
    if (geteuid() != 0)
        skip();
    assert_int_equal(files_replace(in("old"), "old", 3, NULL, NULL), 0);
    assert_int_equal(camera_file_open(dir, "old", 0, &fd, NULL), -EACCES);
    assert_int_equal(camera_file_open(dir, "old", O_TRUNC, &fd, NULL), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_uid, NOBODY);
    files_close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_the_folders_owners),
        cmocka_unit_test(links_are_not_followed),
        cmocka_unit_test(what_only_root_may_write_is_replaced),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
