// SPDX-License-Identifier: MIT
// plan_file: what was written comes back; everything else is refused.
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "bounds.h"
#include "hash.h"
#include "plan_file.h"
#include "samples.h"

#define ARENA_LIMIT ((size_t)1 << 20)

static int decode(const void *bytes, size_t len, Arena *arena, const Plan **ret_plan)
{
    // Exactly the size, so that a sanitizer sees a read behind the end.
    void *exact = malloc(len > 0 ? len : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, len);
    Error err = ERROR_INIT;
    int r = plan_file_decode(exact, len, arena, ret_plan, &err);
    if (r < 0)
        assert_true(strncmp(error_text(&err), "plan: ", 6) == 0);
    error_done(&err);
    memset(exact, 0x5a, len); // nothing may point into the bytes
    free(exact);
    return r;
}

static int decode_and_forget(const void *bytes, size_t len)
{
    Arena *arena = arena_new(ARENA_LIMIT);
    const Plan *plan;
    int r = decode(bytes, len, arena, &plan);
    arena_free(arena);
    return r;
}

static Buf encoded(const Plan *plan)
{
    Buf buf = BUF_INIT(0);
    assert_int_equal(plan_file_encode(plan, &buf), 0);
    return buf;
}

// After a change inside: puts the right checksum, so that only the content can be refused.
static void seal(Buf *buf)
{
    uint32_t crc = crc32c(0, buf->data, buf->len - 4);
    for (size_t i = 0; i < 4; i++)
        buf->data[buf->len - 4 + i] = (char)(crc >> (8 * i));
}

static void assert_same_entries(const PlanEntry *a, const PlanEntry *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(a[i].gateway, b[i].gateway);
        assert_int_equal(a[i].share_ppm, b[i].share_ppm);
    }
}

static void test_round_trip(void **state)
{
    Plan plan = sample_plan();
    Buf buf = encoded(&plan);
    Arena *arena = arena_new(ARENA_LIMIT);
    const Plan *got;
    assert_int_equal(decode(buf.data, buf.len, arena, &got), 0);
    assert_int_equal(got->generation, 7);
    assert_int_equal(got->config_hash, plan.config_hash);
    assert_int_equal(got->fleet_digest, plan.fleet_digest);
    assert_int_equal(got->prefixes_digest, plan.prefixes_digest);
    assert_int_equal(got->number, plan.number);
    assert_int_equal(got->made.ns, plan.made.ns);
    assert_string_equal(got->gateways[1].region, "westus2");
    assert_string_equal(got->gateways[1].cloud, "azure");
    assert_string_equal(got->gateways[1].address, "127.2.1.1");
    assert_int_equal(got->gateways[1].state, HEALTH_DOWN);
    assert_int_equal(got->gateways[1].share_ppm, 100000);
    assert_int_equal(got->gateways[0].load_ppm, 410000);
    assert_int_equal(got->gateways[0].peer_port, 8444);
    assert_true(got->services[0].open[SERVICE_CLASS_READ]);
    assert_false(got->services[0].open[SERVICE_CLASS_WRITE]);
    assert_string_equal(got->groups[1], "europe");
    assert_int_equal(got->n_routes, 8);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(got->routes[i].service, plan.routes[i].service);
        assert_int_equal(got->routes[i].class_, plan.routes[i].class_);
        assert_int_equal(got->routes[i].group, plan.routes[i].group);
        assert_int_equal(got->routes[i].n_entries, plan.routes[i].n_entries);
        assert_same_entries(got->routes[i].entries, plan.routes[i].entries,
                            plan.routes[i].n_entries);
    }
    assert_int_equal(got->pins[0].gateway, 2);
    assert_memory_equal(&got->pins[0].prefix, &plan.pins[0].prefix, sizeof(IpPrefix));
    assert_string_equal(got->replicas[1].socket, plan.replicas[1].socket);
    assert_int_equal(got->replicas[1].state, HEALTH_SUSPECT);
    assert_int_equal(got->replicas[0].weight, 100);
    assert_int_equal(got->n_forward[SERVICE_CLASS_WRITE], 1);
    assert_same_entries(got->forward[0], plan.forward[0], 2);
    assert_int_equal(got->pick.eject_max_ns, plan.pick.eject_max_ns);
    assert_int_equal(got->pick.retry_burst, 10);
    // The encoding is canonical.
    Buf again = encoded(got);
    assert_int_equal(again.len, buf.len);
    assert_memory_equal(again.data, buf.data, buf.len);
    buf_done(&again);
    buf_done(&buf);
    arena_free(arena);
}

static void test_smallest_plan(void **state)
{
    Plan plan = sample_plan_small();
    Buf buf = encoded(&plan);
    assert_int_equal(decode_and_forget(buf.data, buf.len), 0);
    buf_done(&buf);
}

