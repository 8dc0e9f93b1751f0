// SPDX-License-Identifier: MIT
// sim_disk: what an agent of the simulator keeps on disk (its intents, the epoch of its plans), and
// an older copy of it, as a restored backup brings it back. Inner header of sim_fleet.
#pragma once
#include "sim_fleet.h"

// The core's intents to the disk.
int sim_disk_keep(SimAgent *agent, Error *reterr) MUST_CHECK;
// Disk -> copy, copy -> disk.
int sim_disk_back_up(SimAgent *agent, Error *reterr) MUST_CHECK;
int sim_disk_restore(SimAgent *agent, Error *reterr) MUST_CHECK;
void sim_disk_done(SimAgent *agent);
