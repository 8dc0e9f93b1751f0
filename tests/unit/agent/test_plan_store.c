// SPDX-License-Identifier: MIT
// plan_store and publisher: numbers that only rise, whole files only, the last good plan stays, old
// ones go; a store that cannot be written to keeps the heartbeat back and is tried again.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "clock.h"
#include "files.h"
#include "layout.h"
#include "plan_file.h"
#include "plan_store.h"
#include "publisher.h"
#include "samples.h"
#include "unit.h"

static char folder[128];
static const Wall WALL = {INT64_C(1700000000) * NS_PER_S};

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/wildcam-store-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    (void)chmod(folder, 0755);
    return files_remove_tree(folder, NULL);
}

static LayoutPath in_folder(const char *name)
{
    LayoutPath path;
    snprintf(path.text, sizeof(path.text), "%s/%s", folder, name);
    return path;
}

static LayoutPath plan_path(uint64_t number)
{
    char name[64];
    snprintf(name, sizeof(name), PLAN_FILE_NAME, number);
    return in_folder(name);
}

static PlanStore *open_store(uint64_t in_use, Wall wall)
{
    PlanStore *store;
    Error err = ERROR_INIT;
    if (plan_store_open(folder, in_use, wall, 77, &store, &err) < 0)
        fail_msg("%s", error_text(&err));
    return store;
}

static PlanNow read_now(void)
{
    char *bytes;
    size_t len;
    PlanNow now;
    assert_int_equal(files_read(in_folder(PLAN_NOW_NAME).text, 4096, &bytes, &len, NULL), 0);
    assert_int_equal(plan_now_decode(bytes, len, &now, NULL), 0);
    free(bytes);
    return now;
}

static int write_plan(PlanStore *store, uint64_t number, Error *reterr)
{
    Plan plan = sample_plan();
    plan.number = number;
    Buf bytes = BUF_INIT(0), prefixes = BUF_INIT(0);
    assert_int_equal(plan_file_encode(&plan, &bytes), 0);
    assert_int_equal(
        prefixes_encode(SAMPLE_PREFIXES, SAMPLE_N_PREFIXES, plan.prefixes_digest, &prefixes), 0);
    PlanStoreWrite write = {.number = number,
                            .prefixes_digest = plan.prefixes_digest,
                            .plan = bytes.data,
                            .plan_len = bytes.len,
                            .prefixes = prefixes.data,
                            .prefixes_len = prefixes.len};
    int r = plan_store_write(store, &write, WALL, reterr);
    buf_done(&bytes);
    buf_done(&prefixes);
    return r;
}

static void write_good(PlanStore *store, uint64_t number)
{
    Error err = ERROR_INIT;
    if (write_plan(store, number, &err) < 0)
        fail_msg("%s", error_text(&err));
}

static void test_first_number(void **state)
{
    (void)state;
    PlanStore *store = open_store(0, WALL);
    uint64_t first = plan_store_first_number(store);
    assert_int_equal(first, (UINT64_C(1700000000) << 32) + 1);
    write_good(store, first);
    write_good(store, first + 1);
    store = plan_store_free(store);
    // A later start, with whatever the wall clock says: the epoch stays, the counter rises.
    const int64_t seconds[] = {0, 1, -5, INT64_C(1600000000), INT64_C(1900000000)};
    for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
        store = open_store(0, (Wall){seconds[i] * NS_PER_S});
        assert_int_equal(plan_store_first_number(store), first + 2);
        store = plan_store_free(store);
    }
}

// The folder is lost and the clock went back: what the edges use is still below the next number.
static void test_lost_folder(void **state)
{
    (void)state;
    uint64_t used = (UINT64_C(1700000000) << 32) + 9;
    PlanStore *store = open_store(used, (Wall){INT64_C(1000) * NS_PER_S});
    assert_int_equal(plan_store_first_number(store), used + 1);
    store = plan_store_free(store);
    drop_folder(NULL);
    store = open_store(UINT64_MAX, WALL); // damage is not believed
    assert_int_equal(plan_store_first_number(store), (UINT64_C(1700000000) << 32) + 1);
    store = plan_store_free(store);
}

