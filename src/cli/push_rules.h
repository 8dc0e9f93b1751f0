// SPDX-License-Identifier: MIT
// push_rules: which changes of fleet.yaml a running fleet cannot take: what programs, certificates,
// databases and peers were started or made with. One table of keys; the rest is taken by SIGHUP.
#pragma once
#include "buf.h"

// `diff` is what conf_diff wrote. Appends each line of it that needs a restart, with the reason
// behind it; nothing when the whole change can be pushed. 0, or what buf_check says.
int push_rules_restart(const char *diff, Buf *ret_lines) MUST_CHECK;