static void test_every_truncation_is_refused(void **state)
{
    Plan plan = sample_plan();
    Buf buf = encoded(&plan);
    for (size_t len = 0; len < buf.len; len++)
        assert_true(decode_and_forget(buf.data, len) < 0);
    buf_add_char(&buf, '\0'); // one byte too many
    assert_int_equal(decode_and_forget(buf.data, buf.len), ERROR_FORMAT);
    buf_done(&buf);
}

// With a good checksum too: then the parser itself must notice the end.
static void test_every_sealed_truncation_is_refused(void **state)
{
    Plan plan = sample_plan();
    Buf buf = encoded(&plan);
    while (buf.len > 28) {
        buf.len--;
        for (size_t i = 0; i < 8; i++)
            buf.data[16 + i] = (char)((uint64_t)buf.len >> (8 * i));
        seal(&buf);
        assert_true(decode_and_forget(buf.data, buf.len) < 0);
    }
    buf_done(&buf);
}

static void test_every_flipped_bit_is_refused(void **state)
{
    Plan plan = sample_plan();
    Buf buf = encoded(&plan);
    for (size_t i = 0; i < buf.len * 8; i++) {
        buf.data[i / 8] = (char)(buf.data[i / 8] ^ (1 << (i % 8)));
        assert_true(decode_and_forget(buf.data, buf.len) < 0);
        buf.data[i / 8] = (char)(buf.data[i / 8] ^ (1 << (i % 8)));
    }
    assert_int_equal(decode_and_forget(buf.data, buf.len), 0);
    buf_done(&buf);
}

// A flipped byte under a good checksum may give another valid plan, never a crash or an insane one.
static void test_every_sealed_change_is_handled(void **state)
{
    Plan plan = sample_plan();
    Buf buf = encoded(&plan);
    int refused = 0;
    for (size_t i = 0; i < buf.len - 4; i++) {
        char before = buf.data[i];
        buf.data[i] = (char)~before;
        seal(&buf);
        refused += decode_and_forget(buf.data, buf.len) < 0;
        buf.data[i] = before;
    }
    assert_true(refused > 100);
    buf_done(&buf);
}

static void test_foreign_and_other_versions_are_refused(void **state)
{
    Plan plan = sample_plan();
    Buf buf = encoded(&plan);
    buf.data[0] = 'X';
    seal(&buf);
    assert_int_equal(decode_and_forget(buf.data, buf.len), ERROR_FOREIGN);
    buf.data[0] = 'W';
    for (int version = 0; version < 3; version += 2) {
        buf.data[8] = (char)version;
        seal(&buf);
        assert_int_equal(decode_and_forget(buf.data, buf.len), ERROR_FORMAT);
    }
    buf.data[8] = 1;
    seal(&buf);
    assert_int_equal(decode_and_forget(buf.data, buf.len), 0);
    Buf other = BUF_INIT(0);
    assert_int_equal(prefixes_encode(SAMPLE_PREFIXES, SAMPLE_N_PREFIXES, 1, &other), 0);
    assert_int_equal(decode_and_forget(other.data, other.len), ERROR_FOREIGN);
    assert_int_equal(decode_and_forget("", 0), ERROR_FORMAT);
    buf_done(&other);
    buf_done(&buf);
}

static void refuse(const Plan *plan, int code)
{
    Buf buf = BUF_INIT(0);
    assert_int_equal(plan_file_encode(plan, &buf), code);
    assert_int_equal(buf.len, 0);
    buf_done(&buf);
}

static void test_insane_plans_are_not_written(void **state)
{
    const Plan good = sample_plan();
    Plan plan = good;
    plan.n_gateways = 0;
    refuse(&plan, ERROR_RANGE);
    plan = good, plan.n_services = 0;
    refuse(&plan, ERROR_RANGE);
    plan = good, plan.n_groups = 0;
    refuse(&plan, ERROR_RANGE);
    plan = good, plan.n_routes = 7;
    refuse(&plan, ERROR_RANGE);
    plan = good, plan.own = 3;
    refuse(&plan, ERROR_RANGE);
    plan = good, plan.own = 2; // forwards to itself
    refuse(&plan, ERROR_RANGE);
    plan = good, plan.number = 0;
    refuse(&plan, ERROR_RANGE);
    plan = good, plan.n_gateways = BOUND_REGIONS + 1;
    refuse(&plan, ERROR_LIMIT);
    plan = good, plan.n_groups = BOUND_GROUPS + 1;
    refuse(&plan, ERROR_LIMIT);
    plan = good, plan.n_replicas = BOUND_REPLICAS + 1;
    refuse(&plan, ERROR_LIMIT);
    plan = good, plan.n_pins = BOUND_INTENTS + 1;
    refuse(&plan, ERROR_LIMIT);
    plan = good, plan.n_forward[0] = BOUND_ORDER + 1;
    refuse(&plan, ERROR_LIMIT);
    plan = good, plan.pick.retry_budget_ppm = PPM_ONE + 1;
    refuse(&plan, ERROR_RANGE);
}