static void test_damaged_epoch(void **state)
{
    (void)state;
    assert_int_equal(files_replace(in_folder("epoch").text, "gibberish", 9, NULL, NULL), 0);
    PlanStore *store = open_store(0, WALL);
    assert_int_equal(plan_store_first_number(store) >> 32, 1700000000);
    store = plan_store_free(store);
}

static void test_writes_and_tidies(void **state)
{
    (void)state;
    PlanStore *store = open_store(0, WALL);
    uint64_t first = plan_store_first_number(store);
    assert_int_equal(plan_store_beat(store, WALL, NULL), ERROR_NOT_FOUND);
    for (uint64_t i = 0; i < 10; i++) {
        write_good(store, first + i);
        assert_int_equal(read_now().number, first + i);
    }
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(files_exist(plan_path(first + i).text), i >= 6);
    Plan plan = sample_plan();
    char name[64];
    snprintf(name, sizeof(name), PREFIXES_FILE_NAME, plan.prefixes_digest);
    assert_true(files_exist(in_folder(name).text));
    assert_int_equal(plan_store_beat(store, (Wall){WALL.ns + 5}, NULL), 0);
    assert_int_equal(read_now().heartbeat.ns, WALL.ns + 5);
    assert_int_equal(read_now().boot, 77);
    store = plan_store_free(store);
}

static void test_refuses_older(void **state)
{
    (void)state;
    PlanStore *store = open_store(0, WALL);
    uint64_t first = plan_store_first_number(store);
    write_good(store, first + 5);
    assert_int_equal(write_plan(store, first + 5, NULL), ERROR_STALE);
    assert_int_equal(write_plan(store, first + 4, NULL), ERROR_STALE);
    assert_int_equal(write_plan(store, first - 1, NULL), ERROR_STALE);
    assert_int_equal(read_now().number, first + 5);
    store = plan_store_free(store);
}

// A prefixes file that was not written by this process may be torn: it is written again.
static void test_foreign_prefixes(void **state)
{
    (void)state;
    Plan plan = sample_plan();
    char name[64];
    snprintf(name, sizeof(name), PREFIXES_FILE_NAME, plan.prefixes_digest);
    assert_int_equal(files_replace(in_folder(name).text, "torn", 4, NULL, NULL), 0);
    PlanStore *store = open_store(0, WALL);
    write_good(store, plan_store_first_number(store));
    struct stat st;
    assert_int_equal(stat(in_folder(name).text, &st), 0);
    assert_true(st.st_size > 4);
    store = plan_store_free(store);
}

static void test_adopts(void **state)
{
    (void)state;
    Plan plan = sample_plan();
    const char *region = plan.gateways[plan.own].region;
    PlanStore *store = open_store(0, WALL);
    uint64_t first = plan_store_first_number(store);
    assert_int_equal(plan_store_adopt(store, plan.config_hash, region, WALL, NS_PER_S), 0);
    write_good(store, first);
    store = plan_store_free(store);
    Wall soon = {WALL.ns + NS_PER_S / 2};
    store = open_store(0, soon);
    assert_int_equal(plan_store_adopt(store, plan.config_hash + 1, region, soon, NS_PER_S), 0);
    assert_int_equal(plan_store_adopt(store, plan.config_hash, "other", soon, NS_PER_S), 0);
    Wall late = {WALL.ns + 2 * NS_PER_S}, before = {WALL.ns - 1};
    assert_int_equal(plan_store_adopt(store, plan.config_hash, region, late, NS_PER_S), 0);
    assert_int_equal(plan_store_adopt(store, plan.config_hash, region, before, NS_PER_S), 0);
    assert_int_equal(plan_store_adopt(store, plan.config_hash, region, soon, NS_PER_S), first);
    assert_int_equal(plan_store_beat(store, soon, NULL), 0);
    assert_int_equal(read_now().number, first);
    store = plan_store_free(store);
    // A plan that is damaged is not adopted.
    int fd = open(plan_path(first).text, O_WRONLY);
    assert_int_equal(pwrite(fd, "x", 1, 60), 1);
    close(fd);
    store = open_store(0, soon);
    assert_int_equal(plan_store_adopt(store, plan.config_hash, region, soon, NS_PER_S), 0);
    store = plan_store_free(store);
}

