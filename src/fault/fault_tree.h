// SPDX-License-Identifier: MIT
// fault_tree: whole folders, by descriptors and without following links: the size, and a copy.
#pragma once
#include <stdint.h>

#include "error.h"
#include "fault_pace.h"

// Bytes on a disk with blocks of 4 KiB. What goes while it is looked at does not count.
int fault_tree_size(int at, const char *name, uint64_t *ret_bytes, Error *reterr) MUST_CHECK;
// Files, folders and links with their modes; sockets and pipes are left out. `to` must not exist.
// ERROR_TIMEOUT when it stands still.
int fault_tree_copy(int from_at, const char *from, int to_at, const char *to, FaultPace *pace,
                    Error *reterr) MUST_CHECK;
