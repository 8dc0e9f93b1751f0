// SPDX-License-Identifier: MIT
// test_process_id: a pid alone is not a process; files that are not ours are refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process_id.h"

static char path[] = "/tmp/test_process_id.XXXXXX";

static void write_and_read(void **state)
{
    ProcessId own, read_back;
    int fd = open(path, O_RDWR);
    assert_int_equal(process_id_of(getpid(), &own, NULL), 0);
    assert_true(process_id_lives(&own));
    assert_int_equal(pwrite(fd, "something longer that was there before\n", 39, 0), 39);
    assert_int_equal(process_id_write(fd, &own, NULL), 0);
    assert_int_equal(process_id_read(path, &read_back, NULL), 0);
    assert_int_equal(read_back.pid, own.pid);
    assert_int_equal(read_back.start, own.start);
    assert_int_equal(close(fd), 0);
}

static void another_start_time_is_another_process(void **state)
{
    ProcessId own;
    assert_int_equal(process_id_of(getpid(), &own, NULL), 0);
    own.start++;
    assert_false(process_id_lives(&own));
}

static void a_zombie_does_not_live(void **state)
{
    siginfo_t info;
    ProcessId child;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        (void)!read(fds[0], &byte, 1);
        _exit(0);
    }
    assert_int_equal(process_id_of(pid, &child, NULL), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_false(process_id_lives(&child));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(process_id_of(pid, &child, NULL), ERROR_NOT_FOUND);
}

static void garbage_is_refused(void **state)
{
    static const char *const BAD[] = {"",       "12",      "12 \n",           " 12\n",    "0 5\n",
                                      "-1 5\n", "1 2 3\n", "99999999999 5\n", "abc def\n"};
    for (size_t i = 0; i < ARRAY_SIZE(BAD); i++) {
        int fd = open(path, O_RDWR | O_TRUNC);
        ProcessId id;
        assert_int_equal(write(fd, BAD[i], strlen(BAD[i])), (ssize_t)strlen(BAD[i]));
        assert_int_equal(close(fd), 0);
        assert_int_equal(process_id_read(path, &id, NULL), ERROR_FORMAT);
    }
    ProcessId id;
    assert_int_equal(process_id_read("/tmp/no/such/file", &id, NULL), ERROR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_and_read),
        cmocka_unit_test(another_start_time_is_another_process),
        cmocka_unit_test(a_zombie_does_not_live),
        cmocka_unit_test(garbage_is_refused),
    };
    int fd = mkstemp(path);
    int r = fd < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
    (void)close(fd);
    (void)unlink(path);
    return r;
}
