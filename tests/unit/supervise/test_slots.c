// SPDX-License-Identifier: MIT
// test_slots: the programs of a region with real processes (sh, sleep) and a virtual clock: order,
// readiness, backoff, restart, the end.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "region_slots.h"

static const char *const SLEEP[] = {"/bin/sleep", "60", NULL};
static const char *const GOOD[] = {"/bin/true", NULL};
static const char *const BAD[] = {"/bin/false", NULL};
static const char *const STUBBORN[] = {"/bin/sh", "-c", "trap '' TERM; while :; do sleep 60; done",
                                       NULL};
static const char *const NONE[] = {NULL};

static Slots slots;
static RegionSpec spec;
static Mono now;
static unsigned changes;

static void changed(void *context, const Slot *slot)
{
    changes++;
}

static Program *add(const char *name, const char *const *argv, ProgramReady ready)
{
    Program *program = &spec.programs[spec.n++];
    *program = (Program){.name = name, .argv = argv, .ready = ready, .stop_signal = SIGTERM};
    return program;
}

static int setup(void **state)
{
    spec = (RegionSpec){.name = "r", .sockets = "/tmp", .stale = NONE};
    now = (Mono){NS_PER_S};
    changes = 0;
    return 0;
}

static int teardown(void **state)
{
    for (size_t i = 0; i < spec.n; i++)
        if (slots.items[i].pid > 0) {
            (void)kill(slots.items[i].pid, SIGKILL);
            (void)kill(-slots.items[i].pid, SIGKILL);
            (void)waitpid(slots.items[i].pid, NULL, 0);
        }
    return 0;
}

static void begin(void)
{
    slots_init(&slots, &spec, changed, NULL);
    slots_advance(&slots, now);
}

static void pass(int64_t ns)
{
    now = mono_add(now, ns);
    slots_advance(&slots, now);
}

// Waits for the end of one slot's process and hands it over.
static void reap(size_t index)
{
    int status;
    pid_t pid = slots.items[index].pid;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    slots_exited(&slots, pid, status, now);
}

static void assert_state(size_t index, ProgramState state)
{
    assert_string_equal(program_state_name(slots.items[index].state), program_state_name(state));
}

static void steps_run_in_order(void **state)
{
    (void)add("first", GOOD, PROGRAM_READY_EXIT);
    program_after(add("second", GOOD, PROGRAM_READY_EXIT), 0);
    program_after(add("third", SLEEP, PROGRAM_READY_NOTIFY), 1);
    begin();
    assert_state(0, PROGRAM_STATE_STARTING);
    assert_state(1, PROGRAM_STATE_WAITING);
    reap(0);
    assert_state(0, PROGRAM_STATE_DONE);
    pass(0);
    assert_state(1, PROGRAM_STATE_STARTING);
    assert_state(2, PROGRAM_STATE_WAITING);
    reap(1);
    pass(0);
    assert_state(2, PROGRAM_STATE_STARTING);
    slots_notified(&slots, now);
    assert_state(2, PROGRAM_STATE_READY);
    assert_true(changes >= 6);
}

static void a_failing_step_holds_up_what_comes_after_and_backs_off(void **state)
{
    (void)add("bad", BAD, PROGRAM_READY_EXIT);
    program_after(add("never", SLEEP, PROGRAM_READY_NOTIFY), 0);
    begin();
    int64_t pause = 0;
    for (unsigned i = 0; i < 8; i++) {
        reap(0);
        assert_state(0, PROGRAM_STATE_BACKOFF);
        assert_non_null(strstr(slots.items[0].detail, "code 1"));
        int64_t next = mono_since(slots_next(&slots, now), now);
        assert_true(next >= pause && next <= SLOTS_BACKOFF_MAX_NS);
        pause = next;
        pass(next - 1);
        assert_state(0, PROGRAM_STATE_BACKOFF);
        pass(1);
        assert_state(0, PROGRAM_STATE_STARTING);
        assert_state(1, PROGRAM_STATE_WAITING);
    }
    assert_int_equal(pause, SLOTS_BACKOFF_MAX_NS);
    assert_int_equal(slots.items[0].restarts, 8);
}