// --- The publisher ---

typedef struct Seen {
    unsigned changes;
    PublisherStatus status;
    char error[256];
} Seen;

static void on_changed(void *context, const PublisherStatus *status)
{
    Seen *seen = context;
    seen->changes++;
    seen->status = *status;
    snprintf(seen->error, sizeof(seen->error), "%s", status->error);
}

static void on_limit(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void run_until(uv_loop_t *loop, const Seen *seen, unsigned changes)
{
    bool late = false;
    uv_timer_t limit;
    uv_timer_init(loop, &limit);
    limit.data = &late;
    uv_timer_start(&limit, on_limit, 10000, 0);
    while (seen->changes < changes && !late)
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&limit, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    if (late)
        fail_msg("%u changes, not %u: '%s'", seen->changes, changes, seen->error);
}

static void offer(Publisher *publisher, uint64_t number)
{
    Plan plan = sample_plan();
    plan.number = number;
    Model model = {.prefixes = SAMPLE_PREFIXES, .n_prefixes = SAMPLE_N_PREFIXES};
    assert_int_equal(publisher_offer(publisher, &plan, &model, NULL), 0);
}

static void test_publisher(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    PlanStore *store = open_store(0, WALL);
    uint64_t first = plan_store_first_number(store);
    Seen seen = {0};
    Publisher *publisher;
    assert_int_equal(publisher_new(&loop, store, 0, on_changed, &seen, &publisher, NULL), 0);
    assert_int_equal(publisher_status(publisher).number, 0);
    offer(publisher, first);
    offer(publisher, first + 1); // waits, and is overtaken
    offer(publisher, first + 2);
    run_until(&loop, &seen, 2);
    assert_int_equal(read_now().number, first + 2);
    assert_false(files_exist(plan_path(first + 1).text));
    Wall heartbeat = read_now().heartbeat;
    while (read_now().heartbeat.ns == heartbeat.ns) // it goes on saying so
        uv_run(&loop, UV_RUN_ONCE);
    publisher_stop(publisher);
    uv_run(&loop, UV_RUN_DEFAULT);
    publisher = publisher_free(publisher);
    assert_int_equal(uv_loop_close(&loop), 0);
}

// The folder goes away under it: error and no heartbeat; it comes back: written without being
// asked.
static void test_publisher_recovers(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    PlanStore *store = open_store(0, WALL);
    uint64_t first = plan_store_first_number(store);
    Seen seen = {0};
    Publisher *publisher;
    assert_int_equal(publisher_new(&loop, store, 0, on_changed, &seen, &publisher, NULL), 0);
    offer(publisher, first);
    run_until(&loop, &seen, 1);
    char away[160];
    snprintf(away, sizeof(away), "%s.away", folder);
    assert_int_equal(rename(folder, away), 0);
    offer(publisher, first + 1);
    run_until(&loop, &seen, 2);
    assert_true(seen.error[0] != '\0');
    assert_int_equal(seen.status.number, first);
    assert_int_equal(rename(away, folder), 0);
    assert_int_equal(read_now().number, first);
    run_until(&loop, &seen, 3);
    assert_string_equal(seen.error, "");
    assert_int_equal(read_now().number, first + 1);
    publisher_stop(publisher);
    uv_run(&loop, UV_RUN_DEFAULT);
    publisher = publisher_free(publisher);
    assert_int_equal(uv_loop_close(&loop), 0);
}

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, drop_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_first_number),
        STORE_TEST(test_lost_folder),
        STORE_TEST(test_damaged_epoch),
        STORE_TEST(test_writes_and_tidies),
        STORE_TEST(test_refuses_older),
        STORE_TEST(test_foreign_prefixes),
        STORE_TEST(test_adopts),
        STORE_TEST(test_publisher),
        STORE_TEST(test_publisher_recovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
