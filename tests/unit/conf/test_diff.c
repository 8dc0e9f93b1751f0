// SPDX-License-Identifier: MIT
// conf_diff names each changed key once and nothing else.
#include "unit.h"

#include "alloc.h"
#include "conf_diff.h"
#include "fixture.h"

static char *small;

static int setup(void **state)
{
    size_t len;
    small = fixture_read(CONF_TESTS "/good/small.yaml", &len);
    return 0;
}

static int teardown(void **state)
{
    free(small);
    return 0;
}

static void expect_diff(const char *from, const char *to, const char *want)
{
    Conf *a = fixture_conf(from), *b = fixture_conf(to);
    Buf text = BUF_INIT(0);
    assert_int_equal(conf_diff(a, b, &text), 0);
    assert_string_equal(buf_text(&text), want);
    buf_done(&text);
    (void)conf_free(a);
    (void)conf_free(b);
}

static void expect_change(const char *old, const char *new, const char *want)
{
    char *changed = fixture_replace(small, old, new);
    expect_diff(small, changed, want);
    free(changed);
}

static void test_same(void **state)
{
    expect_diff(small, small, "");
    expect_change("clouds:", "# a comment\nclouds:", "");
    expect_change("clouds:", "health:\n  failures: 3\n  slow: 5000ms\nclouds:", "");
}

static void test_values(void **state)
{
    expect_change("generation: 1", "generation: 2", "fleet.generation: 1 -> 2\n");
    expect_change("clouds:", "health:\n  failures: 5\n  slow: 1500ms\nclouds:",
                  "health.slow: 5s -> 1500ms\nhealth.failures: 3 -> 5\n");
    expect_change("demand: 60 %", "demand: 60.0 %", "");
    expect_change("clouds:", "edge:\n  max_body: 1MiB\n  retry_budget: 12.5 %\nclouds:",
                  "edge.max_body: 16MiB -> 1MiB\nedge.retry_budget: 20 % -> 12.5 %\n");
    expect_change("clouds:", "rollouts:\n  auto_promotion: true\nclouds:",
                  "rollouts.auto_promotion: false -> true\n");
    expect_change("budgets:", "budgets:\n  monthly: 9000.50 EUR",
                  "budgets.monthly: 10000 USD -> 9000.50 EUR\n");
    expect_change("{aws: 50 %, gcp: 50 %}", "{aws: 40 %, gcp: 60 %}",
                  "budgets.shares: {aws: 50 %, gcp: 50 %} -> {aws: 40 %, gcp: 60 %}\n");
    expect_change("clouds:", "dns:\n  zones: [example.org, example.net]\nclouds:",
                  "dns.zones: [wildcam.org] -> [example.org, example.net]\n");
    expect_change("clouds:", "health:\n  return_steps: [1 %, 2 %, 3 %, 100 %]\nclouds:",
                  "health.return_steps: [10 %, 25 %, 50 %, 100 %] -> [1 %, 2 %, 3 %, 100 %]\n");
}

static void test_items(void **state)
{
    expect_change("address: 127.3.1.1", "address: 127.3.1.9",
                  "regions.west-2.gateway.address: 127.3.1.1 -> 127.3.1.9\n");
    expect_change("location: [45.8, -119.7]", "location: [45.8, 0.05]",
                  "regions.west-1.location: [45.8, -119.7] -> [45.8, 0.05]\n");
    expect_change("name: west-2", "name: west-3",
                  "regions.west-2: removed\nregions.west-3: added\n");
    expect_change("192.0.2.0/24]", "198.51.100.0/24]",
                  "clients.east.prefixes: [::/0, 192.0.2.0/24] -> [::/0, 198.51.100.0/24]\n");
    expect_change("{east-1: 12ms}", "{east-1: 12500us}",
                  "clients.east.latency: {east-1: 12ms} -> {east-1: 12500us}\n");
    expect_change("        cache: api", "        other: read",
                  "services.api.routes[/api/*].other: write -> read\n"
                  "services.api.routes[/api/*].cache: api -> none\n");
    expect_change("      - path: /health\n", "      - path: /health\n      - path: /more/*\n",
                  "services.api.routes[/more/*]: added\n");
    expect_change("  - name: aws\n  - name: gcp\n", "  - name: gcp\n  - name: aws\n",
                  "clouds: in another order\n");
    expect_change("clouds:",
                  "rollouts:\n  canary: [{weight: 10 %, pause: 5m}, {weight: 30 %, pause: "
                  "10m}]\nclouds:",
                  "rollouts.canary[1].weight: 25 % -> 30 %\nrollouts.canary[2]: removed\n"
                  "rollouts.canary[3]: removed\n");
}

// Long lists are counted, not printed.
static void test_long_values(void **state)
{
    Buf many = BUF_INIT(0);
    buf_add_text(&many, "192.0.2.0/24");
    for (int i = 0; i < 40; i++)
        buf_printf(&many, ", 10.%d.0.0/16", i);
    expect_change("192.0.2.0/24", buf_text(&many),
                  "clients.east.prefixes: [::/0, 192.0.2.0/24] -> (42 entries)\n");
    buf_done(&many);
}

static void test_location_left_out(void **state)
{
    expect_change("    location: [39.0, -77.0]\n    latency: {east-1: 12ms}\n",
                  "    latency: {east-1: 12ms, west-1: 5ms, west-2: 5ms, east-2: 5ms}\n",
                  "clients.east.location: [39.0, -77.0] -> (none)\n"
                  "clients.east.latency: {east-1: 12ms} -> {east-1: 12ms, west-1: 5ms, west-2: "
                  "5ms, east-2: 5ms}\n");
}

static void test_no_memory(void **state)
{
    char *changed = fixture_replace(small, "generation: 1", "generation: 2");
    Conf *a = fixture_conf(small), *b = fixture_conf(changed);
    int r = ERROR_MEMORY;
    long n = 0;
    for (; r != 0; n++) {
        Buf text = BUF_INIT(0);
        alloc_fail_after(n);
        r = conf_diff(a, b, &text);
        alloc_fail_after(-1);
        assert_true(r == 0 || r == ERROR_MEMORY);
        if (r == 0)
            assert_string_equal(buf_text(&text), "fleet.generation: 1 -> 2\n");
        buf_done(&text);
    }
    assert_true(n > 10); // it did fail before
    (void)conf_free(a);
    (void)conf_free(b);
    free(changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_location_left_out),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
