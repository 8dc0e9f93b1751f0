// SPDX-License-Identifier: MIT
// conf_prefixes: the prefixes of all client groups as one sorted table, and what can be wrong with
// them.
#pragma once
#include <stdbool.h>

#include "arena.h"
#include "conf_schema.h"

typedef struct SortedPrefix {
    IpPrefix prefix;
    uint32_t group, index; // which entry of the file
} SortedPrefix;

typedef struct SortedPrefixes {
    SortedPrefix *items; // by (ip, bits), then place in the file
    uint32_t n;
} SortedPrefixes;

// 0, ERROR_MEMORY, or ERROR_LIMIT above BOUND_PREFIXES.
int conf_prefixes_sort(const ConfRaw *raw, Arena *arena, SortedPrefixes *ret_sorted) MUST_CHECK;
// True when some address of the family is in no prefix; the lowest such address is in *ret_gap.
// IPv4 counts as covered only by IPv4 prefixes, so that the file says what it means.
bool conf_prefixes_gap(const SortedPrefixes *sorted, bool v4, Ip *ret_gap);
// Over prefixes and group names: names the file prefixes.<digest>.
uint64_t conf_prefixes_digest(const SortedPrefixes *sorted, const ConfRaw *raw);
