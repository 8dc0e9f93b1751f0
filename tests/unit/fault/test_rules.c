// SPDX-License-Identifier: MIT
// test_rules: what nft is told, word by word. nft and the kernel are asked by the integration
// tests.
#include <stdio.h>
#include <string.h>

#include "fault_rules.h"
#include "shipped.h"
#include "unit.h"

#define HEAD "add table inet t { flags owner; chain in { type filter hook input priority 0; "
#define TAIL "}; }"

static void expect_table(const Fault *fault, const char *rules)
{
    Buf out = BUF_INIT(0), wanted = BUF_INIT(0);
    buf_printf(&wanted, HEAD "%s" TAIL, rules);
    assert_int_equal(fault_rules_table(fault, conf, "t", &out, NULL), 0);
    assert_string_equal(buf_text(&out), buf_text(&wanted));
    buf_done(&out);
    buf_done(&wanted);
}

static void one_region_from_another(void **state)
{
    const Fault fault = {.kind = FAULT_CUT, .a = 0x01, .b = 0x04};
    expect_table(&fault, "ip saddr 127.1.1.1 ip daddr 127.2.1.1 counter drop; "
                         "ip saddr 127.2.1.1 ip daddr 127.1.1.1 counter drop; ");
}

static void a_cloud_from_another(void **state)
{
    const Fault fault = {.kind = FAULT_CUT, .a = AWS, .b = AZURE};
    expect_table(&fault, "ip saddr 127.1.1.1 ip daddr { 127.2.1.1, 127.2.2.1 } counter drop; "
                         "ip saddr 127.1.2.1 ip daddr { 127.2.1.1, 127.2.2.1 } counter drop; "
                         "ip saddr 127.2.1.1 ip daddr { 127.1.1.1, 127.1.2.1 } counter drop; "
                         "ip saddr 127.2.2.1 ip daddr { 127.1.1.1, 127.1.2.1 } counter drop; ");
}

// Everybody from everybody: each pair once in each direction, nobody from himself.
static void all_against_all(void **state)
{
    const Fault fault = {.kind = FAULT_CUT, .a = 0x07, .b = 0x07};
    expect_table(&fault, "ip saddr 127.1.1.1 ip daddr { 127.1.2.1, 127.2.1.1 } counter drop; "
                         "ip saddr 127.1.2.1 ip daddr { 127.1.1.1, 127.2.1.1 } counter drop; "
                         "ip saddr 127.2.1.1 ip daddr { 127.1.1.1, 127.1.2.1 } counter drop; ");
}

// Without the second rule an old connection would go on delivering.
static void one_way_means_no_connection_can_be_opened(void **state)
{
    const Fault fault = {.kind = FAULT_CUT, .a = AWS, .b = 0x10, .one_way = true};
    expect_table(&fault,
                 "ip saddr { 127.1.1.1, 127.1.2.1 } ip daddr 127.3.1.1 meta l4proto { tcp, udp } "
                 "th dport { 8443, 8444, 8480, 5300, 5432 } counter drop; "
                 "ip saddr 127.3.1.1 ip daddr { 127.1.1.1, 127.1.2.1 } meta l4proto { tcp, udp } "
                 "th sport { 8443, 8444, 8480, 5300, 5432 } counter drop; ");
}

static void one_way_of_one_port(void **state)
{
    const Fault fault = {.kind = FAULT_CUT, .a = 0x01, .b = 0x02, .one_way = true, .port = 5432};
    expect_table(&fault, "ip saddr 127.1.1.1 ip daddr 127.1.2.1 meta l4proto { tcp, udp } "
                         "th dport 5432 counter drop; "
                         "ip saddr 127.1.2.1 ip daddr 127.1.1.1 meta l4proto { tcp, udp } "
                         "th sport 5432 counter drop; ");
}

// Of a port, whoever of the two serves it: its packets to the port and those back.
static void one_port_both_ways(void **state)
{
    const Fault fault = {.kind = FAULT_CUT, .a = 0x01, .b = 0x02, .port = 8444};
#define PORT(from, to, end)                                                                        \
    "ip saddr " from " ip daddr " to " meta l4proto { tcp, udp } th " end " 8444 counter drop; "
    expect_table(&fault,
                 PORT("127.1.1.1", "127.1.2.1", "dport") PORT("127.1.1.1", "127.1.2.1", "sport")
                     PORT("127.1.2.1", "127.1.1.1", "dport")
                         PORT("127.1.2.1", "127.1.1.1", "sport"));
#undef PORT
}

static void loss_is_drawn_for_each_packet(void **state)
{
    const Fault fault = {.kind = FAULT_LOSS, .a = 0x01, .b = GCP, .one_way = true, .value = 200000};
    expect_table(&fault, "ip saddr 127.1.1.1 ip daddr { 127.3.1.1, 127.3.2.1 } "
                         "numgen random mod 1000000 < 200000 counter drop; ");
    const Fault both = {.kind = FAULT_LOSS, .a = 0x01, .b = 0x10, .value = 1};
    expect_table(&both, "ip saddr 127.1.1.1 ip daddr 127.3.1.1 "
                        "numgen random mod 1000000 < 1 counter drop; "
                        "ip saddr 127.3.1.1 ip daddr 127.1.1.1 "
                        "numgen random mod 1000000 < 1 counter drop; ");
}

static void loss_of_everything_draws_nothing(void **state)
{
    const Fault fault = {
        .kind = FAULT_LOSS, .a = 0x01, .b = 0x10, .one_way = true, .value = PPM_ONE};
    expect_table(&fault, "ip saddr 127.1.1.1 ip daddr 127.3.1.1 counter drop; ");
}

static void other_rules_come_in_one_transaction(void **state)
{
    const Fault fault = {.kind = FAULT_LOSS, .a = 0x01, .b = 0x10, .value = 50000};
    Buf out = BUF_INIT(0);
    assert_int_equal(fault_rules_replace(&fault, conf, "t", &out, NULL), 0);
    assert_string_equal(buf_text(&out), "flush chain inet t in; "
                                        "add rule inet t in ip saddr 127.1.1.1 ip daddr 127.3.1.1 "
                                        "numgen random mod 1000000 < 50000 counter drop; "
                                        "add rule inet t in ip saddr 127.3.1.1 ip daddr 127.1.1.1 "
                                        "numgen random mod 1000000 < 50000 counter drop");
    assert_null(strchr(buf_text(&out), '\n'));
    buf_done(&out);
}

// The cameras of the drills are nobody's region: no rule may name their network.
static void cameras_stay_connected(void **state)
{
    Buf out = BUF_INIT(0);
    const Fault fault = {.kind = FAULT_CUT, .a = 0x3f, .b = 0x3f};
    assert_int_equal(fault_rules_table(&fault, conf, "t", &out, NULL), 0);
    assert_null(strstr(buf_text(&out), "127.100."));
    assert_null(strstr(buf_text(&out), "/"));
    buf_done(&out);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_region_from_another),
        cmocka_unit_test(a_cloud_from_another),
        cmocka_unit_test(all_against_all),
        cmocka_unit_test(one_way_means_no_connection_can_be_opened),
        cmocka_unit_test(one_way_of_one_port),
        cmocka_unit_test(one_port_both_ways),
        cmocka_unit_test(loss_is_drawn_for_each_packet),
        cmocka_unit_test(loss_of_everything_draws_nothing),
        cmocka_unit_test(other_rules_come_in_one_transaction),
        cmocka_unit_test(cameras_stay_connected),
    };
    shipped_root = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests(tests, shipped_load, shipped_free);
}
