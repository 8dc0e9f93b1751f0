// SPDX-License-Identifier: MIT
// fleet_edit: changes single values in the text of a fleet.yaml and leaves everything else as it
// is, comments too. Pure. Only for plain scalars on the line of their key.
#pragma once
#include <stdint.h>

#include "buf.h"

// Appends `text` to `out` with the value behind each `key:` replaced. Returns how many there were.
uint32_t fleet_edit(const char *text, const char *key, const char *value, Buf *out);
