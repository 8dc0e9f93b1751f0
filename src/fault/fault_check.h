// SPDX-License-Identifier: MIT
// fault_check: is this a fault that can be meant? Pure; both ends of the keeper's socket ask it.
#pragma once
#include "fault.h"

#define FAULT_VALUE_CLOCK_MAX (INT64_C(10) * 365 * 86400 * NS_PER_S)
#define FAULT_VALUE_DELAY_MAX (INT64_C(600) * NS_PER_S)

int fault_check(const Fault *fault, const Model *model, Error *reterr) MUST_CHECK;
// Is this value one for the kind? Those without a value take 0 only.
int fault_check_value(FaultKind kind, int64_t value, Error *reterr) MUST_CHECK;