static void a_killed_program_comes_back_after_a_short_pause(void **state)
{
    (void)add("daemon", SLEEP, PROGRAM_READY_NOTIFY);
    begin();
    slots_notified(&slots, now);
    pid_t old = slots.items[0].pid;
    now = mono_add(now, SLOTS_STEADY_NS);
    assert_int_equal(slots_signal(&slots, "daemon", SIGKILL), 0);
    reap(0);
    assert_state(0, PROGRAM_STATE_BACKOFF);
    assert_non_null(strstr(slots.items[0].detail, "signal 9"));
    assert_int_equal(mono_since(slots_next(&slots, now), now), SLOTS_BACKOFF_NS);
    pass(SLOTS_BACKOFF_NS);
    assert_state(0, PROGRAM_STATE_STARTING);
    assert_int_not_equal(slots.items[0].pid, old);
}

static void an_asked_restart_has_no_pause(void **state)
{
    (void)add("daemon", SLEEP, PROGRAM_READY_NOTIFY);
    begin();
    slots_notified(&slots, now);
    assert_int_equal(slots_restart(&slots, "daemon", now), 0);
    assert_state(0, PROGRAM_STATE_STOPPING);
    reap(0);
    pass(0);
    assert_state(0, PROGRAM_STATE_STARTING);
    assert_int_equal(slots_restart(&slots, "unknown", now), ERROR_NOT_FOUND);
    assert_int_equal(slots_signal(&slots, "unknown", SIGHUP), ERROR_NOT_FOUND);
}

static void what_ignores_the_stop_signal_is_killed(void **state)
{
    (void)add("stubborn", STUBBORN, PROGRAM_READY_NOTIFY);
    begin();
    slots_notified(&slots, now);
    // Its trap must be set before the signal comes: the shell has a child by then.
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)slots.items[0].pid,
                   (long)slots.items[0].pid);
    for (char byte = 0; byte == 0;) {
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        if (fread(&byte, 1, 1, file) == 0)
            byte = 0;
        assert_int_equal(fclose(file), 0);
    }
    slots_stop(&slots, now);
    assert_state(0, PROGRAM_STATE_STOPPING);
    pass(SLOTS_GRACE_NS - 1);
    assert_int_equal(waitpid(slots.items[0].pid, NULL, WNOHANG), 0);
    pass(1);
    reap(0);
    assert_state(0, PROGRAM_STATE_STOPPED);
    assert_true(slots_ended(&slots));
}

static void the_database_ends_after_all_others(void **state)
{
    (void)add("web", SLEEP, PROGRAM_READY_NOTIFY);
    add("database", SLEEP, PROGRAM_READY_NOTIFY)->stop_last = true;
    (void)add("done", GOOD, PROGRAM_READY_EXIT);
    begin();
    slots_notified(&slots, now);
    reap(2);
    assert_false(slots_ended(&slots));
    slots_stop(&slots, now);
    assert_state(0, PROGRAM_STATE_STOPPING);
    assert_state(1, PROGRAM_STATE_READY);
    reap(0);
    pass(0);
    assert_state(1, PROGRAM_STATE_STOPPING);
    assert_false(slots_ended(&slots));
    reap(1);
    assert_true(slots_ended(&slots));
}

static void orphans_and_missing_programs_do_no_harm(void **state)
{
    static const char *const MISSING[] = {"/nonexistent/program", NULL};
    (void)add("missing", MISSING, PROGRAM_READY_NOTIFY);
    begin();
    slots_exited(&slots, 999999, 0, now);
    assert_state(0, PROGRAM_STATE_STARTING);
    reap(0);
    assert_non_null(strstr(slots.items[0].detail, "code 127"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(steps_run_in_order),
        TEST(a_failing_step_holds_up_what_comes_after_and_backs_off),
        TEST(a_killed_program_comes_back_after_a_short_pause),
        TEST(an_asked_restart_has_no_pause),
        TEST(what_ignores_the_stop_signal_is_killed),
        TEST(the_database_ends_after_all_others),
        TEST(orphans_and_missing_programs_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
