// SPDX-License-Identifier: MIT
// Tests of pick_order: prefix lookup against a plain scan, shares by block, pins, whole orders.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attr.h"
#include "bounds.h"
#include "pick.h"
#include "rng.h"

static Ip ip(const char *text)
{
    Ip result;
    assert_int_equal(ip_parse(text, &result), 0);
    return result;
}

static IpPrefix prefix(const char *text)
{
    IpPrefix result;
    assert_int_equal(ip_prefix_parse(text, &result), 0);
    return result;
}

static int by_ip_and_bits(const void *a, const void *b)
{
    const ModelPrefix *x = a, *y = b;
    int r = memcmp(x->prefix.ip.bytes, y->prefix.ip.bytes, 16);
    return r != 0 ? r : (int)x->prefix.bits - (int)y->prefix.bits;
}

static int scan(const ModelPrefix *prefixes, uint32_t n, const Ip *address)
{
    int best = -1;
    for (uint32_t i = 0; i < n; i++)
        if (ip_prefix_contains(&prefixes[i].prefix, address) &&
            (best < 0 || prefixes[i].prefix.bits > prefixes[best].prefix.bits))
            best = (int)i;
    return best < 0 ? -1 : (int)prefixes[best].group;
}

// Few distinct bits, so that prefixes nest deeply.
static Ip random_ip(Rng *rng)
{
    Ip result = {0};
    for (int i = 0; i < 16; i++)
        result.bytes[i] = rng_below(rng, 3) == 0 ? (uint8_t)(rng_next(rng) & 0x81) : 0;
    return result;
}

static void lookup_equals_a_scan(void **state)
{
    Rng rng = rng_seeded(7);
    for (int round = 0; round < 300; round++) {
        ModelPrefix prefixes[60];
        uint32_t n = (uint32_t)rng_below(&rng, ARRAY_SIZE(prefixes)), kept = 0;
        for (uint32_t i = 0; i < n; i++) {
            uint8_t bits = (uint8_t)rng_below(&rng, 129);
            prefixes[i].prefix = (IpPrefix){ip_masked(random_ip(&rng), bits), bits};
        }
        if (n > 0)
            qsort(prefixes, n, sizeof prefixes[0], by_ip_and_bits);
        for (uint32_t i = 0; i < n; i++)
            if (kept == 0 || by_ip_and_bits(&prefixes[i], &prefixes[kept - 1]) != 0) {
                prefixes[kept] = prefixes[i];
                prefixes[kept].group = kept;
                kept++;
            }
        for (int i = 0; i < 300; i++) {
            Ip address = random_ip(&rng);
            assert_int_equal(pick_group(prefixes, kept, &address), scan(prefixes, kept, &address));
        }
    }
}

static void lookup_of_real_prefixes(void **state)
{
    static const struct {
        const char *prefix;
        uint32_t group;
    } ROWS[] = {{"0.0.0.0/0", 1},   {"10.0.0.0/8", 2}, {"10.1.0.0/16", 3},  {"10.1.2.0/24", 4},
                {"127.0.0.0/8", 5}, {"::/0", 6},       {"2001:db8::/32", 7}};
    ModelPrefix prefixes[ARRAY_SIZE(ROWS)];
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++)
        prefixes[i] = (ModelPrefix){prefix(ROWS[i].prefix), ROWS[i].group};
    qsort(prefixes, ARRAY_SIZE(ROWS), sizeof prefixes[0], by_ip_and_bits);
    static const struct {
        const char *address;
        int group;
    } CASES[] = {{"9.9.9.9", 1},     {"10.200.0.1", 2}, {"10.1.3.1", 3},        {"10.1.2.255", 4},
                 {"10.2.0.0", 2},    {"127.1.1.1", 5},  {"255.255.255.255", 1}, {"2001:db8::1", 7},
                 {"2001:db9::1", 6}, {"::", 6},         {"ffff::", 6}};
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        Ip address = ip(CASES[i].address);
        assert_int_equal(pick_group(prefixes, ARRAY_SIZE(ROWS), &address), CASES[i].group);
    }
}

