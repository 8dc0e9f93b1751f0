// SPDX-License-Identifier: MIT
// conf_diff: what differs between two loaded fleet files, by key, as `wildcam config diff` prints
// it:
//   health.failures: 3 -> 5
//   regions.eu-west-1: added
// Values are compared, not text: layout, comments and defaults written out make no difference.
#pragma once
#include "buf.h"
#include "conf.h"

// Appends one line for each difference; nothing when there is none. Both must come from conf_parse
// or conf_load. 0, or what buf_check says.
int conf_diff(const Conf *from, const Conf *to, Buf *ret_text) MUST_CHECK;
