// SPDX-License-Identifier: MIT
// The coverage check finds the lowest address that no prefix holds: against hand-made tables, and
// against random ones whose every /8 (IPv4) or /6 (IPv6) is looked at by itself.
#include "unit.h"

#include <string.h>

#include "arena.h"
#include "bounds.h"
#include "conf_prefixes.h"
#include "rng.h"

static SortedPrefixes sorted_of(Arena *arena, const IpPrefix *prefixes, uint32_t n)
{
    static ConfRawGroup group;
    static ConfRaw raw;
    group = (ConfRawGroup){.name = "g", .prefixes = {.items = prefixes, .n = n}};
    raw.clients = (ConfList){.items = &group, .n = 1};
    SortedPrefixes sorted;
    assert_int_equal(conf_prefixes_sort(&raw, arena, &sorted), 0);
    assert_int_equal(sorted.n, n);
    return sorted;
}

// "" when all is covered.
static void expect_gap(const char *const *texts, bool v4, const char *want)
{
    Arena *arena = arena_new(1 << 20);
    IpPrefix prefixes[16];
    uint32_t n = 0;
    for (; texts[n] != NULL; n++)
        assert_int_equal(ip_prefix_parse(texts[n], &prefixes[n]), 0);
    SortedPrefixes sorted = sorted_of(arena, prefixes, n);
    Ip gap;
    char text[IP_TEXT_MAX] = "";
    if (conf_prefixes_gap(&sorted, v4, &gap))
        (void)ip_format(&gap, text);
    assert_string_equal(text, want);
    (void)arena_free(arena);
}

static void test_gaps(void **state)
{
    expect_gap((const char *[]){"0.0.0.0/0", NULL}, true, "");
    expect_gap((const char *[]){"128.0.0.0/1", "0.0.0.0/1", NULL}, true, "");
    expect_gap((const char *[]){"0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/3", "224.0.0.0/3", NULL},
               true, "");
    expect_gap((const char *[]){"0.0.0.0/1", "128.0.0.0/2", "224.0.0.0/3", NULL}, true,
               "192.0.0.0");
    expect_gap((const char *[]){"0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/3", NULL}, true,
               "224.0.0.0");
    expect_gap((const char *[]){"1.0.0.0/8", NULL}, true, "0.0.0.0");
    expect_gap((const char *[]){"0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", NULL}, true, "");
    expect_gap((const char *[]){"::/0", NULL}, true, "0.0.0.0"); // IPv6 alone does not count
    expect_gap((const char *[]){"::ffff:0:0/96", NULL}, true, "");
    expect_gap((const char *[]){"::/0", NULL}, false, "");
    expect_gap((const char *[]){"0.0.0.0/0", NULL}, false, "::");
    expect_gap((const char *[]){"::/1", NULL}, false, "8000::");
    expect_gap((const char *[]){"8000::/1", "::/2", "4000::/3", "6000::/4", "7000::/5", NULL},
               false, "7800::");
    expect_gap((const char *[]){"::/128", "::1/128", "::2/127", NULL}, false, "::4");
    expect_gap((const char *[]){NULL}, false, "::");
}

// One random table of prefixes of at most `depth` bits; each block of `depth` bits is looked at.
static void check_random(Rng *rng, bool v4, unsigned depth)
{
    Arena *arena = arena_new(1 << 20);
    IpPrefix prefixes[200];
    uint32_t n = 1 + (uint32_t)rng_below(rng, 200);
    unsigned base = v4 ? 96 : 0;
    for (uint32_t i = 0; i < n; i++) {
        Ip ip = {.bytes = {0}};
        if (v4)
            memset(ip.bytes + 10, 0xff, 2);
        ip.bytes[v4 ? 12 : 0] = (uint8_t)rng_next(rng);
        uint8_t bits = (uint8_t)(base + 1 + rng_below(rng, depth));
        prefixes[i] = (IpPrefix){.ip = ip_masked(ip, bits), .bits = bits};
    }
    SortedPrefixes sorted = sorted_of(arena, prefixes, n);
    Ip gap = {.bytes = {0}}, block = {.bytes = {0}};
    if (v4)
        memset(block.bytes + 10, 0xff, 2);
    bool found = conf_prefixes_gap(&sorted, v4, &gap), expected = false;
    for (unsigned i = 0; i < 1U << depth && !expected; i++) {
        block.bytes[v4 ? 12 : 0] = (uint8_t)(i << (8 - depth));
        expected = true;
        for (uint32_t j = 0; j < n && expected; j++)
            expected = !ip_prefix_contains(&prefixes[j], &block);
    }
    assert_int_equal(found, expected);
    if (found)
        assert_memory_equal(gap.bytes, block.bytes, sizeof gap.bytes);
    (void)arena_free(arena);
}

static void test_random_tables(void **state)
{
    Rng rng = rng_seeded(3);
    for (int i = 0; i < 3000; i++) {
        check_random(&rng, true, 1 + (unsigned)rng_below(&rng, 8));
        check_random(&rng, false, 1 + (unsigned)rng_below(&rng, 6));
    }
}

static void test_too_many(void **state)
{
    static ConfRawGroup groups[2];
    groups[0].prefixes.n = BOUND_PREFIXES;
    groups[1].prefixes.n = 1;
    ConfRaw raw = {.clients = {.items = groups, .n = 2}};
    Arena *arena = arena_new(1 << 20);
    SortedPrefixes sorted;
    assert_int_equal(conf_prefixes_sort(&raw, arena, &sorted), ERROR_LIMIT);
    (void)arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_random_tables),
        cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