static void test_insane_parts_are_not_written(void **state)
{
    const Plan good = sample_plan();
    Plan plan = good;
    PlanRoute routes[8];
    memcpy(routes, good.routes, sizeof routes);
    plan.routes = routes;
    routes[3].n_entries = 0;
    refuse(&plan, ERROR_RANGE);
    routes[3].n_entries = BOUND_ORDER + 1;
    refuse(&plan, ERROR_LIMIT);
    const PlanEntry bad[][2] = {{{0, 500000}, {1, 400000}},
                                {{0, 500000}, {3, 500000}},
                                {{0, 500000}, {0, 500000}},
                                {{0, 2000000}, {1, 0}}};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        routes[3].n_entries = 2;
        routes[3].entries = bad[i];
        refuse(&plan, ERROR_RANGE);
    }
    routes[3] = good.routes[2];
    refuse(&plan, ERROR_RANGE);

    plan = good;
    PlanGateway gateways[3];
    memcpy(gateways, good.gateways, sizeof gateways);
    plan.gateways = gateways;
    gateways[1].region = "";
    refuse(&plan, ERROR_RANGE);
    char longer[BOUND_NAME + 2];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    gateways[1].region = longer;
    refuse(&plan, ERROR_LIMIT);
    gateways[1] = good.gateways[1];
    gateways[1].state = HEALTH_MAX;
    refuse(&plan, ERROR_RANGE);
    gateways[1] = good.gateways[1];
    gateways[1].classes = 4;
    refuse(&plan, ERROR_RANGE);
    gateways[1] = good.gateways[1];
    gateways[1].edge_port = 0;
    refuse(&plan, ERROR_RANGE);

    plan = good;
    PlanPin pin = good.pins[0];
    plan.pins = &pin;
    pin.prefix.ip.bytes[15] = 1; // a host bit
    refuse(&plan, ERROR_RANGE);
    pin.prefix.bits = 129;
    refuse(&plan, ERROR_RANGE);

    plan = good;
    PlanReplica replica = good.replicas[0];
    plan.replicas = &replica, plan.n_replicas = 1;
    replica.weight = 0;
    refuse(&plan, ERROR_RANGE);
}

// A text with a NUL inside would be two different names to two readers.
static void test_nul_in_a_text_is_refused(void **state)
{
    Plan plan = sample_plan();
    Buf buf = encoded(&plan);
    char *name = memmem(buf.data, buf.len, "us-west-2", 9);
    assert_non_null(name);
    name[2] = '\0';
    seal(&buf);
    assert_int_equal(decode_and_forget(buf.data, buf.len), ERROR_FORMAT);
    buf_done(&buf);
}

static void test_counts_do_not_allocate(void **state)
{
    Plan plan = sample_plan();
    Buf buf = encoded(&plan);
    Arena *arena = arena_new(ARENA_LIMIT);
    const size_t counts_at = 24 + 28;
    for (size_t i = 0; i < 8; i++) { // each count in turn
        char before[4];
        memcpy(before, buf.data + counts_at + 4 * i, 4);
        memset(buf.data + counts_at + 4 * i, 0xff, 4);
        seal(&buf);
        const Plan *got;
        arena_reset(arena);
        assert_int_equal(decode(buf.data, buf.len, arena, &got), ERROR_FORMAT);
        assert_true(arena_used(arena) < 16 * buf.len);
        memcpy(buf.data + counts_at + 4 * i, before, 4);
    }
    arena_free(arena);
    buf_done(&buf);
}

static void test_allocation_failure(void **state)
{
    Plan plan = sample_plan();
    Buf buf = encoded(&plan);
    // The arena refuses at its limit: every limit below what is needed gives ERROR_MEMORY.
    Arena *arena = arena_new(ARENA_LIMIT);
    const Plan *got;
    assert_int_equal(decode(buf.data, buf.len, arena, &got), 0);
    size_t need = arena_used(arena);
    arena_free(arena);
    for (size_t limit = 1; limit < need; limit += 7) {
        arena = arena_new(limit);
        assert_int_equal(decode(buf.data, buf.len, arena, &got), ERROR_MEMORY);
        arena_free(arena);
    }
    // And malloc fails under the arena and under the buffer.
    arena = arena_new(ARENA_LIMIT);
    alloc_fail_after(0);
    assert_int_equal(decode(buf.data, buf.len, arena, &got), ERROR_MEMORY);
    alloc_fail_after(-1);
    arena_free(arena);
    for (long n = 0;; n++) {
        Buf out = BUF_INIT(0);
        alloc_fail_after(n);
        int r = plan_file_encode(&plan, &out);
        alloc_fail_after(-1);
        buf_done(&out);
        if (r == 0) {
            assert_true(n > 2);
            break;
        }
        assert_int_equal(r, ERROR_MEMORY);
    }
    Buf small = BUF_INIT(100);
    assert_int_equal(plan_file_encode(&plan, &small), ERROR_LIMIT);
    buf_done(&small);
    buf_done(&buf);
}

