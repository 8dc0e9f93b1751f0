// SPDX-License-Identifier: MIT
// fault_find: where this machine has what faults need.
#pragma once
#include "layout.h"

// 0 or ERROR_NOT_FOUND.
int fault_find_nft(LayoutPath *ret_path) MUST_CHECK;
int fault_find_faketime(LayoutPath *ret_path) MUST_CHECK; // the library, of this machine's type
