// SPDX-License-Identifier: MIT
// test_disk_place: after an interruption at any step the newest database comes back and nothing
// else stays. States without a small disk are tried by everybody, those with one by root, in a
// mount namespace of the test's own. Keepers killed in the middle are tests/integration's.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault_disk_place.h"
#include "fault_init.h"
#include "fault_message.h"
#include "fault_mount.h"
#include "fault_tree.h"
#include "files.h"
#include "unit.h"

static char dir[] = "/tmp/test_disk_place.XXXXXX";
static char region[64];
static DiskPlace place;
static bool root;

static const char *in(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", region, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    assert_int_equal(files_replace(in(name), text, strlen(text), NULL, NULL), 0);
}

static void make_database(const char *folder, const char *version)
{
    char name[128];
    (void)snprintf(name, sizeof name, "%s/global", folder);
    assert_int_equal(files_make_dirs(in(name), 0700, NULL), 0);
    (void)snprintf(name, sizeof name, "%s/PG_VERSION", folder);
    write_file(name, "15\n");
    (void)snprintf(name, sizeof name, "%s/global/pg_control", folder);
    write_file(name, version);
}

static void make_placeholder(const char *folder)
{
    char name[128];
    assert_int_equal(mkdir(in(folder), 0700), 0);
    (void)snprintf(name, sizeof name, "%s/PG_VERSION", folder);
    write_file(name, "15\n");
}

static void make_small(const char *version)
{
    assert_int_equal(mkdir(in("pg.small"), 0700), 0);
    assert_int_equal(
        fault_mount_new(place.fd, "pg.small", place.source, 8U << 20, &place.owner, NULL), 0);
    make_database("pg.small/data", version);
}

