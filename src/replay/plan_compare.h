// SPDX-License-Identifier: MIT
// plan_compare: two plans that should be one; says in a line where they first differ. Pure.
#pragma once
#include "buf.h"
#include "plan.h"

// false: nothing differs that a plan can say. Appends to `out`, "made: ..., recorded: ...".
bool plan_compare(const Plan *made, const Plan *recorded, Buf *out);
