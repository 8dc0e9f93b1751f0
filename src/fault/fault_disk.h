// SPDX-License-Identifier: MIT
// fault_disk: what a keeper does before anything else.
#pragma once
#include "fault_kind.h"

// Puts right what keepers that were killed have left of DISK_FULL in this fleet; regions that
// another keeper has now are left alone.
int fault_disk_recover(const FaultOptions *options, Mono deadline, int gone, int socket,
                       Error *reterr) MUST_CHECK;
