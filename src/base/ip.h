// SPDX-License-Identifier: MIT
// ip: addresses and prefixes as values. Always 16 bytes; IPv4 is held as v4-mapped
// (::ffff:a.b.c.d), so that one table and one comparison serve both families. `bits` of a prefix
// count in that form: an IPv4 /24 is 120.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"

#define IP_TEXT_MAX 50 // longest IPv6 text with "/128" and NUL

typedef struct Ip {
    uint8_t bytes[16];
} Ip;

typedef struct IpPrefix {
    Ip ip; // bits behind the prefix are zero
    uint8_t bits;
} IpPrefix;

int ip_parse(const char *text, Ip *ret_ip) MUST_CHECK; // 0 or ERROR_FORMAT
// "10.0.0.0/8", "2001:db8::/32", or an address alone (a host prefix). Refuses set host bits.
int ip_prefix_parse(const char *text, IpPrefix *ret_prefix) MUST_CHECK;
bool ip_is_v4(const Ip *ip);
const char *ip_format(const Ip *ip, char text[IP_TEXT_MAX]);
const char *ip_prefix_format(const IpPrefix *prefix, char text[IP_TEXT_MAX]);
// Keeps the first `bits` bits.
Ip ip_masked(Ip ip, unsigned bits);
bool ip_prefix_contains(const IpPrefix *prefix, const Ip *ip);
// The client's block, the unit of shares and of measured latency: /24 or /48.
IpPrefix ip_client_block(const Ip *ip);
