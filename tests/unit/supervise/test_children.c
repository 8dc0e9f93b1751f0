// SPDX-License-Identifier: MIT
// test_children: everything below a process is found and killed, in sessions of its own, too;
// nothing else is. This program stands in for a region's init: orphans become its children.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children.h"

static int pipe_fds[2];

// A process with a child in its own session, which has a child again; all hold the pipe open.
static pid_t start_tree(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (int depth = 0; depth < 2; depth++) {
            if (fork() != 0)
                break;
            (void)setsid();
        }
        (void)!write(pipe_fds[1], "x", 1);
        for (;;)
            (void)pause();
    }
    return pid;
}

static void await(int n)
{
    char byte;
    for (int i = 0; i < n; i++)
        assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
}

static int setup(void **state)
{
    return pipe(pipe_fds) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    return 0;
}

static void what_is_below_goes_and_the_others_stay(void **state)
{
    pid_t first = start_tree(), second = start_tree();
    int status;
    await(6);
    assert_int_equal(kill(first, SIGSTOP), 0);
    assert_int_equal(children_kill_below(first), 2);
    assert_int_equal(kill(first, 0), 0);
    assert_int_equal(kill(first, SIGKILL), 0);
    assert_int_equal(waitpid(first, &status, 0), first);
    while (children_kill_orphans(&second, 1) > 0) // zombies of the stopped parent are not counted
        (void)waitpid(-1, &status, WNOHANG);
    assert_int_equal(children_kill_below(second), 2); // untouched until now
    assert_int_equal(kill(second, SIGKILL), 0);
    while (waitpid(-1, &status, 0) > 0)
        ;
    assert_int_equal(errno, ECHILD);
}

static void orphans_go_and_the_spared_stay(void **state)
{
    pid_t first = start_tree(), second = start_tree();
    int status;
    await(6);
    assert_int_equal(kill(first, SIGKILL), 0);
    assert_int_equal(waitpid(first, &status, 0), first);
    const pid_t spared[] = {0, second};
    assert_int_equal(children_kill_orphans(spared, 2), 2);
    for (int i = 0; i < 2; i++) {
        pid_t pid = waitpid(-1, &status, 0);
        assert_true(pid > 0 && pid != second);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    assert_int_equal(children_kill_orphans(spared, 2), 0);
    assert_int_equal(children_kill_below(second), 2);
    assert_int_equal(kill(second, SIGKILL), 0);
    while (waitpid(-1, &status, 0) > 0)
        ;
}

static void who_is_not_our_child_has_nothing_below(void **state)
{
    assert_int_equal(children_kill_below(getppid()), 0);
    assert_int_equal(children_kill_below(getpid()), 0);
    assert_int_equal(children_kill_below(1 << 30), 0);
    assert_int_equal(children_kill_orphans(NULL, 0), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_below_goes_and_the_others_stay),
        TEST(orphans_go_and_the_spared_stay),
        TEST(who_is_not_our_child_has_nothing_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
