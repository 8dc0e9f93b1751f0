// SPDX-License-Identifier: MIT
// drill_acts: what drills do that is no fault of src/fault: wishes on both sides of a cut, another
// build, configurations. Each act tells the guard (undo.h) first how it goes back.
#pragma once
#include "drill_table.h"

DrillAct act_wish;            // on each side of a cut: one of its own, and one that all sides make
DrillAct act_prepare_upgrade; // copies this build, unless --to names another one
DrillAct act_upgrade, act_upgrade_back;
DrillAct act_lower_capacity; // so that the cameras' rate is 80 % of the fleet's capacity
DrillAct act_push_bad;
