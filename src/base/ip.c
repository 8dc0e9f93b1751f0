// SPDX-License-Identifier: MIT
// ip: see ip.h. inet_pton and inet_ntop do the text, so that RFC 4291 and RFC 5952 are libc's work.
#include "ip.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "parse.h"

static const uint8_t V4_MAPPED[12] = {[10] = 0xff, [11] = 0xff};

int ip_parse(const char *text, Ip *ret_ip)
{
    Ip ip;
    if (inet_pton(AF_INET, text, ip.bytes + 12) == 1)
        memcpy(ip.bytes, V4_MAPPED, sizeof V4_MAPPED);
    else if (inet_pton(AF_INET6, text, ip.bytes) != 1)
        return ERROR_FORMAT;
    *ret_ip = ip;
    return 0;
}

int ip_prefix_parse(const char *text, IpPrefix *ret_prefix)
{
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    char address[IP_TEXT_MAX];
    if (len >= sizeof address)
        return ERROR_FORMAT;
    memcpy(address, text, len);
    address[len] = '\0';
    IpPrefix prefix;
    int r = ip_parse(address, &prefix.ip);
    if (r < 0)
        return r;
    // "::/0" and other prefixes that begin above the mapped block stay IPv6.
    bool v4 = strchr(address, ':') == NULL;
    uint64_t bits = v4 ? 32 : 128;
    if (slash != NULL && parse_u64(slash + 1, strlen(slash + 1), bits, &bits) < 0)
        return ERROR_FORMAT;
    prefix.bits = (uint8_t)(bits + (v4 ? 96 : 0));
    Ip masked = ip_masked(prefix.ip, prefix.bits);
    if (memcmp(masked.bytes, prefix.ip.bytes, sizeof masked.bytes) != 0)
        return ERROR_FORMAT;
    *ret_prefix = prefix;
    return 0;
}

bool ip_is_v4(const Ip *ip)
{
    return memcmp(ip->bytes, V4_MAPPED, sizeof V4_MAPPED) == 0;
}

const char *ip_format(const Ip *ip, char text[IP_TEXT_MAX])
{
    bool v4 = ip_is_v4(ip);
    if (inet_ntop(v4 ? AF_INET : AF_INET6, ip->bytes + (v4 ? 12 : 0), text, IP_TEXT_MAX) == NULL)
        text[0] = '\0';
    return text;
}

const char *ip_prefix_format(const IpPrefix *prefix, char text[IP_TEXT_MAX])
{
    bool v4 = ip_is_v4(&prefix->ip) && prefix->bits >= 96;
    (void)ip_format(&prefix->ip, text);
    size_t len = strlen(text);
    (void)snprintf(text + len, IP_TEXT_MAX - len, "/%u", prefix->bits - (v4 ? 96U : 0U));
    return text;
}

Ip ip_masked(Ip ip, unsigned bits)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = bits > i * 8 ? bits - i * 8 : 0;
        if (keep < 8)
            ip.bytes[i] &= (uint8_t)(0xff00U >> keep);
    }
    return ip;
}

bool ip_prefix_contains(const IpPrefix *prefix, const Ip *ip)
{
    Ip masked = ip_masked(*ip, prefix->bits);
    return memcmp(masked.bytes, prefix->ip.bytes, sizeof masked.bytes) == 0;
}

IpPrefix ip_client_block(const Ip *ip)
{
    uint8_t bits = ip_is_v4(ip) ? 96 + 24 : 48;
    return (IpPrefix){.ip = ip_masked(*ip, bits), .bits = bits};
}
