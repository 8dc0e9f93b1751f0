// SPDX-License-Identifier: MIT
// evidence: counters of several workers become what happened since the last reading; restarts,
// damage and impossible values give nothing.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "evidence.h"
#include "files.h"
#include "hash.h"
#include "unit.h"

static char folder[128];
static CountersFile file;

static const ModelRegion REGIONS[] = {{.name = "a", .replicas = 2}, {.name = "b"}, {.name = "c"}};
static const Model MODEL = {.n_regions = 3, .regions = REGIONS};

static int make_folder(void **state)
{
    (void)state;
    memset(&file, 0, sizeof(file));
    file.header.magic = COUNTERS_MAGIC;
    file.header.version = COUNTERS_VERSION;
    file.header.pid = 100;
    file.header.started_ns = 5;
    snprintf(folder, sizeof(folder), "/tmp/wildcam-evidence-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    return files_remove_tree(folder, NULL);
}

// In place, as an edge's worker does.
static void put_file(unsigned slot, size_t len)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/edge-%u", folder, slot);
    file.header.sequence++;
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    assert_int_equal(ftruncate(fd, (off_t)len), 0);
    assert_int_equal(pwrite(fd, &file, len, 0), len);
    close(fd);
}

static CountersTarget *target(unsigned slot, const char *name)
{
    file.targets[slot].name_hash = hash_text(HASH_SEED, name);
    return &file.targets[slot];
}

static Evidence *start(int64_t now_ns)
{
    Evidence *evidence;
    assert_int_equal(evidence_new(folder, (Mono){now_ns}, &evidence, NULL), 0);
    return evidence;
}

static uint32_t read_at(Evidence *evidence, int64_t now_ns, EvidenceEdge *edges)
{
    return evidence_read(evidence, &MODEL, 0, (Mono){now_ns}, edges, NULL);
}

static void test_deltas(void **state)
{
    (void)state;
    EvidenceEdge edges[3];
    Evidence *evidence = start(10 * NS_PER_S);
    target(0, "b")->ok = 1000; // from before the agent
    put_file(0, sizeof(file));
    assert_int_equal(read_at(evidence, 11 * NS_PER_S, edges), 0);
    file.targets[0].ok += 5;
    file.targets[0].error += 2;
    file.targets[0].failure += 1;
    file.targets[0].success_sent_ns = (uint64_t)(12 * NS_PER_S);
    file.edge.retries += 4;
    put_file(0, sizeof(file));
    assert_int_equal(read_at(evidence, 13 * NS_PER_S, edges), 1);
    assert_true(edges[1].fresh);
    assert_int_equal(edges[1].edge.successes, 5);
    assert_int_equal(edges[1].edge.failures, 3);
    assert_true(edges[1].edge.any_success);
    assert_int_equal(edges[1].edge.success_sent.ns, 12 * NS_PER_S);
    assert_int_equal(evidence_totals(evidence).retries, 4);
    assert_int_equal(read_at(evidence, 14 * NS_PER_S, edges), 0); // told once
    evidence = evidence_free(evidence);
}

// A worker that began after the agent counts from zero, in a slot of its own or of one that ended.
static void test_new_worker(void **state)
{
    (void)state;
    EvidenceEdge edges[3];
    Evidence *evidence = start(10 * NS_PER_S);
    target(0, "b")->ok = 1000;
    put_file(0, sizeof(file));
    read_at(evidence, 11 * NS_PER_S, edges);
    file.header.pid = 101;
    file.header.started_ns = (uint64_t)(12 * NS_PER_S);
    file.targets[0].ok = 7;
    put_file(0, sizeof(file));
    assert_int_equal(read_at(evidence, 13 * NS_PER_S, edges), 1);
    assert_int_equal(edges[1].edge.successes, 7);
    put_file(3, sizeof(file));
    assert_int_equal(read_at(evidence, 15 * NS_PER_S, edges), 1);
    assert_int_equal(edges[1].edge.successes, 7);
    evidence = evidence_free(evidence);
}

// The own region's replicas count for the own gateway, and make its load.
static void test_own_load(void **state)
{
    (void)state;
    EvidenceEdge edges[3];
    Evidence *evidence = start(10 * NS_PER_S);
    target(0, "a/1");
    target(1, "a/2");
    target(2, "foreign/1")->ok = 99;
    put_file(0, sizeof(file));
    read_at(evidence, 10 * NS_PER_S, edges);
    int64_t now = 10 * NS_PER_S;
    for (unsigned i = 0; i < 100; i++) { // 100 requests/s at each for 10 s
        now += NS_PER_S / 10;
        file.targets[0].ok += 10;
        file.targets[1].ok += 9;
        file.targets[1].error += 1;
        file.targets[2].ok += 50;
        put_file(0, sizeof(file));
        read_at(evidence, now, edges);
    }
    assert_in_range(edges[0].edge.load_rps, 195, 205);
    assert_false(edges[1].fresh);
    for (unsigned i = 0; i < 200; i++)
        read_at(evidence, now += NS_PER_S / 10, edges);
    assert_int_equal(edges[0].edge.load_rps, 0);
    evidence = evidence_free(evidence);
}

static void test_damage(void **state)
{
    (void)state;
    EvidenceEdge edges[3];
    Error err = ERROR_INIT;
    Evidence *evidence = start(10 * NS_PER_S);
    target(0, "b")->ok = 10;
    put_file(0, sizeof(file));
    read_at(evidence, 11 * NS_PER_S, edges);
    // Truncated, foreign, and jumps that cannot be.
    put_file(0, 1000);
    assert_int_equal(evidence_read(evidence, &MODEL, 0, (Mono){13 * NS_PER_S}, edges, &err), 0);
    assert_non_null(err.text);
    error_done(&err);
    file.header.magic++;
    put_file(0, sizeof(file));
    assert_int_equal(evidence_read(evidence, &MODEL, 0, (Mono){15 * NS_PER_S}, edges, &err), 0);
    assert_non_null(err.text);
    error_done(&err);
    assert_true(evidence_totals(evidence).damaged >= 2);
    file.header.magic--;
    put_file(0, sizeof(file));
    read_at(evidence, 17 * NS_PER_S, edges);
    file.targets[0].ok = UINT64_MAX;
    file.targets[0].success_sent_ns = UINT64_MAX;
    put_file(0, sizeof(file));
    assert_int_equal(read_at(evidence, 19 * NS_PER_S, edges), 0);
    file.targets[0].ok = 3; // backwards
    put_file(0, sizeof(file));
    assert_int_equal(read_at(evidence, 21 * NS_PER_S, edges), 0);
    file.targets[0].ok = 4;
    put_file(0, sizeof(file));
    assert_int_equal(read_at(evidence, 23 * NS_PER_S, edges), 1);
    assert_false(edges[1].edge.any_success); // its time lies in the future
    evidence = evidence_free(evidence);
}

static void test_newest_plan(void **state)
{
    (void)state;
    assert_int_equal(evidence_newest_plan(folder), 0);
    file.header.plan_number = 7;
    put_file(0, sizeof(file));
    file.header.plan_number = 9;
    put_file(5, sizeof(file));
    file.header.magic = 0;
    file.header.plan_number = 11;
    put_file(6, sizeof(file));
    assert_int_equal(evidence_newest_plan(folder), 9);
}

#define EVIDENCE_TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, drop_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EVIDENCE_TEST(test_deltas), EVIDENCE_TEST(test_new_worker),  EVIDENCE_TEST(test_own_load),
        EVIDENCE_TEST(test_damage), EVIDENCE_TEST(test_newest_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
