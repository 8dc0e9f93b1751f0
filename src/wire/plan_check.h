// SPDX-License-Identifier: MIT
// plan_check: is this plan one that a reader may act on? The encoder asks before it writes, the
// decoder after it has read, so nothing is published that a reader would refuse. A plan that fails
// here is a bug of whoever made it or damage that the checksum cannot know of.
#pragma once
#include "error.h"
#include "plan.h"

// Every pointer and text must be readable; everything else is checked. 0, ERROR_RANGE, ERROR_LIMIT.
int plan_check(const Plan *plan, Error *reterr) MUST_CHECK;
