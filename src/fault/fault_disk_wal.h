// SPDX-License-Identifier: MIT
// fault_disk_wal: a database whose disk is full lives on in the segments of its log (WAL) that it
// has made in advance: for a second under load, for minutes without. Here it is asked to go through
// them, so that a full disk shows at once at any load.
#pragma once
#include "fault_kind.h"

// Asks the database of a region to switch to the next segment until there is none: then it leaves.
// 0 when it has left, or finds no space; ERROR_CONFLICT when it still finds some.
int fault_disk_wal_use_up(const FaultHeld *held, uint32_t region, Error *reterr) MUST_CHECK;
