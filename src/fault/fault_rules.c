// SPDX-License-Identifier: MIT
// fault_rules: see fault_rules.h. As many rules as regions, not as pairs of them: the other side is
// a set.
#include "fault_rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fault_kind.h"

typedef struct Rules {
    const Conf *conf;
    const Fault *fault;
    const char *before; // of each rule: "add rule inet TABLE in ", or ""
    const char *after;  // "; "
    char verdict[80];
    Buf *out;
} Rules;

// "127.1.1.1", or "{ 127.1.1.1, 127.1.2.1 }".
static void add_addresses(const Rules *rules, uint64_t regions)
{
    bool one = (regions & (regions - 1)) == 0, first = true;
    buf_add_text(rules->out, one ? "" : "{ ");
    for (uint32_t i = 0; i < rules->conf->model.n_regions; i++) {
        if (!fault_has(regions, i))
            continue;
        buf_printf(rules->out, "%s%s", first ? "" : ", ", rules->conf->model.regions[i].address);
        first = false;
    }
    buf_add_text(rules->out, one ? "" : " }");
}

// match: further conditions, e.g. " th dport 5432".
static void add_rule(const Rules *rules, uint64_t from, uint64_t to, const char *match)
{
    if (from == 0 || to == 0)
        return;
    buf_printf(rules->out, "%sip saddr ", rules->before);
    add_addresses(rules, from);
    buf_add_text(rules->out, " ip daddr ");
    add_addresses(rules, to);
    buf_printf(rules->out, "%s %s%s", match, rules->verdict, rules->after);
}

// All packets from one side to the other, or those of one port.
static void add_direction(const Rules *rules, uint64_t from, uint64_t to)
{
    char match[2][64] = {"", ""};
    if (rules->fault->port != 0) {
        for (size_t k = 0; k < 2; k++)
            (void)snprintf(match[k], sizeof match[k], " meta l4proto { tcp, udp } th %s %" PRIu16,
                           k == 0 ? "dport" : "sport", rules->fault->port);
    }
    for (uint32_t i = 0; i < rules->conf->model.n_regions; i++) {
        uint64_t region = UINT64_C(1) << i;
        if ((from & region) == 0)
            continue;
        add_rule(rules, region, to & ~region, match[0]);
        if (rules->fault->port != 0)
            add_rule(rules, region, to & ~region, match[1]);
    }
}

static void ports_of(const Rules *rules, uint32_t region, const char *end, char text[128])
{
    const ModelRegion *model = &rules->conf->model.regions[region];
    const ConfRegionLocal *local = &rules->conf->regions[region];
    if (rules->fault->port != 0)
        (void)snprintf(text, 128, " meta l4proto { tcp, udp } th %s %" PRIu16, end,
                       rules->fault->port);
    else
        (void)snprintf(text, 128, " meta l4proto { tcp, udp } th %s { %u, %u, %u, %u, %u }", end,
                       model->edge_port, model->peer_port, local->http_port, local->dns_port,
                       local->database_port);
}

// `a` cannot open connections to `b`.
static void add_one_way_cut(const Rules *rules)
{
    for (uint32_t i = 0; i < rules->conf->model.n_regions; i++) {
        uint64_t server = UINT64_C(1) << i;
        char match[128];
        if ((rules->fault->b & server) == 0)
            continue;
        ports_of(rules, i, "dport", match);
        add_rule(rules, rules->fault->a & ~server, server, match);
        ports_of(rules, i, "sport", match);
        add_rule(rules, server, rules->fault->a & ~server, match);
    }
}

static int check_addresses(const Fault *fault, const Conf *conf, Error *reterr)
{
    for (uint32_t i = 0; i < conf->model.n_regions; i++) {
        Ip ip;
        if (fault_has(fault->a | fault->b, i) &&
            (ip_parse(conf->model.regions[i].address, &ip) < 0 || !ip_is_v4(&ip)))
            return error_set(reterr, ERROR_RANGE, "region '%s': '%s' is not an IPv4 address",
                             conf->model.regions[i].name, conf->model.regions[i].address);
    }
    return 0;
}

static void add_rules(Rules *rules)
{
    const Fault *fault = rules->fault;
    // nft refuses a bound that every number is below.
    if (fault->kind == FAULT_LOSS && fault->value < PPM_ONE)
        (void)snprintf(rules->verdict, sizeof rules->verdict,
                       "numgen random mod %u < %" PRId64 " counter drop", PPM_ONE, fault->value);
    else
        (void)snprintf(rules->verdict, sizeof rules->verdict, "counter drop");
    if (fault->kind == FAULT_CUT && fault->one_way) {
        add_one_way_cut(rules);
        return;
    }
    add_direction(rules, fault->a, fault->b);
    // Inside one set (all against all) the one direction has every pair already.
    if (!fault->one_way && fault->a != fault->b)
        add_direction(rules, fault->b, fault->a);
}

static int finish(Buf *out, Error *reterr)
{
    int r = buf_check(out);
    return r < 0 ? error_set(reterr, r, "rules for nft") : 0;
}

int fault_rules_table(const Fault *fault, const Conf *conf, const char *table, Buf *out,
                      Error *reterr)
{
    int r = check_addresses(fault, conf, reterr);
    if (r < 0)
        return r;
    Rules rules = {.conf = conf, .fault = fault, .before = "", .after = "; ", .out = out};
    buf_printf(out,
               "add table inet %s { flags owner; chain in { type filter hook input priority 0; ",
               table);
    add_rules(&rules);
    buf_add_text(out, "}; }");
    return finish(out, reterr);
}

int fault_rules_replace(const Fault *fault, const Conf *conf, const char *table, Buf *out,
                        Error *reterr)
{
    int r = check_addresses(fault, conf, reterr);
    if (r < 0)
        return r;
    char before[128];
    (void)snprintf(before, sizeof before, "; add rule inet %s in ", table);
    Rules rules = {.conf = conf, .fault = fault, .before = before, .after = "", .out = out};
    buf_printf(out, "flush chain inet %s in", table);
    add_rules(&rules);
    return finish(out, reterr);
}
