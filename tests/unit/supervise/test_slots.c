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

static char replied[256]; // "VERB PROGRAM: ERROR" or "VERB PROGRAM: done", newest

static void changed(void *context, const Slot *slot)
{
    changes++;
}

static void on_reply(void *context, const char *verb, const Slot *slot, const char *error)
{
    (void)snprintf(replied, sizeof replied, "%s %s: %s", verb, slot->program->name,
                   error != NULL ? error : "done");
}

static void assert_replied(const char *text)
{
    assert_string_equal(replied, text);
    replied[0] = '\0';
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
    replied[0] = '\0';
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
    slots.replied = on_reply;
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

// A step of time until `index` is in `state`: what /proc shows is not the virtual clock's.
static void advance_until(size_t index, ProgramState state)
{
    for (int i = 0; i < 100000 && slots.items[index].state != state; i++)
        pass(SLOTS_SWEEP_NS);
    assert_state(index, state);
}

static void a_halted_program_stays_down_until_it_is_resumed(void **state)
{
    (void)add("daemon", STUBBORN, PROGRAM_READY_NOTIFY);
    (void)add("step", GOOD, PROGRAM_READY_EXIT);
    begin();
    reap(1);
    slots_notified(&slots, now);
    assert_int_equal(slots_resume(&slots, "daemon", now), 0);
    assert_replied("resume daemon: done");
    assert_state(0, PROGRAM_STATE_READY);
    assert_int_equal(slots_halt(&slots, "daemon", now), 0);
    assert_state(0, PROGRAM_STATE_STOPPING);
    assert_int_equal(slots_resume(&slots, "daemon", now), 0);
    assert_replied("resume daemon: it is being halted");
    reap(0); // SIGKILL: its trap does not matter
    advance_until(0, PROGRAM_STATE_HALTED);
    assert_replied("halt daemon: done");
    pass(3600 * NS_PER_S);
    assert_state(0, PROGRAM_STATE_HALTED);
    assert_int_equal(slots_next(&slots, now).ns, MONO_NEVER.ns);
    assert_int_equal(slots_halt(&slots, "daemon", now), 0);
    assert_replied("halt daemon: done");
    assert_int_equal(slots_restart(&slots, "daemon", now), 0);
    assert_state(0, PROGRAM_STATE_HALTED);
    assert_int_equal(slots_upgrade(&slots, "daemon", now), 0);
    assert_non_null(strstr(replied, "upgrade daemon: "));
    assert_int_equal(slots_resume(&slots, "daemon", now), 0);
    assert_replied("resume daemon: done");
    assert_state(0, PROGRAM_STATE_STARTING);
    assert_int_equal(slots_halt(&slots, "step", now), 0);
    assert_non_null(strstr(replied, "halt step: it is a step"));
    assert_int_equal(slots_halt(&slots, "unknown", now), ERROR_NOT_FOUND);
    assert_int_equal(slots_resume(&slots, "unknown", now), ERROR_NOT_FOUND);
    assert_int_equal(slots_upgrade(&slots, "unknown", now), ERROR_NOT_FOUND);
}

static void a_program_in_backoff_is_halted_at_once_and_its_failures_are_forgotten(void **state)
{
    (void)add("bad", BAD, PROGRAM_READY_NOTIFY);
    begin();
    for (int i = 0; i < 4; i++) {
        reap(0);
        assert_state(0, PROGRAM_STATE_BACKOFF);
        if (i < 3)
            pass(SLOTS_BACKOFF_MAX_NS);
    }
    assert_int_equal(slots_halt(&slots, "bad", now), 0);
    advance_until(0, PROGRAM_STATE_HALTED);
    assert_replied("halt bad: done");
    assert_int_equal(slots_resume(&slots, "bad", now), 0);
    reap(0);
    assert_int_equal(mono_since(slots_next(&slots, now), now), SLOTS_BACKOFF_NS);
}

static void a_halted_program_ends_with_its_region(void **state)
{
    (void)add("daemon", SLEEP, PROGRAM_READY_NOTIFY);
    begin();
    assert_int_equal(slots_halt(&slots, "daemon", now), 0);
    reap(0);
    advance_until(0, PROGRAM_STATE_HALTED);
    slots_stop(&slots, now);
    assert_true(slots_ended(&slots));
    assert_state(0, PROGRAM_STATE_STOPPED);
    replied[0] = '\0';
    assert_int_equal(slots_resume(&slots, "daemon", now), 0);
    assert_replied("resume daemon: the region is ending");
}

static void an_upgrade_by_restart_answers_when_the_new_one_is_ready(void **state)
{
    add("daemon", SLEEP, PROGRAM_READY_NOTIFY)->upgrade = PROGRAM_UPGRADE_RESTART;
    begin();
    assert_int_equal(slots_upgrade(&slots, "daemon", now), 0);
    assert_replied("upgrade daemon: it is not ready: 'restart' starts it anew");
    slots_notified(&slots, now);
    assert_int_equal(slots_upgrade(&slots, "daemon", now), 0);
    assert_state(0, PROGRAM_STATE_STOPPING);
    reap(0);
    pass(0);
    assert_state(0, PROGRAM_STATE_STARTING);
    assert_string_equal(replied, "");
    slots_notified(&slots, now);
    assert_replied("upgrade daemon: done");
    assert_int_equal(slots.items[0].restarts, 1);
}

static void an_upgrade_that_does_not_come_up_answers_an_error(void **state)
{
    Program *program = add("daemon", SLEEP, PROGRAM_READY_NOTIFY);
    program->upgrade = PROGRAM_UPGRADE_RESTART;
    begin();
    slots_notified(&slots, now);
    assert_int_equal(slots_upgrade(&slots, "daemon", now), 0);
    reap(0);
    pass(0);
    assert_int_equal(slots_upgrade(&slots, "daemon", now), 0);
    assert_replied("upgrade daemon: an upgrade of it is under way");
    pass(SLOTS_UPGRADE_NS - 1);
    assert_string_equal(replied, "");
    pass(1);
    assert_replied("upgrade daemon: the new one was not ready in time");
    slots_notified(&slots, now); // late, but here
    assert_state(0, PROGRAM_STATE_READY);
    program->argv = BAD;
    assert_int_equal(slots_upgrade(&slots, "daemon", now), 0);
    reap(0);
    pass(0);
    reap(0);
    assert_replied("upgrade daemon: ended with code 1");
    assert_state(0, PROGRAM_STATE_BACKOFF);
}

static void an_upgrade_gives_way(void **state)
{
    add("daemon", SLEEP, PROGRAM_READY_NOTIFY)->upgrade = PROGRAM_UPGRADE_RESTART;
    add("database", SLEEP, PROGRAM_READY_NOTIFY)->upgrade = PROGRAM_UPGRADE_REFUSED;
    begin();
    slots_notified(&slots, now);
    assert_int_equal(slots_upgrade(&slots, "database", now), 0);
    assert_non_null(strstr(replied, "upgrade database: a database can hand over"));
    assert_int_equal(slots_upgrade(&slots, "daemon", now), 0);
    assert_int_equal(slots_halt(&slots, "daemon", now), 0);
    assert_replied("upgrade daemon: it was halted meanwhile");
    reap(0);
    advance_until(0, PROGRAM_STATE_HALTED);
    assert_replied("halt daemon: done");
    assert_int_equal(slots_resume(&slots, "daemon", now), 0);
    slots_notified(&slots, now);
    assert_int_equal(slots_upgrade(&slots, "daemon", now), 0);
    assert_int_equal(slots_restart(&slots, "daemon", now), 0);
    assert_replied("upgrade daemon: it was restarted meanwhile");
    reap(0);
    pass(0);
    slots_notified(&slots, now);
    assert_state(0, PROGRAM_STATE_READY);
    assert_int_equal(slots_upgrade(&slots, "daemon", now), 0);
    slots_stop(&slots, now);
    assert_replied("upgrade daemon: the region is ending");
    assert_int_equal(slots_upgrade(&slots, "daemon", now), 0);
    assert_replied("upgrade daemon: the region is ending");
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
        TEST(a_halted_program_stays_down_until_it_is_resumed),
        TEST(a_program_in_backoff_is_halted_at_once_and_its_failures_are_forgotten),
        TEST(a_halted_program_ends_with_its_region),
        TEST(an_upgrade_by_restart_answers_when_the_new_one_is_ready),
        TEST(an_upgrade_that_does_not_come_up_answers_an_error),
        TEST(an_upgrade_gives_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
