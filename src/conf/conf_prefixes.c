// SPDX-License-Identifier: MIT
// conf_prefixes: see conf_prefixes.h. In sorted order a prefix comes before those inside it, so one
// sweep with the highest covered address finds every gap.
#include "conf_prefixes.h"

#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "hash.h"

static int compare(const void *left, const void *right)
{
    const SortedPrefix *a = left, *b = right;
    int order = memcmp(a->prefix.ip.bytes, b->prefix.ip.bytes, sizeof a->prefix.ip.bytes);
    if (order != 0)
        return order;
    if (a->prefix.bits != b->prefix.bits)
        return a->prefix.bits < b->prefix.bits ? -1 : 1;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

int conf_prefixes_sort(const ConfRaw *raw, Arena *arena, SortedPrefixes *ret_sorted)
{
    const ConfRawGroup *groups = raw->clients.items;
    uint64_t n = 0;
    for (uint32_t i = 0; i < raw->clients.n; i++)
        n += groups[i].prefixes.n;
    if (n > BOUND_PREFIXES)
        return ERROR_LIMIT;
    SortedPrefix *items = arena_new_array(arena, SortedPrefix, n > 0 ? n : 1);
    if (items == NULL)
        return ERROR_MEMORY;
    uint32_t at = 0;
    for (uint32_t i = 0; i < raw->clients.n; i++) {
        const IpPrefix *prefixes = groups[i].prefixes.items;
        for (uint32_t j = 0; j < groups[i].prefixes.n; j++)
            items[at++] = (SortedPrefix){.prefix = prefixes[j], .group = i, .index = j};
    }
    qsort(items, at, sizeof *items, compare);
    *ret_sorted = (SortedPrefixes){.items = items, .n = at};
    return 0;
}

static Ip last_of(const IpPrefix *prefix)
{
    Ip last = prefix->ip;
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = prefix->bits > i * 8 ? prefix->bits - i * 8U : 0;
        if (keep < 8)
            last.bytes[i] |= (uint8_t)(0xffU >> keep);
    }
    return last;
}

// False when there is no address behind it.
static bool next_of(Ip *ip)
{
    for (int i = 15; i >= 0; i--) {
        if (++ip->bytes[i] != 0)
            return true;
    }
    return false;
}

bool conf_prefixes_gap(const SortedPrefixes *sorted, bool v4, Ip *ret_gap)
{
    IpPrefix all = {.bits = 0};
    if (v4)
        all = (IpPrefix){.ip = {.bytes = {[10] = 0xff, [11] = 0xff}}, .bits = 96};
    Ip next = all.ip; // lowest address that is not known to be covered
    for (uint32_t i = 0; i < sorted->n; i++) {
        const IpPrefix *prefix = &sorted->items[i].prefix;
        if (v4 && (!ip_prefix_contains(&all, &prefix->ip) || prefix->bits < 96))
            continue;
        if (memcmp(prefix->ip.bytes, next.bytes, sizeof next.bytes) > 0)
            break;
        Ip last = last_of(prefix);
        if (memcmp(last.bytes, next.bytes, sizeof next.bytes) < 0)
            continue;
        next = last;
        if (!next_of(&next))
            return false;
    }
    if (!ip_prefix_contains(&all, &next))
        return false;
    *ret_gap = next;
    return true;
}

uint64_t conf_prefixes_digest(const SortedPrefixes *sorted, const ConfRaw *raw)
{
    const ConfRawGroup *groups = raw->clients.items;
    uint64_t hash = hash_u64(HASH_SEED, raw->clients.n);
    for (uint32_t i = 0; i < raw->clients.n; i++)
        hash = hash_text(hash, groups[i].name);
    for (uint32_t i = 0; i < sorted->n; i++) {
        const SortedPrefix *item = &sorted->items[i];
        hash = hash_bytes(hash, item->prefix.ip.bytes, sizeof item->prefix.ip.bytes);
        hash = hash_u64(hash, (uint64_t)item->prefix.bits << 32 | item->group);
    }
    return hash_mix(hash);
}