static void test_plan_now(void **state)
{
    const PlanNow now = {.number = 0xfedcba9876543210, .heartbeat = {-5}, .boot = UINT64_MAX};
    unsigned char bytes[PLAN_NOW_BYTES];
    plan_now_encode(&now, bytes);
    PlanNow got;
    assert_int_equal(plan_now_decode(bytes, sizeof bytes, &got, NULL), 0);
    assert_int_equal(got.number, now.number);
    assert_int_equal(got.heartbeat.ns, -5);
    assert_int_equal(got.boot, UINT64_MAX);
    for (size_t len = 0; len < sizeof bytes; len++)
        assert_int_equal(plan_now_decode(bytes, len, &got, NULL), ERROR_FORMAT);
    for (size_t i = 0; i < sizeof bytes * 8; i++) {
        bytes[i / 8] ^= (unsigned char)(1 << (i % 8));
        assert_true(plan_now_decode(bytes, sizeof bytes, &got, NULL) < 0);
        bytes[i / 8] ^= (unsigned char)(1 << (i % 8));
    }
    const unsigned char empty[PLAN_NOW_BYTES] = {0}; // a file just made
    assert_int_equal(plan_now_decode(empty, sizeof empty, &got, NULL), ERROR_FOREIGN);
}

static void test_prefixes(void **state)
{
    Buf buf = BUF_INIT(0);
    assert_int_equal(prefixes_encode(SAMPLE_PREFIXES, SAMPLE_N_PREFIXES, 0xabcdef, &buf), 0);
    Arena *arena = arena_new(ARENA_LIMIT);
    const ModelPrefix *got;
    uint32_t n;
    uint64_t digest;
    Error err = ERROR_INIT;
    assert_int_equal(prefixes_decode(buf.data, buf.len, arena, &got, &n, &digest, &err), 0);
    assert_int_equal(n, SAMPLE_N_PREFIXES);
    assert_int_equal(digest, 0xabcdef);
    for (uint32_t i = 0; i < n; i++) {
        assert_memory_equal(&got[i].prefix, &SAMPLE_PREFIXES[i].prefix, sizeof(IpPrefix));
        assert_int_equal(got[i].group, SAMPLE_PREFIXES[i].group);
    }
    for (size_t len = 0; len < buf.len; len++)
        assert_true(prefixes_decode(buf.data, len, arena, &got, &n, &digest, &err) < 0);
    for (size_t i = 0; i < buf.len * 8; i++) {
        buf.data[i / 8] = (char)(buf.data[i / 8] ^ (1 << (i % 8)));
        assert_true(prefixes_decode(buf.data, buf.len, arena, &got, &n, &digest, &err) < 0);
        buf.data[i / 8] = (char)(buf.data[i / 8] ^ (1 << (i % 8)));
    }
    buf_clear(&buf);
    ModelPrefix swapped[] = {SAMPLE_PREFIXES[2], SAMPLE_PREFIXES[1]};
    assert_int_equal(prefixes_encode(swapped, 2, 1, &buf), ERROR_RANGE);
    swapped[1] = swapped[0]; // twice the same
    assert_int_equal(prefixes_encode(swapped, 2, 1, &buf), ERROR_RANGE);
    swapped[0].group = BOUND_GROUPS;
    assert_int_equal(prefixes_encode(swapped, 1, 1, &buf), ERROR_RANGE);
    assert_int_equal(prefixes_encode(swapped, 0, 1, &buf), ERROR_RANGE);
    error_done(&err);
    arena_free(arena);
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_smallest_plan),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_every_sealed_truncation_is_refused),
        cmocka_unit_test(test_every_flipped_bit_is_refused),
        cmocka_unit_test(test_every_sealed_change_is_handled),
        cmocka_unit_test(test_foreign_and_other_versions_are_refused),
        cmocka_unit_test(test_insane_plans_are_not_written),
        cmocka_unit_test(test_insane_parts_are_not_written),
        cmocka_unit_test(test_nul_in_a_text_is_refused),
        cmocka_unit_test(test_counts_do_not_allocate),
        cmocka_unit_test(test_allocation_failure),
        cmocka_unit_test(test_plan_now),
        cmocka_unit_test(test_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