static int setup_all(void **state)
{
    root = geteuid() == 0;
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(region, sizeof region, "%s/eastus", dir);
    if (root && (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
        root = false; // a container that may not
    return 0;
}

static int teardown_all(void **state)
{
    return files_remove_tree(dir, NULL);
}

static int setup(void **state)
{
    (void)mkdir(region, 0755);
    return disk_place_open(dir, "eastus", &place, NULL);
}

static int teardown(void **state)
{
    int r = root ? fault_mount_detach(0, NULL, place.source, true, NULL) : 0;
    disk_place_close(&place);
    return r < 0 ? r : files_remove_tree(region, NULL);
}

static FaultPace *patient(void)
{
    static FaultPace pace;
    pace = fault_pace_new(60 * NS_PER_S, -1, 0);
    return &pace;
}

// However long it takes in all: only what stands still is given up.
static void a_copy_lasts_as_long_as_it_goes_on(void **state)
{
    int at CLEANUP(fd_closep) = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_database("pg", "one");
    FaultPace pace = fault_pace_new(60 * NS_PER_S, -1, 0);
    Mono first = pace.deadline;
    assert_int_equal(fault_tree_copy(at, "eastus/pg", at, "copy", &pace, NULL), 0);
    assert_true(pace.deadline.ns > first.ns);
    pace = fault_pace_new(-1, -1, 0);
    assert_int_equal(fault_tree_copy(at, "eastus/pg", at, "other", &pace, NULL), ERROR_TIMEOUT);
}

// Whoever waits hears of it, but not for every byte.
static void whoever_waits_hears_that_it_goes_on(void **state)
{
    int ends[2];
    unsigned char bytes[FAULT_MESSAGE_MAX];
    FaultAnswer answer;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    FaultPace pace = fault_pace_new(NS_PER_S, ends[0], 7);
    fault_pace_moved(&pace);
    assert_int_equal(recv(ends[1], bytes, sizeof bytes, MSG_DONTWAIT), -1);
    pace.told = MONO_DISTANT;
    fault_pace_moved(&pace);
    fault_pace_moved(&pace);
    ssize_t n = recv(ends[1], bytes, sizeof bytes, MSG_DONTWAIT);
    assert_true(n > 0);
    assert_int_equal(fault_answer_decode(bytes, (size_t)n, &answer), 0);
    assert_int_equal(answer.number, 7);
    assert_int_equal(answer.code, FAULT_ANSWER_AT_IT);
    assert_int_equal(recv(ends[1], bytes, sizeof bytes, MSG_DONTWAIT), -1);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

// Who is root enters no process that is somebody else's, whoever names it.
static void only_the_owners_processes_count(void **state)
{
    int fd = -1;
    FaultOwner own = {.uid = geteuid()}, other = {.uid = geteuid() + 4711};
    assert_int_equal(fault_owner_process(&own, getpid(), &fd, NULL), 0);
    (void)close(fd);
    fd = -1;
    assert_int_equal(fault_owner_process(&other, getpid(), &fd, NULL), -EPERM);
    assert_int_equal(fd, -1);
    if (root)
        assert_true(fault_mount_detach(getpid(), &other, place.source, true, NULL) < 0);
}

static void expect_healed(const char *version)
{
    char *text = NULL;
    size_t len;
    for (int i = 0; i < 2; i++) { // once more does no harm
        assert_int_equal(disk_place_recover(&place, 0, patient(), NULL), 0);
        assert_int_equal(files_read(in("pg/global/pg_control"), 4096, &text, &len, NULL), 0);
        assert_string_equal(text, version);
        free(text);
        assert_false(disk_place_left(&place));
    }
}

static void the_truth_is_one_folder(void **state)
{
    // Whatever older copies lie about, a database in pg itself is the newest one.
    for (int i = 0; i < 8; i++)
        assert_int_equal(disk_truth(true, i & 1, i & 2, i & 4), DISK_TRUTH_PG);
    assert_int_equal(disk_truth(false, true, true, true), DISK_TRUTH_HEALED);
    assert_int_equal(disk_truth(false, true, false, true), DISK_TRUTH_SMALL);
    assert_int_equal(disk_truth(false, false, false, true), DISK_TRUTH_KEPT);
    assert_int_equal(disk_truth(false, false, false, false), DISK_TRUTH_NONE);
}

static void nothing_has_been_moved_yet(void **state)
{
    make_database("pg", "one");
    make_placeholder("pg.kept");
    assert_int_equal(mkdir(in("pg.small"), 0700), 0);
    assert_true(disk_place_left(&place));
    expect_healed("one");
}

static void the_machine_was_restarted(void **state)
{
    make_placeholder("pg");
    make_database("pg.kept", "one");
    assert_int_equal(mkdir(in("pg.small"), 0700), 0);
    make_database("pg.back", "half of two"); // nobody had finished it
    expect_healed("one");
}

static void the_copy_back_was_complete(void **state)
{
    make_placeholder("pg");
    make_database("pg.healed", "two");
    make_database("pg.kept", "one");
    expect_healed("two");
}

static void only_the_removal_was_left(void **state)
{
    make_database("pg", "two");
    make_placeholder("pg.healed");
    make_database("pg.kept", "one");
    expect_healed("two");
}

static void no_database_removes_nothing(void **state)
{
    make_placeholder("pg");
    make_placeholder("pg.kept");
    assert_int_equal(disk_place_recover(&place, 0, patient(), NULL), ERROR_NOT_FOUND);
    assert_true(files_exist(in("pg.kept/PG_VERSION")));
}

// In the same boot a small disk that is not seen is in another namespace, with the newest data.
static void a_disk_that_is_not_seen_is_not_gone(void **state)
{
    make_placeholder("pg");
    make_database("pg.kept", "one");
    assert_int_equal(mkdir(in("pg.small"), 0700), 0);
    assert_int_equal(disk_place_mark(&place, NULL), 0);
    assert_int_equal(disk_place_visible(&place, NULL), ERROR_CONFLICT);
    assert_int_equal(disk_place_recover(&place, 0, patient(), NULL), ERROR_CONFLICT);
    assert_true(files_exist(in("pg.kept/global/pg_control")));
    write_file("pg.moving", "of another boot\n");
    assert_int_equal(disk_place_visible(&place, NULL), 0);
    assert_int_equal(disk_place_recover(&place, 0, patient(), NULL), 0);
    assert_true(files_exist(in("pg/global/pg_control")));
}

static void what_cannot_be_moved_is_left_alone(void **state)
{
    char elsewhere[600];
    (void)snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", dir);
    assert_int_equal(symlink(elsewhere, in("pg")), 0);
    assert_int_equal(disk_place_check(&place, NULL), ERROR_CONFLICT);
    assert_int_equal(disk_place_mark(&place, NULL), 0);
    assert_int_equal(disk_place_recover(&place, 0, patient(), NULL), 0);
    assert_int_equal(disk_place_unmark(&place, NULL), 0);
    assert_int_equal(unlink(in("pg")), 0);
    make_database("pg", "one");
    assert_int_equal(disk_place_check(&place, NULL), 0);
    make_placeholder("pg.kept");
    assert_int_equal(disk_place_check(&place, NULL), ERROR_CONFLICT);
}

// The start time of field 22, as init.pid has it.
static void write_init(unsigned long long add)
{
    char *text = NULL, line[64];
    size_t len;
    unsigned long long start = 0;
    assert_int_equal(files_read("/proc/self/stat", 4096, &text, &len, NULL), 0);
    char *at = strrchr(text, ')') + 1;
    for (int i = 0; i < 19; i++)
        at = strchr(at + 1, ' ');
    start = strtoull(at, NULL, 10);
    free(text);
    (void)snprintf(line, sizeof line, "%ld %llu\n", (long)getpid(), start + add);
    write_file("init.pid", line);
}

static void a_region_runs_as_long_as_its_init(void **state)
{
    assert_false(fault_init_lives(place.fd));
    write_init(0);
    assert_true(fault_init_lives(place.fd));
    write_init(1); // the number went to another process
    assert_false(fault_init_lives(place.fd));
    write_file("init.pid", "x\n");
    assert_false(fault_init_lives(place.fd));
}

static void one_keeper_at_a_time(void **state)
{
    DiskPlace other;
    assert_int_equal(disk_place_open(dir, "eastus", &other, NULL), ERROR_CONFLICT);
}

static void links_are_not_followed(void **state)
{
    char link[600];
    (void)snprintf(link, sizeof link, "%s/westus2", dir);
    assert_int_equal(symlink("/etc", link), 0);
    assert_true(fault_mount_open(dir, "westus2", O_RDONLY, NULL) < 0);
    assert_true(fault_mount_open(dir, "../tmp", O_RDONLY, NULL) < 0);
    assert_int_equal(unlink(link), 0);
}

static void the_mark_alone_is_left_too(void **state)
{
    make_database("pg", "one");
    assert_false(disk_place_left(&place));
    assert_int_equal(disk_place_mark(&place, NULL), 0);
    assert_true(disk_place_left(&place));
    assert_int_equal(disk_place_unmark(&place, NULL), 0);
    assert_int_equal(disk_place_unmark(&place, NULL), 0);
    assert_false(disk_place_left(&place));
}

// --- with a small disk ---
static void a_region_that_was_started_does_not_move(void **state)
{
    if (!root)
        skip();
    make_database("pg", "one");
    write_init(0);
    assert_int_equal(disk_place_move(&place, patient(), NULL), ERROR_CONFLICT);
    assert_true(files_exist(in("pg/global/pg_control")));
    expect_healed("one");
}

static void the_copy_in_was_interrupted(void **state)
{
    if (!root)
        skip();
    make_database("pg", "one");
    make_placeholder("pg.kept");
    make_small("half of one");
    expect_healed("one");
}

static void the_region_ran_on_the_small_disk(void **state)
{
    if (!root)
        skip();
    make_placeholder("pg");
    make_database("pg.kept", "one");
    make_small("two");
    make_database("pg.back", "half of two");
    expect_healed("two");
}

static void it_moves_fills_and_comes_back(void **state)
{
    if (!root)
        skip();
    char bytes[8192] = {0};
    struct stat st;
    make_database("pg", "one");
    assert_int_equal(symlink("PG_VERSION", in("pg/link")), 0);
    assert_int_equal(chmod(in("pg/PG_VERSION"), 0640), 0);
    assert_int_equal(disk_place_move(&place, patient(), NULL), 0);
    assert_false(files_exist(in("pg/global/pg_control")));
    assert_int_equal(disk_place_show(&place, getpid(), dir, "eastus/pg", NULL), 0);
    assert_true(files_exist(in("pg/global/pg_control")));
    write_file("pg/global/pg_control", "two");
    assert_int_equal(disk_place_fill(&place, NULL), 0);
    int fd = open(in("pg/more"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, bytes, sizeof bytes), -1);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(disk_place_free(&place, NULL), 0);
    assert_int_equal(disk_place_free(&place, NULL), 0);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    (void)close(fd);
    expect_healed("two");
    assert_int_equal(lstat(in("pg/link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(in("pg/PG_VERSION"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(stat(in("pg/more"), &st), 0);
    assert_int_equal(st.st_size, sizeof bytes);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_truth_is_one_folder),
        TEST(nothing_has_been_moved_yet),
        TEST(the_machine_was_restarted),
        TEST(the_copy_back_was_complete),
        TEST(only_the_removal_was_left),
        TEST(no_database_removes_nothing),
        TEST(a_disk_that_is_not_seen_is_not_gone),
        TEST(what_cannot_be_moved_is_left_alone),
        TEST(a_region_runs_as_long_as_its_init),
        TEST(one_keeper_at_a_time),
        TEST(links_are_not_followed),
        TEST(the_mark_alone_is_left_too),
        TEST(a_region_that_was_started_does_not_move),
        TEST(the_copy_in_was_interrupted),
        TEST(the_region_ran_on_the_small_disk),
        TEST(it_moves_fills_and_comes_back),
        TEST(a_copy_lasts_as_long_as_it_goes_on),
        TEST(only_the_owners_processes_count),
        cmocka_unit_test(whoever_waits_hears_that_it_goes_on),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
