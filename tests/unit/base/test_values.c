// SPDX-License-Identifier: MIT
// parse, ip, hash, rng, cursor, instant: published check values and every edge.
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "cursor.h"
#include "error.h"
#include "hash.h"
#include "instant.h"
#include "ip.h"
#include "parse.h"
#include "rng.h"

static void test_numbers(void **state)
{
    uint64_t u = 7;
    int64_t i = 7;
    assert_int_equal(parse_u64("18446744073709551615", 20, UINT64_MAX, &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(parse_u64("18446744073709551616", 20, UINT64_MAX, &u), ERROR_RANGE);
    assert_int_equal(parse_u64("101", 3, 100, &u), ERROR_RANGE);
    static const char *const BAD[] = {"", " 1", "1 ", "+1", "-1", "0x1", "1e3", "1.0"};
    for (size_t k = 0; k < ARRAY_SIZE(BAD); k++)
        assert_int_equal(parse_u64(BAD[k], strlen(BAD[k]), UINT64_MAX, &u), ERROR_FORMAT);
    assert_int_equal(parse_i64("-5", 2, -5, 5, &i), 0);
    assert_int_equal(i, -5);
    assert_int_equal(parse_i64("-6", 2, -5, 5, &i), ERROR_RANGE);
    assert_int_equal(parse_i64("--5", 3, -5, 5, &i), ERROR_FORMAT);
    assert_int_equal(parse_hex("00ff", 4, 4, &u), 0);
    assert_int_equal(u, 255);
    assert_int_equal(parse_hex("00FF", 4, 4, &u), ERROR_FORMAT);
    assert_int_equal(parse_hex("ff", 2, 4, &u), ERROR_FORMAT);
}

static void test_units(void **state)
{
    int64_t ns;
    uint64_t bytes;
    uint32_t ppm;
    assert_int_equal(parse_duration("250ms", 5, &ns), 0);
    assert_true(ns == 250 * NS_PER_MS);
    assert_int_equal(parse_duration("365d", 4, &ns), 0);
    assert_true(ns == INT64_C(365) * 86400 * NS_PER_S);
    static const char *const BAD[] = {"", "5", "ms", "5 ms", "5MS", "1.5s", "-5s", "5sec"};
    for (size_t k = 0; k < ARRAY_SIZE(BAD); k++)
        assert_int_equal(parse_duration(BAD[k], strlen(BAD[k]), &ns), ERROR_FORMAT);
    assert_int_equal(parse_duration("999999999d", 10, &ns), ERROR_RANGE);
    assert_int_equal(parse_size("64KiB", 5, &bytes), 0);
    assert_int_equal(bytes, 65536);
    assert_int_equal(parse_size("64KB", 4, &bytes), ERROR_FORMAT);
    assert_int_equal(parse_percent("5 %", 3, &ppm), 0);
    assert_int_equal(ppm, 50000);
    assert_int_equal(parse_percent("0.1%", 4, &ppm), 0);
    assert_int_equal(ppm, 1000);
    assert_int_equal(parse_percent("100.0001%", 9, &ppm), ERROR_RANGE);
    assert_int_equal(parse_percent("5", 1, &ppm), ERROR_FORMAT);
    assert_int_equal(parse_percent("%", 1, &ppm), ERROR_FORMAT);
}

static void test_rfc3339(void **state)
{
    int64_t ns;
    assert_int_equal(parse_rfc3339("1970-01-01T00:00:00Z", 20, &ns), 0);
    assert_true(ns == 0);
    assert_int_equal(parse_rfc3339("2024-02-29T12:34:56.5Z", 22, &ns), 0);
    assert_true(ns == INT64_C(1709210096) * NS_PER_S + NS_PER_S / 2);
    assert_int_equal(parse_rfc3339("2023-02-29T12:34:56Z", 20, &ns), ERROR_RANGE);
    static const char *const BAD[] = {
        "2024-02-29T12:34:56",   "2024-02-29 12:34:56Z",
        "2024-2-29T12:34:56Z0",  "2024-02-29T24:00:00Z",
        "2024-02-29T12:34:56.Z", "2024-02-29T12:34:56.1234567890Z",
        "1969-12-31T23:59:59Z",  "",
    };
    for (size_t k = 0; k < ARRAY_SIZE(BAD); k++)
        assert_int_equal(parse_rfc3339(BAD[k], strlen(BAD[k]), &ns), ERROR_FORMAT);
}

static void check_prefix(const char *text, const char *expected)
{
    IpPrefix prefix;
    char out[IP_TEXT_MAX];
    int r = ip_prefix_parse(text, &prefix);
    if (expected == NULL) {
        assert_int_equal(r, ERROR_FORMAT);
        return;
    }
    assert_int_equal(r, 0);
    assert_string_equal(ip_prefix_format(&prefix, out), expected);
}

static void test_addresses(void **state)
{
    check_prefix("10.0.0.0/8", "10.0.0.0/8");
    check_prefix("10.1.2.3", "10.1.2.3/32");
    check_prefix("2001:db8::/32", "2001:db8::/32");
    check_prefix("::/0", "::/0");
    check_prefix("0.0.0.0/0", "0.0.0.0/0");
    check_prefix("10.0.0.1/8", NULL);
    check_prefix("10.0.0.0/33", NULL);
    check_prefix("10.0.0.0/", NULL);
    check_prefix("10.0.0/8", NULL);
    check_prefix("2001:db8::1/32", NULL);
    IpPrefix ten;
    Ip inside, outside, six;
    assert_int_equal(ip_prefix_parse("10.128.0.0/9", &ten), 0);
    assert_int_equal(ip_parse("10.200.1.2", &inside), 0);
    assert_int_equal(ip_parse("10.127.255.255", &outside), 0);
    assert_int_equal(ip_parse("2001:db8:1:2::3", &six), 0);
    assert_true(ip_prefix_contains(&ten, &inside));
    assert_false(ip_prefix_contains(&ten, &outside));
    assert_false(ip_prefix_contains(&ten, &six));
    char out[IP_TEXT_MAX];
    IpPrefix block = ip_client_block(&inside);
    assert_string_equal(ip_prefix_format(&block, out), "10.200.1.0/24");
    block = ip_client_block(&six);
    assert_string_equal(ip_prefix_format(&block, out), "2001:db8:1::/48");
}

static void test_hashes(void **state)
{
    // RFC 3720 B.4: 32 zero bytes; and the check value of the CRC catalogue.
    static const unsigned char zeroes[32];
    assert_int_equal(crc32c(0, zeroes, sizeof zeroes), 0x8a9136aaU);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283U);
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283U);
    // FNV-1a 64 test vectors (Noll).
    assert_true(hash_bytes(HASH_SEED, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(hash_bytes(HASH_SEED, "foobar", 6) == UINT64_C(0x85944171f73967e8));
    assert_true(hash_text(hash_text(HASH_SEED, "a"), "b") !=
                hash_text(hash_text(HASH_SEED, "ab"), ""));
}

static void test_rng_repeats_and_spreads(void **state)
{
    Rng a = rng_seeded(42), b = rng_seeded(42);
    unsigned counts[10] = {0};
    for (int i = 0; i < 100000; i++) {
        uint64_t x = rng_below(&a, 10);
        assert_true(x == rng_below(&b, 10));
        counts[x]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(counts[i], 9500, 10500);
    assert_true(rng_below(&a, 0) == 0);
}

static void test_cursor_fails_once_for_all(void **state)
{
    Buf buf CLEANUP(buf_done) = BUF_INIT(0);
    buf_put_u8(&buf, 1);
    buf_put_u16(&buf, 0x0203);
    buf_put_u32(&buf, 0x04050607);
    buf_put_i64(&buf, -8);
    Cursor cursor = cursor_of(buf.data, buf.len);
    assert_int_equal(cursor_u8(&cursor), 1);
    assert_int_equal(cursor_u16(&cursor), 0x0203);
    assert_int_equal(cursor_u32(&cursor), 0x04050607);
    assert_true(cursor_i64(&cursor) == -8);
    assert_int_equal(cursor_check(&cursor), 0);
    assert_int_equal(cursor_left(&cursor), 0);
    assert_null(cursor_bytes(&cursor, 1));
    assert_int_equal(cursor_u64(&cursor), 0);
    assert_int_equal(cursor_check(&cursor), ERROR_FORMAT);
    Cursor short_one = cursor_of(buf.data, 4);
    assert_null(cursor_bytes(&short_one, SIZE_MAX));
    assert_int_equal(cursor_u8(&short_one), 0);
}

static void test_instants_saturate(void **state)
{
    assert_true(mono_since(MONO_NEVER, MONO_DISTANT) == INT64_MAX);
    assert_true(mono_since(MONO_DISTANT, (Mono){5}) == INT64_MIN);
    assert_true(mono_add(MONO_NEVER, 1).ns == INT64_MAX);
    assert_true(mono_add((Mono){5}, -7).ns == -2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_rfc3339),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_rng_repeats_and_spreads),
        cmocka_unit_test(test_cursor_fails_once_for_all),
        cmocka_unit_test(test_instants_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
