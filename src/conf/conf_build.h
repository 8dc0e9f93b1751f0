// SPDX-License-Identifier: MIT
// conf_build: a checked ConfRaw -> the Conf that programs use: names become indices, places become
// latencies, prices become comparable integers.
#pragma once
#include "arena.h"
#include "conf_prefixes.h"
#include "conf_schema.h"

// Does not accept a raw that conf_check refused. 0 or ERROR_MEMORY.
int conf_build(const ConfRaw *raw, const SortedPrefixes *sorted, Arena *arena,
               Conf *ret_conf) MUST_CHECK;