static void shares_are_met_and_a_block_stays_together(void **state)
{
    static const PlanEntry ENTRIES[] = {{4, 0}, {2, 330000}, {0, 330000}, {1, 340000}};
    int hits[4] = {0};
    for (uint32_t i = 0; i < 65536; i++) {
        Ip address = ip("10.0.0.0");
        address.bytes[13] = (uint8_t)(i >> 8);
        address.bytes[14] = (uint8_t)i;
        IpPrefix block = ip_client_block(&address);
        uint32_t entry = pick_entry(ENTRIES, 4, &block);
        hits[entry]++;
        address.bytes[15] = 77;
        block = ip_client_block(&address);
        assert_int_equal(pick_entry(ENTRIES, 4, &block), entry);
    }
    assert_int_equal(hits[0], 0);
    assert_in_range(hits[1], 65536 * 32 / 100, 65536 * 34 / 100);
    assert_in_range(hits[2], 65536 * 32 / 100, 65536 * 34 / 100);
    assert_in_range(hits[3], 65536 * 33 / 100, 65536 * 35 / 100);
    static const PlanEntry NONE[] = {{4, 0}, {2, 0}};
    IpPrefix block = prefix("10.0.0.0/24");
    assert_int_equal(pick_entry(NONE, 2, &block), 0);
}

// Four gateways, one service, two groups; group 1 prefers gateway 2.
typedef struct Fixture {
    PlanGateway gateways[4];
    PlanEntry entries[2][3];
    PlanRoute routes[4];
    PlanPin pins[2];
    ModelPrefix prefixes[2];
    Plan plan;
} Fixture;

static void fixture_init(Fixture *f)
{
    *f = (Fixture){.entries = {{{0, PPM_ONE}, {1, 0}, {2, 0}}, {{2, PPM_ONE}, {1, 0}, {0, 0}}}};
    for (uint32_t i = 0; i < 4; i++) {
        f->gateways[i] = (PlanGateway){.state = HEALTH_UP, .classes = CLASS_MASK_ALL};
        f->routes[i] = (PlanRoute){
            .class_ = i / 2, .group = i % 2, .n_entries = 3, .entries = f->entries[i % 2]};
    }
    f->pins[0] = (PlanPin){prefix("10.0.0.0/8"), 3};
    f->pins[1] = (PlanPin){prefix("10.1.0.0/16"), 1};
    f->prefixes[0] = (ModelPrefix){prefix("::/0"), 0};
    f->prefixes[1] = (ModelPrefix){prefix("0.0.0.0/0"), 1};
    f->plan = (Plan){.n_gateways = 4,
                     .n_services = 1,
                     .n_groups = 2,
                     .n_routes = 4,
                     .n_pins = 2,
                     .gateways = f->gateways,
                     .routes = f->routes,
                     .pins = f->pins};
}

static void expect_order(const Fixture *f, const char *client, ServiceClass class_,
                         const char *expected)
{
    Ip address = ip(client);
    uint32_t order[BOUND_ORDER];
    char text[BOUND_ORDER + 1] = "";
    uint32_t n = pick_order(&f->plan, f->prefixes, 2, 0, class_, &address, order);
    for (uint32_t i = 0; i < n; i++)
        text[i] = (char)('0' + order[i]);
    assert_string_equal(text, expected);
}

static void orders(void **state)
{
    Fixture f;
    fixture_init(&f);
    expect_order(&f, "2001:db8::1", SERVICE_CLASS_READ, "012");
    expect_order(&f, "9.0.0.1", SERVICE_CLASS_WRITE, "210");
    expect_order(&f, "10.0.0.1", SERVICE_CLASS_READ, "3210"); // pinned outside its route
    expect_order(&f, "10.1.0.1", SERVICE_CLASS_READ, "120");  // the longer pin
    f.gateways[1].classes = CLASS_MASK_READ;
    expect_order(&f, "10.1.0.1", SERVICE_CLASS_READ, "120");
    expect_order(&f, "10.1.0.1", SERVICE_CLASS_WRITE, "210");
    static const HealthState OUT[] = {HEALTH_SUSPECT, HEALTH_DOWN, HEALTH_DRAINED, HEALTH_NEVER};
    for (size_t i = 0; i < ARRAY_SIZE(OUT); i++) {
        f.gateways[3].state = OUT[i];
        expect_order(&f, "10.0.0.1", SERVICE_CLASS_READ, "210");
    }
    f.pins[0].gateway = 99; // never out of the table
    expect_order(&f, "10.0.0.1", SERVICE_CLASS_READ, "210");
    f.prefixes[1].group = 99; // a table of another generation
    expect_order(&f, "9.0.0.1", SERVICE_CLASS_READ, "012");
}

static void the_share_decides_where_it_starts(void **state)
{
    Fixture f;
    fixture_init(&f);
    for (int i = 0; i < 3; i++)
        f.entries[1][i].share_ppm = i == 2 ? PPM_ONE : 0;
    expect_order(&f, "9.0.0.1", SERVICE_CLASS_READ, "021");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookup_equals_a_scan),
        cmocka_unit_test(lookup_of_real_prefixes),
        cmocka_unit_test(shares_are_met_and_a_block_stays_together),
        cmocka_unit_test(orders),
        cmocka_unit_test(the_share_decides_where_it_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
